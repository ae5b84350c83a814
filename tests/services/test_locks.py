"""Who holds a run: told by process number, host, start time and the lock itself."""

import errno
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from goemo_cli.core.documents.runs import LockHolder
from goemo_cli.core.errors import BusyError
from goemo_cli.services.runs.locks import UNKNOWN, UNSEEN_HOURS, held, holder_of

HERE = LockHolder(
    pid=os.getpid(), host=socket.gethostname(), started=psutil.Process().create_time(), command="goemo test"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "tiny-20260101-000000"
    path.mkdir()
    return path


def left_behind(folder: Path, content: str) -> Path:
    """The file of a lock that the kernel has released."""
    path = folder.with_name(f".goemo-lock-{folder.name}")
    path.write_text(content, encoding="utf-8")
    return path


def test_a_lock_names_its_holder_and_leaves_no_file(folder: Path) -> None:
    with held(folder, "goemo test"):
        assert holder_of(folder) == HERE
        with pytest.raises(BusyError, match=rf"in use by goemo test \(process {os.getpid()} on "):
            held(folder, "goemo other", wait=0).__enter__()
        assert holder_of(folder) == HERE
    assert holder_of(folder) is None
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("change", "is_held"),
    [
        ({}, True),  # as on file systems without locks
        ({"started": HERE.started - 60}, False),  # the number is used again
        ({"pid": 2**22 + 1}, False),
        ({"pid": -1}, False),
        ({"host": "elsewhere"}, True),
    ],
)
def test_a_released_lock_counts_if_its_process_may_live(
    folder: Path, change: dict[str, Any], is_held: bool
) -> None:
    holder = HERE.model_copy(update=change)
    left_behind(folder, json.dumps(holder.as_json()))
    assert holder_of(folder) == (holder if is_held else None)


def test_a_process_on_another_machine_counts_while_its_run_changes(folder: Path) -> None:
    holder = HERE.model_copy(update={"host": "elsewhere"})
    path = left_behind(folder, json.dumps(holder.as_json()))
    (folder / "weights.bin").touch()
    old = time.time() - UNSEEN_HOURS * 3600 - 1
    os.utime(path, (old, old))
    assert holder_of(folder) == holder
    os.utime(folder / "weights.bin", (old, old))
    assert holder_of(folder) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "5", '{"pid": 1}'])
def test_a_file_of_another_form_counts_only_while_it_is_locked(folder: Path, content: str) -> None:
    path = left_behind(folder, content)
    assert holder_of(folder) is None
    program = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        assert holder_of(folder) == UNKNOWN
        process.kill()


def test_without_locks_in_the_file_system_the_record_keeps_others_away(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(handle: int, how: int) -> None:
        raise OSError(errno.ENOSYS, "no locks here")

    monkeypatch.setattr("fcntl.flock", flock)
    with held(folder, "goemo test"), pytest.raises(BusyError, match="in use by goemo test"):
        held(folder, "goemo other").__enter__()
    assert holder_of(folder) is None
