"""Scores that need no threshold: areas under curves, for the data as it is and for resamples of its rows."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.sparse import csr_array

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, IntArray, ratio
from goemo_cli.ml.metrics.intervals import RANKING_RESAMPLES, interval, ranking_edges, resampled, widened

MOST_RESAMPLED = 50_000
"""Rows beyond which ranking scores get no interval: it would be narrower than anyone reads, and take minutes."""
_LRAP_ROWS, _LRAP_CELLS = 4096, 4_000_000
"""Rows, and cells compared with a gold one, at once: bounds memory."""
_DRAWS, _DRAWN_CELLS = 32, 1 << 26
"""Draws, and their weights of cells, gone through at once: bounds memory."""
_MOST_DRAWN = 2 * 10**9
"""Weights of cells drawn in total: with two million cells or more, fewer resamples are drawn, at least 200."""


@dataclass(frozen=True)
class Ranked:
    """Positives and negatives in the order of their scores, sorted once for any weights of the rows.

    Attributes:
        positive_rows: the row of each positive, by score, (n_positives,).
        stretches: which negatives are between two neighbouring places where a positive counts them, float32,
            (n_stretches, n_rows).
        below: number of stretches that score less than each positive, (n_positives,).
        not_above: of those that score at most as much.
        first_equal: where in `positive_rows` the positives of the same score begin.
    """

    positive_rows: IntArray
    stretches: csr_array
    below: IntArray
    not_above: IntArray
    first_equal: IntArray

    @classmethod
    def of(cls, gold: BoolArray, prob: FloatArray, rows: IntArray) -> Self:
        """From gold labels and scores of cells, each with its row; all of shape (n_cells,)."""
        positives, negatives = np.flatnonzero(gold), np.flatnonzero(~gold)
        positives = positives[np.argsort(prob[positives], kind="stable")]
        negatives = negatives[np.argsort(prob[negatives], kind="stable")]
        high, low = prob[positives], prob[negatives]
        below, not_above = (np.searchsorted(low, high, side) for side in ("left", "right"))
        places = np.unique(np.concatenate([[0], below, not_above, [len(low)]]))
        ones, shape = np.ones(len(low), dtype=np.float32), (len(places) - 1, rows.max(initial=-1) + 1)
        return cls(
            rows[positives],
            csr_array((ones, rows[negatives], places), shape),
            np.searchsorted(places, below),
            np.searchsorted(places, not_above),
            np.searchsorted(high, high, side="left"),
        )

    def drawn(self, weights: FloatArray) -> "ResampledRanks":
        """The weights of draws (n_rows, draws), summed along the order of the scores."""
        negative = np.zeros((self.stretches.shape[0] + 1, weights.shape[1]))
        # float32 is exact here: sums of whole numbers, below 2**24.
        np.cumsum(self.stretches @ weights, axis=0, out=negative[1:])
        return ResampledRanks(
            positive=weights[self.positive_rows].astype(np.float64),
            below=negative[self.below],
            not_above=negative[self.not_above],
            n_negatives=negative[-1],
            first_equal=self.first_equal,
        )


@dataclass(frozen=True)
class ResampledRanks:
    """The weight at each place in the order of the scores, for several draws of the rows.

    Attributes:
        positive: weight of each positive, (n_positives, draws).
        below: weight of the negatives below each positive, (n_positives, draws).
        not_above: weight of those that score at most as much, (n_positives, draws).
        n_negatives: weight of all negatives, (draws,).
        first_equal: see `Ranked`.
    """

    positive: DoubleArray
    below: DoubleArray
    not_above: DoubleArray
    n_negatives: DoubleArray
    first_equal: IntArray

    def roc_auc(self) -> DoubleArray:
        """Area under the ROC curve, (draws,); NaN without both classes.

        The share of pairs of a positive and a negative in which the positive scores higher; equal scores count half.
        """
        won = (self.positive * (self.below + self.not_above)).sum(axis=0) / 2
        return _or_nan(won, self.positive.sum(axis=0) * self.n_negatives)

    def average_precision(self) -> DoubleArray:
        """Mean precision at the thresholds of the positives, (draws,); NaN without positives."""
        cumulated = np.zeros((len(self.positive) + 1, self.positive.shape[1]))
        np.cumsum(self.positive, axis=0, out=cumulated[1:])
        found = cumulated[-1] - cumulated[self.first_equal]  # positives that score at least as much
        precision = _or_nan(found, found + self.n_negatives - self.below)
        return _or_nan(np.nansum(self.positive * precision, axis=0), cumulated[-1])


@dataclass(frozen=True)
class RankingScores:
    """Threshold-free scores of a split; NaN where undefined (a label without positives, or with nothing else)."""

    roc_auc: DoubleArray
    """Of each label, (n_labels,)."""
    average_precision: DoubleArray
    """Of each label, (n_labels,)."""
    auc_micro: float
    lrap: float
    intervals: dict[str, tuple[float, float]]
    """95 % intervals by `RANKING_KEYS`: the percentile bootstrap; one without width, of a perfect order, gives way to
    `ml.metrics.intervals.ranking_edges`. Empty if none were asked for, or the split is very large."""

    @property
    def auc_macro(self) -> float:
        """Mean over the labels that have one."""
        return _mean(self.roc_auc)

    @property
    def average_precision_macro(self) -> float:
        """Mean over the labels that have one."""
        return _mean(self.average_precision)


class RankedSplit:
    """Probabilities of a split, sorted once: their scores, and those of draws of the rows.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        y_prob: probabilities, float32, (n_examples, n_labels).
        intervals: whether rows will be drawn.
    """

    def __init__(self, y_true: BoolArray, y_prob: FloatArray, *, intervals: bool = True) -> None:
        n_examples, n_labels = y_true.shape
        everyone, rows = np.ones((n_examples, 1), dtype=np.float32), np.arange(n_examples)
        is_resampled = intervals and n_examples <= MOST_RESAMPLED
        self._y_true, self._labels = y_true, list[Ranked]()
        roc_auc, average_precision = np.zeros(n_labels), np.zeros(n_labels)
        for at in range(n_labels):
            ranked = Ranked.of(y_true[:, at], y_prob[:, at], rows)
            as_it_is = ranked.drawn(everyone)
            roc_auc[at], average_precision[at] = as_it_is.roc_auc()[0], as_it_is.average_precision()[0]
            if is_resampled:
                self._labels.append(ranked)
        self._by_row = label_ranking_precision(y_true, y_prob)
        self._scores = RankingScores(
            roc_auc=roc_auc,
            average_precision=average_precision,
            auc_micro=roc_auc_micro(y_true, y_prob),
            lrap=float(self._by_row.mean()) if n_examples else float("nan"),
            intervals={},
        )
        n_cells = max(n_examples * n_labels, 1)
        self._draws_at_once = min(_DRAWS, max(1, _DRAWN_CELLS // n_cells))
        self.draws_left = 0
        """Draws that are still needed for the intervals."""
        if is_resampled:
            self.draws_left = min(RANKING_RESAMPLES, max(200, _MOST_DRAWN // n_cells))
            self._cells = Ranked.of(y_true.ravel(), y_prob.ravel(), np.repeat(rows, n_labels))
            self._drawn: dict[str, list[DoubleArray]] = {
                "auc_micro": [], "auc_macro": [], "average_precision_macro": [], "lrap": [],
            }  # fmt: skip

    def draw(self, weights: FloatArray) -> None:
        """Score the first of some draws, as many as are needed: row weights, float32, (n_examples, draws)."""
        needed = weights[:, : self.draws_left]
        self.draws_left -= needed.shape[1]
        for start in range(0, needed.shape[1], self._draws_at_once):
            self._draw(np.ascontiguousarray(needed[:, start : start + self._draws_at_once]))

    def _draw(self, weights: FloatArray) -> None:
        by_label = [label.drawn(weights) for label in self._labels]
        found = {
            "auc_micro": self._cells.drawn(weights).roc_auc(),
            "auc_macro": _mean_of_labels([label.roc_auc() for label in by_label]),
            "average_precision_macro": _mean_of_labels([label.average_precision() for label in by_label]),
            "lrap": self._by_row @ weights.astype(np.float64) / len(self._y_true),
        }
        for key, values in found.items():
            self._drawn[key].append(values)

    def scores(self) -> RankingScores:
        """All scores, with the intervals of the draws so far."""
        if not self._labels:
            return self._scores
        drawn = {}
        for key, blocks in self._drawn.items():
            values = np.concatenate(blocks)
            if not np.isnan(values).all():
                low, high = interval(values[~np.isnan(values)])
                drawn[key] = (float(low), float(high))
        scores = self._scores
        defined = {key: getattr(scores, key) for key in drawn}
        of_labels = {"auc_macro": scores.roc_auc, "average_precision_macro": scores.average_precision}
        return replace(scores, intervals=widened(drawn, ranking_edges(self._y_true, defined, of_labels)))


def ranking_scores(y_true: BoolArray, y_prob: FloatArray, *, intervals: bool = True) -> RankingScores:
    """All threshold-free scores of probabilities.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        y_prob: probabilities, float32, (n_examples, n_labels).
        intervals: bootstrap them too.
    """
    split = RankedSplit(y_true, y_prob, intervals=intervals)
    if split.draws_left:
        for weights in resampled(len(y_true), split.draws_left):
            split.draw(weights)
    return split.scores()


def roc_auc_micro(y_true: BoolArray, y_prob: FloatArray) -> float:
    """Area under the ROC curve over all cells; NaN where all are of one class.

    As `Ranked.roc_auc`, but without an index per cell: a million rows of 28 labels fit in memory.
    """
    flat, gold = y_prob.ravel(), y_true.ravel()
    negatives, positives = np.sort(flat[~gold]), np.sort(flat[gold])
    if not (len(negatives) and len(positives)):
        return float("nan")
    won = (
        np.searchsorted(negatives, positives, "left").sum()
        + np.searchsorted(negatives, positives, "right").sum()
    )
    return float(won / (2 * len(negatives) * len(positives)))


def precision_recall(gold: BoolArray, prob: FloatArray) -> tuple[DoubleArray, DoubleArray]:
    """Precision and recall of a label with positives at each threshold, the highest first; before it, 1 and 0.

    Both (n_distinct_probabilities + 1,). As `sklearn.metrics.precision_recall_curve` in the opposite order, without the
    half second that importing it takes.

    Args:
        gold: gold labels, bool, (n_examples,).
        prob: probabilities, float32, (n_examples,).
    """
    order = np.argsort(prob)[::-1]
    last_equal = np.append(np.flatnonzero(np.diff(prob[order])), len(prob) - 1)
    found = gold[order].cumsum()[last_equal]
    return np.append(1.0, found / (last_equal + 1)), np.append(0.0, found / found[-1])


def label_ranking_precision(y_true: BoolArray, y_prob: FloatArray) -> DoubleArray:
    """Label ranking average precision of each row, (n_examples,); its mean is the LRAP score.

    For each gold label: of the labels that are at least as probable, the share that is gold. 1 for a row without
    gold labels, as in scikit-learn.

    Source:
        Tsoumakas et al. 2010, Mining multi-label data, section 7.3.
    """
    values = np.ones(len(y_true))
    for start in range(0, len(y_true), _LRAP_ROWS):
        gold, prob = y_true[start : start + _LRAP_ROWS], y_prob[start : start + _LRAP_ROWS]
        precision = np.zeros(gold.shape)
        precision[gold] = _precision_at_gold(gold, prob)
        n_gold = gold.sum(axis=1)
        some = n_gold > 0
        values[start : start + _LRAP_ROWS][some] = precision.sum(axis=1)[some] / n_gold[some]
    return values


def _precision_at_gold(gold: BoolArray, prob: FloatArray) -> DoubleArray:
    """For each gold cell, in the order of rows and labels: the gold share of the labels that are at least as probable."""
    rows, labels = np.nonzero(gold)
    shares = np.zeros(len(rows))
    at_once = max(1, _LRAP_CELLS // gold.shape[1])
    for start in range(0, len(rows), at_once):
        row, label = rows[start : start + at_once], labels[start : start + at_once]
        not_below = prob[row] >= prob[row, label][:, None]  # (gold cells, n_labels)
        found = (not_below & gold[row]).sum(axis=1)
        shares[start : start + at_once] = found / not_below.sum(axis=1).clip(min=1)
    return shares


def _mean_of_labels(values: list[DoubleArray]) -> DoubleArray:
    """Over the labels that have a score in a draw."""
    table = np.stack(values)  # (n_labels, draws)
    defined = ~np.isnan(table)
    return _or_nan(np.where(defined, table, 0.0).sum(axis=0), defined.sum(axis=0))


def _mean(values: DoubleArray) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")


def _or_nan(above: DoubleArray, below: DoubleArray | IntArray) -> DoubleArray:
    return ratio(above, below, undefined=np.nan)
