"""Commands to type, as messages and hints show them."""

import shlex
from pathlib import Path


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
