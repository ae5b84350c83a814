"""Intervals of models that are right always or never: against scipy, by hand, and by how often they hold the truth."""

import numpy as np
import pytest
from scipy.stats import binomtest

from goemo_cli.core.arrays import BoolArray
from goemo_cli.core.schema import RULE_KEYS
from goemo_cli.ml.metrics import ranking
from goemo_cli.ml.metrics.intervals import f1_intervals, unseen, wilson
from goemo_cli.ml.metrics.ranking import ranking_scores
from goemo_cli.ml.metrics.scoring import rule_scores
from tests.drawn_intervals import bootstrap_scores

pytestmark = pytest.mark.usefixtures("all_draws")


@pytest.mark.parametrize("trials", [1, 2, 6, 40, 5_000])
def test_wilson_is_scipys(trials: int) -> None:
    for successes in {0, 1, trials // 3, trials - 1, trials}:
        direct = binomtest(successes, trials).proportion_ci(method="wilson")
        assert wilson(successes, trials) == pytest.approx([direct.low, direct.high], abs=1e-12)
    assert wilson(0, 0).tolist() == [0, 1]
    assert unseen(trials) == pytest.approx(1.959964**2 / (trials + 1.959964**2))


def test_intervals_of_f1_worked_by_hand() -> None:
    """Six rows and none right: share 0 to .3903, F1 = 2 p / (1 + p) up to .5615. All right: .6097 to 1, F1 from .7575."""
    low, high = f1_intervals([0, 6, 0], [6, 6, 0])
    assert low == pytest.approx([0, 0.7575, 0], abs=1e-4)
    assert high == pytest.approx([0.5615, 1, 1], abs=1e-4)


def test_the_interval_of_a_labels_f1_holds_the_truth_as_often_as_it_says() -> None:
    """Over labels of 2 to 150 rows of 500 that are right in 2 to 95 % of them; the bootstrap holds 3 to 96 %."""
    rng = np.random.default_rng(0)
    rows = rng.binomial(500, np.array([2, 5, 10, 20, 50, 150])[:, None, None] / 500, size=(6, 1, 4_000))
    share = np.array([0.02, 0.1, 0.3, 0.5, 0.8, 0.95])[:, None]
    low, high = f1_intervals(rng.binomial(rows, share), rows)
    truth = 2 * share / (1 + share)
    held = ((low <= truth + 1e-12) & (truth <= high + 1e-12)).mean(axis=-1)
    assert 0.90 <= held.min() <= held.max() <= 0.995
    assert 0.94 <= held.mean() <= 0.965


@pytest.mark.parametrize("wrong", [0.01, 0.99])
def test_scores_of_a_model_that_is_nearly_always_right_or_wrong_hold_the_truth(wrong: float) -> None:
    """Of 80 rows about half of all samples have none that is otherwise: there resamples are all alike."""
    rng = np.random.default_rng(1)

    def sample(rows: int) -> tuple[BoolArray, BoolArray]:
        y_true = rng.random((rows, 3)) < [0.5, 0.3, 0.1]
        return y_true, y_true ^ (rng.random((rows, 1)) < wrong)

    truth = rule_scores(*sample(400_000))
    held = dict.fromkeys(RULE_KEYS, 0)
    for trial in range(60):
        y_true, y_pred = sample(80)
        found = bootstrap_scores(y_true, {"": y_pred}, resamples=200, seed=trial)[""].scores
        for key, (low, high) in found.items():
            held[key] += low <= truth[key] <= high
    assert min(held.values()) >= 0.85 * 60, held


def test_no_score_is_certain() -> None:
    """Always right, never right, nothing predicted, and no positives at all."""
    gold = np.random.default_rng(2).random((30, 3)) < 0.4
    nothing = np.zeros_like(gold)
    for y_true, y_pred in ((gold, gold), (gold, ~gold), (gold, nothing), (nothing, gold), (nothing, nothing)):
        found, scores = bootstrap_scores(y_true, {"": y_pred}, resamples=50)[""], rule_scores(y_true, y_pred)
        for key, (low, high) in found.scores.items():
            assert 0 <= low <= scores[key] <= high <= 1
            assert high - low > 0.01, key
        assert (found.f1[1] - found.f1[0] > 0.01).all()


def test_unseen_rows_of_a_macro_average_may_all_be_of_its_rarest_label() -> None:
    """Labels with 20 and 2 rows, all right: F1 of the second is .5101 or more, and the average is above it by half."""
    y_true = np.repeat([[True, False], [False, True]], [20, 2], axis=0)
    found = bootstrap_scores(y_true, {"": y_true}, resamples=50)[""]
    reach = 3.8415 / 5.8415  # z² / (n + z²)
    assert found.scores["f1_macro"] == pytest.approx((1 - (1 - 0.5101) / 2, 1.0), abs=1e-4)
    assert found.scores["recall_macro"] == pytest.approx((1 - reach / 2, 1.0), abs=1e-4)
    assert found.scores["recall_micro"] == pytest.approx((22 / (22 + 3.8415), 1.0), abs=1e-4)
    assert found.scores["subset_accuracy"] == pytest.approx((22 / (22 + 3.8415), 1.0), abs=1e-4)


@pytest.mark.parametrize("always", [True, False])
def test_areas_of_a_perfect_or_a_reversed_order_are_not_certain(
    always: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "RANKING_RESAMPLES", 60)
    y_true = np.arange(40)[:, None] % np.array([2, 5]) == 0
    y_prob = np.where(y_true == always, 0.9, 0.1).astype(np.float32)
    found = ranking_scores(y_true, y_prob)
    assert found.auc_macro == (1.0 if always else 0.0)
    of_eight = 3.8415 / (8 + 3.8415)  # positives of the rarer label
    low, high = found.intervals["auc_macro"]
    assert (low, high) == pytest.approx((1 - of_eight / 2, 1.0) if always else (0.0, of_eight / 2), abs=1e-4)
    assert all(high - low > 0.01 for low, high in found.intervals.values())
