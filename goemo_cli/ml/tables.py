"""The user's own texts: CSV, TSV, JSONL or Parquet with a text column and a label column."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goemo_cli.core.config import DataSettings
from goemo_cli.core.csv_files import open_csv
from goemo_cli.core.errors import DataFileError, MissingPackageError, UnknownLabelError, did_you_mean
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

    def label_names(self) -> tuple[str, ...]:
        """All labels that occur, sorted; `neutral` last, as in GoEmotions."""
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
        return LabelledTexts(
            self.texts, multi_hot(([index[name] for name in row] for row in self.names), len(labels))
        )


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
        ".csv": lambda file: _delimited(file, ","),
        ".tsv": lambda file: _delimited(file, "\t"),
        ".jsonl": _json_lines,
        ".parquet": _parquet,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataFileError(path, f"unknown format {path.suffix!r}; known: {', '.join(SUFFIXES)}")
    texts, names, lines = [], [], []
    for line, record in reader(path):
        texts.append(_text(path, line, _cell(path, line, record, settings.text_column, "--text-column")))
        cell = _cell(path, line, record, settings.label_column, "--label-column")
        names.append(_label_names(path, line, cell, settings.label_separator))
        lines.append(line)
    if not texts:
        raise DataFileError(path, "holds no rows")
    return RawRows(path, texts, names, lines)


def _delimited(path: Path, delimiter: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_csv(path, delimiter) as (header, lines):
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
                record = json.loads(line.decode("utf-8-sig"))
            except ValueError as error:
                raise DataFileError(path, f"not a JSON line ({error})", number) from error
            if not isinstance(record, dict):
                raise DataFileError(path, "not a JSON object", number)
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
                f"{name!r} cannot be a label: blank, spaces around it, a comma, quote or line end ({cell!r})",
                line,
            )
    return list(dict.fromkeys(str(entry) for entry in entries))
