"""CSV that any text survives, and the delimited files that users bring: how goemo opens, reads and writes them.

Files that goemo writes are quoted CSV. Files of users have a dialect, which is found before they are read. Their CSV is
quoted. TSV is not: corpora of tweets are published without quoting, and a text that starts with a quote would otherwise
include the following rows. A TSV file is read as quoted only if its quoting is certain.
"""

import csv
import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO

from goemo_cli.core.errors import DataFileError
from goemo_cli.core.files import atomic_path

_FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def without_formula(cell: str) -> str:
    """The cell, with an apostrophe before it if a spreadsheet would take it for a formula (OWASP, CSV injection)."""
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


class LineFeeds:
    """Ends rows with a line feed, though the csv module was configured with two characters.

    It quotes a field only for the line-end characters that it knows of; a lone carriage return in a text would
    otherwise be written unquoted and be read as the end of the row.
    """

    configured = "\r\n"
    """The line end that the csv module is to be configured with."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, row: str) -> int:
        """Write a row, with a line feed instead of the configured line end."""
        return self._stream.write(row.removesuffix(self.configured) + "\n")


def csv_writer(stream: TextIO) -> Any:
    """A csv writer that quotes what needs it and ends rows with a line feed."""
    return csv.writer(LineFeeds(stream), lineterminator=LineFeeds.configured)


@contextmanager
def atomic_csv(path: Path) -> Iterator[Any]:
    """A csv writer on a file that is whole or absent."""
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        yield csv_writer(stream)


@contextmanager
def open_csv(path: Path) -> Iterator[tuple[list[str], "Rows"]]:
    """The header and the rows of a CSV file of goemo; fields of any length.

    Reading raises `DataFileError` with the line for broken quoting and bytes that are not UTF-8.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = _rows(path, path, stream, ",", None)
        yield next(rows, (0, []))[1], rows


def by_column(path: Path, columns: Sequence[str], rows: "Rows") -> Iterator[tuple[int, dict[str, str]]]:
    """The cells of each row by column, with its line.

    Raises:
        DataFileError: a row has another number of fields.
    """
    for line, fields in rows:
        if len(fields) != len(columns):
            raise DataFileError(path, f"has {len(fields)} fields instead of {len(columns)}", line)
        yield line, dict(zip(columns, fields, strict=True))


@contextmanager
def not_utf8(named: Path | str, file: Path) -> Iterator[None]:
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

    def __init__(self, path: Path | str, stream: TextIO, most: int | None) -> None:
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
    path: Path, named: Path | str, stream: TextIO, delimiter: str, most_line_ends: int | None
) -> "Rows":
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    lines = _LinesOfRows(named, stream, most_line_ends)
    try:
        with not_utf8(named, path):
            for fields in csv.reader(lines, delimiter=delimiter, strict=True):
                yield lines.last, fields
                lines.first = lines.last + 1
    except csv.Error as error:
        upto = f", in the row up to line {lines.last}" if lines.last > lines.first else ""
        raise DataFileError(named, f"broken CSV ({error}{upto})", lines.first) from error


TableFormat = Literal["csv", "tsv"]
TABLE_FORMATS: Mapping[str, TableFormat] = {".csv": "csv", ".tsv": "tsv"}
"""By suffix."""
Rows = Iterator[tuple[int, list[str]]]
"""(line number, fields) of each row; an empty line has no fields."""

MOST_LINE_ENDS = 500
"""Lines of one quoted row; more mean that a closing quote is missing."""

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_CHARACTERS = 2**16
_SEPARATOR_LINE = re.compile(r'"?sep=(?P<delimiter>[^"\r\n])"?\r?\n?', re.IGNORECASE)
_FIELD = re.compile(rb'("[^"]*+(?:""[^"]*+)*+"|[^"\t\r\n]*+)\t')
_FIELDS = re.compile(rb"(?:%s)*+" % _FIELD.pattern)


@dataclass(frozen=True)
class Dialect:
    """The delimiter of a file, and whether its fields are quoted."""

    delimiter: str
    quoted: bool
    """A quote at the start of a field opens a quoted field; if not, a quote is an ordinary character."""
    has_separator_line: bool = False
    """The first line names the delimiter for spreadsheets (`sep=;`); the header is the second one."""


@contextmanager
def open_table(
    path: Path, format: TableFormat, *, named: Path | str | None = None
) -> Iterator[tuple[list[str], Rows]]:
    """The header and the rows of a CSV or TSV file; an empty file has an empty header.

    Reading raises `DataFileError` with the line for broken quoting and for bytes that are not UTF-8. It names the file
    `named`, if that is given.
    """
    named = named or path
    dialect = table_dialect(path, format)
    with _open_rows(path, dialect, named) as rows:
        if dialect.has_separator_line:
            next(rows)
        yield next(rows, (0, []))[1], rows


@contextmanager
def _open_rows(path: Path, dialect: Dialect, named: Path | str) -> Iterator[Rows]:
    if dialect.quoted:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield _rows(path, named, stream, dialect.delimiter, MOST_LINE_ENDS)
    else:
        with path.open(encoding="utf-8-sig", newline=_line_end(path)) as stream:
            yield _plain_rows(named, path, stream, dialect.delimiter)


def table_dialect(path: Path, format: TableFormat) -> Dialect:
    """The dialect of a file: spreadsheets write CSV with commas, semicolons or tabs, and may name the delimiter first."""
    if format == "tsv":
        return Dialect("\t", _is_quoted_tsv(path))
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        sample = stream.read(_SAMPLE_CHARACTERS)
    named = _SEPARATOR_LINE.match(sample)
    delimiter = named["delimiter"] if named else _delimiter_of(sample)
    quoted = _is_quoted_tsv(path, is_second_line=bool(named)) if delimiter == "\t" else True
    return Dialect(delimiter, quoted, has_separator_line=bool(named))


def _delimiter_of(sample: str) -> str:
    """The delimiter by which the most rows have as many fields as the header; the comma if no sign divides the header."""
    scores = {sign: _fit(sample, sign) for sign in _DELIMITERS}
    possible = {sign: score for sign, score in scores.items() if score is not None}
    return max(possible, key=possible.__getitem__, default=",")


def _fit(sample: str, delimiter: str) -> tuple[float, float] | None:
    """The shares of rows with as many fields as the header: of those without a space before a field, and of all rows.

    A comma that a space follows is probably one of a text. None if the delimiter does not divide the header.
    """
    rows: list[list[str]] = []
    with suppress(csv.Error):  # what another delimiter divides may be broken by this one
        rows.extend(row for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if row)
    if len(rows) > 2 and len(sample) == _SAMPLE_CHARACTERS:
        del rows[-1]  # it may go on after the sample
    if not rows or len(rows[0]) < 2:
        return None
    fitting = [row for row in rows if len(row) == len(rows[0])]
    dense = [row for row in fitting if not any(field.startswith(" ") for field in row[1:])]
    return len(dense) / len(rows), len(fitting) / len(rows)


def _line_end(path: Path) -> str:
    """`newline` for `open`: a carriage return within a line is text, unless the file has no other line ends."""
    with path.open("rb") as stream:
        return "\n" if b"\n" in stream.read(2**16) else ""


def _plain_rows(named: Path | str, file: Path, stream: TextIO, delimiter: str) -> Rows:
    with not_utf8(named, file):
        for number, line in enumerate(stream, start=1):
            text = line.removesuffix("\n").removesuffix("\r")
            yield number, text.split(delimiter) if text else []


def _is_quoted_tsv(path: Path, *, is_second_line: bool = False) -> bool:
    """Whether the quoting of a TSV file is certain; its header may be the second line.

    Each field that starts with a quote is properly quoted, other fields hold no quote, and each row has as many fields
    as the header. In addition, one of these is true: a column is quoted in each row; without quoting, lines do not have
    that many fields; or a field is quoted only if it holds a quote, or a comma, and then all that hold one are.
    """
    with path.open("rb") as stream:
        if not any(b'"' in block for block in iter(lambda: stream.read(2**20), b"")):
            return False
        stream.seek(0)
        if is_second_line:
            stream.readline()
        rows = _quoted_rows(stream)
        _, header = next(rows, ([], None))
        if header is None:
            return False
        found = _Quoting(len(header))
        return all(found.explains(lines, fields) for lines, fields in rows) and found.is_certain()


class _Quoting:
    """What the rows of a TSV file say about its quoting."""

    def __init__(self, n_columns: int) -> None:
        self.n_columns = n_columns
        self.always = set(range(n_columns))
        """Columns that each row so far quotes."""
        self.n_rows = 0
        self.occurs = self.without_need = self.of_commas = self.plain_commas = False
        self.fits_plainly = True

    def explains(self, lines: list[bytes], fields: list[bytes] | None) -> bool:
        """Take the next row; False if it contradicts quoting."""
        if fields is None or len(fields) != self.n_columns:
            return False
        fits = [line.count(b"\t") + 1 == self.n_columns for line in lines]
        if len(lines) > 1 and fits[0] and fits[-1]:
            if self.n_columns > 1:
                return False  # the "field" would begin in one whole row and end in another
            self.without_need = True  # one text per line, or one text of several lines
        self.fits_plainly = self.fits_plainly and all(fits)
        self.n_rows += 1
        quoted = [at for at, field in enumerate(fields) if field[:1] == b'"']
        self.always.intersection_update(quoted)
        for at, field in enumerate(fields):
            if at not in quoted:
                self.plain_commas = self.plain_commas or b"," in field
            elif b'"' not in field[1:-1]:
                self.of_commas = self.of_commas or b"," in field
                self.without_need = self.without_need or b"," not in field
        self.occurs = self.occurs or bool(quoted)
        return True

    def is_certain(self) -> bool:
        """After the last row: the quotes cannot be part of the texts."""
        if (self.n_rows and self.always) or not self.fits_plainly:
            return True
        return self.occurs and not self.without_need and not (self.of_commas and self.plain_commas)


def _quoted_rows(stream: BinaryIO) -> Iterator[tuple[list[bytes], list[bytes] | None]]:
    """The lines and the fields, quotes included, of each row that is not empty, by the rules of quoting.

    No fields for a row that breaks them or does not end.
    """
    lines: list[bytes] = []
    n_quotes = 0
    for line in stream:
        lines.append(line if lines else line.removeprefix(b"\xef\xbb\xbf"))
        n_quotes += line.count(b'"')
        if n_quotes % 2 == 0:
            if lines not in ([b"\n"], [b"\r\n"]):
                yield lines, _raw_fields(b"".join(lines))
            lines, n_quotes = [], 0
        elif len(lines) > MOST_LINE_ENDS:
            break
    if lines:
        yield lines, None


def _raw_fields(row: bytes) -> list[bytes] | None:
    row = row.removesuffix(b"\n").removesuffix(b"\r") + b"\t"
    return _FIELD.findall(row) if _FIELDS.fullmatch(row) else None
