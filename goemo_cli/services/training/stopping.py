"""Stops a training at the end of a step when a signal asks for it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class StopSignal(KeyboardInterrupt):
    """A signal asked the training to stop. It is not an `Exception`, so that nothing treats it as a failure.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.code = 128 + number
        super().__init__(number)


class StopRequest:
    """Whether a signal asked to stop."""

    def __init__(self) -> None:
        self.is_deferred = False
        """Whether a first signal only leaves a request, for `check`; otherwise it raises at once."""
        self._number: int | None = None

    def check(self) -> None:
        """Raise StopSignal if a signal has asked to stop."""
        if self._number is not None:
            raise StopSignal(self._number)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Finish the block before a first signal stops the training: it writes files."""
        self.is_deferred = True
        yield
        self.is_deferred = False
        self.check()

    @property
    def is_made(self) -> bool:
        """Whether a signal has asked to stop."""
        return self._number is not None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The signal handler. A second signal always raises at once."""
        is_first, self._number = self._number is None, number
        if not (self.is_deferred and is_first):
            raise StopSignal(number)


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Handle SIGINT, SIGTERM and SIGHUP inside the block; outside the main thread no signal arrives.

    A signal that is ignored, as SIGHUP is under nohup, stays ignored.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    earlier = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        for number, handler in earlier.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, request.handle)
        yield request
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
