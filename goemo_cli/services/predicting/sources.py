"""The sources of texts to predict: arguments, lines, CSV, TSV, JSONL, Parquet; read row by row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

from goemo_cli.core.csv_files import open_table
from goemo_cli.core.errors import (
    DataFileError,
    MissingPackageError,
    NotFoundError,
    SettingError,
    did_you_mean,
)
from goemo_cli.services.data.json_lines import json_object

InputFormat = Literal["lines", "csv", "tsv", "jsonl", "parquet"]
INPUT_FORMATS: tuple[InputFormat, ...] = get_args(InputFormat)
TEXT_COLUMN = "text"
STDIN = Path("-")

_BY_SUFFIX: Mapping[str, InputFormat] = {
    ".txt": "lines",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
_BATCH_ROWS = 1024
_MOST_NAMED = 20


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
    arrow_schema: Any = None
    """The types of the columns, if the source is Parquet."""

    def begun(self) -> "TextSource":
        """The same source with the first row of a file read, so that an error there is raised before the model is loaded."""
        if self.path is None:
            return self
        first = list(islice(self.rows, 1))
        return replace(self, rows=chain(first, self.rows))


def given_texts(texts: Sequence[str]) -> TextSource:
    """Texts from the command line."""
    rows = (TextRow(text, {TEXT_COLUMN: text}, number) for number, text in enumerate(texts, start=1))
    return TextSource(rows, TEXT_COLUMN, (TEXT_COLUMN,), len(texts))


@contextmanager
def open_texts(
    path: Path, *, stdin: BinaryIO, format: str | None = None, text_column: str | None = None
) -> Iterator[TextSource]:
    """The rows of a file or of standard input.

    Args:
        path: a file, or `-` for standard input.
        stdin: standard input.
        format: one of `INPUT_FORMATS`; by default that of the file's suffix; lines for standard input.
        text_column: the column that is predicted; `text` by default.

    Raises:
        NotFoundError: no such file.
        SettingError: a format that cannot be read from there, or a column of lines.
        DataFileError: unknown format, broken rows, bytes that are not UTF-8, a column that is not there.
        MissingPackageError: Parquet without pyarrow.
    """
    if path != STDIN and (path.is_dir() or not path.exists()):
        raise NotFoundError(f"{path}: {'is a folder, not a file' if path.is_dir() else 'no such file'}")
    known = _format_of(path, format)
    column = text_column or TEXT_COLUMN
    if known == "lines" and text_column:
        raise SettingError(["--text-column: plain lines have no columns; --input-format says what they are"])
    if path == STDIN:
        if known not in ("lines", "jsonl"):
            raise SettingError(
                [f"--input -: {known} cannot be read from standard input; lines and jsonl can"]
            )
        reader = _lines if known == "lines" else _json_lines
        yield TextSource(reader(path, stdin, column), column, _columns_of_lines(known), None)
        return
    if known == "csv" or known == "tsv":
        with open_table(path, known) as (header, rows):
            _check_header(path, header, column)
            yield TextSource(
                _delimited(path, header, rows, column), column, tuple(header), _count_lines(path), path
            )
    elif known == "parquet":
        yield _parquet(path, column)
    else:
        total = _count_lines(path)
        with path.open("rb") as stream:
            reader = _lines if known == "lines" else _json_lines
            yield TextSource(reader(path, stream, column), column, _columns_of_lines(known), total, path)


def _format_of(path: Path, format: str | None) -> InputFormat:
    if format is not None:
        found = next((name for name in INPUT_FORMATS if name == format), None)
        if found is None:
            raise SettingError([f"unknown input format {format!r}; known: {', '.join(INPUT_FORMATS)}"])
        return found
    if path == STDIN:
        return "lines"
    found = _BY_SUFFIX.get(path.suffix.lower())
    if found is None:
        raise DataFileError(
            path,
            f"unknown format {path.suffix!r}; known: {', '.join(_BY_SUFFIX)}, or name it with --input-format",
        )
    return found


def _columns_of_lines(format: InputFormat) -> tuple[str, ...] | None:
    return (TEXT_COLUMN,) if format == "lines" else None


def _count_lines(path: Path) -> int | None:
    """Number of line ends of a regular file; None for a pipe, which can be read only once."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(2**20), b""))


def _decoded(path: Path, stream: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """(line number, text without its line end) of every line."""
    for number, line in enumerate(stream, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataFileError(_named(path), _not_utf8(error), number) from error
        yield number, text.removesuffix("\n").removesuffix("\r")


def _lines(path: Path, stream: Iterable[bytes], column: str) -> Iterator[TextRow]:
    for number, text in _decoded(path, stream):
        yield TextRow(text, {TEXT_COLUMN: text}, number)


def _json_lines(path: Path, stream: Iterable[bytes], column: str) -> Iterator[TextRow]:
    for number, line in _decoded(path, stream):
        if not line.strip():
            continue
        try:
            record = json_object(line)
        except ValueError as error:
            raise DataFileError(_named(path), str(error), number) from error
        yield _row(path, number, record, column)


def _delimited(
    path: Path, header: list[str], rows: Iterator[tuple[int, list[str]]], column: str
) -> Iterator[TextRow]:
    for line, fields in rows:
        if not fields and len(header) > 1:
            continue
        cells = fields or [""]  # of a single column an empty line is an empty text
        if len(cells) != len(header):
            raise DataFileError(path, f"has {len(cells)} fields, the header {len(header)}", line)
        yield _row(path, line, dict(zip(header, cells, strict=True)), column)


def _parquet(path: Path, column: str) -> TextSource:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingPackageError("pyarrow", "parquet", "reading Parquet") from error
    try:
        file = parquet.ParquetFile(path)
    except Exception as error:  # pyarrow's errors share no public base that excludes OSError
        raise DataFileError(path, f"not a Parquet file ({error})") from error
    names = file.schema_arrow.names
    _check_header(path, names, column)
    return TextSource(
        _parquet_rows(path, file, column),
        column,
        tuple(names),
        file.metadata.num_rows,
        path,
        file.schema_arrow,
    )


def _parquet_rows(path: Path, file: Any, column: str) -> Iterator[TextRow]:
    number = 0
    for batch in file.iter_batches(batch_size=_BATCH_ROWS):
        for record in batch.to_pylist():
            number += 1
            yield _row(path, number, record, column)


def _row(path: Path, line: int, record: dict[str, Any], column: str) -> TextRow:
    if column not in record:
        raise DataFileError(_named(path), _no_column(column, record), line)
    text = record[column]
    if text is not None and not isinstance(text, str):
        raise DataFileError(_named(path), f"{column} is {str(text)[:40]!r}, not a string", line)
    return TextRow(text or "", record, line)


def _check_header(path: Path, header: Sequence[str], column: str) -> None:
    if not header:
        raise DataFileError(path, "is empty: it has no header")
    for name in header:
        if header.count(name) > 1:
            raise DataFileError(path, f"column {name!r} occurs twice", 1)
    if column not in header:
        raise DataFileError(path, _no_column(column, header), 1)


def _no_column(column: str, there: Iterable[str]) -> str:
    names = list(there)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return (
        f"no column {column!r} (--text-column); there are {', '.join(map(repr, names[:_MOST_NAMED]))}{more}"
        f"{did_you_mean(column, names)}"
    )


def _not_utf8(error: UnicodeDecodeError) -> str:
    return f"not UTF-8 text ({error.reason}); if it is Latin-1: iconv -f latin1 -t utf-8"


def _named(path: Path) -> Path:
    return Path("standard input") if path == STDIN else path
