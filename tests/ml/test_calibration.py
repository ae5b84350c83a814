"""Measures of calibration against scikit-learn, a plain implementation and tables; calibrators against scipy."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss

from goemo_cli.core.schema import CalibrationMethod
from goemo_cli.ml.data.splits import FOLDS
from goemo_cli.ml.metrics.calibration import BINS, Reliability, assess, reliability
from goemo_cli.ml.metrics.calibrator import (
    cross_fitted,
    fit_calibrator,
    logit,
    smoothed_targets,
)

LABELS = ("anger", "joy", "neutral")


def random_case(seed: int, rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Gold labels and probabilities that are too sure of themselves, of three labels."""
    rng = np.random.default_rng(seed)
    z = rng.normal([-3, -1, 0.5], 1.5, size=(rows, 3))
    y_true = rng.random((rows, 3)) < expit(z)
    return y_true, expit(1.8 * z - 0.6).astype(np.float32)


def plain_bins(y_true: np.ndarray, y_prob: np.ndarray, bins: int) -> list[tuple[int, float, float]]:
    """Equal-mass bins as one would do them by hand, for probabilities without ties: (count, mean, share)."""
    pairs = sorted(zip(y_prob.tolist(), y_true.tolist(), strict=True))
    cuts = [bin_ * len(pairs) // bins for bin_ in range(bins + 1)]
    table = []
    for start, end in pairwise(cuts):
        part = pairs[start:end]
        table.append((len(part), sum(p for p, _ in part) / len(part), sum(y for _, y in part) / len(part)))
    return table


@pytest.mark.parametrize("seed", range(2))
def test_brier_score_and_log_loss_are_scikit_learns(seed: int):
    y_true, y_prob = random_case(seed)
    found = assess(y_true, y_prob)
    pairs = [(found.overall, y_true.ravel(), y_prob.ravel())]
    pairs += [(found.per_label[at], y_true[:, at], y_prob[:, at]) for at in range(3)]
    for measures, gold, prob in pairs:
        exact = prob.astype(np.float64)
        assert measures.brier == pytest.approx(brier_score_loss(gold, exact), abs=1e-12)
        assert measures.log_loss == pytest.approx(log_loss(gold, exact), abs=1e-9)
        assert (measures.n_cells, measures.n_positives) == (len(gold), gold.sum())


@pytest.mark.parametrize(("seed", "rows"), [(0, 31), (1, 600), (2, 1003)])
def test_bins_and_ece_are_those_of_a_plain_implementation(seed: int, rows: int):
    y_true, y_prob = random_case(seed, rows)
    gold, prob = y_true[:, 1], y_prob[:, 1].astype(np.float64)
    assert len(set(prob.tolist())) == rows
    found, plain = reliability(gold, prob), plain_bins(gold, prob, BINS)
    assert found.count.tolist() == [count for count, _, _ in plain]
    assert found.mean_predicted == pytest.approx([mean for _, mean, _ in plain], abs=1e-12)
    assert found.observed_share == pytest.approx([share for _, _, share in plain], abs=1e-12)
    ece = sum(count * abs(share - mean) for count, mean, share in plain) / rows
    assert found.ece == pytest.approx(ece, abs=1e-12)


def test_a_table_worked_by_hand():
    """Two bins of four: .1 forecast and 1 of 4 seen, .8 forecast and 2 of 4 seen.

    ECE = (.15 + .3) / 2. Variances of the gaps: .25 * .75 / 3 and .5 * .5 / 3.
    """
    y_prob = np.array([0.1] * 4 + [0.8] * 4)
    y_true = np.array([1, 0, 0, 0, 1, 0, 1, 0], dtype=bool)
    found = reliability(y_true, y_prob, bins=2)
    assert found.count.tolist() == [4, 4]
    assert found.mean_predicted == pytest.approx([0.1, 0.8], abs=1e-12)
    assert found.observed_share == pytest.approx([0.25, 0.5], abs=1e-12)
    assert found.ece == pytest.approx(0.225, abs=1e-12)
    squared = ((0.15**2 - 0.0625) + (0.3**2 - 0.25 / 3)) / 2
    assert found.squared_error == pytest.approx(squared, abs=1e-12)
    assert found.ece_debiased == pytest.approx(-np.sqrt(-squared), abs=1e-12)


def test_equal_probabilities_share_a_bin_and_none_holds_fewer_than_two():
    y_prob = np.array([0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.3, 0.4, 0.5])
    y_true = np.arange(10) % 2 == 0
    found = reliability(y_true, y_prob, bins=5)
    assert found.count.tolist() == [8, 2], "0.1 alone joins the bin above it"
    constant = reliability(y_true, np.full(10, 0.3))
    assert constant.count.tolist() == [10]
    assert constant.ece == pytest.approx(0.2, abs=1e-12)
    for rows in range(2, 40):
        found = reliability(np.arange(rows) % 3 == 0, np.linspace(0, 1, rows))
        assert found.count.min() >= 2
        assert found.count.sum() == rows
        assert len(found.count) == min(BINS, rows // 2)


def test_one_cell_has_no_calibration_error():
    with pytest.raises(ValueError, match="at least two cells"):
        reliability(np.array([True]), np.array([0.5]))


def kumars_squared_error(found: Reliability) -> float:
    """The estimator as the paper prints it, section 5 of arXiv 1909.10155."""
    share = found.observed_share
    terms = (share - found.mean_predicted) ** 2 - share * (1 - share) / (found.count - 1)
    return float((found.count / found.count.sum() * terms).sum())


def test_it_is_kumars_estimator_where_a_bin_holds_one_probability():
    rng = np.random.default_rng(0)
    y_prob = np.repeat([0.05, 0.2, 0.5, 0.9], 25)
    y_true = rng.random(100) < np.repeat([0.1, 0.2, 0.3, 0.8], 25)
    found = reliability(y_true, y_prob, bins=4)
    assert found.squared_error == pytest.approx(kumars_squared_error(found), abs=1e-12)


def test_debiased_error_of_perfect_calibration_is_centred_on_zero():
    """Where a bin holds many probabilities the papers' own term takes too much away; plain ECE is far above zero."""
    rng = np.random.default_rng(0)
    squared, kumars, plain = [], [], []
    for _ in range(1500):
        y_prob = rng.beta(0.4, 1.2, size=300)
        found = reliability(rng.random(300) < y_prob, y_prob, bins=3)
        squared.append(found.squared_error)
        kumars.append(kumars_squared_error(found))
        plain.append(found.ece)
    standard_error = np.std(squared) / np.sqrt(len(squared))
    assert abs(np.mean(squared)) < 3 * standard_error
    assert np.mean(kumars) < -3 * standard_error
    assert np.mean(plain) > 0.02


def test_debiased_error_of_a_known_miscalibration_is_that():
    rng = np.random.default_rng(1)
    squared = []
    for _ in range(400):
        y_prob = rng.uniform(0.2, 0.7, size=400)
        squared.append(reliability(rng.random(400) < y_prob + 0.1, y_prob).squared_error)
    assert np.mean(squared) == pytest.approx(0.01, abs=3 * float(np.std(squared)) / 20)


def test_overall_is_all_cells_and_macro_the_mean_of_labels():
    y_true, y_prob = random_case(3)
    found = assess(y_true, y_prob)
    assert found.overall.brier == pytest.approx(np.mean([one.brier for one in found.per_label]), abs=1e-12)
    assert found.ece_macro == pytest.approx(np.mean([one.ece for one in found.per_label]), abs=1e-12)
    assert found.overall.ece == reliability(y_true.ravel(), y_prob.ravel()).ece


@pytest.mark.parametrize("seed", range(3))
def test_platt_is_the_minimum_that_scipy_finds(seed: int):
    y_true, y_prob = random_case(seed)
    found = fit_calibrator(LABELS, y_true, y_prob, "platt")
    for at in range(3):
        z, targets = logit(y_prob[:, at]), smoothed_targets(y_true[:, at])

        def objective(numbers: np.ndarray, z: np.ndarray = z, targets: np.ndarray = targets) -> float:
            q = expit(numbers[0] + numbers[1] * z)
            return float(-(targets * np.log(q) + (1 - targets) * np.log1p(-q)).sum())

        other = minimize(objective, [0.0, 1.0], method="Powell", options={"xtol": 1e-10, "ftol": 1e-15})
        assert [found.intercept[at], found.slope[at]] == pytest.approx(other.x, abs=1e-5)
        assert objective(np.array([found.intercept[at], found.slope[at]])) <= other.fun + 1e-9


def test_platt_is_scikit_learns_logistic_regression_with_weights():
    y_true, y_prob = random_case(5)
    gold, z = y_true[:, 0], logit(y_prob[:, 0])
    targets = smoothed_targets(gold)
    other = LogisticRegression(C=1e10, tol=1e-10, max_iter=1000).fit(
        np.tile(z, 2)[:, None],
        np.repeat([True, False], len(z)),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    found = fit_calibrator(LABELS, y_true, y_prob)
    assert found.intercept[0] == pytest.approx(other.intercept_[0], abs=1e-4)
    assert found.slope[0] == pytest.approx(other.coef_[0, 0], abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_temperature_is_the_minimum_that_scipy_finds(seed: int):
    y_true, y_prob = random_case(seed)
    found = fit_calibrator(LABELS, y_true, y_prob, "temperature")
    assert found.intercept.tolist() == [0, 0, 0]
    for at in range(3):
        z, targets = logit(y_prob[:, at]), smoothed_targets(y_true[:, at])

        def objective(numbers: np.ndarray, z: np.ndarray = z, targets: np.ndarray = targets) -> float:
            return float((np.logaddexp(0, numbers[0] * z) - targets * numbers[0] * z).sum())

        other = minimize(objective, [1.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12})
        assert found.slope[at] == pytest.approx(other.x[0], abs=1e-5)


def test_smoothed_targets_are_platts():
    """Three positives and five negatives: 4/5 and 1/7."""
    assert smoothed_targets(np.arange(8) < 3).tolist() == [4 / 5] * 3 + [1 / 7] * 5


@pytest.mark.parametrize("method", ["platt", "temperature"])
def test_a_label_that_cannot_be_fitted_keeps_its_probabilities(method: CalibrationMethod):
    rng = np.random.default_rng(0)
    y_prob = rng.random((200, 5), dtype=np.float32)
    y_prob[:, 2] = 0.25
    gold = rng.random(200) < 0.4
    wrong_way = rng.random(200) > y_prob[:, 3]
    y_true = np.stack([np.zeros(200, bool), np.ones(200, bool), gold, wrong_way, gold], axis=1)
    y_true[:, 4] = rng.random(200) < y_prob[:, 4]
    found = fit_calibrator(("none", "all", "constant", "wrong", "good"), y_true, y_prob, method)
    assert found.kept["none"] == "no positives in val"
    assert found.kept["all"] == "no negatives in val"
    assert found.kept["constant"] == "one probability for every comment of val"
    assert "higher probabilities were not more often right" in found.kept["wrong"]
    assert set(found.kept) == {"none", "all", "constant", "wrong"}
    assert found.is_identity.tolist() == [True, True, True, True, False]
    assert (found.apply(y_prob)[:, :4] == y_prob[:, :4]).all()


@pytest.mark.parametrize("method", ["platt", "temperature"])
def test_a_label_separated_without_a_fault_gets_finite_numbers(method: CalibrationMethod):
    y_prob = np.array([[0.1], [0.2], [0.0], [0.8], [0.9], [1.0]], dtype=np.float32)
    found = fit_calibrator(("joy",), y_prob > 0.5, y_prob, method)
    assert found.kept == {}
    assert 0 < found.slope[0] < 20


def test_calibration_mends_what_was_made_too_sure():
    y_true, y_prob = random_case(7, rows=4000)
    calibrator = fit_calibrator(LABELS, y_true[:2000], y_prob[:2000])
    assert calibrator.slope == pytest.approx(1 / 1.8, abs=0.1)
    before = assess(y_true[2000:], y_prob[2000:])
    after = assess(y_true[2000:], calibrator.apply(y_prob[2000:]))
    assert after.overall.log_loss < before.overall.log_loss
    assert after.overall.ece < before.overall.ece / 2


@pytest.mark.parametrize("method", ["platt", "temperature"])
def test_cross_fitting_calibrates_each_comment_without_itself(method: CalibrationMethod):
    y_true, y_prob = random_case(2, rows=103)
    found = cross_fitted(y_true, y_prob, partial(fit_calibrator, method=method), seed=4)
    assert found.dtype == np.float32
    parts = np.array_split(np.random.default_rng(4).permutation(103), FOLDS)
    assert sorted(np.concatenate(parts).tolist()) == list(range(103))
    for part in parts:
        rest = np.setdiff1d(np.arange(103), part)
        alone = fit_calibrator(LABELS, y_true[rest], y_prob[rest], method).apply(y_prob[part])
        assert (found[part] == alone).all()
    changed = y_true.copy()
    changed[parts[0]] = ~changed[parts[0]]
    again = cross_fitted(changed, y_prob, partial(fit_calibrator, method=method), seed=4)
    assert (again[parts[0]] == found[parts[0]]).all(), "a comment's own gold labels do not matter to it"
    assert (again[parts[1]] != found[parts[1]]).any()
