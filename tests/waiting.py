"""Waiting in tests: for an event, never for a time. The one limit only ends a test that hangs."""

import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

GUARD_SECONDS = 600.0
"""For every subprocess, connection and wait: a slow machine stays far below it."""

Found = TypeVar("Found")


def wait_for(condition: Callable[[], Found], *, process: "subprocess.Popen[Any] | None" = None) -> Found:
    """Ask again until the condition holds, and give what it gave.

    Args:
        condition: asked several times a second.
        process: what makes it hold; if the process ends first, that is an error at once.

    Raises:
        TimeoutError: the condition did not hold within `GUARD_SECONDS`.
    """
    deadline = time.monotonic() + GUARD_SECONDS
    while not (found := condition()):
        if process is not None and process.poll() is not None:
            if found := condition():  # it held just before the end
                return found
            raise AssertionError(f"the process ended with exit code {process.returncode} while a test waited")
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {GUARD_SECONDS:.0f} s")
        time.sleep(0.05)
    return found
