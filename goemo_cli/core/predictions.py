"""The predictions CSV: one writer and one streaming reader, so that any text comes back as it went in."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from goemo_cli.core.arrays import BoolArray, FloatArray, not_probabilities, split_sha256
from goemo_cli.core.csv_files import atomic_csv, open_csv
from goemo_cli.core.errors import DataFileError
from goemo_cli.core.schema import (
    ID_COLUMN,
    PREDICTION_LEADING_COLUMNS,
    PROBABILITY_PREFIX,
    prediction_columns,
)

LABEL_JOINER = ","
CHUNK_ROWS, CHUNK_CELLS = 20_000, 800_000
"""Rows, and cells of them, held at once while reading: bounds memory whatever the number of rows and labels."""
_FORMATTED_CELLS = 100_000
"""Likewise while writing."""

_SHOWN_CHARACTERS = 80

OnProblem = Callable[[int, str, str], None]
"""Told (data row counted from 1, column, what is wrong)."""


@dataclass(frozen=True)
class Predictions:
    """Texts with gold labels, probabilities and the labels that follow from them.

    Attributes:
        labels: label names in column order.
        texts: n_examples texts.
        y_true: gold labels, bool, (n_examples, n_labels).
        y_pred: predicted labels, bool, (n_examples, n_labels).
        y_prob: probabilities in [0, 1], float32, (n_examples, n_labels).
        ids: the data's own ids, or None if it has none.
    """

    labels: tuple[str, ...]
    texts: list[str]
    y_true: BoolArray
    y_pred: BoolArray
    y_prob: FloatArray
    ids: list[str] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def sha256(self) -> str:
        """The digest of its texts and gold labels, equal to that of the split they are."""
        return split_sha256(self.texts, self.y_true)

    @classmethod
    def joined(cls, chunks: Sequence[Self]) -> Self:
        """Consecutive chunks of one file as one."""
        first = chunks[0]
        return cls(
            labels=first.labels,
            texts=[text for chunk in chunks for text in chunk.texts],
            y_true=np.concatenate([chunk.y_true for chunk in chunks]),
            y_pred=np.concatenate([chunk.y_pred for chunk in chunks]),
            y_prob=np.concatenate([chunk.y_prob for chunk in chunks]),
            ids=[one for chunk in chunks for one in chunk.ids or []] if first.ids is not None else None,
        )


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a predictions CSV, whole or not at all.

    Probabilities are written as the shortest decimals that read back to the same float32.

    Raises:
        DataFileError: a number that is not a probability, NaN included.
    """
    names = np.asarray(predictions.labels, dtype=object)
    y_prob = predictions.y_prob.astype(np.float32)
    for row, column in not_probabilities(y_prob)[:1]:
        fault = f"{y_prob[row, column]} is not a probability between 0 and 1"
        _raiser(path)(int(row) + 1, PROBABILITY_PREFIX + predictions.labels[column], fault)
    with atomic_csv(path) as writer:
        writer.writerow(prediction_columns(predictions.labels, with_ids=predictions.ids is not None))
        for row, (text, numbers) in enumerate(zip(predictions.texts, decimals(y_prob), strict=True)):
            gold = LABEL_JOINER.join(names[predictions.y_true[row]])
            predicted = LABEL_JOINER.join(names[predictions.y_pred[row]])
            tail = [] if predictions.ids is None else [predictions.ids[row]]
            writer.writerow([text, gold, predicted, *numbers, *tail])


def decimals(y_prob: FloatArray) -> Iterator[list[str]]:
    """Each row of probabilities, float32, as the shortest decimals that read back to the same number."""
    rows = max(1, _FORMATTED_CELLS // max(y_prob.shape[1], 1))
    for start in range(0, len(y_prob), rows):
        yield from y_prob[start : start + rows].astype("U32").tolist()


def read_predictions(path: Path) -> Predictions:
    """A whole predictions CSV.

    Raises:
        DataFileError: wrong columns, a row of another length, or a cell that is not a label list or a probability.
    """
    return Predictions.joined(list(iter_predictions(path)))


def iter_predictions(
    path: Path,
    *,
    rows: int = CHUNK_ROWS,
    on_problem: OnProblem | None = None,
    longest_field: int | None = None,
) -> Iterator[Predictions]:
    """A predictions CSV in chunks of at most `rows` rows; at least one chunk, possibly empty.

    Args:
        rows: rows per chunk at most; fewer with many labels.
        on_problem: called for every bad cell, which is then read as no label or as NaN; by default the first raises.
        longest_field: characters; a longer field is an error, which bounds memory if a quote is never closed.

    Raises:
        DataFileError: columns that are not those of a predictions file, or broken CSV; without `on_problem` any
            bad cell too.
    """
    report = on_problem or _raiser(path)
    with open_csv(path) as (header, lines):
        if longest_field is not None:
            csv.field_size_limit(longest_field)  # until the next file is opened
        labels, with_ids = _labels_of(path, header)
        rows = min(rows, max(1, CHUNK_CELLS // len(header)))
        batch: list[list[str]] = []
        start = 1
        for number, (_, fields) in enumerate(lines, start=1):
            if len(fields) != len(header):
                report(number, "", f"has {len(fields)} fields instead of {len(header)}")
                fields = (fields + [""] * len(header))[: len(header)]
            batch.append(fields)
            if len(batch) == rows:
                yield _parse(batch, labels, with_ids, start, report)
                batch, start = [], number + 1
        if batch or start == 1:
            yield _parse(batch, labels, with_ids, start, report)


def _raiser(path: Path) -> OnProblem:
    def fail(row: int, column: str, reason: str) -> None:
        raise DataFileError(path, f"row {row}{f', column {column}' if column else ''}: {reason}")

    return fail


def _labels_of(path: Path, header: list[str]) -> tuple[tuple[str, ...], bool]:
    leading = len(PREDICTION_LEADING_COLUMNS)
    with_ids = header[-1:] == [ID_COLUMN]
    probabilities = header[leading : len(header) - with_ids]
    labels = tuple(column.removeprefix(PROBABILITY_PREFIX) for column in probabilities)
    missing = [column for column in PREDICTION_LEADING_COLUMNS if column not in header]
    if missing:
        separator = "; its columns are separated by ';', not by ','" if ";" in "".join(header[:1]) else ""
        raise DataFileError(
            path, f"is not a predictions file: column {missing[0]!r} is missing{separator}", 1
        )
    if not labels or header != prediction_columns(labels, with_ids=with_ids):
        raise DataFileError(
            path,
            f"columns are not {', '.join(PREDICTION_LEADING_COLUMNS)}, {PROBABILITY_PREFIX}*[, {ID_COLUMN}]: "
            f"{_odd_column(header)}",
            1,
        )
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise DataFileError(path, f"column {PROBABILITY_PREFIX}{twice} occurs twice", 1)
    return labels, with_ids


def _odd_column(header: list[str]) -> str:
    """The first unexpected column, for a message."""
    expected = [*PREDICTION_LEADING_COLUMNS]
    for at, name in enumerate(header):
        is_fine = name == expected[at] if at < len(expected) else name.startswith(PROBABILITY_PREFIX)
        if not is_fine and not (name == ID_COLUMN and at == len(header) - 1):
            return f"column {at + 1} is {_shown(name)}" + ("" if name else ", an index; leave it out")
    return f"no column begins with {PROBABILITY_PREFIX}"


def _parse(
    batch: list[list[str]], labels: tuple[str, ...], with_ids: bool, start: int, report: OnProblem
) -> Predictions:
    first, last = len(PREDICTION_LEADING_COLUMNS), len(PREDICTION_LEADING_COLUMNS) + len(labels)
    return Predictions(
        labels=labels,
        texts=[fields[0] for fields in batch],
        y_true=_multi_hot([fields[1] for fields in batch], "true_labels", labels, start, report),
        y_pred=_multi_hot([fields[2] for fields in batch], "pred_labels", labels, start, report),
        y_prob=_probabilities([fields[first:last] for fields in batch], labels, start, report),
        ids=[fields[last] for fields in batch] if with_ids else None,
    )


def _multi_hot(
    cells: list[str], column: str, labels: tuple[str, ...], start: int, report: OnProblem
) -> BoolArray:
    index = {label: position for position, label in enumerate(labels)}
    # The same few combinations of labels come again and again: each is looked up once per chunk.
    known: dict[str, tuple[int, str]] = {}
    patterns: list[list[int]] = []
    chosen = np.zeros(len(cells), dtype=np.int64)
    for row, cell in enumerate(cells):
        if cell not in known:
            names = cell.split(LABEL_JOINER) if cell else []
            known[cell] = len(patterns), _label_fault(cell, names, index)
            patterns.append([index[name] for name in names if name in index])
        chosen[row], fault = known[cell]
        if fault:
            report(start + row, column, fault)
    hot = np.zeros((len(patterns), len(labels)), dtype=np.bool_)
    for at, positions in enumerate(patterns):
        hot[at, positions] = True
    whole: BoolArray = hot[chosen]
    return whole


def _label_fault(cell: str, names: list[str], index: dict[str, int]) -> str:
    """What is wrong with a label list; nothing if it is empty or known labels in order, each once."""
    for name in names:
        if name not in index:
            return f"unknown label {_shown(name)}"
    positions = [index[name] for name in names]
    return (
        ""
        if positions == sorted(set(positions))
        else f"labels {_shown(cell)} are not in label order, each once"
    )


def _probabilities(
    cells: list[list[str]], labels: tuple[str, ...], start: int, report: OnProblem
) -> FloatArray:
    if not cells:
        return np.zeros((0, len(labels)), dtype=np.float32)
    try:
        numbers = np.asarray(cells, dtype=np.float64)
    except ValueError:
        numbers = np.asarray([[_number(cell) for cell in row] for row in cells], dtype=np.float64)
    with np.errstate(over="ignore"):  # 1e300 becomes infinity, which is not a probability either
        y_prob = numbers.astype(np.float32)
    for row, column in not_probabilities(y_prob):
        report(
            start + int(row),
            PROBABILITY_PREFIX + labels[column],
            f"{_shown(cells[row][column])} is not a probability between 0 and 1",
        )
    return y_prob


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _shown(cell: str) -> str:
    """A cell for a message: quoted, and shortened if it is long."""
    return repr(cell if len(cell) <= _SHOWN_CHARACTERS else cell[:_SHOWN_CHARACTERS] + "…")
