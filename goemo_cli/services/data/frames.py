"""The user's own texts: CSV, TSV, JSONL or Parquet with a text column and a label column.

CSV, TSV and JSONL may be compressed. The readers are our own, not those of pandas: pandas splits a row at a lone carriage
return, fills short rows, renames duplicate columns and names no lines in errors. In JSONL and Parquet it turns integers
into floats if a cell of the column is empty, so that the label 3 would become 3.0.
"""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from goemo_cli.core.csv_files import TableFormat, open_table
from goemo_cli.core.errors import DataFileError, MissingPackageError, UnknownLabelError, did_you_mean
from goemo_cli.core.settings import DataSettings
from goemo_cli.ml.data.dataset import LabelledTexts, multi_hot, without_surrogates
from goemo_cli.ml.data.label_cells import (
    LabelRows,
    can_be_label,
    is_one,
    read_label_cells,
    separator_into,
    shown,
)
from goemo_cli.services.data.compressed import COMPRESSIONS, plain_name, uncompressed
from goemo_cli.services.data.json_lines import json_object

_COMPRESSED = (".csv", ".tsv", ".jsonl")
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
Record = Mapping[str, Any]
_HEAD = 1000
"""Number of rows in which columns of 0 and 1 are searched for."""


@dataclass(frozen=True)
class RawRows:
    """Texts with label names, before the label list is known."""

    path: Path
    texts: list[str]
    names: list[list[str]]
    lines: list[int]
    """The line of each row in the file, for error messages."""
    ids: list[str] | None = None
    columns: tuple[str, ...] = ()
    """The columns that are labels, if each label has one."""
    known: frozenset[str] = frozenset()
    """Labels that the file names, also those that no row has."""
    has_names: bool = False
    """The file has the names of all labels, so that one outside train is accepted."""

    def label_names(self) -> tuple[str, ...]:
        """The columns that are labels; else all labels that occur, sorted, `neutral` last, as in GoEmotions."""
        return self.columns or sorted_labels([self])

    def labelled(self, labels: Sequence[str]) -> LabelledTexts:
        """The rows over a label list.

        Raises:
            UnknownLabelError: a label that is not in the list.
        """
        index = {label: position for position, label in enumerate(labels)}
        for line, row in zip(self.lines, self.names, strict=True):
            for name in row:
                if name not in index:
                    sign = separator_into(name, labels)
                    raise UnknownLabelError(
                        self.path,
                        name,
                        labels,
                        line,
                        hint=f"; try --label-separator {sign!r}" if sign else "",
                    )
        y_true = multi_hot(([index[name] for name in row] for row in self.names), len(labels))
        return LabelledTexts(self.texts, y_true, self.ids)


def sorted_labels(parts: Sequence[RawRows]) -> tuple[str, ...]:
    """All labels that occur, sorted, `neutral` last."""
    found = {name for part in parts for row in part.names for name in row}.union(
        *(part.known for part in parts)
    )
    return tuple(sorted(found, key=lambda name: (name == "neutral", name)))


def read_rows(path: Path, settings: DataSettings, names: Sequence[str] | None = None) -> RawRows:
    """All rows of a data file.

    Args:
        path: a file with one of `SUFFIXES`; CSV, TSV and JSONL may be compressed.
        settings: names of the columns and the separator of labels within a cell.
        names: the list of labels, if there is one: it says what numbers mean, unless the file says it itself.

    Raises:
        DataFileError: unknown format, damaged compression, a missing column, a broken row, labels that cannot be read, or no rows.
        MissingPackageError: Parquet without pyarrow, or .zst without zstandard.
    """
    suffix = data_suffix(path)
    if suffix == ".parquet":
        table = _parquet_table(path)
        own = feature_names(_features(table.schema.metadata).get(settings.label_column))
        return rows_of(path, enumerate(_parquet_records(table), start=1), settings, names, own=own)
    if suffix is None:
        found = "".join(path.suffixes[-2:]) if path.suffix.lower() in COMPRESSIONS else path.suffix
        raise DataFileError(
            path,
            f"unknown format {found!r}; known: {', '.join(SUFFIXES)}, and {', '.join(_COMPRESSED)} with "
            f"{', '.join(COMPRESSIONS)}",
        )
    with uncompressed(path) as file:
        if suffix == ".jsonl":
            records = _json_lines(file, path)
        else:
            records = _delimited(file, path, "tsv" if suffix == ".tsv" else "csv")
        return rows_of(path, records, settings, names)


def data_suffix(path: Path) -> str | None:
    """The suffix that says the format of a data file, without that of its compression; None for any other file."""
    suffix = plain_name(path).suffix.lower()
    return suffix if suffix in (SUFFIXES if plain_name(path) == path else _COMPRESSED) else None


def rows_of(
    path: Path,
    records: Iterator[tuple[int, Record]],
    settings: DataSettings,
    names: Sequence[str] | None = None,
    *,
    own: Sequence[str] | None = None,
) -> RawRows:
    """The rows of records with their line numbers, from any source.

    Args:
        path: the source, for error messages.
        records: line numbers and cells by column.
        settings: which columns to read.
        names: label names by number, as the user lists them.
        own: label names by number, as the source has them; these come first.

    Raises:
        DataFileError: a missing column, a text that is not a string, labels that cannot be read, or no rows.
    """
    head = list(islice(records, _HEAD))
    if not head:
        raise DataFileError(path, "holds no rows")
    for column in settings.label_columns:
        if not can_be_label(column):
            raise DataFileError(
                path, f"column {column!r} cannot be a label: blank, or a comma, quote or line end in it"
            )
    columns_01 = _columns_of_01([record for _, record in head], settings)
    texts, cells, lines, ids = [], [], [], []
    for line, record in chain(head, records):
        texts.append(_text(path, line, _cell(path, line, record, settings.text_column, "--text-column")))
        if settings.label_columns:
            cells.append(_columns_with_1(path, line, record, settings.label_columns))
        else:
            cells.append(_cell(path, line, record, settings.label_column, "--label-column", columns_01))
        lines.append(line)
        if settings.id_column:
            ids.append(str(_cell(path, line, record, settings.id_column, "--id-column")))
    if settings.label_columns:
        found = LabelRows(cells)
    else:
        found = read_label_cells(
            cells,
            fault=lambda at, reason: DataFileError(path, reason, lines[at]),
            separator=settings.label_separator,
            names=own or names,
            column=settings.label_column,
            advice=_advice(columns_01, settings.label_column),
        )
    return RawRows(
        path,
        texts,
        found.names,
        lines,
        ids if settings.id_column else None,
        tuple(settings.label_columns),
        found.known,
        has_names=own is not None,
    )


def feature_names(feature: Any) -> list[str] | None:
    """The label names by number of a column's feature, as `datasets` writes it: a ClassLabel, or a list of them."""
    while isinstance(feature, (dict, list)) and feature and "names" not in feature:
        feature = feature[0] if isinstance(feature, list) else feature.get("feature")
    names = feature.get("names") if isinstance(feature, dict) else None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def _delimited(file: Path, path: Path, format: TableFormat) -> Iterator[tuple[int, Record]]:
    with open_table(file, format, named=path) as (header, lines):
        for name in header:
            if header.count(name) > 1:
                raise DataFileError(path, f"column {name!r} occurs twice", 1)
        for line, fields in lines:
            if not fields:
                continue
            if len(fields) != len(header):
                raise DataFileError(path, f"has {len(fields)} fields, the header {len(header)}", line)
            yield line, dict(zip(header, fields, strict=True))


def _json_lines(file: Path, path: Path) -> Iterator[tuple[int, Record]]:
    with file.open("rb") as stream:
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


def _parquet_table(path: Path) -> Any:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingPackageError("pyarrow", "parquet", "reading Parquet") from error
    try:
        return parquet.read_table(path)
    except Exception as error:  # pyarrow's errors share no public base that excludes OSError
        raise DataFileError(path, f"not a Parquet file ({error})") from error


def _parquet_records(table: Any) -> Iterator[Record]:
    for batch in table.to_batches():
        yield from batch.to_pylist()


def _features(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, Any]:
    """The features that `datasets` wrote into a Parquet file; empty if the file has none."""
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _columns_of_01(records: Sequence[Record], settings: DataSettings) -> list[str]:
    """The columns of only 0 and 1, which may be labels."""
    names = dict.fromkeys(name for record in records for name in record)
    return [
        name
        for name in names
        if name not in (settings.text_column, settings.id_column)
        and all(is_one(record.get(name)) is not None for record in records)
        and any(record.get(name) not in (None, "") for record in records)
    ]


def _advice(columns_01: Sequence[str], column: str) -> str:
    positions = "--labels-file FILE with two names, one per line, says what they mean"
    others = [name for name in columns_01 if name != column]
    return f"; {_label_columns(columns_01)} reads a column per label" if others else f"; {positions}"


def _label_columns(names: Sequence[str]) -> str:
    return f"--label-columns {shlex.quote(','.join(names))}"


def _cell(
    path: Path, line: int, record: Record, column: str, flag: str, columns_01: Sequence[str] = ()
) -> Any:
    if column not in record:
        near = did_you_mean(column, record)
        found = f"; columns of 0 and 1 are read with {_label_columns(columns_01)}" if columns_01 else ""
        raise DataFileError(
            path,
            f"no column {column!r} ({flag}); there are {', '.join(map(repr, record))}{near}{found}",
            line,
        )
    return record[column]


def _text(path: Path, line: int, cell: Any) -> str:
    if not isinstance(cell, str):
        raise DataFileError(path, f"text is {shown(cell)}, not a string", line)
    return without_surrogates(cell)


def _columns_with_1(path: Path, line: int, record: Record, columns: Sequence[str]) -> list[str]:
    found = []
    for column in columns:
        cell = _cell(path, line, record, column, "--label-columns")
        said = is_one(cell)
        if said is None:
            raise DataFileError(path, f"column {column!r} says {shown(cell)}, not 0 or 1", line)
        if said:
            found.append(column)
    return found
