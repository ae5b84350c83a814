"""Scores from gold labels and predictions, as scikit-learn defines them; fractions, never percentages.

Where a score is undefined (no positives and none predicted) F1, precision and recall are 0, as with
scikit-learn's `zero_division=0`; a ranking score is then None.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from goemo_cli.core.schema import RULES
from goemo_cli.core.thresholds import Thresholds, decide
from goemo_cli.ml.bootstrap import F1Intervals, bootstrap_f1


@dataclass(frozen=True)
class Counts:
    """True and false positives and negatives of each label, int64, (n_labels,) each."""

    tp: IntArray
    fp: IntArray
    fn: IntArray
    tn: IntArray

    @property
    def precision(self) -> DoubleArray:
        """Share of the predicted that are gold, (n_labels,)."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> DoubleArray:
        """Share of the gold that are predicted, (n_labels,)."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> DoubleArray:
        """Harmonic mean of precision and recall, (n_labels,)."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def support(self) -> IntArray:
        """Gold positives, (n_labels,)."""
        return self.tp + self.fn


def count(y_true: BoolArray, y_pred: BoolArray) -> Counts:
    """Counts of each label; both arguments bool, (n_examples, n_labels)."""
    tp = (y_true & y_pred).sum(axis=0)
    fp = (~y_true & y_pred).sum(axis=0)
    fn = (y_true & ~y_pred).sum(axis=0)
    return Counts(tp, fp, fn, len(y_true) - tp - fp - fn)


def f1_macro(y_true: BoolArray, y_pred: BoolArray) -> float:
    """Mean F1 over all labels, those without positives included (their F1 is 0)."""
    return float(count(y_true, y_pred).f1.mean())


def f1_micro(y_true: BoolArray, y_pred: BoolArray) -> float:
    """F1 over all cells together."""
    counts = count(y_true, y_pred)
    return float(_ratio(2 * counts.tp.sum(), (2 * counts.tp + counts.fp + counts.fn).sum()))


def roc_auc_micro(y_true: BoolArray, y_prob: FloatArray) -> float | None:
    """Area under the ROC curve over all cells; None where all are of one class."""
    flat = y_true.ravel()
    return float(roc_auc_score(flat, y_prob.ravel())) if flat.any() and not flat.all() else None


def binary_cross_entropy(y_true: BoolArray, y_prob: FloatArray) -> float:
    """Mean log loss per cell, in nats; probabilities are kept 1e-7 away from 0 and 1."""
    clipped = np.clip(y_prob.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-np.where(y_true, np.log(clipped), np.log1p(-clipped)).mean())


def rule_scores(y_true: BoolArray, y_pred: BoolArray) -> dict[str, float]:
    """The scores of one threshold rule, by `RULE_KEYS`."""
    counts = count(y_true, y_pred)
    support = counts.support
    both = (y_true & y_pred).sum(axis=1)
    return {
        "f1_macro": float(counts.f1.mean()),
        "f1_micro": f1_micro(y_true, y_pred),
        "f1_weighted": float(_ratio((counts.f1 * support).sum(), support.sum())),
        "f1_samples": float(_ratio(2 * both, y_true.sum(axis=1) + y_pred.sum(axis=1)).mean()),
        "precision_macro": float(counts.precision.mean()),
        "recall_macro": float(counts.recall.mean()),
        "subset_accuracy": float((y_true == y_pred).all(axis=1).mean()),
        "hamming_loss": float((y_true != y_pred).mean()),
    }


@dataclass(frozen=True)
class Ranking:
    """Threshold-free scores of each label, (n_labels,); NaN where a label has no positives or only positives."""

    roc_auc: DoubleArray
    average_precision: DoubleArray


def ranking(y_true: BoolArray, y_prob: FloatArray) -> Ranking:
    """ROC AUC and average precision of each label."""
    n_labels = y_true.shape[1]
    roc_auc, precision = np.full(n_labels, np.nan), np.full(n_labels, np.nan)
    for label in range(n_labels):
        gold = y_true[:, label]
        if gold.any() and not gold.all():
            roc_auc[label] = roc_auc_score(gold, y_prob[:, label])
        if gold.any():
            precision[label] = average_precision_score(gold, y_prob[:, label])
    return Ranking(roc_auc, precision)


def test_scores(y_true: BoolArray, y_prob: FloatArray, thresholds: Thresholds) -> dict[str, Any]:
    """Everything metrics.json says under `test`: ranking scores, and every threshold rule with intervals.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        y_prob: probabilities, float32, (n_examples, n_labels).
        thresholds: fitted on val.
    """
    ranked = ranking(y_true, y_prob)
    scores: dict[str, Any] = {
        "auc_micro": roc_auc_micro(y_true, y_prob),
        "auc_macro": _mean(ranked.roc_auc),
        "average_precision_macro": _mean(ranked.average_precision),
        "labels_without_positives": int((~y_true.any(axis=0)).sum()),
    }
    for rule in RULES:
        y_pred = decide(y_prob, thresholds.of_rule(rule))
        intervals = bootstrap_f1(y_true, y_pred)
        scores[rule] = {
            **rule_scores(y_true, y_pred),
            "f1_macro_ci": list(intervals.macro),
            "f1_micro_ci": list(intervals.micro),
        }
    return scores


test_scores.__test__ = False  # type: ignore[attr-defined]  # a score of the test split, no test for pytest


def per_class_rows(
    labels: tuple[str, ...],
    y_true: BoolArray,
    y_prob: FloatArray,
    y_pred: BoolArray,
    thresholds: DoubleArray | None,
) -> list[dict[str, Any]]:
    """One row per label with `PER_CLASS_COLUMNS`, in label order; None where a score is undefined.

    Args:
        labels: label names.
        y_true: gold labels, bool, (n_examples, n_labels).
        y_prob: probabilities, float32, (n_examples, n_labels).
        y_pred: predicted labels, bool, (n_examples, n_labels).
        thresholds: what `y_pred` was decided by, (n_labels,); None where nobody knows.

    Source:
        Demszky et al. 2020, https://arxiv.org/abs/2005.00547 (per-emotion table).
    """
    counts, ranked = count(y_true, y_pred), ranking(y_true, y_prob)
    intervals: F1Intervals = bootstrap_f1(y_true, y_pred)
    return [
        {
            "emotion": label,
            "f1_score": float(counts.f1[at]),
            "precision": float(counts.precision[at]),
            "recall": float(counts.recall[at]),
            "support": int(counts.support[at]),
            "tp": int(counts.tp[at]),
            "fp": int(counts.fp[at]),
            "fn": int(counts.fn[at]),
            "tn": int(counts.tn[at]),
            "threshold": None if thresholds is None else float(thresholds[at]),
            "roc_auc": _or_none(ranked.roc_auc[at]),
            "average_precision": _or_none(ranked.average_precision[at]),
            "f1_ci_low": float(intervals.per_label[0, at]),
            "f1_ci_high": float(intervals.per_label[1, at]),
        }
        for at, label in enumerate(labels)
    ]


def _ratio(above: ArrayLike, below: ArrayLike) -> DoubleArray:
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    ratio: DoubleArray = np.divide(
        above, below, out=np.zeros(np.broadcast(above, below).shape), where=below > 0
    )
    return ratio


def _mean(values: DoubleArray) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmean(values))


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
