"""Many labels: memory grows with the cells of a split, not with pairs of labels, and files are read and written in pieces."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score

from goemo_cli.core.predictions import Predictions, iter_predictions, read_predictions, write_predictions
from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.ml.metrics.ranking import label_ranking_precision
from goemo_cli.ml.metrics.thresholds import fit_thresholds

N_ROWS, N_LABELS = 2_000, 400
LABELS = tuple(f"label{at:03d}" for at in range(N_LABELS))


@pytest.fixture(scope="module")
def split() -> Predictions:
    rng = np.random.default_rng(0)
    y_prob = np.round(rng.random((N_ROWS, N_LABELS)), 2).astype(np.float32)  # with equal ones
    y_true = rng.random((N_ROWS, N_LABELS)) < 0.005
    return Predictions(LABELS, ["text"] * N_ROWS, y_true, y_prob >= 0.99, y_prob)


def peak_mebibytes(work: Callable[[], object]) -> float:
    """The most that NumPy and Python allocated at a time."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def test_memory_of_scores_does_not_grow_with_pairs_of_labels(split: Predictions) -> None:
    found = label_ranking_precision(split.y_true, split.y_prob)
    wanted = label_ranking_average_precision_score(split.y_true, split.y_prob)
    assert found.mean() == pytest.approx(wanted, abs=1e-12)
    assert peak_mebibytes(lambda: label_ranking_precision(split.y_true, split.y_prob)) < 60  # pairs: 305
    few = slice(0, 50)

    def fit() -> object:
        return fit_thresholds(LABELS, split.y_true[few], split.y_prob[few], ThresholdSettings())

    assert peak_mebibytes(fit) < 100  # all draws at once: 250


def test_predictions_of_many_labels_are_read_and_written_in_pieces(
    split: Predictions, tmp_path: Path
) -> None:
    path = tmp_path / "predictions.csv"
    assert peak_mebibytes(lambda: write_predictions(path, split)) < 60  # all cells as text: 98
    assert max(len(chunk) for chunk in iter_predictions(path)) < N_ROWS
    read = read_predictions(path)
    assert read.texts == split.texts
    for name in ("y_true", "y_pred", "y_prob"):
        np.testing.assert_array_equal(getattr(read, name), getattr(split, name))
