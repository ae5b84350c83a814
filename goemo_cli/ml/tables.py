"""The user's own texts: CSV, TSV, JSONL or Parquet with a text column and a label column."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goemo_cli.core.config import DataSettings
from goemo_cli.core.delimited import TableFormat, open_table
from goemo_cli.core.errors import DataFileError, MissingPackageError, UnknownLabelError, did_you_mean
from goemo_cli.core.json_lines import json_object
from goemo_cli.ml.data import LabelledTexts, multi_hot, without_surrogates

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
_NOT_IN_LABELS = (",", '"', "\n", "\r")


@dataclass(frozen=True)
class RawRows:
    """Texts with label names, before the label list is known."""

    path: Path
    texts: list[str]
    names: list[list[str]]
    lines: list[int]
    """Where each row stands in the file, for error messages."""
    ids: list[str] | None = None
    columns: tuple[str, ...] = ()
    """The columns that are labels, where each label has one."""

    def label_names(self) -> tuple[str, ...]:
        """The columns that are labels; else all labels that occur, sorted, `neutral` last, as in GoEmotions."""
        if self.columns:
            return self.columns
        found = {name for row in self.names for name in row}
        return tuple(sorted(found, key=lambda name: (name == "neutral", name)))

    def labelled(self, labels: Sequence[str]) -> LabelledTexts:
        """The rows over a label list.

        Raises:
            UnknownLabelError: a label that is not in the list.
        """
        index = {label: position for position, label in enumerate(labels)}
        for line, row in zip(self.lines, self.names, strict=True):
            for name in row:
                if name not in index:
                    raise UnknownLabelError(self.path, name, labels, line)
        y_true = multi_hot(([index[name] for name in row] for row in self.names), len(labels))
        return LabelledTexts(self.texts, y_true, self.ids)


def read_rows(path: Path, settings: DataSettings) -> RawRows:
    """All rows of a data file.

    Args:
        path: a file with one of `SUFFIXES`.
        settings: names of the columns and the separator of labels within a cell.

    Raises:
        DataFileError: unknown format, a missing column, a broken row, or no rows.
        MissingPackageError: Parquet without pyarrow.
    """
    readers: dict[str, Callable[[Path], Iterator[tuple[int, dict[str, Any]]]]] = {
        ".csv": lambda file: _delimited(file, "csv"),
        ".tsv": lambda file: _delimited(file, "tsv"),
        ".jsonl": _json_lines,
        ".parquet": _parquet,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataFileError(path, f"unknown format {path.suffix!r}; known: {', '.join(SUFFIXES)}")
    texts, names, lines, ids = [], [], [], []
    for line, record in reader(path):
        texts.append(_text(path, line, _cell(path, line, record, settings.text_column, "--text-column")))
        names.append(_row_labels(path, line, record, settings))
        lines.append(line)
        if settings.id_column:
            ids.append(str(_cell(path, line, record, settings.id_column, "--id-column")))
    if not texts:
        raise DataFileError(path, "holds no rows")
    return RawRows(
        path, texts, names, lines, ids if settings.id_column else None, tuple(settings.label_columns)
    )


def _delimited(path: Path, format: TableFormat) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_table(path, format) as (header, lines):
        for name in header:
            if header.count(name) > 1:
                raise DataFileError(path, f"column {name!r} stands twice", 1)
        for line, fields in lines:
            if not fields:
                continue
            if len(fields) != len(header):
                raise DataFileError(path, f"has {len(fields)} fields, the header {len(header)}", line)
            yield line, dict(zip(header, fields, strict=True))


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                text = line.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise DataFileError(path, f"not UTF-8 text ({error})", number) from error
            try:
                record = json_object(text)
            except ValueError as error:
                raise DataFileError(path, str(error), number) from error
            yield number, record


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingPackageError("pyarrow", "parquet", "reading Parquet") from error
    try:
        table = parquet.read_table(path)
    except Exception as error:  # pyarrow's errors share no public base that excludes OSError
        raise DataFileError(path, f"not a Parquet file ({error})") from error
    yield from enumerate(table.to_pylist(), start=1)


def _cell(path: Path, line: int, record: dict[str, Any], column: str, flag: str) -> Any:
    if column not in record:
        near = did_you_mean(column, record)
        raise DataFileError(
            path, f"no column {column!r} ({flag}); there are {', '.join(map(repr, record))}{near}", line
        )
    return record[column]


def _text(path: Path, line: int, cell: Any) -> str:
    if not isinstance(cell, str):
        raise DataFileError(path, f"text is {cell!r}, not a string", line)
    return without_surrogates(cell)


def _row_labels(path: Path, line: int, record: dict[str, Any], settings: DataSettings) -> list[str]:
    if not settings.label_columns:
        cell = _cell(path, line, record, settings.label_column, "--label-column")
        return _label_names(path, line, cell, settings.label_separator)
    return [
        name
        for column in settings.label_columns
        if is_one(path, line, column, _cell(path, line, record, column, "--label-columns"))
        for name in _label_names(path, line, [column], settings.label_separator)
    ]


def is_one(path: Path, line: int, column: str, cell: Any) -> bool:
    """Whether a label's own column says yes: 1 or true; 0, false or nothing say no.

    Raises:
        DataFileError: anything else.
    """
    said = "" if cell is None else str(cell).strip().lower()
    if said in ("1", "1.0", "true"):
        return True
    if said in ("", "0", "0.0", "false"):
        return False
    raise DataFileError(path, f"column {column!r} says {cell!r}, not 0 or 1", line)


def _label_names(path: Path, line: int, cell: Any, separator: str) -> list[str]:
    if cell is None or cell == "":
        return []
    entries = cell.split(separator) if isinstance(cell, str) else cell if isinstance(cell, list) else [cell]
    for entry in entries:
        if not isinstance(entry, (str, int, float)):
            raise DataFileError(path, f"{cell!r} is neither a label nor a list of labels", line)
        name = str(entry)
        if name != name.strip() or not name or any(sign in name for sign in _NOT_IN_LABELS):
            raise DataFileError(
                path,
                f"{name!r} cannot be a label: blank, spaces around it, a comma, quote or line end ({cell!r}; "
                "--label-separator says what stands between labels)",
                line,
            )
    return list(dict.fromkeys(str(entry) for entry in entries))
