"""A predictions file again with other thresholds."""

from pathlib import Path

import numpy as np
import pytest

from goemo_cli.core.errors import NotFoundError, SettingError
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions, write_predictions
from goemo_cli.services.evaluation.apply_thresholds import apply_thresholds


@pytest.fixture
def written(layout: Layout, make_checkpoint, make_predictions) -> Path:
    """Predictions of a run with the global threshold .3 and .25 for each label."""
    checkpoint = make_checkpoint()
    path = layout.split_predictions(checkpoint.run, "test")
    write_predictions(path, make_predictions(50, labels=("anger", "joy")))
    return path


@pytest.mark.parametrize(
    ("options", "threshold"),
    [({"threshold": 0.4}, 0.4), ({"rule": "global"}, 0.3), ({"rule": "fixed_0.5"}, 0.5), ({}, 0.25)],
)
def test_only_the_labels_change(
    written: Path, layout: Layout, tmp_path: Path, options, threshold: float
) -> None:
    before = read_predictions(written)
    result = apply_thresholds(written, layout=layout, output=tmp_path / "x", **options)
    after = read_predictions(result.path)
    assert result.path == tmp_path / "x" / written.name
    assert np.array_equal(after.y_pred, before.y_prob.astype(np.float64) >= threshold)
    assert np.array_equal(after.y_prob, before.y_prob)
    assert (after.texts, after.y_true.tolist()) == (before.texts, before.y_true.tolist())


def test_the_file_never_replaces_itself(written: Path, layout: Layout) -> None:
    before = written.read_bytes()
    with pytest.raises(SettingError, match="would replace itself"):
        apply_thresholds(written, layout=layout, output=written.parent, threshold=0.4)
    assert written.read_bytes() == before


def test_a_file_of_no_run_needs_a_threshold(written: Path, layout: Layout, tmp_path: Path) -> None:
    other = tmp_path / "mine.csv"
    other.write_bytes(written.read_bytes())
    with pytest.raises(NotFoundError, match="give --threshold"):
        apply_thresholds(other, layout=layout, output=tmp_path / "x")
    assert apply_thresholds(other, layout=layout, output=tmp_path / "x", threshold=0.2).rows == 50
