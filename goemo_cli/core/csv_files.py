"""CSV that any text survives: how goemo opens, reads and writes it everywhere."""

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from goemo_cli.core.errors import DataFileError
from goemo_cli.core.files import atomic_path


class _LineFeeds:
    """Ends rows with a line feed, though the csv module was configured with two characters.

    It quotes a field only for the line-end characters that it knows of; a lone carriage return in a text would
    otherwise stand unquoted and be read as the end of the row.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, row: str) -> int:
        return self._stream.write(row.removesuffix("\r\n") + "\n")


def csv_writer(stream: TextIO) -> Any:
    """A csv writer that quotes what needs it and ends rows with a line feed."""
    return csv.writer(_LineFeeds(stream), lineterminator="\r\n")


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A whole table: a header, and of each row the cells of these columns."""
    stream = io.StringIO()
    writer = csv_writer(stream)
    writer.writerow(columns)
    writer.writerows([row[column] for column in columns] for row in rows)
    return stream.getvalue()


@contextmanager
def atomic_csv(path: Path) -> Iterator[Any]:
    """A csv writer on a file that is whole or absent."""
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        yield csv_writer(stream)


@contextmanager
def open_csv(
    path: Path, delimiter: str = ",", *, named: Path | None = None, most_line_ends: int | None = None
) -> Iterator[tuple[list[str], Iterator[tuple[int, list[str]]]]]:
    """The header, and (line number, fields) of every row after it; fields of any length.

    Reading raises `DataFileError` with the line for broken quoting and bytes that are not UTF-8.

    Args:
        path: the file.
        delimiter: between fields.
        named: the path that errors name, if it is not the file's own.
        most_line_ends: lines of one row; more raise `DataFileError`. No limit by default.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = _rows(path, named or path, stream, delimiter, most_line_ends)
        yield next(rows, (0, []))[1], rows


@contextmanager
def not_utf8(named: Path, file: Path) -> Iterator[None]:
    """Name the line of bytes that are not UTF-8, as a `DataFileError` of the file as the user knows it."""
    try:
        yield
    except UnicodeDecodeError as error:
        # A stream decodes blocks ahead of its reader, so the line is looked for once more.
        raise DataFileError(named, f"not UTF-8 text ({error.reason})", undecodable_line(file)) from error


def undecodable_line(path: Path) -> int | None:
    """The first line (from 1) that is not UTF-8; None if all are."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return None


class _LinesOfRows:
    """The lines of a stream, as the csv module reads them; an error if one row takes more than the limit."""

    def __init__(self, path: Path, stream: TextIO, most: int | None) -> None:
        self._path, self._stream, self._most = path, stream, most
        self.first = 1
        """Line on which the current row begins."""
        self.last = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._stream:
            self.last += 1
            if self._most and self.last - self.first > self._most:
                raise DataFileError(
                    self._path,
                    f"a quoted field has more than {self._most} line ends: its closing quote is missing",
                    self.first,
                )
            yield line


def _rows(
    path: Path, named: Path, stream: TextIO, delimiter: str, most_line_ends: int | None
) -> Iterator[tuple[int, list[str]]]:
    lines = _LinesOfRows(named, stream, most_line_ends)
    try:
        with not_utf8(named, path):
            for fields in csv.reader(lines, delimiter=delimiter, strict=True):
                yield lines.last, fields
                lines.first = lines.last + 1
    except csv.Error as error:
        upto = f", in the row up to line {lines.last}" if lines.last > lines.first else ""
        raise DataFileError(named, f"broken CSV ({error}{upto})", lines.first) from error
