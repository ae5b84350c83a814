"""Paired differences against scikit-learn and scipy, corrections and agreement against tables worked by hand."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, hamming_loss, roc_auc_score

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray
from goemo_cli.ml.metrics.comparison import (
    COUNT_SCORES,
    SCORES,
    agreement,
    bootstrap_p_value,
    paired_differences,
)
from goemo_cli.ml.metrics.intervals import RANKING_RESAMPLES, holm

pytestmark = pytest.mark.usefixtures("all_draws")

Model = tuple[BoolArray, FloatArray]


def gold(seed: int, rows: int, n_labels: int = 4) -> BoolArray:
    return np.random.default_rng(seed).random((rows, n_labels)) < 0.35


def model(y_true: BoolArray, seed: int, skill: float = 0.3) -> Model:
    """Decisions and probabilities that follow the gold labels the closer the higher the skill; with ties."""
    rng = np.random.default_rng(1000 + seed)
    y_prob = (rng.random(y_true.shape) * (1 - skill) + skill * y_true).round(2).astype(np.float32)
    return y_prob >= 0.5, y_prob


def reference_scores(y_true: BoolArray, y_pred: BoolArray, y_prob: FloatArray) -> DoubleArray:
    """The same scores by scikit-learn."""
    f1 = [
        f1_score(y_true, y_pred, average=average, zero_division=0)
        for average in ("macro", "micro", "weighted", "samples")
    ]
    areas = [
        roc_auc_score(y_true[:, at], y_prob[:, at])
        for at in range(y_true.shape[1])
        if 0 < y_true[:, at].mean() < 1
    ]
    ranking = [roc_auc_score(y_true.ravel(), y_prob.ravel()), np.mean(areas)]
    others = [accuracy_score(y_true, y_pred), hamming_loss(y_true, y_pred)]
    return np.array([*f1, *others, *ranking, *f1_score(y_true, y_pred, average=None, zero_division=0)])


def test_scores_intervals_and_p_values_are_those_of_scikit_learn_on_the_drawn_rows() -> None:
    y_true = gold(0, 60)
    a, b = model(y_true, 1), model(y_true, 2, skill=0.5)
    found = paired_differences(y_true, [a[0], b[0]], [a[1], b[1]], resamples=40, seed=7)[0]

    rows = np.random.default_rng(7).integers(0, 60, size=(40, 60))
    draws = np.array(
        [
            reference_scores(y_true[drawn], b[0][drawn], b[1][drawn])
            - reference_scores(y_true[drawn], a[0][drawn], a[1][drawn])
            for drawn in rows
        ]
    )
    observed = reference_scores(y_true, *b) - reference_scores(y_true, *a)
    assert len(found.a) == len(SCORES) + 4
    assert found.a == pytest.approx(reference_scores(y_true, *a), abs=1e-12)
    assert found.b == pytest.approx(reference_scores(y_true, *b), abs=1e-12)
    assert found.difference == pytest.approx(observed, abs=1e-11)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    assert found.low == pytest.approx(low, abs=1e-11)
    assert found.high == pytest.approx(high, abs=1e-11)
    as_far = (np.abs(draws - observed) >= np.abs(observed) - 1e-9).sum(axis=0)
    assert found.p_value == pytest.approx((1 + as_far) / 41)
    assert found.resamples.tolist() == [40] * len(found.a)


def test_the_interval_and_p_value_agree_with_scipy() -> None:
    y_true = gold(3, 400, 2)
    a, b = model(y_true, 1), model(y_true, 2, skill=0.31)
    found = paired_differences(y_true, [a[0], b[0]], [a[1], b[1]], resamples=4000)[0]
    at = SCORES.index("subset_accuracy")
    right_a, right_b = ((y_pred == y_true).all(axis=1).astype(float).tolist() for y_pred in (a[0], b[0]))
    by_scipy = stats.bootstrap(
        (right_b, right_a),
        lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(5),
    ).confidence_interval
    assert (found.low[at], found.high[at]) == pytest.approx((by_scipy.low, by_scipy.high), abs=0.006)
    assert found.p_value[at] == pytest.approx(stats.ttest_rel(right_b, right_a).pvalue, abs=0.02)
    assert 0.01 < found.p_value[at] < 0.9


def test_every_model_meets_the_same_draws_whoever_else_is_there() -> None:
    y_true = gold(5, 70)
    a, b, c = (model(y_true, seed) for seed in (1, 2, 3))
    three = paired_differences(y_true, [a[0], b[0], c[0]], [a[1], b[1], c[1]], resamples=100)
    alone = paired_differences(y_true, [a[0], c[0]], [a[1], c[1]], resamples=100)[0]
    assert len(three) == 2
    for name in ("a", "b", "low", "high", "p_value"):
        assert np.array_equal(getattr(three[1], name), getattr(alone, name)), name


def test_areas_rest_on_fewer_draws_and_progress_counts_all() -> None:
    y_true = gold(7, 30, 2)
    a, b = model(y_true, 1), model(y_true, 2)
    told: list[int] = []
    resamples = RANKING_RESAMPLES + 150
    found = paired_differences(y_true, [a[0], b[0]], [a[1], b[1]], resamples=resamples, on_draws=told.append)[
        0
    ]
    assert sum(told) == resamples
    n_counts = len(COUNT_SCORES)
    assert found.resamples.tolist() == [resamples] * n_counts + [RANKING_RESAMPLES] * 2 + [resamples] * 2


def test_a_label_that_draws_miss_leaves_the_macro_area_defined() -> None:
    y_true = gold(8, 60)
    y_true[:, 3] = False
    y_true[0, 3] = True  # about a third of the draws have no positive of it
    a, b = model(y_true, 1), model(y_true, 2)
    found = paired_differences(y_true, [a[0], b[0]], [a[1], b[1]], resamples=100)[0]
    assert not np.isnan(found.p_value).any()
    assert found.a[SCORES.index("auc_macro")] == pytest.approx(reference_scores(y_true, *a)[7])


def test_areas_without_positives_are_undefined_and_the_rest_is_not() -> None:
    y_true = np.zeros((40, 2), dtype=np.bool_)
    a, b = model(y_true, 1), model(y_true, 2)
    found = paired_differences(y_true, [a[0], b[0]], [a[1], b[1]], resamples=100)[0]
    undefined = [name in ("auc_micro", "auc_macro") for name in SCORES] + [False, False]
    assert np.isnan(found.p_value).tolist() == undefined
    assert np.isnan(found.difference).tolist() == undefined
    assert (found.resamples == 0).tolist() == undefined


def test_p_values_are_about_uniform_where_nothing_differs() -> None:
    """Two models of the same skill that share half of their cells, on ever new rows."""
    p_values = []
    for trial in range(150):
        rng = np.random.default_rng(trial)
        y_true = rng.random((150, 3)) < 0.4
        shared = rng.random(y_true.shape) < 0.5
        y_probs = [(rng.random(y_true.shape) * 0.7 + 0.3 * y_true).astype(np.float32) for _ in range(2)]
        y_probs[1] = np.where(shared, y_probs[0], y_probs[1])
        y_preds = [y_prob >= 0.5 for y_prob in y_probs]
        p_values.append(paired_differences(y_true, y_preds, y_probs, resamples=160, seed=trial)[0].p_value)
    table = np.array(p_values)
    for name in ("f1_macro", "f1_micro", "f1_weighted", "hamming_loss", "auc_micro", "auc_macro"):
        column = table[:, SCORES.index(name)]
        assert stats.kstest(column, "uniform").pvalue > 0.01, name
        assert 0.01 <= (column < 0.05).mean() <= 0.10, name


@pytest.mark.parametrize(
    ("observed", "draws", "p_value"),
    [
        (0.2, [0.1, 0.3, -0.1, 0.4, 0.2], (1 + 2) / 6),  # 0.3 and 0.2 away from 0.2: -0.1 and 0.4
        (-0.2, [-0.1, -0.3, 0.1, -0.4, -0.2], (1 + 2) / 6),
        (0.5, [0.4, 0.5, 0.6], 1 / 4),
        (0.0, [-0.1, 0.0, 0.2], 1.0),
    ],
)
def test_a_p_value_worked_by_hand(observed: float, draws: list[float], p_value: float) -> None:
    assert bootstrap_p_value(observed, np.array(draws)) == pytest.approx(p_value)


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [
        # in order .005 × 4, .01 × 3, .03 × 2, .04 × 1, and never below the one before
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.02, 0.02, 0.9], [0.06, 0.06, 0.9]),
        ([0.4, 0.6], [0.8, 0.8]),
        ([0.7, 0.8, 0.9], [1.0, 1.0, 1.0]),
        ([0.03], [0.03]),
        ([0.01, np.nan, 0.03], [0.02, np.nan, 0.03]),  # two were asked
        ([np.nan], [np.nan]),
    ],
)
def test_holm_worked_by_hand(p_values: list[float], corrected: list[float]) -> None:
    assert holm(np.array(p_values)) == pytest.approx(np.array(corrected), nan_ok=True)


def test_holm_rejects_what_its_step_down_procedure_rejects() -> None:
    """The procedure as Holm describes it: go up the p-values until one exceeds alpha / (how many are left)."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        p_values = rng.random(6) ** 3
        rejected = np.zeros(6, dtype=bool)
        for step, at in enumerate(np.argsort(p_values)):
            if p_values[at] > 0.05 / (6 - step):
                break
            rejected[at] = True
        assert (holm(p_values) <= 0.05).tolist() == rejected.tolist()


def test_kappa_is_the_mean_of_scikit_learns() -> None:
    y_true = gold(9, 200)
    (y_pred_a, _), (y_pred_b, _) = model(y_true, 1), model(y_true, 2)
    by_label = [cohen_kappa_score(y_pred_a[:, at], y_pred_b[:, at]) for at in range(4)]
    found = agreement(y_true, y_pred_a, y_pred_b)
    assert found.kappa == pytest.approx(np.mean(by_label))
    assert found.equal_rows == pytest.approx(
        np.mean([(a == b).all() for a, b in zip(y_pred_a, y_pred_b, strict=True)])
    )


def test_a_label_that_both_never_give_is_left_out_of_kappa() -> None:
    y_true = gold(10, 100, 3)
    (y_pred_a, _), (y_pred_b, _) = model(y_true, 1), model(y_true, 2)
    y_pred_a[:, 2] = y_pred_b[:, 2] = False
    by_label = [cohen_kappa_score(y_pred_a[:, at], y_pred_b[:, at]) for at in range(2)]
    assert agreement(y_true, y_pred_a, y_pred_b).kappa == pytest.approx(np.mean(by_label))
    nothing = np.zeros_like(y_true)
    assert agreement(y_true, nothing, nothing).kappa is None
    assert agreement(y_true, nothing, ~nothing).kappa == 0.0


def test_mcnemar_worked_by_hand() -> None:
    """One row only A has right, six only B: 2 (C(7,0) + C(7,1)) / 2**7 = 16 / 128."""
    y_true = np.ones((10, 1), dtype=np.bool_)
    right_a = np.array([1, 0, 0, 0, 0, 0, 0, 1, 1, 0], dtype=np.bool_)[:, None]
    right_b = np.array([0, 1, 1, 1, 1, 1, 1, 1, 1, 0], dtype=np.bool_)[:, None]
    found = agreement(y_true, right_a, right_b)
    assert (found.only_a_right, found.only_b_right) == (1, 6)
    assert found.mcnemar_p == pytest.approx(16 / 128)
    assert found.equal_rows == pytest.approx(0.3)


def one_label(right_a: list[int], right_b: list[int], rows: int = 50) -> tuple[BoolArray, list[Model]]:
    """Gold in the first rows, 1 if a model finds it there; other rows are empty."""
    y_true = (np.arange(rows) < len(right_a))[:, None]
    models = []
    for seed, right in enumerate((right_a, right_b)):
        y_pred = np.pad(np.array(right, dtype=np.bool_), (0, rows - len(right)))[:, None]
        noise = np.random.default_rng(seed).random((rows, 1)) * 0.4
        models.append((y_pred, np.where(y_pred, 0.9, noise).astype(np.float32)))
    return y_true, models


@pytest.mark.parametrize("rows", [1, 2, 5, 9])
def test_a_few_rows_that_one_model_has_right_are_no_proof(rows: int) -> None:
    """F1 is 1 for A and 0 for B in every resample; no p-value is below the exact sign test's."""
    y_true, (a, b) = one_label([1] * rows, [0] * rows)
    found = paired_differences(y_true, [a[0], b[0]], [a[1], b[1]], resamples=300)[0]
    by_hand = float(stats.binomtest(0, rows).pvalue)
    assert found.difference[-1] == -1
    assert found.p_value[-1] == pytest.approx(max(by_hand, 1 / 301), rel=0.3)
    assert found.p_value[-1] >= by_hand
    share = 3.8415 / (rows + 3.8415)  # of an unseen kind
    f1_of_b, f1_of_a = 2 * share / (1 + share), 2 * (1 - share) / (2 - share)  # at best, and at worst
    assert (found.low[-1], found.high[-1]) == (-1, pytest.approx(f1_of_b - f1_of_a, abs=1e-4))
    assert (found.high[-1] > 0) == (rows <= 2)


def test_two_models_that_never_give_a_label_are_not_known_to_be_equal() -> None:
    y_true, (a, b) = one_label([0] * 6, [0] * 6)
    found = paired_differences(y_true, [a[0], b[0]], [a[1], b[1]], resamples=100)[0]
    assert (found.low[-1], found.high[-1]) == pytest.approx((-0.5615, 0.5615), abs=1e-4)
    assert found.p_value[-1] == 1


def test_rare_labels_are_not_told_apart_more_often_than_p_values_say() -> None:
    """120 labels of 1 to 6 rows, each found by either model with the same chance."""
    rng = np.random.default_rng(3)
    y_true = np.arange(200)[:, None] < np.tile([1, 2, 3, 4, 5, 6], 20)
    y_preds = [y_true & (rng.random(y_true.shape) < 0.5) for _ in range(2)]
    y_probs = [np.where(y_pred, 0.9, 0.1).astype(np.float32) for y_pred in y_preds]
    found = paired_differences(y_true, y_preds, y_probs, resamples=300)[0]
    assert (found.p_value[len(SCORES) :] < 0.05).mean() <= 0.05
