"""Signals and processes. Only this module knows what a system offers: signals, sessions, cores, peak memory."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess

Handler = Callable[[int, FrameType | None], Any]
INTERRUPT, TERMINATE, KILL = signal.SIGINT, signal.SIGTERM, 9
"""Ctrl-C, a request to end, and the end without a request."""
_START_TOLERANCE = 2.0
"""Seconds. The system derives start times from its clock, which is corrected now and then."""
_PR_SET_PDEATHSIG = 1
_TRIALS = 10  # Linux lists a thread for a moment after it has ended

if sys.platform == "win32":
    _STOPS: tuple[int, ...] = (INTERRUPT, TERMINATE, signal.SIGBREAK)

    def peak_memory_bytes() -> int:
        """The most memory this process has held so far, in bytes."""
        import psutil

        return int(psutil.Process().memory_info().peak_wset)

else:
    import resource

    _STOPS = (INTERRUPT, TERMINATE, signal.SIGHUP)

    def peak_memory_bytes() -> int:
        """The most memory this process has held so far, in bytes."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024  # kilobytes on Linux


def leave_if_terminated() -> None:
    """If this process is asked to end, leave through the `finally` blocks, so that no temporary file is left."""
    signal.signal(TERMINATE, lambda number, frame: sys.exit(128 + number))


def end_at_once_if_asked() -> None:
    """From here on Ctrl-C and a request to end raise no exception, which Python would show while it ends."""
    for number in (INTERRUPT, TERMINATE):
        signal.signal(number, signal.SIG_DFL)


def ignore_signals(*numbers: int) -> None:
    """Ignore signals from here on."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def stops_handled(handler: Handler) -> Iterator[None]:
    """Call a function when a signal inside the block asks to stop: Ctrl-C, a request to end, or a closed terminal.

    A signal that is ignored, as SIGHUP is under nohup, stays ignored.
    """
    earlier = {number: signal.getsignal(number) for number in _STOPS}
    try:
        for number, before in earlier.items():
            if before is not signal.SIG_IGN:
                signal.signal(number, handler)
        yield
    finally:
        for number, before in earlier.items():
            signal.signal(number, before)


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Processes that are started inside the block get no Ctrl-C, except on Windows."""
    if sys.platform == "win32":
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {INTERRUPT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def signal_name(number: int) -> str:
    """The name of a signal, such as SIGTERM."""
    return "SIGKILL" if number == KILL else signal.Signals(number).name


def end_in(seconds: float) -> None:
    """End this process after a time, whatever it does then."""
    import threading

    timer = threading.Timer(seconds, signal.raise_signal, [TERMINATE])
    timer.daemon = True
    timer.start()


def start_apart(
    command: Sequence[str], *, environment: Mapping[str, str], ends_with_parent: bool = False, **streams: Any
) -> "subprocess.Popen[bytes]":
    """Start a process that Ctrl-C does not reach.

    Args:
        ends_with_parent: it gets TERMINATE if this process is killed (Linux only).
        streams: as for `subprocess.Popen`.
    """
    import subprocess

    if sys.platform == "win32":
        return subprocess.Popen(
            command, env=environment, creationflags=subprocess.CREATE_NEW_PROCESS_GROUP, **streams
        )
    before = _end_with_parent() if ends_with_parent and sys.platform == "linux" else None
    return subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=before, **streams)


def can_fork() -> bool:
    """Whether this process has one thread (Linux only); OpenBLAS ends its own before a fork, so a fork is tried."""
    if sys.platform != "linux":
        return False
    from multiprocessing import get_context

    for _ in range(_TRIALS):
        trial = get_context("fork").Process()
        trial.start()
        trial.join()
        if len([*Path("/proc/self/task").iterdir()]) == 1:
            return True
    return False


def end_with_parent() -> None:
    """Let this process get TERMINATE when the one that started it ends (Linux only)."""
    _end_with_parent()()


def _end_with_parent() -> Callable[[], Any]:
    import ctypes
    from functools import partial

    return partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, int(TERMINATE))


def ask_to_end(process: "subprocess.Popen[bytes]") -> None:
    """Let a process that was started apart save its state and end."""
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        process.terminate()


def interrupt(process: "subprocess.Popen[bytes]") -> None:
    """Press Ctrl-C for one process. Windows cannot, so there it ends at once."""
    if sys.platform == "win32":
        process.terminate()
    else:
        process.send_signal(INTERRUPT)


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """End a process that was started apart, and all processes that it started."""
    if sys.platform == "win32":
        import psutil

        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        process.kill()
    else:
        with suppress(OSError):
            os.killpg(process.pid, KILL)


def take_output() -> int:
    """Keep standard output for this process's own answers: what libraries print goes nowhere from here on.

    Returns:
        The descriptor to answer on; processes that this one starts do not have it.
    """
    answers = os.dup(1)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)
    return answers


def start_time() -> float:
    """When this process started, in seconds since 1970."""
    import psutil

    return float(psutil.Process().create_time())


def lives(pid: int, started: float | None = None) -> bool:
    """Whether a process of this machine runs; the one that started then, since numbers are used again."""
    import psutil

    try:
        process = psutil.Process(pid)
        is_same = started is None or abs(process.create_time() - started) < _START_TOLERANCE
        return bool(is_same and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.NoSuchProcess, ValueError, TypeError, OverflowError):
        return False
    except psutil.AccessDenied:
        return True


def cpu_facts() -> dict[str, str]:
    """What Linux says of the first processor, such as `model name` and `flags`; empty on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def usable_cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
