"""Standard input, output and error as a shell may leave them: closed, full, or without a reader."""

import errno
import io
import os
import sys
from typing import TextIO

_OUT, _ERR = 1, 2


class OutputError(OSError):
    """Standard output cannot be written to; `errno` is EPIPE if its reader has gone."""


def prepare_streams() -> None:
    """Make the standard streams safe to use; called once, before anything is read or printed.

    A closed stream becomes the null device; otherwise the next file that is opened takes its number, and what is
    printed ends up in that file. Standard output raises `OutputError`. Standard error never raises: a message that
    cannot be shown does not stop a command.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115, PTH123  # stays open as a standard stream
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)
    if sys.platform == "win32" and isinstance(sys.stdin, io.TextIOWrapper) and not sys.stdin.isatty():
        sys.stdin.reconfigure(encoding="utf-8")
    if _is_standard(sys.stdout, sys.__stdout__, _OUT):
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_Output(_OUT, "w", closefd=False)),
            encoding=_encoding(sys.stdout),
            errors=sys.stdout.errors,
            newline="\n",
            line_buffering=sys.stdout.isatty(),
        )
    if _is_standard(sys.stderr, sys.__stderr__, _ERR):
        sys.stderr = io.TextIOWrapper(
            _Messages(_ERR, "w", closefd=False),  # unbuffered, as Python's own is with -u
            encoding=_encoding(sys.stderr),
            errors=sys.stderr.errors,
            write_through=True,
        )


def _is_standard(stream: TextIO, original: TextIO | None, number: int) -> bool:
    """Whether a stream is still the one that Python began with, and writes bytes; a console of Windows has no bytes."""
    is_console = sys.platform == "win32" and stream.isatty()
    return stream is original and stream.fileno() == number and not is_console


def _encoding(stream: TextIO) -> str:
    """UTF-8 on Windows, where Python writes files and pipes in an older encoding without most characters."""
    return "utf-8" if sys.platform == "win32" else stream.encoding


class _Output(io.FileIO):
    """Standard output; after its first fault it takes everything, so that nothing is left to fail at the end."""

    _fault: OSError | None = None

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]  # typeshed names another buffer type
        if self._fault:
            return len(data)
        try:
            return super().write(data)
        except OSError as error:
            self._fault = error
            has_no_reader = sys.platform == "win32" and error.errno == errno.EINVAL
            number = errno.EPIPE if has_no_reader else error.errno
            raise OutputError(number, error.strerror, "standard output") from error


def print_nothing() -> None:
    """From here on nothing that is printed appears: another process of the same training prints it."""
    nothing = io.BufferedWriter(io.FileIO(os.devnull, "w"))
    sys.stdout = sys.stderr = io.TextIOWrapper(nothing, encoding="utf-8")


def messages_need_no_reader() -> None:
    """From here on the command goes on if the reader of its messages has gone, as a training must (`2>&1 | head`)."""
    _Messages.must_reach = False


def command_has_ended() -> None:
    """From here on no message raises: it could only hide how the command ended."""
    _Messages.must_reach = False


class _Messages(io.FileIO):
    """Standard error without its errors, except if the reader of both outputs has gone (`2>&1 | head`)."""

    must_reach = True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]  # likewise
        try:
            return super().write(data)
        except OSError as error:
            if error.errno == errno.EPIPE and self.must_reach and os.path.sameopenfile(_OUT, _ERR):
                raise OutputError(error.errno, error.strerror, "standard output") from error
            return len(data)
