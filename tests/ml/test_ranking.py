"""Areas under curves, for the data and for resamples of its rows, beside scikit-learn's."""

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from goemo_cli.ml.metrics import ranking
from goemo_cli.ml.metrics.ranking import (
    Ranked,
    label_ranking_precision,
    precision_recall,
    ranking_scores,
    roc_auc_micro,
)

TOLERANCE: Any = {"rel": 0, "abs": 1e-12}
SEEDS = range(2)


def random_case(seed: int, rows: int = 200, n_labels: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Gold labels and probabilities with many ties; the last label has no positives."""
    rng = np.random.default_rng(seed)
    y_true = rng.random((rows, n_labels)) < np.linspace(0.5, 0.02, n_labels)
    y_true[:, -1] = False
    noise = rng.normal(0, 1.2, (rows, n_labels))
    return y_true, (1 / (1 + np.exp(-(noise + y_true)))).round(2).astype(np.float32)


def test_curves_are_scikit_learns_from_the_highest_threshold_on():
    y_true, y_prob = random_case(0)
    for gold, prob in [
        *zip(y_true.T[:-1], y_prob.T[:-1], strict=True),
        (y_true[:1, 0] | True, y_prob[:1, 0]),
    ]:
        precision, recall, _ = metrics.precision_recall_curve(gold, prob)
        for ours, theirs in zip(precision_recall(gold, prob), (precision, recall), strict=True):
            assert np.array_equal(ours, theirs[::-1])


@pytest.mark.parametrize("seed", SEEDS)
def test_scores_are_scikit_learns_and_nan_without_positives(seed: int):
    y_true, y_prob = random_case(seed)
    found = ranking_scores(y_true, y_prob, intervals=False)
    with_positives = y_true[:, :-1], y_prob[:, :-1]
    assert found.roc_auc[:-1] == pytest.approx(
        metrics.roc_auc_score(*with_positives, average=None), **TOLERANCE
    )
    assert found.average_precision[:-1] == pytest.approx(
        metrics.average_precision_score(*with_positives, average=None), **TOLERANCE
    )
    assert found.auc_macro == pytest.approx(metrics.roc_auc_score(*with_positives), **TOLERANCE)
    assert found.average_precision_macro == pytest.approx(
        metrics.average_precision_score(*with_positives), **TOLERANCE
    )
    assert math.isnan(found.roc_auc[-1])
    assert math.isnan(found.average_precision[-1])
    assert found.auc_micro == pytest.approx(
        metrics.roc_auc_score(y_true, y_prob, average="micro"), **TOLERANCE
    )
    assert found.lrap == pytest.approx(
        metrics.label_ranking_average_precision_score(y_true, y_prob), **TOLERANCE
    )
    assert found.intervals == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_weighted_row_counts_as_scikit_learns_sample_weight(seed: int):
    y_true, y_prob = random_case(seed, rows=60)
    weights = np.random.default_rng(seed).integers(0, 4, size=(60, 3)).astype(np.float32)
    drawn = Ranked.of(y_true[:, 0], y_prob[:, 0], np.arange(60)).drawn(weights)
    for draw in range(3):
        arguments = y_true[:, 0], y_prob[:, 0]
        weight = weights[:, draw]
        assert drawn.roc_auc()[draw] == pytest.approx(
            metrics.roc_auc_score(*arguments, sample_weight=weight), **TOLERANCE
        )
        assert drawn.average_precision()[draw] == pytest.approx(
            metrics.average_precision_score(*arguments, sample_weight=weight), **TOLERANCE
        )


@pytest.mark.parametrize("value", [True, False])
def test_one_class_alone_has_no_area(value: bool):
    y_true, y_prob = np.full((4, 2), value), np.random.default_rng(0).random((4, 2), dtype=np.float32)
    assert math.isnan(roc_auc_micro(y_true, y_prob))
    found = ranking_scores(y_true, y_prob)
    assert math.isnan(found.auc_micro)
    assert math.isnan(found.auc_macro)
    assert set(found.intervals) <= {"lrap", "average_precision_macro"}
    assert np.isnan(found.roc_auc).all()


def test_a_resample_is_the_score_of_the_drawn_rows(monkeypatch: pytest.MonkeyPatch):
    """With two resamples, each end is .025 of their distance inside the lower or upper score."""
    y_true, y_prob = random_case(3, rows=50, n_labels=3)
    monkeypatch.setattr(ranking, "RANKING_RESAMPLES", 2)
    draws = np.random.default_rng(0).integers(0, 50, size=(2, 50))
    found = ranking_scores(y_true, y_prob).intervals
    assert all(y_true[rows][:, :2].any(axis=0).all() for rows in draws)
    direct: dict[str, Any] = {
        "auc_micro": lambda gold, prob: metrics.roc_auc_score(gold, prob, average="micro"),
        "auc_macro": lambda gold, prob: metrics.roc_auc_score(gold[:, :2], prob[:, :2]),
        "average_precision_macro": lambda gold, prob: metrics.average_precision_score(
            gold[:, :2], prob[:, :2]
        ),
        "lrap": metrics.label_ranking_average_precision_score,
    }
    for key, score in direct.items():
        of_draws = [score(y_true[rows], y_prob[rows]) for rows in draws]
        assert found[key] == pytest.approx(tuple(np.quantile(of_draws, [0.025, 0.975])), **TOLERANCE)


@pytest.mark.usefixtures("all_draws")
def test_the_interval_of_an_area_has_the_width_that_theory_gives():
    """Hanley and McNeil 1982 give the standard error of an area for scores of exponential distributions."""
    rng = np.random.default_rng(1)
    gold = np.arange(600) % 3 == 0
    prob = (1 - np.exp(-rng.exponential(np.where(gold, 2.0, 1.0)))).astype(np.float32)
    found = ranking_scores(gold[:, None], prob[:, None])
    area, n_gold, n_other = found.auc_macro, gold.sum(), (~gold).sum()
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (n_gold - 1) * (q1 - area**2) + (n_other - 1) * (q2 - area**2)
    width = 2 * 1.96 * math.sqrt(variance / (n_gold * n_other))
    low, high = found.intervals["auc_macro"]
    assert low < area < high
    assert high - low == pytest.approx(width, rel=0.15)


def test_a_very_large_split_gets_scores_but_no_intervals(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ranking, "MOST_RESAMPLED", 20)
    y_true, y_prob = random_case(0, rows=21)
    assert ranking_scores(y_true, y_prob).intervals == {}
    assert ranking_scores(y_true[:20], y_prob[:20]).intervals


def test_label_ranking_worked_by_hand():
    """Ranks by probability: b .9, a .5, c .5. Gold a: of a, b, c at .5 or above one is gold. Gold b and c: 1/1, 2/3."""
    y_prob = np.array([[0.5, 0.9, 0.5]] * 3, dtype=np.float32)
    y_true = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]], dtype=bool)
    assert label_ranking_precision(y_true, y_prob).tolist() == pytest.approx([1 / 3, (1 + 2 / 3) / 2, 1])
