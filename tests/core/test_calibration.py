"""What a calibrator does to probabilities and thresholds, and the file that keeps it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.special import logit as scipy_logit

from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import write_json
from goemo_cli.core.thresholds import decide
from goemo_cli.ml.metrics.calibrator import CLIP, Calibrator, logit

RUN = "tiny-20250101-000000"
LABELS = ("anger", "joy", "neutral")
FLAT = Calibrator(
    LABELS, "platt", np.array([0.7, 0.0, -1.5]), np.array([0.5, 1.0, 1.9]), (3, 0, 9), {"joy": "no positives"}
)


def one_label(intercept: float, slope: float) -> Calibrator:
    return Calibrator(("joy",), "platt", np.array([intercept]), np.array([slope]), (5,), {})


def neighbours(number: float, steps: int = 40) -> np.ndarray:
    """The float32 within that number of steps of a number, and 0 and 1, sorted, within [0, 1]."""
    around = [np.float32(number)]
    for towards in (np.float32(-1), np.float32(2)):
        at = np.float32(number)
        for _ in range(steps):
            at = np.nextafter(at, towards)
            around.append(at)
    return np.unique(np.clip(np.array([*around, 0, 1], dtype=np.float32), 0, 1))


calibrators = st.builds(
    one_label, st.floats(-12, 12), st.one_of(st.just(1.0), st.floats(0.01, 20), st.floats(0.5, 2))
)
fractions = st.one_of(
    st.floats(0, 1),
    st.floats(0, 1, width=32),
    st.sampled_from([0.0, 1e-45, 1e-30, 1e-7, 0.3, 0.5, 1 - 1e-7, 1.0]),
)


def test_the_logit_is_scipys_and_finite_at_the_ends():
    y_prob = np.array([0.0, 1e-9, 0.001, 0.25, 0.5, 0.999, 1.0], dtype=np.float32)
    expected = scipy_logit(np.clip(y_prob.astype(np.float64), CLIP, 1 - CLIP))
    assert logit(y_prob) == pytest.approx(expected, abs=1e-12)
    assert np.isfinite(logit(y_prob)).all()


def test_the_curve_is_the_sigmoid_of_the_shifted_logit():
    y_prob = np.random.default_rng(0).random((200, 3), dtype=np.float32)
    calibrated = FLAT.apply(y_prob)
    expected = expit(FLAT.intercept + FLAT.slope * scipy_logit(y_prob.astype(np.float64)))
    assert calibrated.dtype == np.float32
    assert calibrated == pytest.approx(expected, rel=1e-6)


def test_a_table_worked_by_hand():
    """Odds of 1 to 3, squared and halved, are 1 to 18; odds of 1, squared and halved, are 1 to 2."""
    calibrator = one_label(float(-np.log(2)), 2.0)
    y_prob = np.array([[0.25], [0.5]], dtype=np.float32)
    assert calibrator.apply(y_prob)[:, 0] == pytest.approx([1 / 19, 1 / 3], rel=1e-6)
    assert calibrator.apply_to_thresholds(np.array([0.5])) == pytest.approx([1 / 3], rel=1e-6)


def test_labels_that_are_kept_keep_every_digit():
    y_prob = np.array([[0.3, value, 0.3] for value in (0.0, 1e-40, 0.3, 1.0)], dtype=np.float32)
    thresholds = np.array([0.3, 0.3, 0.3])
    assert FLAT.apply(y_prob)[:, 1].tolist() == y_prob[:, 1].tolist()
    assert FLAT.apply(y_prob, thresholds)[:, 1].tolist() == y_prob[:, 1].tolist()
    assert FLAT.apply_to_thresholds(thresholds)[1] == 0.3


@given(calibrators, fractions)
def test_it_never_falls_where_probabilities_rise(calibrator: Calibrator, threshold: float):
    y_prob = np.union1d(neighbours(threshold), np.linspace(0, 1, 101, dtype=np.float32))[:, None]
    for calibrated in (calibrator.apply(y_prob), calibrator.apply(y_prob, np.array([threshold]))):
        assert (np.diff(calibrated[:, 0]) >= 0).all()
        assert ((calibrated >= 0) & (calibrated <= 1)).all()


@given(calibrators, fractions)
def test_calibrated_probabilities_and_thresholds_mean_the_same_labels(
    calibrator: Calibrator, threshold: float
):
    """For every float32 around the threshold, the tie included."""
    thresholds = np.array([threshold])
    y_prob = np.union1d(neighbours(threshold), np.linspace(0, 1, 101, dtype=np.float32))[:, None]
    before = decide(y_prob, thresholds)
    mapped = calibrator.apply_to_thresholds(thresholds)
    assert (decide(calibrator.apply(y_prob, thresholds), mapped) == before).all()


@given(calibrators, fractions)
def test_only_numbers_at_the_border_move_and_only_by_the_last_digit(calibrator: Calibrator, threshold: float):
    y_prob = np.union1d(neighbours(threshold), np.linspace(0, 1, 101, dtype=np.float32))[:, None]
    free, held = calibrator.apply(y_prob), calibrator.apply(y_prob, np.array([threshold]))
    moved = free != held
    assert np.abs(free - held).max() <= np.spacing(np.float32(1))
    border = max(calibrator.apply_to_thresholds(np.array([threshold]))[0], 0)
    assert (free[moved] <= border).all()
    assert not moved[y_prob >= np.float64(threshold)].any() or border == np.finfo(np.float32).tiny


@given(calibrators, st.floats(1e-6, 1))
def test_a_threshold_becomes_the_calibrated_value_of_the_lowest_yes(calibrator: Calibrator, threshold: float):
    around = neighbours(threshold)
    lowest = around[around >= np.float64(threshold)].min()
    mapped = calibrator.apply_to_thresholds(np.array([threshold]))[0]
    if calibrator.is_identity[0]:
        assert mapped == threshold
    else:
        assert mapped == max(calibrator.apply(np.array([[lowest]]))[0, 0], np.finfo(np.float32).tiny)


def written(tmp_path: Path) -> Path:
    path = tmp_path / "calibration.json"
    FLAT.write(path, run=RUN, source={"file": "val.csv", "sha256": "0" * 64, "split_sha256": "1" * 64})
    return path


def test_it_reads_back_as_written(tmp_path: Path):
    back = Calibrator.read(written(tmp_path), LABELS, run=RUN)
    assert back.intercept.tolist() == FLAT.intercept.tolist()
    assert back.slope.tolist() == FLAT.slope.tolist()
    assert (back.labels, back.method, back.n_positives) == (LABELS, "platt", (3, 0, 9))
    assert back.kept == {"joy": "no positives"}


def test_the_file_says_what_it_was_fitted_on(tmp_path: Path):
    values = json.loads(written(tmp_path).read_text(encoding="utf-8"))
    assert (values["schema_version"], values["run"], values["fitted_on"]) == (1, RUN, "val")
    assert values["source"] == {"file": "val.csv", "sha256": "0" * 64, "split_sha256": "1" * 64}
    assert values["per_label"]["anger"] == {"intercept": 0.7, "slope": 0.5, "n_positives": 3}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fitted_on": "test"}, "fitted_on should be 'val'"),
        ({"method": "isotonic"}, "method should be 'platt' or 'temperature'"),
        ({"run": "tiny-20250101-000001"}, "is of run tiny-20250101-000001"),
        ({"per_label": {}}, "other labels than the checkpoint"),
        ({"per_label": []}, "per_label should be a valid dictionary"),
        ({"kept": None}, "kept should be a valid dictionary"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused(tmp_path: Path, change: dict[str, Any], reason: str):
    path = written(tmp_path)
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | change)
    with pytest.raises(CorruptArtifactError, match=reason):
        Calibrator.read(path, LABELS, run=RUN)


@pytest.mark.parametrize(
    ("slope", "reason"),
    [(0, r"joy\.slope should be greater than 0"), (-1, r"joy\.slope should be"), ("1e999", "valid number")],
)
def test_a_slope_that_would_turn_the_ranking_is_refused(tmp_path: Path, slope: object, reason: str):
    path = written(tmp_path)
    values = json.loads(path.read_text(encoding="utf-8"))
    values["per_label"]["joy"]["slope"] = slope
    write_json(path, values)
    with pytest.raises(CorruptArtifactError, match=reason):
        Calibrator.read(path, LABELS, run=RUN)
