"""Whether models differ on the same rows: the paired bootstrap, Holm's correction, and how far two agree."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from goemo_cli.core.schema import CountScore
from goemo_cli.ml.metrics.exact_tests import mcnemar
from goemo_cli.ml.metrics.intervals import (
    NO_WIDTH,
    RANKING_RESAMPLES,
    RESAMPLES,
    SEED,
    interval,
    label_edges,
    ranking_edges,
    resampled,
    rule_edges,
)
from goemo_cli.ml.metrics.ranking import MOST_RESAMPLED, Ranked
from goemo_cli.ml.metrics.scoring import DecidedRows, count, rule_scores

COUNT_SCORES: tuple[CountScore, ...] = get_args(CountScore)
"""Of the labels that each model decided; every resample gives all of them."""
RANKING_SCORES = ("auc_micro", "auc_macro")
"""Of the probabilities; over the first `RANKING_RESAMPLES` of the same draws, none beyond `MOST_RESAMPLED` rows."""
SCORES = COUNT_SCORES + RANKING_SCORES

_NOISE = 1e-12
"""Differences closer than this are equal: sums of floats end a last digit apart."""
_RANKED_DRAWS = 32
"""Draws ranked at once: bounds memory."""


@dataclass(frozen=True)
class Differences:
    """A model B against a model A: `SCORES`, then the F1 of each label; (n_scores + n_labels,) arrays.

    Attributes:
        a: scores of A on all rows; NaN where undefined (an area without positives).
        b: scores of B.
        low: lower end of the 95 % interval of b - a; NaN where it was not drawn.
        high: its upper end.
        p_value: two-sided, of no difference; not corrected.
        resamples: how many draws interval and p-value rest on.
    """

    a: DoubleArray
    b: DoubleArray
    low: DoubleArray
    high: DoubleArray
    p_value: DoubleArray
    resamples: IntArray

    @property
    def difference(self) -> DoubleArray:
        """B - a, on all rows."""
        return _difference(self.a, self.b)


def paired_differences(
    y_true: BoolArray,
    y_preds: Sequence[BoolArray],
    y_probs: Sequence[FloatArray],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    on_draws: Callable[[int], None] = lambda draws: None,
) -> list[Differences]:
    """Every model after the first against the first, each draw of rows scored for all of them.

    If the draws all show the same difference, such as for a label that one model always finds and the other
    never, the interval is what unseen rows allow (`ml.metrics.intervals`). No p-value is below that of the exact sign test over
    the rows that the two decide differently: one such row proves nothing, however often it is drawn.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels); at least one row.
        y_preds: of each model the labels it decided, bool, (n_examples, n_labels).
        y_probs: of each model its probabilities, float32, (n_examples, n_labels).
        resamples: draws of n_examples rows with replacement; fewer on very many rows, and for the areas.
        seed: of the draws; with the number of rows it settles them.
        on_draws: called with the number of draws scored since the last call.

    Source:
        Koehn 2004, Statistical Significance Tests for Machine Translation Evaluation, EMNLP (the same rows for
        both systems); Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 13 and 16.
    """
    scorers = [_Scorer(y_true, *model) for model in zip(y_preds, y_probs, strict=True)]
    counted: list[list[DoubleArray]] = [[] for _ in scorers]
    ranked: list[list[DoubleArray]] = [[] for _ in scorers]
    left = min(resamples, RANKING_RESAMPLES) if len(y_true) <= MOST_RESAMPLED else 0
    for weights in resampled(len(y_true), resamples, seed):
        for at, scorer in enumerate(scorers):
            counted[at].append(scorer.counted(weights))
            ranked[at].append(scorer.ranked(weights[:, :left]))
        left -= min(left, weights.shape[1])
        on_draws(weights.shape[1])
    once = np.ones((len(y_true), 1), dtype=np.float32)
    whole = [_in_order(scorer.counted(once), scorer.ranked(once))[0] for scorer in scorers]
    drawn = [(np.concatenate(counted[at]), np.concatenate(ranked[at])) for at in range(len(scorers))]
    found = [_contrast(whole[0], whole[at], drawn[0], drawn[at]) for at in range(1, len(scorers))]
    return [_guarded(one, scorers[0], other) for one, other in zip(found, scorers[1:], strict=True)]


def bootstrap_p_value(observed: float, draws: DoubleArray) -> float:
    """The two-sided p-value of no difference, from paired differences of resamples; never 0.

    Under the null hypothesis differences scatter about 0 as the resampled ones scatter about the observed one, so
    those at least as far from it as it is from 0 are counted: (1 + count) / (1 + resamples).

    Args:
        observed: the difference on all rows.
        draws: the differences of the resamples, (resamples,).

    Source:
        Efron and Tibshirani 1993, section 16.4 (the shifted null); Davison and Hinkley 1997, Bootstrap Methods and
        their Application, equation 4.11, and Phipson and Smyth 2010, https://doi.org/10.2202/1544-6115.1585
        (why 1 is added).
    """
    as_far = np.abs(draws - observed) >= abs(observed) - _NOISE
    return float((1 + as_far.sum()) / (1 + len(draws)))


@dataclass(frozen=True)
class Agreement:
    """How far the decisions of two models agree, whatever is right."""

    equal_rows: float
    """Share of rows with the same label set."""
    kappa: float | None
    """Cohen's kappa of each label, averaged over the labels for which it is defined; None if there are none."""
    only_a_right: int
    """Rows whose whole label set A has right and B has not."""
    only_b_right: int
    mcnemar_p: float
    """McNemar's exact test that subset accuracy is the same; 1 where no row tells them apart."""


def agreement(y_true: BoolArray, y_pred_a: BoolArray, y_pred_b: BoolArray) -> Agreement:
    """Agreement of two models; all arguments bool, (n_examples, n_labels).

    Kappa is undefined, and left out of the mean, for a label that both give to every row or both to none.

    Source:
        Cohen 1960, A Coefficient of Agreement for Nominal Scales; McNemar 1947, Psychometrika 12, in its exact,
        binomial form.
    """
    share_a, share_b = y_pred_a.mean(axis=0), y_pred_b.mean(axis=0)
    by_chance = share_a * share_b + (1 - share_a) * (1 - share_b)
    same = (y_pred_a == y_pred_b).mean(axis=0)
    defined = by_chance < 1
    kappa = (same - by_chance)[defined] / (1 - by_chance)[defined]
    right_a, right_b = (y_pred_a == y_true).all(axis=1), (y_pred_b == y_true).all(axis=1)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return Agreement(
        equal_rows=float((y_pred_a == y_pred_b).all(axis=1).mean()),
        kappa=float(kappa.mean()) if defined.any() else None,
        only_a_right=only_a,
        only_b_right=only_b,
        mcnemar_p=float(mcnemar(only_a, only_b)),
    )


class _Scorer:
    """A model's decisions and probabilities, prepared once for any draws of rows."""

    def __init__(self, y_true: BoolArray, y_pred: BoolArray, y_prob: FloatArray) -> None:
        n_examples, n_labels = y_true.shape
        rows = np.arange(n_examples)
        self.y_true, self.y_pred, self.y_prob = y_true, y_pred, y_prob
        self._decided = DecidedRows(y_true, {"": y_pred})
        self._cells = Ranked.of(y_true.ravel(), y_prob.ravel(), np.repeat(rows, n_labels))
        self._labels = [Ranked.of(y_true[:, at], y_prob[:, at], rows) for at in range(n_labels)]

    def counted(self, weights: FloatArray) -> DoubleArray:
        """`COUNT_SCORES`, then each label's F1, of row weights (n_examples, draws): (draws, n_scores + n_labels)."""
        sums = self._decided.sums(weights)[""]
        scores = sums.scores()
        return np.column_stack([*(scores[name] for name in COUNT_SCORES), sums.f1()])

    def ranked(self, weights: FloatArray) -> DoubleArray:
        """`RANKING_SCORES` of row weights (n_examples, draws): (draws, n_scores); NaN where undefined."""
        blocks = []
        for start in range(0, weights.shape[1], _RANKED_DRAWS):
            block = np.ascontiguousarray(weights[:, start : start + _RANKED_DRAWS])
            micro = self._cells.drawn(block).roc_auc()
            labels = np.column_stack([label.drawn(block).roc_auc() for label in self._labels])
            blocks.append(np.column_stack([micro, _mean_of_defined(labels)]))
        return np.concatenate(blocks) if blocks else np.zeros((0, len(RANKING_SCORES)))

    def edges(self) -> DoubleArray:
        """How far unseen rows can move `SCORES`, then each label's F1, (2, n_scores + n_labels); NaN if undefined."""
        once = np.ones((len(self.y_true), 1), dtype=np.float32)
        auc_micro, *roc_auc = (part.drawn(once).roc_auc()[0] for part in (self._cells, *self._labels))
        areas = {"auc_micro": auc_micro, "auc_macro": _mean_of_defined(np.array([roc_auc]))[0]}
        defined = {name: area for name, area in areas.items() if not np.isnan(area)}
        bounds = rule_edges(self.y_true, self.y_pred, rule_scores(self.y_true, self.y_pred))
        bounds |= ranking_edges(self.y_true, defined, {"auc_macro": np.array(roc_auc)})
        labels = label_edges(count(self.y_true, self.y_pred).tp, (self.y_true | self.y_pred).sum(axis=0))
        return np.hstack([np.array([bounds.get(name, (np.nan, np.nan)) for name in SCORES]).T, labels])

    def differing_rows(self, other: "_Scorer") -> IntArray:
        """Rows from which `SCORES`, then each label's F1, can tell two models apart, (n_scores + n_labels,)."""
        decided = self.y_pred != other.y_pred
        by_score = [decided.any(axis=1).sum()] * len(COUNT_SCORES)
        by_score += [(self.y_prob != other.y_prob).any(axis=1).sum()] * len(RANKING_SCORES)
        return np.concatenate([by_score, decided.sum(axis=0)])

    def is_same_as(self, other: "_Scorer") -> bool:
        """Whether the two gave the same probabilities and decisions to every row."""
        return np.array_equal(self.y_prob, other.y_prob) and np.array_equal(self.y_pred, other.y_pred)


def _mean_of_defined(labels: DoubleArray) -> DoubleArray:
    """Macro average of each draw, over the labels that it has positives and negatives of: (draws, n_labels)."""
    defined = (~np.isnan(labels)).sum(axis=1)
    return np.where(defined > 0, np.nansum(labels, axis=1) / np.maximum(defined, 1), np.nan)


def _contrast(
    a: DoubleArray,
    b: DoubleArray,
    drawn_a: tuple[DoubleArray, DoubleArray],
    drawn_b: tuple[DoubleArray, DoubleArray],
) -> Differences:
    """Intervals and p-values; drawn: count scores and ranking scores of the resamples."""
    counted, ranked = (_difference(left, right) for left, right in zip(drawn_a, drawn_b, strict=True))
    n_counts = len(COUNT_SCORES)
    columns = [*counted.T[:n_counts], *ranked.T, *counted.T[n_counts:]]
    low, high, p_value = (np.full(len(a), np.nan) for _ in range(3))
    resamples = np.zeros(len(a), dtype=np.int64)
    for at, observed in enumerate(_difference(a, b)):
        draws = columns[at][~np.isnan(columns[at])]
        if not np.isnan(observed) and len(draws):
            low[at], high[at] = interval(draws)
            p_value[at], resamples[at] = bootstrap_p_value(float(observed), draws), len(draws)
    return Differences(a, b, low, high, p_value, resamples)


def _guarded(found: Differences, a: _Scorer, b: _Scorer) -> Differences:
    """Intervals and p-values that do not claim certainty if only a few rows, or none, distinguish two models."""
    if a.is_same_as(b):
        return found  # a model compared with itself
    alike = found.high - found.low < NO_WIDTH
    (low_a, high_a), (low_b, high_b) = a.edges(), b.edges()
    sign_test = np.minimum(1.0, 2.0 ** (1 - a.differing_rows(b)))
    return replace(
        found,
        low=np.where(alike, np.maximum(low_b - high_a, -1.0), found.low),
        high=np.where(alike, np.minimum(high_b - low_a, 1.0), found.high),
        p_value=np.maximum(found.p_value, sign_test),  # NaN stays NaN
    )


def _in_order(counted: DoubleArray, ranked: DoubleArray) -> DoubleArray:
    """The columns of `SCORES`, then of the labels' F1."""
    n_counts = len(COUNT_SCORES)
    return np.hstack([counted[:, :n_counts], ranked, counted[:, n_counts:]])


def _difference(a: DoubleArray, b: DoubleArray) -> DoubleArray:
    """B - a without the noise of the last digits, so that equal models differ by exactly 0."""
    difference: DoubleArray = np.round(b - a, 12) + 0.0  # no minus before a zero
    return difference
