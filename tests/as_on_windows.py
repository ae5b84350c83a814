"""goemo without what Windows does not have: a process imports all modules again and trains; nothing else works in it after.

The packages that goemo uses are imported before, and keep what they found. Locks are those of Windows, made of Linux locks.
"""

import errno
import fcntl
import os
import pkgutil
import signal
import struct
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

import psutil
import pytest

from tests.small_data import write_small_data

_OS_NAMES = (
    "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "chown", "fchmod", "fchown", "fork", "forkpty", "getegid",
    "geteuid", "getgid", "getloadavg", "getpgid", "getsid", "getuid", "killpg", "mkfifo", "nice", "pread", "pwrite",
    "sched_getaffinity", "sched_setaffinity", "setpgid", "setsid", "sysconf",
)  # fmt: skip
_SIGNAL_NAMES = (
    "SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGUSR1", "SIGUSR2", "alarm",
    "pause", "pthread_kill", "pthread_sigmask", "setitimer", "sigpending", "sigwait",
)  # fmt: skip
_O_BINARY = 1 << 30
_SYSTEM_MODULES = ("goemo_cli.core.files", "goemo_cli.core.system.locks", "goemo_cli.core.system.processes")


def _is_read_only(handle: int) -> bool:
    return fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY


def _locking(handle: int, mode: int, count: int) -> None:
    """`msvcrt.locking`: bytes from the position on, for this open file only."""
    kind = fcntl.F_RDLCK if _is_read_only(handle) else fcntl.F_WRLCK
    wanted = struct.pack("hhqqi4x", kind, os.SEEK_SET, os.lseek(handle, 0, os.SEEK_CUR), count, 0)
    try:
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, wanted)
    except OSError as error:
        raise PermissionError(errno.EACCES, "Permission denied") from error


def _is_asked_by_goemo() -> bool:
    return str(sys._getframe(2).f_globals.get("__name__", "")).startswith("goemo_cli.")


def _hide() -> None:
    """Take away what Windows does not have, and let system calls fail as there."""
    really_open, really_fsync, really_replace = os.open, os.fsync, os.replace
    refused: set[str] = set()

    def opened(path: Any, flags: int, *more: Any, **words: Any) -> int:
        if _is_asked_by_goemo() and Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return really_open(path, flags & ~_O_BINARY, *more, **words)

    def fsync(handle: int) -> None:
        if _is_read_only(handle):
            raise OSError(errno.EBADF, "Bad file descriptor")
        really_fsync(handle)

    def replace(source: Any, target: Any) -> None:
        if Path(target).is_dir() or str(target) not in refused:  # as if a virus scanner had it open
            refused.add(str(target))
            raise PermissionError(errno.EACCES, "Access is denied", str(target))
        really_replace(source, target)

    def symlink(*given: Any, **words: Any) -> NoReturn:
        raise OSError("A required privilege is not held by the client")

    memory_info = psutil.Process.memory_info
    psutil.Process.memory_info = lambda process: SimpleNamespace(
        **memory_info(process)._asdict(), peak_wset=memory_info(process).rss
    )
    msvcrt = ModuleType("msvcrt")
    vars(msvcrt).update(LK_NBLCK=2, locking=_locking)
    sys.modules.update({"fcntl": None, "resource": None, "msvcrt": msvcrt})  # type: ignore[dict-item]
    vars(signal).update(SIGBREAK=signal.SIGQUIT)
    for name in _OS_NAMES:
        delattr(os, name)
    for name in _SIGNAL_NAMES:
        delattr(signal, name)
    vars(os).update(
        O_BINARY=_O_BINARY, open=opened, fsync=fsync, replace=replace, rename=replace, symlink=symlink
    )


def _import_all() -> None:
    for found in pkgutil.walk_packages(import_module("goemo_cli").__path__, "goemo_cli."):
        if not found.name.endswith("__main__"):
            import_module(found.name)


def _run(*arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        import_module("goemo_cli.app").app(list(arguments))
    assert not ended.value.code, (arguments, ended.value.code)


def _check_locks(folder: Path) -> None:
    """One process holds the lock, others learn which, and nothing is left."""
    locks = import_module("goemo_cli.services.runs.locks")
    errors = import_module("goemo_cli.core.errors")
    folder.mkdir()
    with locks.held(folder, "goemo test"):
        (path,) = folder.parent.glob(".goemo-lock-*")
        assert import_module("goemo_cli.core.system.locks").is_locked(path)
        assert locks.holder_of(folder).pid == os.getpid()
        with pytest.raises(errors.BusyError, match="in use by goemo test"):
            locks.held(folder, "goemo other", wait=0.0).__enter__()
    assert locks.holder_of(folder) is None
    assert not path.exists()


def main(root: Path) -> None:
    """Import all modules twice, the second time as on Windows; then work with them."""
    _import_all()
    for name in [name for name in sys.modules if name.partition(".")[0] == "goemo_cli"]:
        del sys.modules[name]
    _hide()
    sys.platform, here = "win32", sys.platform
    for name in _SYSTEM_MODULES:
        import_module(name)
    sys.platform = here
    _import_all()
    assert not hasattr(import_module("goemo_cli.core.system.processes"), "resource")
    _check_locks(root / "run")
    data = write_small_data(root / "data", train=100)
    _run("train", "--model", "tfidf", "--data", str(data), "--no-wandb", "--root", str(root / "project"))
    _run("validate", "--root", str(root / "project"))
