"""Lets the n-th system call of a kind fail, or kills the process at it, for n = 1, 2, 3, ... until no call is left.

strace injects the faults into a forked child, so an operation is prepared and its modules are loaded only once.

Source:
    The out-of-memory and I/O error tests of SQLite, https://www.sqlite.org/testing.html, sections 3.1 and 3.2.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from goemo_cli.core.errors import GoemoError

CALLS = {
    "open": "openat",
    "write": "write,pwrite64",
    "rename": "rename,renameat,renameat2",
    "fsync": "fsync,fdatasync",
    "unlink": "unlink,unlinkat,rmdir",
    "mkdir": "mkdir,mkdirat",
}
"""System calls by their kind."""
DEEDS = {
    "fails": "error=ENOSPC:when={}",
    "keeps failing": "error=EIO:when={}+",
    "kills": "signal=KILL:when={}",
}
_REFUSED, _CRASHED = 8, 99


@dataclass(frozen=True)
class Operation:
    """Something that writes files, and how to look at what it left.

    Attributes:
        name: as the result of a trial shows it.
        template: folder that each trial starts from a copy of.
        act: the operation, on a copy.
        faults: what is wrong with a copy after the operation ended in any way; none if all is well.
    """

    name: str
    template: Path
    act: Callable[[Path], object]
    faults: Callable[[Path, bool], list[str]]
    """Given the folder, and whether the operation said that it succeeded."""


@dataclass(frozen=True)
class Trial:
    """One injected fault and what it led to."""

    name: str
    faults: tuple[str, ...]


def is_available() -> bool:
    """Whether strace is installed and may attach to a process here."""
    if shutil.which("strace") is None:
        return False
    child = _fork(lambda: None)
    with tempfile.NamedTemporaryFile() as log:
        started = _inject(child, "openat", DEEDS["fails"], 1, Path(log.name))
        child.start()
        child.wait()
        return started


def trials(
    operation: Operation, deed: str, kinds: Iterator[str] | tuple[str, ...] = tuple(CALLS)
) -> Iterator[Trial]:
    """Every trial of an operation with one kind of deed.

    Args:
        operation: what to disturb.
        deed: `fails` or `kills`.
        kinds: of system calls.
    """
    for kind in kinds:
        number = 1
        while trial := _trial(operation, deed, kind, number):
            yield trial
            number += 1


def _trial(operation: Operation, deed: str, kind: str, number: int) -> Trial | None:
    """One trial; None if the operation has no such call."""
    with tempfile.TemporaryDirectory(prefix="goemo-torture-") as scratch:
        folder, log = Path(scratch) / "copy", Path(scratch) / "strace.log"
        shutil.copytree(operation.template, folder, symlinks=True)
        child = _fork(lambda: operation.act(folder))
        if not _inject(child, CALLS[kind], DEEDS[deed], number, log):
            raise RuntimeError("strace cannot attach to a process")
        child.start()
        code = child.wait()
        seen = log.read_text(errors="replace") if log.is_file() else ""
        if "INJECTED" not in seen and "killed by SIGKILL" not in seen:
            return None
        found = ["a traceback"] if code == _CRASHED else []
        found += operation.faults(folder, code == 0)
        operation.act(folder)  # repeated, it must succeed
        found += [f"after a repetition: {fault}" for fault in operation.faults(folder, True)]
        return Trial(f"{operation.name}: {kind} {number} {deed}", tuple(found))


@dataclass
class _Child:
    """A forked process that waits for `start`."""

    pid: int
    gate: int
    tracer: subprocess.Popen[str] | None = None

    def start(self) -> None:
        os.write(self.gate, b"x")
        os.close(self.gate)

    def wait(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        if self.tracer:
            self.tracer.communicate()
        return os.waitstatus_to_exitcode(status)


def _fork(act: Callable[[], object]) -> _Child:
    wait, gate = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(wait)
        return _Child(pid, gate)
    try:
        os.close(gate)
        os.read(wait, 1)
        try:
            act()
            code = 0
        except (GoemoError, OSError):
            code = _REFUSED
        except BaseException:
            traceback.print_exc()
            code = _CRASHED
    finally:
        os._exit(code)


@contextmanager
def injected(pid: int, calls: str, deed: str, paths: Sequence[Path] = ()) -> Iterator[None]:
    """Inject a fault into a process while the block runs.

    Args:
        pid: of the process.
        calls: system calls, separated by commas.
        deed: as in `DEEDS`, with its number.
        paths: only calls for these files and folders; by default for all.

    Raises:
        RuntimeError: strace cannot attach.
    """
    with tempfile.NamedTemporaryFile() as log:
        child = _Child(pid, -1)
        if not _inject(child, calls, deed, 0, Path(log.name), paths):
            raise RuntimeError("strace cannot attach to a process")
        yield
        assert child.tracer
        child.tracer.communicate()


def _inject(child: _Child, calls: str, deed: str, number: int, log: Path, paths: Sequence[Path] = ()) -> bool:
    """Attach strace to a waiting child; whether it could."""
    child.tracer = subprocess.Popen(
        ["strace", "-f", "-p", str(child.pid), "-e", f"trace={calls}", "-o", str(log),
         "-e", f"inject={calls}:{deed.format(number)}", *(f"--trace-path={path}" for path in paths)],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.tracer.stderr
    return "attached" in child.tracer.stderr.readline()
