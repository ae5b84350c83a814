"""Predictions as JSONL, CSV, Parquet or one JSON document, window by window."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

import numpy as np

from goemo_cli.core.csv_files import csv_writer, without_formula
from goemo_cli.core.documents.bulk import BatchStatistics
from goemo_cli.core.errors import DataError, MissingPackageError
from goemo_cli.core.predictions import LABEL_JOINER, decimals
from goemo_cli.core.schema import PROBABILITY_PREFIX
from goemo_cli.services.predicting.predictor import Predictor, TextPredictions, facts_of
from goemo_cli.services.predicting.sources import TextRow, TextSource

TextFormat = Literal["jsonl", "csv", "json"]
PRED_LABELS, PRED_PROB, PRECISION = "pred_labels", "pred_prob", "precision"

Write = Callable[[Sequence[TextRow], TextPredictions], None]
"""Receives rows and their predictions, one window at a time."""


class TextTable(Protocol):
    """Windows of predictions as text."""

    def text(self, rows: Sequence[TextRow], predictions: TextPredictions) -> str:
        """The next window."""
        ...

    def end(self) -> str:
        """What comes after the last one."""
        ...


@contextmanager
def text_writer(
    stream: BinaryIO,
    format: TextFormat,
    source: TextSource,
    predictor: Predictor,
    *,
    most: int | None = None,
    formula_safe: bool = False,
) -> Iterator[Write]:
    """Writes text in UTF-8, and flushes it when a window ends.

    Args:
        format: jsonl, csv, or json for one document with all rows.
        source: whose columns come first.
        predictor: whose labels and precision follow.
        most: maximum number of probabilities per row in JSON, the highest first; all if None.
        formula_safe: write texts in CSV so that no spreadsheet takes them for formulas.
    """
    table: TextTable = CsvText(source, predictor, formula_safe=formula_safe)
    if format != "csv":
        table = JsonLines(predictor, most) if format == "jsonl" else JsonDocument(predictor, most)

    def write(rows: Sequence[TextRow], predictions: TextPredictions) -> None:
        stream.write(table.text(rows, predictions).encode("utf-8", "replace"))
        stream.flush()

    yield write
    stream.write(table.end().encode("utf-8"))
    stream.flush()


class JsonLines:
    """Each row as one line: its own columns, `pred_labels`, and `pred_prob` with the probability of every label."""

    def __init__(self, predictor: Predictor, most: int | None = None) -> None:
        self._names = [json.dumps(label, ensure_ascii=False) for label in predictor.labels]
        tail = _precision_of(predictor)
        self._tail = "".join(f', "{name}": "{value}"' for name, value in tail.items())
        self._most = most

    def text(self, rows: Sequence[TextRow], predictions: TextPredictions) -> str:
        """A line for each row."""
        return "".join(f"{line}\n" for line in self.lines(rows, predictions))

    def end(self) -> str:
        """Nothing."""
        return ""

    def lines(self, rows: Sequence[TextRow], predictions: TextPredictions) -> Iterator[str]:
        """The JSON object of each row, without a line end."""
        shown = self._shown(predictions)
        for row, (one, cells) in enumerate(zip(rows, decimals(predictions.y_prob), strict=True)):
            own = {name: value for name, value in one.columns.items() if not _is_added(name)}
            begin = json.dumps(own, ensure_ascii=False, default=str)[:-1] + (", " if own else "")
            labels = ", ".join(self._names[at] for at in np.flatnonzero(predictions.y_pred[row]))
            probabilities = ", ".join(f"{self._names[at]}: {cells[at]}" for at in shown[row])
            yield f'{begin}"{PRED_LABELS}": [{labels}], "{PRED_PROB}": {{{probabilities}}}{self._tail}}}'

    def _shown(self, predictions: TextPredictions) -> list[list[int]]:
        """Which labels' probabilities each row has."""
        if self._most is None:
            return [list(range(len(predictions.labels)))] * len(predictions)
        ranked = np.argsort(-predictions.y_prob, axis=1, kind="stable")
        highest: list[list[int]] = ranked[:, : self._most].tolist()
        return highest


class JsonDocument:
    """One JSON object: run, precision, thresholds, `predictions` as in JSONL, statistics."""

    def __init__(self, predictor: Predictor, most: int | None = None) -> None:
        self._rows = JsonLines(predictor, most)
        self._head = json.dumps(facts_of(predictor), ensure_ascii=False)[:-1] + ', "predictions": [\n'
        self._statistics = BatchStatistics()
        self._between = self._head

    def text(self, rows: Sequence[TextRow], predictions: TextPredictions) -> str:
        """The next rows of its array."""
        begin, self._between = self._between, ",\n"
        self._statistics += predictions.statistics
        return begin + ",\n".join(self._rows.lines(rows, predictions))

    def end(self) -> str:
        """The rest of the object."""
        begin = self._head if self._between is self._head else ""
        return f'{begin}\n], "statistics": {json.dumps(self._statistics.facts(), ensure_ascii=False)}}}\n'


class CsvText:
    """A header, then each row: its own columns, `pred_labels` joined by commas, `pred_prob_{label}` of every label.

    If it is safe for spreadsheets, an apostrophe precedes each cell that looks like a formula.
    """

    def __init__(self, source: TextSource, predictor: Predictor, *, formula_safe: bool = False) -> None:
        self._source, self._labels = source, predictor.labels
        self._shown = without_formula if formula_safe else str
        self._tail = _precision_of(predictor)
        self._columns: list[str] | None = None

    def text(self, rows: Sequence[TextRow], predictions: TextPredictions) -> str:
        """The lines of a window; before the first one, the header."""
        stream = io.StringIO()
        writer = csv_writer(stream)
        if self._columns is None:
            self._columns = own_columns(self._source, rows)
            probabilities = (PROBABILITY_PREFIX + label for label in self._labels)
            writer.writerow([*map(self._shown, self._columns), PRED_LABELS, *probabilities, *self._tail])
        tail = list(self._tail.values())
        for row, (one, numbers) in enumerate(zip(rows, decimals(predictions.y_prob), strict=True)):
            labels = LABEL_JOINER.join(predictions.label_names(row))
            own = map(self._shown, [*own_cells(one, self._columns), labels])
            writer.writerow([*own, *numbers, *tail])
        return stream.getvalue()

    def end(self) -> str:
        """The header, if there was no row."""
        nothing = np.zeros((0, len(self._labels)), np.float32)
        empty = TextPredictions(self._labels, nothing, nothing > 0, BatchStatistics())
        return self.text([], empty) if self._columns is None else ""


@contextmanager
def parquet_writer(path: Path, source: TextSource, predictor: Predictor) -> Iterator[Write]:
    """Writes Parquet: own columns, `pred_labels` as a list, `pred_prob_{label}` as float32.

    Raises:
        MissingPackageError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingPackageError("pyarrow", "parquet", "writing Parquet") from error
    writers: list[Any] = []
    columns: list[str] = []

    def write(rows: Sequence[TextRow], predictions: TextPredictions) -> None:
        if not writers:
            columns.extend(own_columns(source, rows))
            schema = _arrow_schema(pyarrow, source, columns, predictor)
            writers.append(parquet.ParquetWriter(path, schema))
        schema = writers[0].schema
        writers[0].write_table(
            pyarrow.table(_arrays(pyarrow, schema, rows, predictions, source, columns), schema)
        )

    try:
        yield write
        if not writers:
            write([], predictor.predict([]))  # a table without rows
    finally:
        for writer in writers:
            writer.close()


def own_columns(source: TextSource, rows: Sequence[TextRow]) -> list[str]:
    """Columns of the input that are kept: those that goemo does not write itself, in their order."""
    names = source.columns or (tuple(rows[0].columns) if rows else (source.text_column,))
    return [name for name in names if not _is_added(name)]


def own_cells(row: TextRow, columns: Sequence[str]) -> list[str]:
    """Cells of those columns as text; an empty cell if the row does not have the column.

    Raises:
        DataError: the row has a column that the first one did not have.
    """
    if odd := [name for name in row.columns if name not in columns and not _is_added(name)]:
        raise DataError(
            f"line {row.line}: column {odd[0]!r} is not in the first row, and a table has the same columns "
            "throughout; --format jsonl keeps it"
        )
    return [_cell(row.columns.get(name)) for name in columns]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


_ADDED = frozenset({PRED_LABELS, PRED_PROB, PRECISION})


def _is_added(column: str) -> bool:
    """Whether a column is one that predictions bring: those of an earlier prediction are replaced."""
    return column in _ADDED or column.startswith(PROBABILITY_PREFIX)


def _precision_of(predictor: Predictor) -> dict[str, str]:
    """What rows say of the precision: nothing for fp32."""
    return {} if predictor.precision == "fp32" else {PRECISION: predictor.precision}


def _arrow_schema(pyarrow: Any, source: TextSource, columns: Sequence[str], predictor: Predictor) -> Any:
    types = source.arrow_schema
    fields = [
        types.field(name) if types is not None else pyarrow.field(name, pyarrow.string()) for name in columns
    ]
    fields.append(pyarrow.field(PRED_LABELS, pyarrow.list_(pyarrow.string())))
    fields.extend(pyarrow.field(PROBABILITY_PREFIX + label, pyarrow.float32()) for label in predictor.labels)
    fields.extend(pyarrow.field(name, pyarrow.string()) for name in _precision_of(predictor))
    return pyarrow.schema(
        fields,
        {
            "goemo_run": str(predictor.run),
            "goemo_precision": predictor.precision,
            "goemo_engine": predictor.engine,
        },
    )


def _arrays(
    pyarrow: Any,
    schema: Any,
    rows: Sequence[TextRow],
    predictions: TextPredictions,
    source: TextSource,
    columns: Sequence[str],
) -> list[Any]:
    if source.arrow_schema is not None:
        own = [[row.columns[name] for row in rows] for name in columns]
    else:
        cells = [own_cells(row, columns) for row in rows]
        own = [[row[at] for row in cells] for at in range(len(columns))]
    labels = [list(predictions.label_names(row)) for row in range(len(rows))]
    values = [*own, labels, *predictions.y_prob.T]
    values += [["bf16"] * len(rows)] * (len(schema) - len(values))
    return [pyarrow.array(column, field.type) for column, field in zip(values, schema, strict=True)]
