"""Of the cells given a probability, the share that carries the label: the bins of figure 17 and of the report."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from goemo_cli.core.errors import DataError
from goemo_cli.ml.metrics.calibration import reliability
from goemo_cli.ml.metrics.exact_tests import clopper_pearson
from goemo_cli.services.runs.run_data import RunData

LOWEST = 0.05
"""Probabilities below share one bin: most are there, and say little."""
MOST_BINS = 10
LEAST_CELLS = 25
"""Of each of the other bins, as long as there are several."""


@dataclass(frozen=True)
class Bins:
    """What is drawn of one label, or of all cells; (n_bins,) each, lowest probabilities first."""

    count: IntArray
    mean_predicted: DoubleArray
    observed_share: DoubleArray

    @property
    def interval(self) -> DoubleArray:
        """Exact 95 % interval of the observed share, (2, n_bins)."""
        return clopper_pearson(np.rint(self.observed_share * self.count), self.count)


def states_of_test(source: RunData) -> tuple[Any, dict[str, FloatArray]]:
    """The predictions of test, and their probabilities `before` calibration and, if the run is calibrated, `after` it.

    Raises:
        NotFoundError, DataFileError: no predictions that can be used.
        DataError: fewer than two rows.
        CorruptArtifactError: a calibration.json that cannot be used.
    """
    test, calibrator = source.predictions("test"), source.calibrator()
    if len(test) < 2:
        path = source.layout.split_predictions(source.checkpoint.run, "test")
        raise DataError(f"{path} holds one row; a calibration error needs at least two")
    states = {"before": test.y_prob}
    return test, states | ({"after": calibrator.apply(test.y_prob)} if calibrator else {})


def bins_of(y_true: BoolArray, y_prob: FloatArray) -> Bins:
    """One bin below `LOWEST`, and bins of equal mass above it; one bin for all if fewer than two are above.

    Args:
        y_true: gold labels, bool, (n_cells,); at least two.
        y_prob: probabilities, float32, (n_cells,).
    """
    low = y_prob.astype(np.float64) < LOWEST
    if (~low).sum() < 2:
        low[:] = True
    few = [Bins(low.sum(keepdims=True), *_means(y_true[low], y_prob[low]))] if low.any() else []
    if not low.all():
        found = reliability(
            y_true[~low], y_prob[~low], bins=int(np.clip((~low).sum() // LEAST_CELLS, 1, MOST_BINS))
        )
        few.append(Bins(found.count, found.mean_predicted, found.observed_share))
    return Bins(
        np.concatenate([one.count for one in few]),
        np.concatenate([one.mean_predicted for one in few]),
        np.concatenate([one.observed_share for one in few]),
    )


def _means(y_true: BoolArray, y_prob: FloatArray) -> tuple[DoubleArray, DoubleArray]:
    return y_prob.mean(dtype=np.float64, keepdims=True), y_true.mean(keepdims=True)
