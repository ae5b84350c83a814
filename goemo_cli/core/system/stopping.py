"""Stops a training at the end of a step when a signal asks for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from goemo_cli.core.system.processes import stops_handled


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
    """Handle signals that ask to stop inside the block; outside the main thread no signal arrives."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    with stops_handled(request.handle):
        yield request
