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
    """Ends rows with a line feed, though the csv module was told of two characters.

    It quotes a field only for the line-end characters that it knows of; a lone carriage return in a text would
    otherwise stand unquoted and be read as the end of the row.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, row: str) -> int:
        return self._stream.write(row.removesuffix("\r\n") + "\n")


def csv_delimiter(path: Path) -> str:
    """`;` where the header has no comma, as spreadsheets of many countries write CSV; else a comma."""
    with path.open("rb") as stream:
        header = stream.readline()
    return ";" if b";" in header and b"," not in header else ","


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
def open_csv(path: Path, delimiter: str = ",") -> Iterator[tuple[list[str], Iterator[tuple[int, list[str]]]]]:
    """The header, and (line number, fields) of every row after it; fields of any length.

    Reading raises `DataFileError` with the line for broken quoting and bytes that are not UTF-8.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = _rows(path, stream, delimiter)
        yield next(rows, (0, []))[1], rows


def undecodable_line(path: Path) -> int | None:
    """The first line (from 1) that is not UTF-8; None where all are."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return None


def _rows(path: Path, stream: TextIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    try:
        for fields in reader:
            yield reader.line_num, fields
    except csv.Error as error:
        raise DataFileError(path, f"broken CSV ({error})", reader.line_num) from error
    except UnicodeDecodeError as error:
        # The stream decodes blocks ahead of the reader, so the line is looked for once more.
        raise DataFileError(path, f"not UTF-8 text ({error.reason})", undecodable_line(path)) from error
