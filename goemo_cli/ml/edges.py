"""Intervals of models that are right always or never, of which resampled rows cannot tell.

A label that is right in none of its rows is right in none of any resample: the bootstrap would give an interval of 0
to 0, however few the rows are. Two rules replace it:

- A share of counts has Wilson's interval, always: the F1 of a label, and subset accuracy.
- Every other score has the bootstrap's interval. If that has no width, the score may move as far as rows of a kind
  that was not seen can move it: after n rows without one, up to `unseen(n)` of all rows may be of that kind.
"""

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from goemo_cli.core.arrays import BoolArray, DoubleArray
from goemo_cli.ml.bootstrap import LEVEL
from goemo_cli.ml.ratios import ratio

Bounds = dict[str, tuple[float, float]]
"""Lower and upper end by the name of the score."""

_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
NO_WIDTH = 1e-12
"""Ends closer than this are equal: sums of floats differ in the last digit."""


def wilson(successes: ArrayLike, trials: ArrayLike) -> DoubleArray:
    """Wilson's 95 % interval of a share, (2, ...); from 0 to 1 without trials.

    Source:
        Wilson 1927, Probable Inference, the Law of Succession, and Statistical Inference, JASA 22; Brown, Cai and
        DasGupta 2001, Interval Estimation for a Binomial Proportion, Statistical Science 16 (why not Wald's).
    """
    k, n = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(trials, np.float64))
    square = _Z * _Z
    middle = (k + square / 2) / (n + square)
    half = _Z * np.sqrt(ratio(k * (n - k), n) + square / 4) / (n + square)
    # At the edges by definition, and not by a digit less.
    return np.stack([np.where(k == 0, 0.0, middle - half), np.where(k == n, 1.0, middle + half)])


def unseen(rows: ArrayLike) -> DoubleArray:
    """The largest share of all rows that may be of a kind of which `rows` rows had none: Wilson's upper end."""
    share: DoubleArray = wilson(np.zeros_like(rows), rows)[1]
    return share


def f1_of_share(share: ArrayLike) -> DoubleArray:
    """F1 = 2 tp / (2 tp + fp + fn) from the share tp / (tp + fp + fn), of which it is a monotone function."""
    part = np.asarray(share, np.float64)
    f1: DoubleArray = 2 * part / (1 + part)
    return f1


def f1_intervals(tp: ArrayLike, rows: ArrayLike) -> DoubleArray:
    """The 95 % interval of F1, (2, ...): Wilson's for tp of `rows`, the rows with the label in gold or predicted."""
    return f1_of_share(wilson(tp, rows))


def widened(intervals: Bounds, edges: Bounds) -> Bounds:
    """Bootstrap intervals, with those that have no width replaced by what unseen rows allow."""
    return {
        key: edges[key] if high - low < NO_WIDTH else (low, high) for key, (low, high) in intervals.items()
    }


def moved(
    score: float, parts: DoubleArray, reach: DoubleArray, weights: DoubleArray | float = 1.0
) -> tuple[float, float]:
    """How far unseen rows can move a weighted mean.

    Args:
        score: the mean; in [0, 1].
        parts: what it is the mean of, in [0, 1].
        reach: the share of each part's rows that may be of an unseen kind.
        weights: of each part; they add up to 1. The unseen rows may all be of one part.
    """
    down, up = weights * parts * reach, weights * (1 - parts) * reach
    return float(score - np.max(down)), float(score + np.max(up))


def rule_edges(y_true: BoolArray, y_pred: BoolArray, scores: Mapping[str, float]) -> Bounds:
    """How far unseen rows can move each score of predicted labels.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels); at least one row.
        y_pred: predicted labels, likewise.
        scores: by `RULE_KEYS`.
    """
    n_examples, n_labels = y_true.shape
    tp, support = (y_true & y_pred).sum(axis=0), y_true.sum(axis=0)
    by_support = ratio(support, support.sum(), undefined=1 / n_labels)
    every_row = unseen(n_examples)
    edges: Bounds = {}
    for kind, cells in (("f1", y_true | y_pred), ("precision", y_pred), ("recall", y_true)):
        rows = cells.sum(axis=0)
        parts, reach, of_any = ratio(tp, rows), unseen(rows), unseen(cells.any(axis=1).sum())
        if kind == "f1":
            parts, reach, of_any = (f1_of_share(share) for share in (parts, reach, of_any))
        edges[f"{kind}_macro"] = moved(scores[f"{kind}_macro"], parts, reach, 1 / n_labels)
        edges[f"{kind}_weighted"] = moved(scores[f"{kind}_weighted"], parts, reach, by_support)
        edges[f"{kind}_micro"] = _whole(scores[f"{kind}_micro"], of_any)
        edges[f"{kind}_samples"] = _whole(scores[f"{kind}_samples"], every_row)
    return edges | {key: _whole(scores[key], every_row) for key in ("subset_accuracy", "hamming_loss")}


def label_edges(f1: DoubleArray, rows: ArrayLike) -> DoubleArray:
    """How far unseen rows can move the F1 of each label, (2, n_labels); `rows` have the label in gold or predicted."""
    reach = f1_of_share(unseen(rows))
    return np.stack([f1 * (1 - reach), f1 + (1 - f1) * reach])


def ranking_edges(
    y_true: BoolArray, scores: Mapping[str, float], labels: Mapping[str, DoubleArray]
) -> Bounds:
    """How far unseen rows can move each ranking score.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels); at least one row.
        scores: by `RANKING_KEYS`, those that are defined.
        labels: what the macro averages among them are averages of, (n_labels,) each; NaN where undefined.
    """
    positives, negatives = y_true.sum(axis=0), (~y_true).sum(axis=0)
    rows = {
        "auc_macro": np.minimum(positives, negatives),
        "average_precision_macro": positives,
        "auc_micro": min(y_true.any(axis=1).sum(), (~y_true).any(axis=1).sum()),
        "lrap": len(y_true),
    }
    edges: Bounds = {}
    for key, score in scores.items():
        if key in labels:
            defined = ~np.isnan(labels[key])
            edges[key] = moved(score, labels[key][defined], unseen(rows[key][defined]), 1 / defined.sum())
        else:
            edges[key] = _whole(score, unseen(rows[key]))
    return edges


def _whole(score: float, reach: DoubleArray) -> tuple[float, float]:
    return moved(score, np.asarray(score), reach)
