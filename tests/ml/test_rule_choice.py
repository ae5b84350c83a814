"""The rule that `thresholds.rule: auto` chooses: by rows of val that its thresholds were not fitted on."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from goemo_cli.core.arrays import BoolArray, FloatArray
from goemo_cli.core.schema import RULES
from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.core.thresholds import Thresholds
from goemo_cli.ml.data.splits import FOLDS
from goemo_cli.ml.metrics.rule_choice import SEED, choose_rule, fit_by_rule
from goemo_cli.ml.metrics.thresholds import fit_thresholds

AUTO = ThresholdSettings()


def case(n_rows: int, best: list[float], seed: int = 0) -> tuple[tuple[str, ...], BoolArray, FloatArray]:
    """Labels whose probabilities separate gold from other rows at the given thresholds, with some noise."""
    rng = np.random.default_rng(seed)
    y_true = rng.random((n_rows, len(best))) < 0.3
    above = rng.random(y_true.shape) * (1 - np.array(best)) + np.array(best)
    below = rng.random(y_true.shape) * np.array(best)
    wrong = rng.random(y_true.shape) < 0.05
    y_prob = np.where(y_true != wrong, above, below).astype(np.float32)
    return tuple(f"label{i}" for i in range(len(best))), y_true, y_prob


def test_each_row_is_scored_with_thresholds_that_did_not_see_it() -> None:
    labels, y_true, y_prob = case(120, [0.2, 0.5, 0.8, 0.4])
    choice = choose_rule(labels, y_true, y_prob, AUTO)
    for rule in RULES:
        y_pred = np.zeros_like(y_true)
        for part in np.array_split(np.random.default_rng(SEED).permutation(120), FOLDS):
            rest = np.setdiff1d(np.arange(120), part)
            fitted = fit_thresholds(labels, y_true[rest], y_prob[rest], AUTO, resamples=0)
            y_pred[part] = y_prob[part].astype(np.float64) >= fitted.of_rule(rule)
        wanted = [
            f1_score(y_true, y_pred, average=average, zero_division=0) for average in ("macro", "micro")
        ]
        assert choice.scores[rule] == pytest.approx(np.mean(wanted), abs=1e-12)
    assert choice == choose_rule(labels, y_true, y_prob, AUTO), "the same rows give the same choice"


@pytest.mark.parametrize(
    ("n_rows", "best", "rule"),
    [
        (400, [0.1, 0.3, 0.6, 0.9], "per_label"),  # each label has another best threshold
        (40, [0.5] * 20, "fixed_0.5"),  # few positives, and nothing to gain by fitting
        (FOLDS - 1, [0.5, 0.5], "per_label"),  # too few rows to compare
    ],
)
def test_a_rule_is_chosen_that_fits_the_rows(n_rows: int, best: list[float], rule: str) -> None:
    fitted = fit_by_rule(*case(n_rows, best), AUTO, resamples=0)
    assert fitted.rule == fitted.settings.rule == rule
    assert fitted.choice is not None
    assert fitted.choice.reason in str(fitted.choice)
    assert fitted.fit_settings == AUTO


def test_a_named_rule_is_kept_and_a_floor_needs_a_threshold_per_label() -> None:
    data = case(60, [0.5] * 8)
    named = fit_by_rule(*data, ThresholdSettings(rule="global"), resamples=0)
    assert (named.rule, named.choice) == ("global", None)
    floor = ThresholdSettings(objective="precision_floor", floor=0.6)
    assert fit_by_rule(*data, floor, resamples=0).rule == "per_label"


def test_the_choice_is_read_back(tmp_path) -> None:
    data = case(50, [0.5] * 6)
    fitted = fit_by_rule(*data, AUTO, resamples=0)
    fitted.write(tmp_path / "thresholds.json", run="tfidf-20260101-000000")
    read = Thresholds.read(tmp_path / "thresholds.json", data[0])
    assert (read.choice, read.rule) == (fitted.choice, fitted.rule)
