"""Locks of files. Only this module knows how a system locks; it releases a lock when the process ends, however it ends."""

import errno
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""What file systems without locks answer."""
_IS_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_POLL_SECONDS = 0.02
_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)

if sys.platform == "win32":
    import msvcrt

    _FAR = 2**31 - 2
    """A locked byte cannot be read. So it is one behind the content of all files that are locked."""

    def _lock(handle: int, shared: bool) -> None:
        before = os.lseek(handle, 0, os.SEEK_CUR)
        os.lseek(handle, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(handle, before, os.SEEK_SET)

else:
    import fcntl

    def _lock(handle: int, shared: bool) -> None:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def lock(handle: int, *, shared: bool = False) -> bool:
    """Lock an open file; False on a file system without locks.

    Args:
        handle: released by closing it.
        shared: only look whether another process holds it, which Windows cannot: it excludes others for this moment.

    Raises:
        BlockingIOError: another process has locked it.
    """
    try:
        _lock(handle, shared)
    except OSError as error:
        if error.errno in _IS_HELD:
            raise BlockingIOError(error.errno, error.strerror) from error
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of a file; False for a file that cannot be read."""
    try:
        handle = os.open(path, os.O_RDONLY | _FLAGS)
    except OSError:
        return False
    try:
        lock(handle, shared=True)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def lock_file(path: Path, *, wait: float = 0.0) -> int | None:
    """Create a file that is there while it is locked; the handle for `unlock_file`, None on a file system without locks.

    Args:
        path: in an existing folder. The file of a process that was killed is used again.
        wait: seconds to wait for another process.

    Raises:
        BlockingIOError: another process has locked it.
    """
    deadline = time.monotonic() + wait
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o644)
        kept = False
        try:
            if not lock(handle):
                return None
            kept = _is_at(handle, path)  # otherwise it was removed before it was locked
        except FileNotFoundError:
            pass
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
        finally:
            if not kept:
                os.close(handle)
        if kept:
            return handle
        time.sleep(_POLL_SECONDS)


def unlock_file(path: Path, handle: int | None) -> None:
    """Remove the file of a lock and release it; a failure is ignored, since what was done stays done."""
    if sys.platform == "win32":  # which removes only closed files; without content it names no holder
        with suppress(OSError):
            os.truncate(path, 0)
        _close(handle)
        with suppress(OSError):
            path.unlink()
    else:
        with suppress(OSError):
            if handle is None or _is_at(handle, path):
                path.unlink()  # while it is held: a process that opened it meanwhile notices, and opens the next one
        _close(handle)


def _is_at(handle: int, path: Path) -> bool:
    return os.path.samestat(os.fstat(handle), path.stat())


def _close(handle: int | None) -> None:
    if handle is not None:
        with suppress(OSError):
            os.close(handle)
