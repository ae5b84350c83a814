"""What `goemo errors` counts per label and per pair of labels, and the files that hold it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from goemo_cli.core.arrays import BoolArray, IntArray, none_unless_finite
from goemo_cli.core.files import sha256_file, write_sealed_json
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.ml.metrics.confusions import (
    ConfusedPairs,
    PairDifferences,
    RowOutcomes,
    cooccurrence_counts,
    label_balance,
    pair_differences,
)
from goemo_cli.ml.metrics.intervals import ALPHA
from goemo_cli.services.data.result_tables import write_table

PAIR_COLUMNS = ("emotion", "other", "gold", "predicted", "both", "difference", "p_holm")
"""One row per pair of labels, in label order."""
CONFUSION_COLUMNS = (
    "gold", "predicted", "count", "missed", "false_alarms", "expected", "lift", "lift_ci_low", "lift_ci_high", "p_holm",
    "lift_in_wrong_rows", "p_holm_in_wrong_rows",
)  # fmt: skip
"""One row per ordered pair of different labels; lifts are empty where one of the two mistakes is never made."""


@dataclass(frozen=True)
class LabelBalance:
    """How often a label is predicted against how often it is gold."""

    emotion: str
    gold: int
    predicted: int
    ratio: float | None
    """predicted / gold; None where never gold."""
    ratio_ci_low: float | None
    ratio_ci_high: float | None
    """None: no upper end, since too few rows are gold."""
    p_holm: float | None

    @property
    def is_off(self) -> bool:
        """Whether chance alone hardly explains the difference."""
        return self.p_holm is not None and self.p_holm < ALPHA


@dataclass(frozen=True)
class Confusion:
    """A gold label that is missed while another is predicted though not gold; by `CONFUSION_COLUMNS`."""

    gold: str
    predicted: str
    count: int
    missed: int
    """Rows where the gold label is missed and the other is not gold."""
    false_alarms: int
    """Rows where the other is falsely predicted at all."""
    expected: float | None
    lift: float | None
    lift_ci_low: float | None
    lift_ci_high: float | None
    p_holm: float | None
    lift_in_wrong_rows: float | None
    p_holm_in_wrong_rows: float | None

    @property
    def stands_out(self) -> bool:
        """More often than chance, and more often than mistakes come together anyway."""
        return all(p is not None and p < ALPHA for p in (self.p_holm, self.p_holm_in_wrong_rows))


def label_balances(predictions: Predictions) -> list[LabelBalance]:
    """The balance of every label, in label order."""
    found = label_balance(predictions.y_true, predictions.y_pred)
    numbers = map(none_unless_finite, (found.ratio, *found.ratio_ci, found.p_holm))
    columns = (predictions.labels, found.gold.tolist(), found.predicted.tolist(), *numbers)
    return [LabelBalance(*cells) for cells in zip(*columns, strict=True)]


def confusions(
    predictions: Predictions, found: ConfusedPairs, chosen: BoolArray | None = None
) -> list[Confusion]:
    """Ordered pairs of different labels, in label order: every one, or the chosen ones, bool, (n_labels, n_labels)."""
    labels = predictions.labels
    different = ~np.eye(len(labels), dtype=np.bool_)
    gold, predicted = np.nonzero(different if chosen is None else different & chosen)
    alarms = (~predictions.y_true & predictions.y_pred).sum(axis=0)
    numbers = (
        found.expected, found.lift, *found.lift_ci, found.p_holm, found.lift_in_wrong_rows, found.p_holm_in_wrong_rows,
    )  # fmt: skip
    columns = [
        found.count[gold, predicted].tolist(),
        found.missed[gold, predicted].tolist(),
        alarms[predicted].tolist(),
        *(none_unless_finite(matrix[gold, predicted]) for matrix in numbers),
    ]
    return [
        Confusion(labels[i], labels[j], *cells)
        for i, j, *cells in zip(gold.tolist(), predicted.tolist(), *columns, strict=True)
    ]


def write_tables(
    layout: Layout, stem: str, predictions: Predictions, confused: Sequence[Confusion]
) -> tuple[Path, ...]:
    """Write the five co-occurrence tables, each whole or not at all; none holds a text.

    Args:
        stem: what they are named after.
        confused: all ordered pairs.
    """
    labels, y_true, y_pred = predictions.labels, predictions.y_true, predictions.y_pred
    differing = pair_differences(y_true, y_pred)
    matrices = {
        "gold": differing.gold,
        "predicted": differing.predicted,
        "crossed": cooccurrence_counts(y_true, y_pred),
    }
    tables: dict[str, tuple[Sequence[str], Sequence[Sequence[Any]]]] = {
        **{table: (("emotion", *labels), _matrix_rows(labels, counts)) for table, counts in matrices.items()},
        "pairs": (PAIR_COLUMNS, _pair_rows(labels, differing)),
        "confusions": (CONFUSION_COLUMNS, [list(vars(one).values()) for one in confused]),
    }
    paths = []
    for table, (columns, rows) in tables.items():
        paths.append(layout.cooccurrence_table(table, stem))
        write_table(paths[-1], columns, rows)
    return tuple(paths)


def _matrix_rows(labels: tuple[str, ...], counts: IntArray) -> list[list[Any]]:
    return [[label, *row] for label, row in zip(labels, counts.tolist(), strict=True)]


def _pair_rows(labels: tuple[str, ...], found: PairDifferences) -> list[list[Any]]:
    first, second = np.nonzero(np.triu(np.ones(found.gold.shape, dtype=np.bool_), k=1))
    counts = (found.gold, found.predicted, found.both, found.predicted - found.gold)
    columns = [matrix[first, second].tolist() for matrix in counts]
    columns.append(none_unless_finite(found.p_holm[first, second]))
    pairs = zip(first.tolist(), second.tolist(), *columns, strict=True)
    return [[labels[i], labels[j], *cells] for i, j, *cells in pairs]


def write_summary(
    path: Path,
    *,
    facts: Mapping[str, Any],
    outcomes: RowOutcomes,
    wrong_rows: int,
    balances: Sequence[LabelBalance],
    tables: Sequence[Path],
) -> None:
    """Write what the tables were made from, and what is counted per row and per label.

    Args:
        path: the JSON file; it is written last, and names the tables with their SHA-256.
        facts: run, split, rule, and the source with its SHA-256.
        outcomes: of the rows.
        wrong_rows: rows with both a missed and a false label.
        balances: of all labels.
        tables: the files written before.
    """
    write_sealed_json(
        path,
        {
            "schema_version": SCHEMA_VERSION,
            **facts,
            "outcomes": asdict(outcomes),
            "wrong_rows": wrong_rows,
            "labels": [asdict(one) for one in balances],
            "files": {table.name: sha256_file(table) for table in tables},
        },
    )
