"""Sampling error of scores: the bootstrap over rows, intervals at the edges, and p-values of several tests.

A label that is right in none of its rows is right in none of any resample: the bootstrap would give an interval of 0
to 0, however few the rows are. Two rules replace it:

- A share of counts has Wilson's interval, always: the F1 of a label, and subset accuracy.
- Every other score has the bootstrap's interval. If that has no width, the score may move as far as rows of a kind
  that was not seen can move it: after n rows without one, up to `unseen(n)` of all rows may be of that kind.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, ratio

RESAMPLES = 10_000
"""Of scores that follow from counts; a draw of them is one row of a matrix product."""
RANKING_RESAMPLES = 1_000
"""Of areas under curves, which must be gone through draw by draw."""
SEED = 0
LEVEL = 0.95
ALPHA = 0.05
"""A p-value below it, corrected for the number of tests, is not explained by chance."""
MAX_DRAWS = 2 * 10**8
"""Rows drawn in total: above 20,000 rows intervals are narrow, and fewer resamples suffice."""
FEWEST_DRAWS = 200
"""On any number of rows, if as many are asked for."""
BLOCK_CELLS = 1_500_000
"""Row weights held at once."""
_CACHED_CELLS = 1 << 18
"""Row weights counted at once: the counters stay in the processor's cache."""


def row_weights(rng: np.random.Generator, draws: int, n_examples: int) -> FloatArray:
    """How often each row was drawn, float32, (n_examples, draws); every draw sums to n_examples.

    Source:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    # Draw by draw, and transposed at the end: writing columns takes longer than drawing.
    weights = np.empty((draws, n_examples), dtype=np.float32)
    at_once = max(1, _CACHED_CELLS // max(n_examples, 1))
    for start in range(0, draws, at_once):
        n = min(at_once, draws - start)
        rows = rng.integers(0, n_examples, size=(n, n_examples), dtype=np.int64)
        rows += np.arange(n)[:, None] * n_examples
        drawn = np.bincount(rows.ravel(), minlength=n * n_examples)
        weights[start : start + n] = drawn.reshape(n, n_examples)
    return np.ascontiguousarray(weights.T)


def resampled(n_examples: int, resamples: int = RESAMPLES, seed: int = SEED) -> Iterator[FloatArray]:
    """Row weights of all resamples, in blocks of (n_examples, draws) that bound memory.

    Args:
        n_examples: rows; above 20,000 fewer resamples are drawn, at least `FEWEST_DRAWS`.
        resamples: draws of n_examples rows with replacement.
        seed: the same seed and number of rows give the same draws, which pairs models that are compared.
    """
    rng = np.random.default_rng(seed)
    left = min(resamples, max(FEWEST_DRAWS, MAX_DRAWS // max(n_examples, 1)))
    while left > 0:
        draws = min(left, max(1, BLOCK_CELLS // max(n_examples, 1)))
        yield row_weights(rng, draws, n_examples)
        left -= draws


def interval(values: DoubleArray) -> DoubleArray:
    """The middle 95 % of resampled scores, (2, ...): values (resamples, ...), NaN in draws without a score."""
    quantile = np.nanquantile if np.isnan(values).any() else np.quantile  # the first is much slower
    bounds: DoubleArray = quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return bounds


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


@dataclass(frozen=True)
class Reach:
    """How far rows of an unseen kind can move scores in [0, 1]; arrays of the same shape."""

    scores: DoubleArray
    low: DoubleArray
    high: DoubleArray

    @classmethod
    def of(cls, shares: ArrayLike, rows: ArrayLike, *, as_f1: bool = False) -> Self:
        """From shares of rows, or means over rows; `as_f1` maps shares tp / (tp + fp + fn) to F1."""
        share, seen = np.asarray(shares, np.float64), 1 - unseen(rows)
        ends = (share, share * seen, 1 - (1 - share) * seen)
        return cls(*(map(f1_of_share, ends) if as_f1 else ends))

    def of_mean(self, mean: float, weights: DoubleArray | float = 1.0) -> tuple[float, float]:
        """The bounds of a weighted mean of the scores; the unseen rows may all be of one of them."""
        down, up = weights * (self.scores - self.low), weights * (self.high - self.scores)
        return float(mean - np.max(down)), float(mean + np.max(up))


def label_edges(tp: ArrayLike, rows: ArrayLike) -> DoubleArray:
    """How far unseen rows can move the F1 of each label, (2, n_labels); `rows` have the label in gold or predicted."""
    reach = Reach.of(ratio(tp, rows), rows, as_f1=True)
    return np.stack([reach.low, reach.high])


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
    edges = {
        key: _mean_of_rows(scores[key], n_examples)
        for key in ("subset_accuracy", "hamming_loss", "jaccard_samples")
    }
    for kind, cells in (("f1", y_true | y_pred), ("precision", y_pred), ("recall", y_true)):
        rows, as_f1 = cells.sum(axis=0), kind == "f1"
        labels = Reach.of(ratio(tp, rows), rows, as_f1=as_f1)
        edges[f"{kind}_macro"] = labels.of_mean(scores[f"{kind}_macro"], 1 / n_labels)
        edges[f"{kind}_weighted"] = labels.of_mean(scores[f"{kind}_weighted"], by_support)
        whole = Reach.of(ratio(tp.sum(), rows.sum()), cells.any(axis=1).sum(), as_f1=as_f1)
        edges[f"{kind}_micro"] = whole.of_mean(scores[f"{kind}_micro"])
        edges[f"{kind}_samples"] = _mean_of_rows(scores[f"{kind}_samples"], n_examples)
    return edges


def ranking_edges(
    y_true: BoolArray, scores: Mapping[str, float], labels: Mapping[str, DoubleArray]
) -> Bounds:
    """How far unseen rows can move each ranking score.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels); at least one row.
        scores: by `RANKING_KEYS`, those that are defined.
        labels: what the macro averages among them are averages of, (n_labels,) each; NaN if undefined.
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
            reach = Reach.of(labels[key][defined], rows[key][defined])
            edges[key] = reach.of_mean(score, 1 / defined.sum())
        else:
            edges[key] = _mean_of_rows(score, rows[key])
    return edges


def _mean_of_rows(score: float, rows: int) -> tuple[float, float]:
    return Reach.of(score, rows).of_mean(score)


def beyond(intervals: DoubleArray, others: DoubleArray, *, rounding: float = 0.0) -> tuple[int, int]:
    """How many intervals are entirely above another value, and how many entirely below.

    Args:
        intervals: value, low and high end, (3, n); NaN if there is none. One without a width is ignored.
        others: the values, (n,).
        rounding: half the last digit of the other values.
    """
    _, low, high = intervals
    has_width = high > low
    above, below = low > others + rounding, high < others - rounding
    return int((above & has_width).sum()), int((below & has_width).sum())


def holm(p_values: DoubleArray) -> DoubleArray:
    """P-values corrected for multiple tests: Holm's step-down, at most 1.

    Args:
        p_values: one family, in any shape; NaN (nothing was asked) stays NaN and does not count.

    Source:
        Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6.
    """
    corrected = np.full(p_values.shape, np.nan)
    asked = ~np.isnan(p_values)
    found = p_values[asked]
    order = np.argsort(found, kind="stable")
    stepped = np.empty_like(found)
    stepped[order] = np.minimum(1.0, np.maximum.accumulate(found[order] * np.arange(len(found), 0, -1)))
    corrected[asked] = stepped
    return corrected
