"""Thresholds fitted on val."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from goemo_cli.ml.tuning import GRID, f1_on_grid, fit_thresholds


def random_case(seed: int, rows: int = 300, n_labels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y_true = rng.random((rows, n_labels)) < [0.5, 0.2, 0.05, 0.01]
    scores = rng.normal(0, 1, (rows, n_labels)) + 2 * y_true - 2
    return y_true, (1 / (1 + np.exp(-scores))).astype(np.float32)


def fit(y_true: np.ndarray, y_prob: np.ndarray, shrinkage: float):
    labels = tuple(f"label{at}" for at in range(y_true.shape[1]))
    return fit_thresholds(labels, y_true, y_prob, shrinkage=shrinkage, rule="per_label")


def test_the_grid_is_the_hundredths_from_002_to_098():
    assert GRID.tolist() == [hundredths / 100 for hundredths in range(2, 99)]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("decimals", [2, 7])
def test_f1_on_the_grid_is_scikit_learns_at_every_point(seed: int, decimals: int):
    y_true, y_prob = random_case(seed, rows=120)
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


def test_with_huge_shrinkage_all_labels_have_the_global_one():
    y_true, y_prob = random_case(5)
    fitted = fit(y_true, y_prob, shrinkage=1e12)
    assert fitted.per_label.tolist() == [fitted.global_threshold] * 4


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


def test_fitting_looks_at_its_arguments_only_and_leaves_them_alone():
    y_true, y_prob = random_case(9)
    before = y_true.copy(), y_prob.copy()
    y_true.setflags(write=False)
    y_prob.setflags(write=False)
    first = fit(y_true, y_prob, shrinkage=10)
    np.random.default_rng(0).random(100)
    again = fit(before[0], before[1], shrinkage=10)
    assert first.per_label.tolist() == again.per_label.tolist()
    assert first.fitted_on == "val"
    assert np.array_equal(y_true, before[0])
    assert np.array_equal(y_prob, before[1])


def test_the_order_of_the_rows_does_not_matter():
    y_true, y_prob = random_case(10)
    order = np.random.default_rng(0).permutation(len(y_true))
    assert (
        fit(y_true, y_prob, 10).per_label.tolist() == fit(y_true[order], y_prob[order], 10).per_label.tolist()
    )
