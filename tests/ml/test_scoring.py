"""Scores, checked against scikit-learn and against tables worked by hand."""

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from goemo_cli.core.schema import PER_CLASS_COLUMNS, RULE_KEYS, RULES
from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.core.thresholds import Decision, Thresholds
from goemo_cli.ml.metrics import scoring

pytestmark = pytest.mark.usefixtures("all_draws")

TOLERANCE: Any = {"rel": 0, "abs": 1e-12}


def random_case(seed: int, rows: int = 200, n_labels: int = 7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gold labels, probabilities with ties, and predictions; the last label has no positives."""
    rng = np.random.default_rng(seed)
    y_true = rng.random((rows, n_labels)) < np.linspace(0.5, 0.02, n_labels)
    y_true[:, -1] = False
    noise = rng.normal(0, 1.2, (rows, n_labels))
    y_prob = (1 / (1 + np.exp(-(noise + y_true)))).round(2).astype(np.float32)
    return y_true, y_prob, y_prob >= 0.5


CASES = [pytest.param(seed, id=f"seed{seed}") for seed in range(2)]


@pytest.mark.parametrize("seed", CASES)
def test_rule_scores_are_scikit_learns(seed: int):
    y_true, _, y_pred = random_case(seed)
    ours = scoring.rule_scores(y_true, y_pred)
    for average in ("macro", "micro", "weighted", "samples"):
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            y_true, y_pred, average=average, zero_division=0
        )
        assert ours[f"f1_{average}"] == pytest.approx(f1, **TOLERANCE)
        assert ours[f"precision_{average}"] == pytest.approx(precision, **TOLERANCE)
        assert ours[f"recall_{average}"] == pytest.approx(recall, **TOLERANCE)
    assert ours["subset_accuracy"] == pytest.approx(metrics.accuracy_score(y_true, y_pred), **TOLERANCE)
    assert ours["hamming_loss"] == pytest.approx(metrics.hamming_loss(y_true, y_pred), **TOLERANCE)
    jaccard = metrics.jaccard_score(y_true, y_pred, average="samples", zero_division=0)
    assert ours["jaccard_samples"] == pytest.approx(jaccard, **TOLERANCE)
    assert tuple(ours) == RULE_KEYS


@pytest.mark.parametrize("seed", CASES)
def test_counts_and_scores_of_each_label_are_scikit_learns(seed: int):
    y_true, _, y_pred = random_case(seed)
    counts = scoring.count(y_true, y_pred)
    matrices = metrics.multilabel_confusion_matrix(y_true, y_pred)
    assert np.array_equal(
        np.stack([counts.tn, counts.fp, counts.fn, counts.tp], axis=1), matrices.reshape(-1, 4)
    )
    precision, recall, f1, support = metrics.precision_recall_fscore_support(y_true, y_pred, zero_division=0)
    assert counts.precision == pytest.approx(precision, **TOLERANCE)
    assert counts.recall == pytest.approx(recall, **TOLERANCE)
    assert counts.f1 == pytest.approx(f1, **TOLERANCE)
    assert np.array_equal(counts.support, support)


@pytest.mark.parametrize("seed", CASES)
def test_cross_entropy_is_scikit_learns_log_loss_per_cell(seed: int):
    y_true, y_prob, _ = random_case(seed)
    inside = y_prob.clip(0.01, 0.99)
    assert scoring.binary_cross_entropy(y_true, inside) == pytest.approx(
        metrics.log_loss(y_true.ravel(), inside.ravel().astype(np.float64)), abs=1e-12
    )


def test_cross_entropy_of_certain_mistakes_is_finite():
    y_true, y_prob = np.array([[True, False]]), np.array([[0.0, 1.0]], dtype=np.float32)
    assert scoring.binary_cross_entropy(y_true, y_prob) == pytest.approx(-math.log(1e-7), rel=1e-6)
    assert scoring.binary_cross_entropy(y_true, 1 - y_prob) == pytest.approx(1e-7, rel=1e-6)


def test_a_table_worked_by_hand():
    # gold: a, ab, -, c        predicted: ab, ab, c, -
    y_true = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=bool)
    y_pred = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    counts = scoring.count(y_true, y_pred)
    assert counts.tp.tolist() == [2, 1, 0]
    assert counts.fp.tolist() == [0, 1, 1]
    assert counts.fn.tolist() == [0, 0, 1]
    assert counts.tn.tolist() == [2, 2, 2]
    assert scoring.rule_scores(y_true, y_pred) == pytest.approx(
        {
            "f1_macro": (1 + 2 / 3 + 0) / 3,
            "f1_micro": 6 / 9,
            "f1_weighted": (2 * 1 + 1 * 2 / 3 + 1 * 0) / 4,
            "f1_samples": (2 / 3 + 1 + 0 + 0) / 4,
            "precision_macro": (1 + 1 / 2 + 0) / 3,
            "precision_micro": 3 / 5,
            "precision_weighted": (2 * 1 + 1 * 1 / 2 + 1 * 0) / 4,
            "precision_samples": (1 / 2 + 1 + 0 + 0) / 4,
            "recall_macro": (1 + 1 + 0) / 3,
            "recall_micro": 3 / 4,
            "recall_weighted": 3 / 4,
            "recall_samples": (1 + 1 + 0 + 0) / 4,
            "subset_accuracy": 1 / 4,
            "hamming_loss": 3 / 12,
            "jaccard_samples": (1 / 2 + 1 + 0 + 0) / 4,
        },
        abs=1e-15,
    )


def test_no_predictions_at_all_score_zero_without_a_warning():
    y_true = np.array([[1, 0], [0, 1]], dtype=bool)
    scores = scoring.rule_scores(y_true, np.zeros_like(y_true))
    assert scores["f1_macro"] == scores["f1_micro"] == scores["f1_samples"] == scores["precision_macro"] == 0
    assert scores["hamming_loss"] == 0.5


def test_nothing_gold_and_nothing_predicted_score_zero_as_with_zero_division_0():
    empty = np.zeros((3, 2), dtype=bool)
    ours = scoring.rule_scores(empty, empty)
    for average in ("macro", "micro", "weighted", "samples"):
        assert ours[f"f1_{average}"] == metrics.f1_score(empty, empty, average=average, zero_division=0) == 0
    assert ours["subset_accuracy"] == 1


def test_a_split_is_scored_by_every_rule_and_without_nan():
    y_true, y_prob, _ = random_case(1)
    labels = tuple("abcdefg")
    thresholds = Thresholds(
        labels, 0.4, np.linspace(0.2, 0.8, 7), (1,) * 7, ThresholdSettings(rule="per_label")
    )
    scores = scoring.score_split(y_true, y_prob, thresholds).summary
    assert scores["labels_without_positives"] == 1
    assert scores["auc_macro"] == pytest.approx(
        metrics.roc_auc_score(y_true[:, :-1], y_prob[:, :-1], average="macro"), **TOLERANCE
    )
    assert scores["average_precision_macro"] == pytest.approx(
        metrics.average_precision_score(y_true[:, :-1], y_prob[:, :-1]), **TOLERANCE
    )
    for rule in RULES:
        y_pred = y_prob >= thresholds.of_rule(rule)
        for key in RULE_KEYS:
            low, high = scores[rule][f"{key}_ci"]
            assert 0 <= low <= scores[rule][key] <= high <= 1
        assert scores[rule]["f1_macro"] == pytest.approx(
            metrics.f1_score(y_true, y_pred, average="macro", zero_division=0), **TOLERANCE
        )
    # Many probabilities are the float32 nearest to 0.4, which lies above 0.4: a yes, as compared in float64.
    assert scores["global"]["f1_macro"] == scoring.f1_macro(y_true, y_prob.astype(np.float64) >= 0.4)


def test_the_scores_of_a_split_without_any_positives_are_none_where_undefined():
    empty = np.zeros((5, 2), dtype=bool)
    y_prob = np.full((5, 2), 0.2, dtype=np.float32)
    scores = scoring.score_split(
        empty,
        y_prob,
        Thresholds(("a", "b"), 0.5, np.array([0.5, 0.5]), (0, 0), ThresholdSettings(rule="per_label")),
    ).summary
    assert scores["auc_micro"] is scores["auc_macro"] is scores["average_precision_macro"] is None
    assert scores["per_label"]["f1_macro"] == 0


def test_parts_that_are_scored_together_have_the_scores_that_they_have_alone():
    parts = []
    for seed, n_labels in ((3, 7), (4, 3)):
        y_true, y_prob, _ = random_case(seed, n_labels=n_labels)
        labels, fitted = tuple("abcdefg"[:n_labels]), np.full(n_labels, 0.4)
        rules = Thresholds(labels, 0.5, fitted, (0,) * n_labels, ThresholdSettings(rule="per_label"))
        parts.append(scoring.Unscored(y_true, y_prob, rules))
    alone = [scoring.score_split(part.y_true, part.y_prob, part.rules) for part in parts]
    assert scoring.score_together(parts) == alone


@pytest.mark.parametrize("n_sets", [1, 2, 5])
def test_weighted_counts_of_several_sets_are_those_of_rows_that_are_repeated(n_sets: int):
    """Sets that agree in some cells, in all, or in none; a set alone and next to others has the same digits."""
    draw = np.random.default_rng(n_sets)
    y_true = draw.random((300, 4)) < (0.3, 0.1, 0.9, 0.0)
    wrong = [draw.random(y_true.shape) < share for share in (0.1, 0.0, 0.5, 1.0, 0.1)]
    decided = {str(at): y_true ^ cells for at, cells in enumerate(wrong[:n_sets])}
    weights = draw.integers(0, 4, (300, 3)).astype(np.float32)
    found = scoring.DecidedRows(y_true, decided).sums(weights)
    assert list(found) == list(decided)
    for name, y_pred in decided.items():
        alone = scoring.DecidedRows(y_true, {name: y_pred}).sums(weights)[name]
        for key in ("tp", "predicted", "support", "rows"):
            assert (getattr(found[name], key) == getattr(alone, key)).all()
        for at in range(3):
            repeated = np.repeat(np.arange(300), weights[:, at].astype(int))
            gold, pred = y_true[repeated], y_pred[repeated]
            confusion = metrics.multilabel_confusion_matrix(gold, pred)
            assert (found[name].tp[at] == confusion[:, 1, 1]).all()
            assert (found[name].predicted[at] == pred.sum(axis=0)).all()
            assert (found[name].support[at] == gold.sum(axis=0)).all()
            whole = [
                metrics.f1_score(gold, pred, average="samples", zero_division=0),
                metrics.hamming_loss(gold, pred),
            ]
            assert found[name].rows[at, [0, 4]] / 300 == pytest.approx(np.array(whole) * len(gold) / 300)


def test_the_sums_of_rows_as_they_are_are_those_of_one_draw():
    draw = np.random.default_rng(0)
    y_true, y_pred = draw.random((2, 20_000, 3)) < 0.3  # more rows than are summed at once
    found, drawn = scoring.sums_of(y_true, y_pred), scoring.DecidedRows(y_true, {"": y_pred})
    once = drawn.sums(np.ones((20_000, 1), np.float32))[""]
    for key in ("tp", "predicted", "support", "rows", "has_positives"):
        assert (getattr(found, key) == getattr(once, key)).all()
    assert (found.tp == (y_true & y_pred).sum(axis=0)).all()
    assert (found.predicted == y_pred.sum(axis=0)).all()
    assert (found.support == y_true.sum(axis=0)).all()


def test_the_rows_of_each_label_are_in_label_order_and_without_nan():
    y_true, y_prob, y_pred = random_case(2)
    labels = tuple("gfedcba")
    rows = scoring.per_class_rows(labels, y_true, y_prob, y_pred, Decision.fixed(0.5, 7))
    assert [row["emotion"] for row in rows] == list(labels)
    for at, row in enumerate(rows):
        assert tuple(row) == PER_CLASS_COLUMNS
        assert row["f1_score"] == pytest.approx(
            metrics.f1_score(y_true[:, at], y_pred[:, at], zero_division=0), **TOLERANCE
        )
        assert row["tp"] + row["fp"] + row["fn"] + row["tn"] == len(y_true)
        assert row["tp"] + row["fn"] == row["support"]
        assert 0 <= row["f1_ci_low"] <= row["f1_score"] <= row["f1_ci_high"] <= 1
        assert row["threshold"] == 0.5
    assert rows[-1]["support"] == 0
    assert rows[-1]["roc_auc"] is rows[-1]["average_precision"] is None
    assert all(type(value) in (str, int, float, type(None)) for row in rows for value in row.values())


def test_unknown_thresholds_stay_unknown():
    y_true, y_prob, y_pred = random_case(3, rows=30)
    assert {
        row["threshold"] for row in scoring.per_class_rows(tuple("abcdefg"), y_true, y_prob, y_pred, None)
    } == {None}
