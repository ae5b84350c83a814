"""From an exception to a sentence, the next command to type, and the exit code of the contract."""

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from goemo_cli.commands._hints import hint
from goemo_cli.commands._streams import command_has_ended, prepare_streams
from goemo_cli.commands._typer import Group
from goemo_cli.core import errors
from goemo_cli.core.files import PARTIAL_PREFIX
from goemo_cli.core.system.processes import end_at_once_if_asked, leave_if_terminated

_CODES: tuple[tuple[type[Exception], int], ...] = (
    # Specific types before general ones: the first that fits decides.
    (errors.SettingError, 2),
    (errors.DataError, 3),
    (errors.ExportError, 3),
    (errors.NotFoundError, 4),
    (errors.CorruptArtifactError, 5),
    (errors.AuthenticationError, 6),
    (errors.RemoteError, 7),
    (errors.StorageError, 8),
    (errors.BusyError, 9),
    (errors.WorkerLostError, 10),
    (errors.TrainingFailedError, 10),
    (errors.GoemoError, 1),
    (OSError, 8),
)

_PARTIAL = re.compile(rf"/?{re.escape(PARTIAL_PREFIX)}[^\s:'\"]*")
READER_LEFT = 141
"""128 + SIGPIPE, as every Unix tool whose reader has gone."""


def exit_code(error: BaseException) -> int | None:
    """The contract's exit code of an error; None for a bug, which keeps its traceback."""
    if isinstance(error, errors.TrainingStoppedError):
        return 128 + error.signal
    if isinstance(error, errors.WorkerFailedError):
        return error.code if error.code > 0 else 10  # a signal ended it
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return 2  # the disk is all right
    return next((code for kind, code in _CODES if isinstance(error, kind)), None)


def sentence(error: BaseException) -> str:
    """What went wrong, for people."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        full = " (the disk is full)" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return without_partial_names(f"{where}{error.strerror or error}{full}")
    return without_partial_names(str(error))


def without_partial_names(text: str) -> str:
    """A message of a library without the names of goemo's temporary files: their folder is named instead."""
    return _PARTIAL.sub("", text)


class ErrorBoundary(Group):
    """The one place where errors become exit codes; commands raise and do not wrap."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program."""
        prepare_streams()
        return super().main(*args, **options)

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Read the command line; help texts and the version are printed here."""
        with _boundary():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        leave_if_terminated()
        with _boundary():
            return super().invoke(ctx)


def run_program(program: Callable[..., Any]) -> None:
    """Run the program `goemo`, whose command may be interrupted at any time, also when it has ended."""
    try:
        program(prog_name="goemo")
    finally:
        end_at_once_if_asked()


@contextmanager
def _boundary() -> Iterator[None]:
    """Turn an error into one or two lines and its exit code."""
    try:
        yield
        sys.stdout.flush()  # here, and not when Python ends
    except EOFError as error:  # Typer would say "Aborted!" and hide the place
        raise RuntimeError(f"unexpected end of a file ({error})") from error
    except typer.BadParameter as error:
        error.message = error.message.removeprefix("Value error, ")  # pydantic's, which Typer leaves there
        raise
    except Exception as error:
        command_has_ended()
        if (
            isinstance(error, OSError) and error.errno == errno.EPIPE and error.filename
        ):  # not one of a network
            raise typer.Exit(READER_LEFT) from error
        code = exit_code(error)
        if code is None:
            raise
        if os.environ.get("GOEMO_DEBUG"):
            traceback.print_exc()
        from goemo_cli.commands._console import Console  # rich, which a help page does not need

        Console().fail(sentence(error), hint(error))
        raise typer.Exit(code) from error
