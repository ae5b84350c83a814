"""What follows from a run's test predictions: outcomes of comments, calibration, confusions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from goemo_cli.core.arrays import BoolArray, FloatArray
from goemo_cli.core.errors import DataError, DataFileError
from goemo_cli.core.predictions import Predictions
from goemo_cli.ml.data.dataset import LabelledTexts
from goemo_cli.ml.metrics.calibration import assess
from goemo_cli.ml.metrics.confusions import RowOutcomes, confused_pairs, row_outcomes
from goemo_cli.services.evaluation.error_tables import Confusion, confusions
from goemo_cli.services.figures.reliability import bins_of, states_of_test
from goemo_cli.services.runs.run_data import RunData

MOST_CONFUSIONS = 15
MOST_CELLS = 20_000_000
"""Probabilities of all runs in a page: about 110 MB of it."""
_MEASURES = ("ece", "ece_debiased", "brier", "log_loss")


def test_predictions(source: RunData) -> Predictions:
    """The run's test predictions, with the very rows that it recorded.

    Raises:
        NotFoundError: no predictions file.
        DataFileError: other labels or other rows.
    """
    predictions = source.predictions("test")
    if LabelledTexts(predictions.texts, predictions.y_true).sha256() != source.test_sha256():
        path = source.layout.split_predictions(source.checkpoint.run, "test")
        raise DataFileError(path, f"its rows are not the test split that {source.checkpoint.run} recorded")
    return predictions


def page_predictions(source: RunData) -> Predictions:
    """The same, where a page can hold those of every run.

    Raises:
        NotFoundError, DataFileError: as `test_predictions`.
        DataError: too many; a browser would not open such a page.
    """
    predictions, n_runs = test_predictions(source), 1 + len(source.others)
    cells = predictions.y_prob.size * n_runs
    if cells > MOST_CELLS:
        raise DataError(
            f"{cells:,} probabilities are too many for a page, which holds at most {MOST_CELLS:,}"
        )
    return predictions


def outcomes(source: RunData) -> RowOutcomes:
    """How the comments of test came out."""
    predictions = test_predictions(source)
    return row_outcomes(predictions.y_true, predictions.y_pred)


@dataclass(frozen=True)
class Calibration:
    """Measures over all cells, after the mean ECE of the labels, and bins; by state, `before` and if there is one `after`."""

    measures: Mapping[str, Mapping[str, float]]
    bins: Mapping[str, Mapping[str, list[list[float]]]]
    """By state and label (`""`: all): rows of mean predicted, observed share, its interval's ends, cells."""


def calibration(source: RunData) -> Calibration:
    """How far probabilities are from what is observed on test, before and after `goemo calibrate`.

    Raises:
        NotFoundError, DataFileError: no predictions that can be used.
        DataError: fewer than two rows.
        CorruptArtifactError: a calibration.json that cannot be used.
    """
    test_predictions(source)
    test, states = states_of_test(source)
    measures, bins = {}, {}
    for state, y_prob in states.items():
        found = assess(test.y_true, y_prob)
        of_all = {name: float(getattr(found.overall, name)) for name in _MEASURES}
        measures[state] = {"ece_macro": found.ece_macro, **of_all}
        bins[state] = _all_bins(test.labels, test.y_true, y_prob)
    return Calibration(measures, bins)


def _all_bins(labels: tuple[str, ...], y_true: BoolArray, y_prob: FloatArray) -> dict[str, list[list[float]]]:
    by_label = {label: _bins(y_true[:, at], y_prob[:, at]) for at, label in enumerate(labels)}
    return {"": _bins(y_true.ravel(), y_prob.ravel())} | by_label


def _bins(y_true: BoolArray, y_prob: FloatArray) -> list[list[float]]:
    found = bins_of(y_true, y_prob)
    low, high = found.interval
    rows: list[list[float]] = np.stack(
        [found.mean_predicted, found.observed_share, low, high, found.count], axis=1
    ).tolist()
    return rows


@dataclass(frozen=True)
class Confusions:
    """Which label is predicted where a gold one is missed."""

    shown: tuple[Confusion, ...]
    """The significant ones, highest lift first, at most `MOST_CONFUSIONS`."""
    standing_out: int
    share: list[list[float | None]]
    """Row i, column j: of the comments that miss gold i and do not carry j, the share on which j is predicted."""
    count: list[list[int]]


def confusions_of(source: RunData) -> Confusions:
    """The confusions of test.

    Raises:
        NotFoundError, DataFileError: no predictions.
    """
    test = test_predictions(source)
    pairs = confused_pairs(test.y_true, test.y_pred)
    found = [one for one in confusions(test, pairs) if one.stands_out]
    found.sort(key=lambda one: -(one.lift or 0))
    share = pairs.count / np.maximum(pairs.missed, 1)
    known = (pairs.missed > 0) & ~np.eye(len(test.labels), dtype=np.bool_)
    return Confusions(
        shown=tuple(found[:MOST_CONFUSIONS]),
        standing_out=len(found),
        share=[
            [value if ok else None for value, ok in zip(*row, strict=True)] for row in _rows(share, known)
        ],
        count=pairs.count.tolist(),
    )


def _rows(*matrices: Any) -> Any:
    return zip(*(matrix.tolist() for matrix in matrices), strict=True)
