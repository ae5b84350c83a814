"""Thresholds fitted on val."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, fbeta_score, precision_score, recall_score

from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.ml.metrics.thresholds import (
    GRID,
    MACRO,
    below_floor,
    counts_on_grid,
    fit_thresholds,
    reached_on_grid,
)


def random_case(seed: int, rows: int = 300, n_labels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y_true = rng.random((rows, n_labels)) < [0.5, 0.2, 0.05, 0.01]
    scores = rng.normal(0, 1, (rows, n_labels)) + 2 * y_true - 2
    return y_true, (1 / (1 + np.exp(-scores))).astype(np.float32)


def fit(y_true: np.ndarray, y_prob: np.ndarray, shrinkage: float = 0, resamples: int = 0, **settings: Any):
    labels = tuple(f"label{at}" for at in range(y_true.shape[1]))
    wanted = ThresholdSettings(**{"rule": "per_label", "shrinkage": shrinkage, **settings})
    return fit_thresholds(labels, y_true, y_prob, wanted, resamples=resamples)


def f1_on_grid(y_true: np.ndarray, y_prob: np.ndarray) -> np.ndarray:
    return counts_on_grid(y_true, reached_on_grid(y_prob)).f_beta()


def test_the_grid_is_the_hundredths_from_002_to_098():
    assert GRID.tolist() == [hundredths / 100 for hundredths in range(2, 99)]


@pytest.mark.parametrize("decimals", [2, 7])
def test_f1_on_the_grid_is_scikit_learns_at_every_point(decimals: int):
    y_true, y_prob = random_case(0, rows=120)
    y_prob = y_prob.round(decimals)  # two decimals: many probabilities lie on the grid
    table = f1_on_grid(y_true, y_prob)
    for at, threshold in enumerate(GRID):
        y_pred = y_prob.astype(np.float64) >= threshold
        assert table[at] == pytest.approx(f1_score(y_true, y_pred, average=None, zero_division=0), abs=1e-12)


def test_four_rows_worked_by_hand():
    """
    One label, gold 1 0 1 0 with probabilities .9 .6 .4 .1 (as float32 just off the hundredths):

        t <= .10  all four predicted, F1 = 4/6      (.1 as float32 is above .10)
        t <= .40  .9 .6 .4 predicted, F1 = 4/5      (.4 as float32 is above .40)
        t <= .60  .9 .6 predicted,    F1 = 2/4      (.6 as float32 is above .60)
        t <  .90  .9 predicted,       F1 = 2/3      (.9 as float32 is below .90)
    """
    y_true = np.array([[True], [False], [True], [False]])
    y_prob = np.array([[0.9], [0.6], [0.4], [0.1]], dtype=np.float32)
    table = dict(
        zip((round(t, 2) for t in GRID.tolist()), f1_on_grid(y_true, y_prob)[:, 0].tolist(), strict=True)
    )
    assert [table[t] for t in (0.02, 0.10, 0.11, 0.40, 0.41, 0.60, 0.61, 0.89, 0.90, 0.98)] == pytest.approx(
        [4 / 6, 4 / 6, 4 / 5, 4 / 5, 2 / 4, 2 / 4, 2 / 3, 2 / 3, 0, 0]
    )
    fitted = fit(y_true, y_prob, shrinkage=0)
    assert fitted.per_label.tolist() == [0.255]  # the middle of the plateau .11 ... .40
    assert fitted.global_threshold == 0.255
    assert fitted.n_positives == (2,)


def test_a_label_is_drawn_toward_the_global_threshold_by_its_positives():
    y_true, y_prob = random_case(3)
    own = fit(y_true, y_prob, shrinkage=0).per_label
    shared = fit(y_true, y_prob, shrinkage=0).global_threshold
    n = y_true.sum(axis=0)
    expected = (n * own + 10 * shared) / (n + 10)
    assert fit(y_true, y_prob, shrinkage=10).per_label == pytest.approx(expected, abs=2e-4)


def test_without_shrinkage_each_label_has_its_own_best():
    y_true, y_prob = random_case(5)
    fitted, table = fit(y_true, y_prob, shrinkage=0), f1_on_grid(y_true, y_prob)
    for label in range(4):
        y_pred = y_prob[:, label].astype(np.float64) >= fitted.per_label[label]
        assert f1_score(y_true[:, label], y_pred) == pytest.approx(table[:, label].max(), abs=1e-12)


def test_the_global_threshold_maximises_macro_f1():
    y_true, y_prob = random_case(6)
    best = max(f1_score(y_true, y_prob >= t, average="macro", zero_division=0) for t in GRID)
    shared = fit(y_true, y_prob, shrinkage=10).global_threshold
    assert f1_score(y_true, y_prob >= shared, average="macro", zero_division=0) == pytest.approx(
        best, abs=1e-12
    )


@pytest.mark.parametrize("shrinkage", [0, 10])
def test_a_label_without_positives_takes_the_global_one(shrinkage: float):
    y_true, y_prob = random_case(7)
    y_true[:, 2] = False
    fitted = fit(y_true, y_prob, shrinkage=shrinkage)
    assert fitted.per_label[2] == fitted.global_threshold
    assert fitted.n_positives[2] == 0


def test_without_any_positives_there_is_still_a_threshold():
    fitted = fit(np.zeros((5, 2), dtype=bool), np.full((5, 2), 0.3, dtype=np.float32), shrinkage=0)
    assert 0 <= fitted.global_threshold <= 1
    assert fitted.per_label.tolist() == [fitted.global_threshold] * 2


def test_thresholds_are_rounded_to_what_is_written():
    y_true, y_prob = random_case(8)
    fitted = fit(y_true, y_prob, shrinkage=3)
    assert fitted.per_label.tolist() == [round(value, 4) for value in fitted.per_label.tolist()]
    assert fitted.global_threshold == round(fitted.global_threshold, 4)


def test_counts_of_a_draw_are_those_of_the_drawn_rows():
    y_true, y_prob = random_case(11, rows=40)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 40, size=(12, 40))
    weights = np.stack([np.bincount(draw, minlength=40) for draw in rows], axis=1).astype(np.float32)
    counts = counts_on_grid(y_true, reached_on_grid(y_prob), weights)
    for draw in range(12):
        direct = counts_on_grid(y_true[rows[draw]], reached_on_grid(y_prob[rows[draw]]))
        assert np.array_equal(counts.tp[draw], direct.tp)
        assert np.array_equal(counts.predicted[draw], direct.predicted)
        assert np.array_equal(counts.support[draw], direct.support)


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_f_beta_is_scikit_learns_and_the_best_of_it_is_taken(beta: float):
    y_true, y_prob = random_case(12)
    table = counts_on_grid(y_true, reached_on_grid(y_prob)).f_beta(beta)
    for at, threshold in enumerate(GRID):
        direct = fbeta_score(y_true, y_prob >= threshold, beta=beta, average=None, zero_division=0)
        assert table[at] == pytest.approx(direct, abs=1e-12)
    fitted = fit(y_true, y_prob, objective="f_beta", beta=beta)
    scores = [
        fbeta_score(y_true[:, at], y_prob[:, at].astype(np.float64) >= t, beta=beta)
        for at, t in enumerate(fitted.per_label)
    ]
    assert scores == pytest.approx(table.max(axis=0), abs=1e-12)


def test_thresholds_for_micro_f1_cannot_be_moved_alone_to_gain():
    y_true, y_prob = random_case(13)
    fitted = fit(y_true, y_prob, objective="f1_micro")
    reached = f1_score(y_true, fitted.decide(y_prob), average="micro")
    shared = f1_score(y_true, fitted.decide(y_prob, "global"), average="micro")
    assert (
        reached >= shared == pytest.approx(max(f1_score(y_true, y_prob >= t, average="micro") for t in GRID))
    )
    for label in range(4):
        for threshold in GRID:
            moved = fitted.per_label.copy()
            moved[label] = threshold
            y_pred = y_prob.astype(np.float64) >= moved
            assert f1_score(y_true, y_pred, average="micro") <= reached + 1e-12


@pytest.mark.parametrize(
    ("objective", "held", "raised", "floor"),
    [
        ("precision_floor", precision_score, recall_score, 0.6),
        ("recall_floor", recall_score, precision_score, 0.6),
    ],
)
def test_a_floor_is_held_and_the_other_score_is_the_most_that_leaves(objective, held, raised, floor: float):
    y_true, y_prob = random_case(14)
    fitted = fit(y_true, y_prob, objective=objective, floor=floor)
    for label in range(2):  # labels with enough positives to reach the floor
        gold, prob = y_true[:, label], y_prob[:, label].astype(np.float64)
        chosen = prob >= fitted.per_label[label]
        assert held(gold, chosen, zero_division=1) >= floor
        allowed = [
            raised(gold, prob >= t, zero_division=1)
            for t in GRID
            if held(gold, prob >= t, zero_division=1) >= floor
        ]
        assert raised(gold, chosen, zero_division=1) == pytest.approx(max(allowed), abs=1e-12)


@pytest.mark.parametrize(("floor", "shrinkage"), [(0.4, 3), (0.6, 1e6), (0.8, 3)])
@pytest.mark.parametrize(
    ("objective", "held"), [("precision_floor", precision_score), ("recall_floor", recall_score)]
)
def test_a_floor_is_held_after_shrinkage_or_its_label_is_named(
    objective, held, floor: float, shrinkage: float
):
    for seed in range(2):
        y_true, y_prob = random_case(seed)
        fitted = fit(y_true, y_prob, shrinkage, objective=objective, floor=floor)
        named = below_floor(fitted, y_true, fitted.decide(y_prob))
        for at, label in enumerate(fitted.labels):
            gold, prob = y_true[:, at], y_prob[:, at].astype(np.float64)
            score = held(gold, prob >= fitted.per_label[at], zero_division=np.nan)
            assert (label in named) == (not score >= floor)
            if label in named:
                assert named[label] == (None if np.isnan(score) else pytest.approx(score))
                on_grid = [held(gold, prob >= t, zero_division=0) for t in GRID]
                assert max(on_grid) < floor  # no threshold reaches it


@pytest.mark.parametrize(
    ("objective", "held"), [("precision_floor", precision_score), ("recall_floor", recall_score)]
)
def test_the_global_threshold_holds_the_floor_for_the_reported_macro_average(objective, held):
    y_true, y_prob = random_case(2)
    y_true[:, 3] = False  # a label without positives counts in no average that can be held
    fitted = fit(y_true, y_prob, 10, objective=objective, floor=0.5, rule="global")
    y_pred = fitted.decide(y_prob)
    macro = held(y_true[:, :3], y_pred[:, :3], average="macro", zero_division=0)
    assert macro >= 0.5
    assert below_floor(fitted, y_true, y_pred) == {}
    assert below_floor(fitted, y_true, np.zeros_like(y_pred)) == {MACRO: 0.0}


def test_a_floor_out_of_reach_comes_as_near_as_it_can():
    """Gold and others have the same probability: precision is a half at most."""
    y_true, y_prob = np.array([[True], [False]] * 4), np.full((8, 1), 0.6, dtype=np.float32)
    y_prob[0] = 0.01  # below the grid: recall reaches 3/4 at most
    fitted = fit(y_true, y_prob, objective="recall_floor", floor=0.9)
    assert 0.02 <= fitted.per_label[0] <= 0.6


def test_the_interval_of_a_threshold_holds_it_and_narrows_with_more_rows():
    widths = []
    for rows in (80, 20_000):
        rng = np.random.default_rng(15)
        y_true = rng.random((rows, 1)) < 0.3
        noise = rng.normal(-1.5, 1, (rows, 1))
        fitted = fit(y_true, (1 / (1 + np.exp(-(noise + 2 * y_true)))).astype(np.float32), resamples=100)
        assert fitted.per_label_ci is not None
        low, high = fitted.per_label_ci[:, 0]
        assert low <= fitted.per_label[0] <= high
        assert fitted.global_ci[0] <= fitted.global_threshold <= fitted.global_ci[1]
        widths.append(high - low)
    assert widths[0] > 3 * widths[1]


def test_the_interval_is_that_of_thresholds_fitted_on_resampled_rows():
    y_true, y_prob = random_case(16, rows=50)
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, 50, size=(1, 50))[0] for _ in range(1)]
    expected = fit(y_true[draws[0]], y_prob[draws[0]], shrinkage=10)
    fitted = fit(y_true, y_prob, shrinkage=10, resamples=1)
    assert fitted.global_ci == (expected.global_threshold,) * 2
    assert fitted.per_label_ci == pytest.approx(np.stack([expected.per_label] * 2), abs=1e-12)
