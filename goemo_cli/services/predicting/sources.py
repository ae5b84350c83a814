"""The texts to predict: arguments, or the rows of a data file, read one after another."""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from goemo_cli.core.errors import DataFileError, NotFoundError, SettingError
from goemo_cli.ml.data.label_cells import shown
from goemo_cli.services.data.data_file import STDIN
from goemo_cli.services.data.readers import open_data
from goemo_cli.services.data.tables import Record, Table, column_in, no_column
from goemo_cli.services.data.urls import is_url

TEXT_COLUMN = "text"
_RUN_ALIAS = re.compile(r"@(latest|best)(:\S+)?")


@dataclass(frozen=True)
class TextRow:
    """A text with all columns of its row, including the text."""

    text: str
    columns: Mapping[str, Any]
    line: int


@dataclass(frozen=True)
class TextSource:
    """Rows to predict."""

    rows: Iterator[TextRow]
    text_column: str
    columns: tuple[str, ...] | None
    """Names of the columns, if the format fixes them."""
    total: int | None
    """Approximate number of rows, for progress; None if unknown."""
    path: Path | None = None
    """The local file, if it is one."""
    arrow_schema: Any = None
    """The types of the columns, if the source is Parquet."""
    note: str = ""
    """What the user should know about how it is read."""
    stored: Callable[[], Path] | None = None
    """A local file with the bytes of the source, which may be compressed; None for texts in memory."""

    def begun(self) -> "TextSource":
        """The same source with the first row of a file read, so that an error there is raised before the model is loaded."""
        if self.path is None:
            return self
        first = list(islice(self.rows, 1))
        return replace(self, rows=chain(first, self.rows))


def given_texts(texts: Sequence[str]) -> TextSource:
    """Texts from the command line; those that look like the value of an option are noted."""
    rows = (TextRow(text, {TEXT_COLUMN: text}, number) for number, text in enumerate(texts, start=1))
    notes = [f"{text!r} is predicted as a text; {option}" for text in texts if (option := _meant(text))]
    return TextSource(rows, TEXT_COLUMN, (TEXT_COLUMN,), len(texts), note="\n".join(notes))


def _meant(text: str) -> str | None:
    """The option that a text may be the value of: a file or a run."""
    if _RUN_ALIAS.fullmatch(text):
        return f"--checkpoint {text} chooses a run"
    with suppress(OSError, ValueError):  # a text may be too long for a path, or contain a null character
        if Path(text).is_file():
            return f"--input {shlex.quote(text)} reads the file"
    return None


@contextmanager
def open_texts(
    source: Path | str,
    *,
    stdin: BinaryIO | None = None,
    format: str | None = None,
    encoding: str | None = None,
    text_column: str | None = None,
    start: int = 0,
) -> Iterator[TextSource]:
    """The rows of a file, a URL or standard input.

    Args:
        source: a file, a URL, or `-` for standard input.
        format: a data format; by default that of the suffix; lines for standard input.
        encoding: that of the text; by default UTF-8, or UTF-16 if the bytes show it.
        text_column: the column that is predicted; `text` by default.
        start: number of rows that are left out at the beginning.

    Raises:
        NotFoundError: no such file.
        SettingError: an unknown format or encoding, or a column of lines.
        DataFileError: unknown suffix, content that cannot be read, a column that is not there.
        MissingPackageError: an optional package is missing.
    """
    path = None if str(source) == STDIN or is_url(str(source)) else Path(source)
    if path and (path.is_dir() or not path.exists()):
        raise NotFoundError(f"{path}: {'is a folder, not a file' if path.is_dir() else 'no such file'}")
    with open_data(source, "prediction", format=format, encoding=encoding, stdin=stdin) as table:
        if table.columns == (TEXT_COLUMN,) and text_column and table.header_line is None:
            raise SettingError(
                ["--text-column: plain lines have no columns; --data-format says what they are"]
            )
        wanted = text_column or TEXT_COLUMN
        column = wanted if table.columns is None else _fixed_column(table, table.columns, wanted)
        rows = (_row(table.named, line, record, column) for line, record in table.rows_from(start))
        about = (table.total, path, table.arrow_schema, table.note, table.stored)
        yield TextSource(rows, column, table.columns, *about)


def _fixed_column(table: Table, columns: Sequence[str], wanted: str) -> str:
    if not columns:
        raise DataFileError(table.named, "is empty: it has no header")
    column = column_in(columns, wanted)
    if column is None:
        raise DataFileError(table.named, no_column(wanted, "--text-column", columns), table.header_line)
    return column


def _row(named: str, line: int, record: Record, column: str) -> TextRow:
    if column not in record:
        raise DataFileError(named, no_column(column, "--text-column", tuple(record)), line)
    text = record[column]
    if text is not None and not isinstance(text, str):
        raise DataFileError(named, f"{column} is {shown(text)}, not a string", line)
    return TextRow(text or "", record, line)
