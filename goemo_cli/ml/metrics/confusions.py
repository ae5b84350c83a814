"""What goes wrong, counted on gold and predicted labels: outcomes of rows, confused pairs, labels out of balance."""

from dataclasses import dataclass

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, IntArray, ratio
from goemo_cli.ml.metrics.exact_tests import clopper_pearson, hypergeometric_tail, mcnemar
from goemo_cli.ml.metrics.intervals import ALPHA, LEVEL, SEED, holm, resampled, unseen

LEAST = 5
"""Texts that a pair of labels needs: a share of fewer is not reliable."""
RATIO_RESAMPLES = 2_000
_EPSILON = 1e-7
_TAIL = (1 - LEVEL) / 2


@dataclass(frozen=True)
class RowOutcomes:
    """How many rows came out how. The four in the middle add up to `rows`; the last two overlap with them."""

    rows: int
    exactly_right: int
    partly_right: int
    """At least one gold label found, and something missed or added."""
    wrong: int
    """Labels predicted, none of them gold."""
    nothing_predicted: int
    """No label predicted for a row that has gold labels."""
    too_many: int
    """More labels predicted than are gold."""
    too_few: int
    """Fewer labels predicted than are gold."""


def row_outcomes(y_true: BoolArray, y_pred: BoolArray) -> RowOutcomes:
    """The outcomes of rows; both arguments bool, (n_examples, n_labels)."""
    gold, predicted, hits = y_true.sum(axis=1), y_pred.sum(axis=1), (y_true & y_pred).sum(axis=1)
    exact = (y_true == y_pred).all(axis=1)
    return RowOutcomes(
        rows=len(y_true),
        exactly_right=int(exact.sum()),
        partly_right=int((~exact & (hits > 0)).sum()),
        wrong=int(((predicted > 0) & (hits == 0)).sum()),
        nothing_predicted=int(((predicted == 0) & (gold > 0)).sum()),
        too_many=int((predicted > gold).sum()),
        too_few=int((predicted < gold).sum()),
    )


def cooccurrence_counts(left: BoolArray, right: BoolArray | None = None) -> IntArray:
    """Rows with label i of `left` and label j of `right`, int64, (n_labels, n_labels); both (n_examples, n_labels).

    Without `right`, rows with both labels of `left`; the diagonal counts each label.
    """
    other = left if right is None else right
    counts: IntArray = np.rint(left.T.astype(np.float64) @ other.astype(np.float64)).astype(np.int64)
    return counts


@dataclass(frozen=True)
class ConfusedPairs:
    """Row i, column j: gold label i was missed and label j predicted though not gold, in the same row.

    All (n_labels, n_labels). Counted over the rows where j is not gold: in others it cannot be falsely predicted.
    NaN on the diagonal and where one of the two mistakes is never made there.
    """

    count: IntArray
    missed: IntArray
    """Rows where i is missed and j is not gold."""
    expected: DoubleArray
    """Rows to expect if the two mistakes had nothing to do with each other: `missed` times j's rate of false alarms."""
    lift: DoubleArray
    """count / expected."""
    lift_ci: DoubleArray
    """(2, n_labels, n_labels): Clopper-Pearson of the share count / missed, by j's rate."""
    p_holm: DoubleArray
    """Fisher's exact test that the lift is above 1, by Holm over all pairs."""
    wrong_rows: int
    """Rows with at least one missed label and at least one false one."""
    lift_in_wrong_rows: DoubleArray
    """The same lift counted in those rows alone. Mistakes come in the same rows, whichever labels they are about, so
    that most lifts over all rows are above 1; these are not raised by that."""
    p_holm_in_wrong_rows: DoubleArray
    """Fisher's exact test over those rows, by Holm over all pairs."""

    @property
    def stands_out(self) -> BoolArray:
        """More often than chance, and more often than mistakes come together anyway; bool, (n_labels, n_labels)."""
        return (self.p_holm < ALPHA) & (self.p_holm_in_wrong_rows < ALPHA)


def confused_pairs(y_true: BoolArray, y_pred: BoolArray) -> ConfusedPairs:
    """How often each missed label occurs together with each false one, and how often chance would cause that.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        y_pred: predicted labels, bool, (n_examples, n_labels).

    Source:
        Holm 1979, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6.
    """
    wrong = (y_true & ~y_pred).any(axis=1) & (~y_true & y_pred).any(axis=1)
    everywhere, in_wrong = _against_chance(y_true, y_pred), _against_chance(y_true[wrong], y_pred[wrong])
    count, missed = everywhere.count, everywhere.missed
    return ConfusedPairs(
        count=count,
        missed=missed,
        expected=everywhere.expected,
        lift=count / everywhere.expected,
        lift_ci=clopper_pearson(count, missed) * missed / everywhere.expected,
        p_holm=holm(everywhere.p_value),
        wrong_rows=int(wrong.sum()),
        lift_in_wrong_rows=in_wrong.count / in_wrong.expected,
        p_holm_in_wrong_rows=holm(in_wrong.p_value),
    )


@dataclass(frozen=True)
class _Chance:
    count: IntArray
    missed: IntArray
    expected: DoubleArray
    p_value: DoubleArray


def _against_chance(y_true: BoolArray, y_pred: BoolArray) -> _Chance:
    """Counts, and what chance would give, one-sided; (n_labels, n_labels) each, NaN if there is nothing to test."""
    misses, alarms = y_true & ~y_pred, ~y_true & y_pred
    count, missed = cooccurrence_counts(misses, alarms), cooccurrence_counts(misses, ~y_true)
    rows, false = (~y_true).sum(axis=0), alarms.sum(axis=0)
    expected = missed * false / np.maximum(rows, 1)
    untested = (expected == 0) | np.eye(len(count), dtype=np.bool_)
    p_value = hypergeometric_tail(count, np.maximum(rows, 1), missed, false)
    return _Chance(count, missed, np.where(untested, np.nan, expected), np.where(untested, np.nan, p_value))


@dataclass(frozen=True)
class PairDifferences:
    """How often two labels occur together, predicted against gold; (n_labels, n_labels) each, symmetric."""

    gold: IntArray
    """Rows where both labels are gold; on the diagonal, rows where the label is."""
    predicted: IntArray
    both: IntArray
    """Rows where the pair is gold and predicted."""
    p_holm: DoubleArray
    """Exact McNemar test that the pair is predicted as often as it is gold, by Holm over the pairs; NaN on the
    diagonal and where a pair is never either."""


def pair_differences(y_true: BoolArray, y_pred: BoolArray) -> PairDifferences:
    """Pairs of labels that are predicted more or less often together than they are gold together."""
    hits = y_true & y_pred
    gold, predicted, both = (
        cooccurrence_counts(y_true),
        cooccurrence_counts(y_pred),
        cooccurrence_counts(hits),
    )
    p_value = mcnemar(predicted - both, gold - both)
    above = np.triu(np.ones(gold.shape, dtype=np.bool_), k=1) & (gold + predicted > 0)
    adjusted = holm(np.where(above, p_value, np.nan))
    return PairDifferences(gold, predicted, both, np.where(above.T, adjusted.T, adjusted))


@dataclass(frozen=True)
class Balance:
    """Whether labels are predicted as often as they are gold, (n_labels,) each."""

    gold: IntArray
    predicted: IntArray
    ratio: DoubleArray
    """predicted / gold; NaN where never gold."""
    ratio_ci: DoubleArray
    """(2, n_labels); the upper end infinite where resamples without a gold row reach into it."""
    p_holm: DoubleArray
    """Exact McNemar test that the ratio is 1, by Holm over the labels; NaN where neither gold nor predicted."""


def label_balance(
    y_true: BoolArray, y_pred: BoolArray, *, resamples: int = RATIO_RESAMPLES, seed: int = SEED
) -> Balance:
    """How often each label is predicted against how often it is gold.

    The interval is the percentile bootstrap over rows. It knows nothing of a label that is never predicted, since no
    resample has one; there the upper end is the exact Poisson bound of a count of 0. A label that is predicted in all
    of its rows and in no other gets what unseen rows allow, see `ml.metrics.intervals`.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        y_pred: predicted labels, bool, (n_examples, n_labels).
        resamples: draws of n_examples rows with replacement.
    """
    from scipy.special import gammaincinv  # as in `clopper_pearson`

    gold, predicted = y_true.sum(axis=0), y_pred.sum(axis=0)
    false, missed = (~y_true & y_pred).sum(axis=0), (y_true & ~y_pred).sum(axis=0)
    cells = np.hstack([y_pred, y_true]).astype(np.float32)
    sums = np.concatenate([weights.T @ cells for weights in resampled(len(y_true), resamples, seed)])
    above, below = np.split(sums.astype(np.float64), 2, axis=1)
    ratio_ci = np.full((2, len(gold)), np.nan)
    for at in np.flatnonzero(gold):
        drawn = (above[:, at] > 0) | (below[:, at] > 0)  # 0 / 0 says nothing about the ratio
        values = ratio(above[drawn, at], below[drawn, at], undefined=np.inf)
        ratio_ci[:, at] = np.quantile(values, [_TAIL, 1 - _TAIL], method="inverted_cdf")
    never = (gold > 0) & (predicted == 0)
    ratio_ci[1, never] = gammaincinv(1, 1 - _TAIL) / gold[never]
    alike = (gold > 0) & (ratio_ci[0] == ratio_ci[1])
    seen_share = 1 - unseen((y_true | y_pred).sum(axis=0)[alike])
    ratio_ci[:, alike] *= np.stack([seen_share, 1 / seen_share])
    return Balance(
        gold=gold,
        predicted=predicted,
        ratio=np.where(gold > 0, predicted / np.maximum(gold, 1), np.nan),
        ratio_ci=ratio_ci,
        p_holm=holm(np.where(gold + predicted > 0, mcnemar(false, missed), np.nan)),
    )


def row_losses(y_true: BoolArray, y_prob: FloatArray) -> DoubleArray:
    """Binary cross-entropy of each row, summed over its labels, in nats, (n_examples,).

    Probabilities are kept 1e-7 away from 0 and 1.
    """
    clipped = np.clip(y_prob.astype(np.float64), _EPSILON, 1 - _EPSILON)
    losses: DoubleArray = -np.where(y_true, np.log(clipped), np.log1p(-clipped)).sum(axis=1)
    return losses


@dataclass(frozen=True)
class ConfidentDisagreements:
    """Cells whose gold label a model confidently contradicts, bool, (n_examples, n_labels)."""

    extra: BoolArray
    """Not gold, and at least as probable as the label is on average in the rows that have it."""
    missed: BoolArray
    """Gold, and at most as probable as the label is on average in the rows without it."""
    usual: DoubleArray
    """These averages, (2, n_labels): over rows with the label, and without it; NaN if there are none."""


def confident_disagreements(y_true: BoolArray, y_prob: FloatArray) -> ConfidentDisagreements:
    """Cells in which confident learning counts the gold label as possibly mistaken; the model may be the mistaken side.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        y_prob: probabilities of rows that the model was not trained on, (n_examples, n_labels).

    Source:
        Northcutt, Jiang and Chuang 2021, Confident Learning, JAIR 70, section 3.1: each label as two classes.
    """
    probabilities = y_prob.astype(np.float64)
    counts = np.stack([y_true.sum(axis=0), (~y_true).sum(axis=0)])
    sums = np.stack([(probabilities * y_true).sum(axis=0), (probabilities * ~y_true).sum(axis=0)])
    usual = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    separates = usual[0] > usual[1]  # False if one of them is NaN
    return ConfidentDisagreements(
        extra=~y_true & (probabilities >= usual[0]) & separates,
        missed=y_true & (probabilities <= usual[1]) & separates,
        usual=usual,
    )


_NEWEST = 0.8
"""Weight of the next lower score in the moving average."""


def label_quality(y_true: BoolArray, y_prob: FloatArray, *, single_label: bool = False) -> DoubleArray:
    """How well the gold labels of each row agree with probabilities, in [0, 1], float64, (n_examples,); low: probably wrong.

    Each cell has a self-confidence: the probability of what its gold label says. The row has their exponential moving
    average from the highest to the lowest, in which the lowest counts most. With `single_label`, it is the probability
    of the gold label.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        y_prob: probabilities of rows that the model was not trained on, (n_examples, n_labels).
        single_label: each row has exactly one label.

    Source:
        Thyagarajan, Snorrason, Northcutt and Mueller 2022, Identifying Incorrect Annotations in Multi-Label
        Classification Data, section 3; Northcutt, Jiang and Chuang 2021, Confident Learning, for single labels.
    """
    probabilities = y_prob.astype(np.float64)
    if single_label:
        given: DoubleArray = np.where(y_true, probabilities, 0.0).sum(axis=1)
        return given
    ordered = -np.sort(-np.where(y_true, probabilities, 1 - probabilities), axis=1)
    average: DoubleArray = ordered[:, 0].copy()
    for column in range(1, ordered.shape[1]):
        average = _NEWEST * ordered[:, column] + (1 - _NEWEST) * average
    return average
