"""Commands to type, as messages and hints show them, and the same messages in the words of the Python API."""

import functools
import inspect
import re
import shlex
from collections.abc import Callable, Collection
from pathlib import Path
from typing import ParamSpec, TypeVar

from goemo_cli.core.errors import GoemoError, setting_errors_of

_P = ParamSpec("_P")
_R = TypeVar("_R")
_OPTION_OR_COMMAND = re.compile(
    r"`[^`]*`|\bgoemo [a-z][^;:,()]*"  # a command to type stays as it is
    r"|(?<![\w-])--(?P<option>[a-z][a-z0-9-]*)(?P<value> (?=['\"A-Z\d-]))?"
)


def root_option(root: Path) -> str:
    """The end of a command that works on a project root: ` --root ROOT`, or nothing for the current folder."""
    return "" if root == Path() else f" --root {shlex.quote(str(root))}"


def command_line(command: str, *words: object, root: Path = Path()) -> str:
    """A command to type, as messages and hints show it: `goemo report 'my run' --root 'my project'`.

    Args:
        command: the words that need no quotes, such as `goemo tune --checkpoint`.
        words: what follows, quoted if the shell needs it.
        root: the project root of the command.
    """
    return " ".join([command, *(shlex.quote(str(word)) for word in words)]) + root_option(root)


def in_python(message: str, keywords: Collection[str] = ()) -> str:
    """A message with keywords and settings instead of options: `--label-separator ';'` becomes `label_separator=';'`.

    Args:
        message: may name options of the command line.
        keywords: of the function that the message is for; other options become settings, such as `data.labels_file`.
    """

    def replaced(match: "re.Match[str]") -> str:
        if match["option"] is None:
            return match[0]
        name = match["option"].replace("-", "_")
        shown = name if name in keywords else _setting_of(name)
        return f"{shown}=" if match["value"] else shown

    return _OPTION_OR_COMMAND.sub(replaced, message) if "--" in message else message


def errors_in_python(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """A function of the Python API whose errors name it, keywords and settings, not options of the command line."""
    keywords = inspect.signature(function).parameters

    @functools.wraps(function)
    def call(*args: _P.args, **options: _P.kwargs) -> _R:
        try:
            with setting_errors_of(function.__qualname__):
                return function(*args, **options)
        except GoemoError as error:
            error.args = tuple(
                in_python(part, keywords) if isinstance(part, str) else part for part in error.args
            )
            raise

    return call


def _setting_of(name: str) -> str:
    """The full name of the setting of an option: `data_format` is `data.format`; the name itself if there is none."""
    from goemo_cli.core.settings import setting_names

    known = list(setting_names())
    if (dotted := name.replace("_", ".", 1)) in known:
        return dotted
    return next((full for full in known if full.rpartition(".")[2] == name), name)
