"""One lock per run: a process that changes a run holds it, and others learn which process that is.

The lock is a file next to the run's folder, there while it is held. The kernel releases it when its process ends,
however it ends; the file of a killed process stays, and its content tells that the process is gone.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from goemo_cli.core.documents.runs import LockHolder
from goemo_cli.core.errors import BusyError
from goemo_cli.core.files import last_change, write_into
from goemo_cli.core.system.locks import is_locked, lock_file, unlock_file
from goemo_cli.core.system.processes import lives, start_time

UNSEEN_HOURS = 24.0
"""A process on another machine cannot be seen: it counts as running while its run changed within this time."""
WAIT_SECONDS = 1.0
"""A look at whether a lock is held takes it for a moment."""

UNKNOWN = LockHolder(pid=0, host="this machine", started=0.0, command="another process")


@contextmanager
def held(folder: Path, command: str, *, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock of a run.

    On file systems without locks the block runs all the same; nothing but its file then shows that it does.

    Args:
        command: what the process does, such as `goemo tune`.
        wait: seconds to wait for another process.

    Raises:
        BusyError: another process holds it.
    """
    path = _lock_path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = lock_file(path, wait=wait)
    except BlockingIOError as error:
        raise _busy(folder, holder_of(folder) or UNKNOWN) from error
    if handle is None and (holder := holder_of(folder)):
        raise _busy(folder, holder)
    try:
        write_into(path, json.dumps(_this_process(command).as_json()))
        yield
    finally:
        unlock_file(path, handle)


def holder_of(folder: Path) -> LockHolder | None:
    """The process that changes a run now; None if there is none, or it was killed."""
    path = _lock_path(folder)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return None
    holder = _parsed(text)
    is_here = holder is not None and holder.host == socket.gethostname()
    if holder and is_here and lives(holder.pid, holder.started):
        return holder
    if is_locked(path):
        return holder or UNKNOWN
    if holder and not is_here and time.time() - last_change([folder, path]) < UNSEEN_HOURS * 3600:
        return holder
    return None


def _busy(folder: Path, holder: LockHolder) -> BusyError:
    return BusyError(f"{folder.name} is in use by {holder}; try again when it is done")


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f".goemo-lock-{folder.name}")


def _parsed(text: str) -> LockHolder | None:
    try:
        return LockHolder.model_validate_json(text)
    except ValidationError:
        return None  # it is being written


def _this_process(command: str) -> LockHolder:
    return LockHolder(pid=os.getpid(), host=socket.gethostname(), started=start_time(), command=command)
