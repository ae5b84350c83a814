"""Open data files, for training and prediction alike: a reader for each format. A new format is a new function here."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import accumulate, islice, zip_longest
from pathlib import Path
from typing import Any, BinaryIO

from goemo_cli.core.csv_files import TableFormat, open_table
from goemo_cli.core.errors import DataFileError, MissingPackageError, SettingError
from goemo_cli.core.system.variables import is_offline
from goemo_cli.services.data.data_file import STDIN, DataFile
from goemo_cli.services.data.formats import (
    DataFormat,
    Purpose,
    data_format,
    format_by_suffix,
    format_named,
    formats_for,
    unknown_format,
)
from goemo_cli.services.data.json_rows import array_objects, json_object
from goemo_cli.services.data.tables import Record, Table

TEXT, LABELS = "text", "labels"
"""Columns of formats that have no names for them."""
_BATCH_ROWS = 1024
_FASTTEXT_LABEL = re.compile(r"(?:^|(?<=\s))__label__(\S+)\s*")


def format_names(purpose: Purpose) -> tuple[str, ...]:
    """The names of all formats, for options and help texts."""
    return tuple(formats_for(purpose))


@contextmanager
def open_data(
    source: Path | str,
    purpose: Purpose,
    *,
    format: str | None = None,
    encoding: str | None = None,
    stdin: BinaryIO | None = None,
) -> Iterator[Table]:
    """The rows of a file, a URL or standard input (`-`).

    Args:
        source: the input; a file may be compressed.
        purpose: what the rows are for.
        format: the name of a registered format; by default that of the suffix.
        encoding: of texts; by default UTF-8, or UTF-16 if the bytes show it.
        stdin: standard input.

    Raises:
        SettingError: an unknown format or encoding, or standard input without a format.
        DataFileError: an unknown suffix, or content that cannot be read.
        MissingPackageError: an optional package is missing.
        NotFoundError, RemoteError: a URL that cannot be read.
    """
    named = format_named(format, purpose) if format else None
    with ExitStack() as resources:
        file = DataFile(
            source, resources=resources, stdin=stdin, encoding=encoding, may_fetch=not is_offline()
        )
        table = (named or _known_format(file, purpose)).read(file)
        yield replace(table, named=file.named, stored=lambda: file.stored)


@data_format("csv", ".csv")
def read_csv(file: DataFile) -> Table:
    """Delimited by commas, semicolons or tabs, as spreadsheets write it; fields may be quoted."""
    return _delimited(file, "csv")


@data_format("tsv", ".tsv", ".tab", sign=rb"[^\n]*\t")
def read_tsv(file: DataFile) -> Table:
    """Delimited by tabs; quotes are ordinary characters unless the quoting of the file is certain."""
    return _delimited(file, "tsv")


@data_format("jsonl", ".jsonl", ".ndjson", sign=rb"\s*\{")
def read_json_lines(file: DataFile) -> Table:
    """One JSON object per line."""
    return Table(_json_lines(file), total=file.n_lines)


@data_format("json", ".json", sign=rb"\s*\[")
def read_json(file: DataFile) -> Table:
    """An array of objects, or one object per line."""
    path = file.text_path
    with path.open(encoding="utf-8-sig") as stream:
        begin = stream.read(_BATCH_ROWS).lstrip()
    if begin.startswith("["):
        return Table(array_objects(path, named=file.named))
    if begin:
        _refuse_single_object(file)
    return read_json_lines(file)


@data_format("parquet", ".parquet", sign=rb"PAR1")
def read_parquet(file: DataFile) -> Table:
    """Parquet; the label names of the Hub's metadata are used for numbers."""
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingPackageError("pyarrow", "parquet", "reading Parquet") from error
    try:
        content = parquet.ParquetFile(file.path)
    except Exception as error:  # pyarrow's errors share no public base that excludes OSError
        raise DataFileError(file.named, f"not a Parquet file ({error})") from error
    schema = content.schema_arrow
    _require_different(file, schema.names, 1)
    features = _hub_features(schema.metadata).items()
    names = {column: found for column, feature in features if (found := feature_names(feature))}
    seek = partial(_parquet_rows, file, content)
    return Table(seek(0), tuple(schema.names), content.metadata.num_rows, names, 1, schema, seek=seek)


@data_format("xlsx", ".xlsx", ".xlsm", sign=rb"PK\x03\x04")
def read_excel(file: DataFile, sheet: str | None = None) -> Table:
    """A sheet of an Excel workbook, the first by default; the first row that is not empty is the header."""
    import pandas

    try:
        import openpyxl  # noqa: F401  # pandas needs it
    except ImportError as error:
        raise MissingPackageError("openpyxl", "excel", "reading Excel workbooks") from error
    try:
        with pandas.ExcelFile(file.path, engine="openpyxl") as book:
            names = list(map(str, book.sheet_names))
            chosen = names[0] if sheet is None else sheet
            if chosen in names:
                found = pandas.read_excel(
                    book, sheet_name=chosen, header=None, dtype=str, keep_default_na=False, na_filter=False
                )
    except Exception as error:  # damage shows as errors of zipfile, of the XML parser and of openpyxl
        raise DataFileError(
            file.named, f"not an Excel workbook, or protected by a password ({type(error).__name__}: {error})"
        ) from error
    if chosen not in names:
        raise DataFileError(file.named, f"has no sheet {chosen!r}; there are {', '.join(map(repr, names))}")
    cells = found.where(found.notna(), "")  # #N/A and other errors of formulas
    rows = ((line, list(row)) for line, row in enumerate(cells.itertuples(index=False), start=1) if any(row))
    header_line, header = next(rows, (1, []))
    columns = _columns(file, header, header_line)
    note = f"{file.named}: sheet {chosen!r} of {len(names)} is read; --data-format xlsx:NAME reads another"
    return Table(
        _records(file, header, rows),
        columns,
        len(found),
        header_line=header_line,
        note="" if len(names) == 1 or sheet else note,
    )


@data_format("fasttext", ".fasttext", ".ft", sign=rb"(?:[^\n]*\n)*?\s*__label__")
def read_fasttext(file: DataFile) -> Table:
    """Lines of fastText: `__label__joy __label__love the text`."""
    rows = (
        (line, {TEXT: _FASTTEXT_LABEL.sub("", text).strip(), LABELS: _FASTTEXT_LABEL.findall(text)})
        for line, text in file.lines()
        if text.strip()
    )
    return Table(rows, (TEXT, LABELS), file.n_lines)


@data_format("tweeteval", "_text.txt", purposes=("training",))
def read_tweeteval(file: DataFile) -> Table:
    """Lines of `train_text.txt` with the label numbers of `train_labels.txt`, named by `mapping.txt` if it is there."""
    path = Path(file.named)
    if not path.name.endswith("_text.txt"):
        raise DataFileError(
            file.named, "TweetEval texts are in a file NAME_text.txt, with labels in NAME_labels.txt"
        )
    labels = path.with_name(path.name[: -len("_text.txt")] + "_labels.txt")
    mapping = path.with_name("mapping.txt")
    if not labels.is_file():
        raise DataFileError(file.named, f"its labels, {labels.name}, are missing")
    names = _mapped_names(file.sibling(mapping)) if mapping.is_file() else None
    rows = _pairs(file, file.sibling(labels))
    return Table(rows, (TEXT, LABELS), file.n_lines, {LABELS: names} if names else None)


@data_format("lines", ".txt", purposes=("prediction",))
def read_lines(file: DataFile) -> Table:
    """Each line is a text, also an empty one."""
    return Table(((line, {TEXT: text}) for line, text in file.lines()), (TEXT,), file.n_lines)


def _known_format(file: DataFile, purpose: Purpose) -> DataFormat:
    if file.name == STDIN:
        known = formats_for(purpose)
        if "lines" in known:
            return known["lines"]
        raise SettingError([f"standard input needs --data-format: {', '.join(known)}"])
    found = format_by_suffix(file.name, purpose)
    if found is None:
        raise unknown_format(file, purpose)
    return found[1]


def feature_names(feature: Any) -> list[str] | None:
    """The label names by number of a column's feature, as `datasets` writes it: a ClassLabel, or a list of them."""
    while isinstance(feature, (dict, list)) and feature and "names" not in feature:
        feature = feature[0] if isinstance(feature, list) else feature.get("feature")
    names = feature.get("names") if isinstance(feature, dict) else None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def _delimited(file: DataFile, format: TableFormat) -> Table:
    header, rows = file.enter(open_table(file.text_path, format, named=file.named))
    columns = _columns(file, header, 1)
    return Table(_records(file, header, rows), columns, file.n_lines, header_line=1)


def _columns(file: DataFile, header: Sequence[str], line: int) -> tuple[str, ...]:
    """The names of the columns. Several columns without a name are ignored; a single one is an index."""
    named = [header[at] for at in _kept(header)]
    _require_different(file, named, line)
    return tuple(named)


def _kept(header: Sequence[str]) -> list[int]:
    """The positions of the columns that have a name, or are the only one without."""
    blank = [at for at, name in enumerate(header) if not name.strip()]
    return [at for at in range(len(header)) if at not in blank or len(blank) == 1]


def _records(
    file: DataFile, header: Sequence[str], rows: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, Record]]:
    """Each row by column.

    A spreadsheet writes columns without a name if cells were emptied. These cells may be missing at the end of a row,
    and rows with nothing but empty cells are ignored.
    """
    kept = _kept(header)
    n_named = 1 + max((at for at, name in enumerate(header) if name.strip()), default=-1)
    has_blank_columns = n_named < len(header)
    for line, fields in rows:
        if not fields and len(header) != 1:
            continue
        cells = fields or [""]  # in a file with one column an empty line is an empty text
        if len(cells) != len(header):
            if not has_blank_columns or len(cells) < n_named or any(cells[len(header) :]):
                raise DataFileError(file.named, f"has {len(cells)} fields, the header {len(header)}", line)
            cells = [*cells, *[""] * (len(header) - len(cells))]
        if any(cells) or not has_blank_columns:
            yield line, {header[at]: cells[at] for at in kept}


def _require_different(file: DataFile, columns: Sequence[str], line: int) -> None:
    for name in columns:
        if list(columns).count(name) > 1:
            raise DataFileError(file.named, f"column {name!r} occurs twice", line)


def _json_lines(file: DataFile) -> Iterator[tuple[int, Record]]:
    for number, line in file.lines():
        if not line.strip():
            continue
        try:
            record = json_object(line)
        except ValueError as error:
            is_array = number == 1 and line.lstrip().startswith("[")
            hint = "; --data-format json reads an array" if is_array else ""
            raise DataFileError(file.named, f"{error}{hint}", number) from error
        yield number, record


def _refuse_single_object(file: DataFile) -> None:
    """Refuse a file that is one object, for example one around the array of rows.

    Raises:
        DataFileError: such an object.
    """
    lines = [line for _, line in islice(((n, text) for n, text in file.lines() if text.strip()), 2)]
    try:
        value = json_object(lines[0])
    except ValueError:
        try:
            value = json.loads(file.text_path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError):
            return  # the reader of lines names the line
        if not isinstance(value, dict):
            return
    else:
        has_rows = len(lines) > 1 or any(isinstance(value.get(name), str) for name in (TEXT, LABELS))
        if has_rows or not any(isinstance(cell, (list, dict)) for cell in value.values()):
            return
    arrays = [
        key for key, cell in value.items() if isinstance(cell, list) and cell and isinstance(cell[0], dict)
    ]
    around = f" around the array {arrays[0]!r}" if arrays else ""
    raise DataFileError(
        file.named,
        f"is one JSON object{around}; write an array of objects, or one object per line "
        "(pandas: to_json(orient='records'))",
    )


def _parquet_rows(file: DataFile, content: Any, start: int) -> Iterator[tuple[int, Record]]:
    """The rows from a position on; row groups before it are not read."""
    groups = range(content.metadata.num_row_groups)
    ends = list(accumulate(content.metadata.row_group(at).num_rows for at in groups))
    kept = [at for at in groups if ends[at] > start]
    if not kept:
        return
    number = ends[kept[0] - 1] if kept[0] else 0
    batches = content.iter_batches(batch_size=_BATCH_ROWS, row_groups=kept)
    while True:
        try:
            batch = next(batches, None)
        except Exception as error:  # as above: a damaged page
            raise DataFileError(file.named, f"damaged Parquet ({error})", number + 1) from error
        if batch is None:
            return
        skipped = min(max(start - number, 0), len(batch))
        number += skipped
        for record in batch.slice(skipped).to_pylist():
            number += 1
            yield number, record


def _hub_features(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, Any]:
    """The features that `datasets` wrote into a Parquet file; empty if the file has none."""
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _pairs(texts: DataFile, labels: DataFile) -> Iterator[tuple[int, Record]]:
    for row, cell in zip_longest(texts.lines(), labels.lines()):
        if row is None or cell is None:
            shorter, line = (texts, cell[0]) if row is None else (labels, row[0])
            raise DataFileError(shorter.named, "ends too early: texts and labels have one line each", line)
        yield row[0], {TEXT: row[1], LABELS: cell[1]}


def _mapped_names(mapping: DataFile) -> list[str]:
    """The names of `mapping.txt`: number, tab, name; counted from 0."""
    names: list[str] = []
    for line, text in mapping.lines():
        if not text.strip():
            continue
        number, *words = [cell.strip() for cell in text.split("\t")]  # a sign may precede the name
        if number != str(len(names)) or not words or not words[-1]:
            raise DataFileError(mapping.named, f"is not label number {len(names)}, a tab and its name", line)
        names.append(words[-1])
    return names
