"""The only mouth: results to stdout, talk to stderr, for people or as one JSON document."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console as RichConsole
from rich.table import Table
from rich.text import Text

from goemo_cli.core.files import descriptor_of
from goemo_cli.services.data.result_tables import decimal

# C0 and C1 controls but newline and tab, and the characters that reorder text: harmless nowhere on a terminal.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


_LONGEST_NAME = 40
_STDOUT = 1


def plain(value: object) -> str:
    """Text as it may go to a terminal: no control sequences, no direction overrides."""
    return _CONTROLS.sub("\ufffd", str(value))


class _Terminal(RichConsole):
    """As goemo prints: texts as they are. A reader that goes away is told to the error boundary."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, soft_wrap=True)

    def on_broken_pipe(self) -> None:
        raise  # Rich would end the program with another code


class Console:
    """Says things the way the user asked for.

    Args:
        as_json: collect results and print one JSON document at the end of the command.
        quiet: leave out notes and hints.
        output: the file that the command writes; if that is standard output, results go to standard error.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False, output: Path | None = None) -> None:
        self.as_json, self.quiet = as_json, quiet
        self._warned: set[str] = set()
        self.talk = _Terminal(stderr=True)
        self._is_data_only = output is not None and descriptor_of(output) == _STDOUT
        self._out = self.talk if self._is_data_only else _Terminal()

    def result(self, message: str, **values: Any) -> None:
        """The outcome of the command: a sentence and named values, or one JSON object of the values."""
        if self.as_json:
            document = json.dumps(_jsonable(values), ensure_ascii=False, indent=2, allow_nan=False)
            typer.echo(document, err=self._is_data_only)
            return
        self._out.print(Text(plain(message), style="bold green"))
        width = max((len(name) for name in values), default=0)
        for name, value in values.items():
            self._out.print(
                Text.assemble((f"  {name.replace('_', ' '):<{width}}  ", "dim"), plain(readable(value)))
            )

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, footnote: str = ""
    ) -> None:
        """A table for people, on stdout; nothing with --json, where `result` carries the data."""
        if self.as_json:
            return
        table = Table(title=Text(plain(title)), title_justify="left", header_style="bold")
        if footnote:
            table.caption, table.caption_justify = Text(plain(footnote)), "left"
        # Names stay in one piece, so that they can be copied; sentences may wrap.
        whole = all(len(str(row[0])) <= _LONGEST_NAME for row in rows)
        table.add_column(Text(columns[0]), overflow="fold", no_wrap=whole)
        for column in columns[1:]:
            table.add_column(Text(column), justify="right", overflow="fold")
        for row in rows:
            table.add_row(*(Text(plain(readable(cell))) for cell in row))
        self._out.print(table)

    def text(self, text: str | Text) -> None:
        """Text for stdout, as it is but for control characters; who brings colours made its words plain."""
        self._out.print(text if isinstance(text, Text) else Text(plain(text)))

    def note(self, message: str) -> None:
        """A fact on the way, on stderr."""
        if not self.quiet and not self.as_json:
            self._talk_print(Text(plain(message), style="dim"))

    def _talk_print(self, sentence: Text) -> None:
        """Print a sentence on stderr; a terminal gets line breaks between words."""
        self.talk.print(sentence, soft_wrap=not self.talk.is_terminal)

    def hint(self, *commands: str) -> None:
        """The next things to type, on stderr."""
        if not self.quiet and not self.as_json:
            self.talk.print(Text("Next:", style="dim"))
            for command in commands:
                self.talk.print(Text.assemble("  ", (plain(command), "cyan")))

    def warn(self, message: str) -> None:
        """Something the user should know, on stderr, always; the same sentence once."""
        if message in self._warned:
            return
        self._warned.add(message)
        self._talk_print(Text.assemble(("Warning: ", "bold yellow"), plain(message)))

    def fail(self, message: str, hint: str | None = None) -> None:
        """An error in one or two lines on stderr."""
        self.talk.print(Text.assemble(("Error: ", "bold red"), plain(message)))
        if hint:
            self.talk.print(Text.assemble("  ", (plain(hint), "cyan")))


def readable(value: object) -> str:
    """A value for people: a dash for None, four decimals, thousands with commas."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return decimal(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return ", ".join(readable(entry) for entry in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {readable(entry)}" for key, entry in value.items())
    return str(value)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value
