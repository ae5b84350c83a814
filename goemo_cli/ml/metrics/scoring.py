"""Scores from gold labels and predicted labels, as scikit-learn defines them; fractions, never percentages.

Where a score is undefined (no positives and none predicted) F1, precision and recall are 0, as with
scikit-learn's `zero_division=0`; a ranking score is then None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, IntArray, none_if_nan, ratio
from goemo_cli.core.schema import ARGMAX, RANKING_KEYS
from goemo_cli.core.thresholds import Decision, LabelRules
from goemo_cli.ml.metrics.intervals import (
    f1_intervals,
    interval,
    resampled,
    rule_edges,
    widened,
    wilson,
)
from goemo_cli.ml.metrics.ranking import RankedSplit, RankingScores, ranking_scores

_CHUNK_ROWS = 16_384


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
        return ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> DoubleArray:
        """Share of the gold that are predicted, (n_labels,)."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> DoubleArray:
        """Harmonic mean of precision and recall, (n_labels,)."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

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
    tp = counts.tp.sum()
    return float(ratio(2 * tp, 2 * tp + counts.fp.sum() + counts.fn.sum()))


def binary_cross_entropy(y_true: BoolArray, y_prob: FloatArray) -> float:
    """Mean log loss per cell, in nats; probabilities are kept 1e-7 away from 0 and 1."""
    clipped = np.clip(y_prob.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-np.where(y_true, np.log(clipped), np.log1p(-clipped)).mean())


def cross_entropy(y_true: BoolArray, y_prob: FloatArray) -> float:
    """Mean log loss per row of single-label data, in nats; probabilities are kept 1e-7 away from 0."""
    return float(-np.log(np.maximum(y_prob.astype(np.float64), 1e-7))[y_true].mean())


@dataclass(frozen=True)
class Sums:
    """Sums over rows from which every score of predicted labels follows; the leading axis is draws of rows."""

    n_examples: int
    tp: DoubleArray
    """(draws, n_labels)"""
    predicted: DoubleArray
    """(draws, n_labels)"""
    support: DoubleArray
    """(draws, n_labels)"""
    rows: DoubleArray
    """(draws, 6): sums of what `_row_scores` gives."""
    has_positives: BoolArray
    """Labels with a positive among all rows, drawn or not, (n_labels,)."""

    def f1(self) -> DoubleArray:
        """F1 of each label, (draws, n_labels); NaN where a draw missed all positives of a label that has some."""
        return np.where(self._is_scored(), self._f1(), np.nan)

    def _f1(self) -> DoubleArray:
        return ratio(2 * self.tp, self.predicted + self.support)

    def _is_scored(self) -> BoolArray:
        """Labels that count in a draw, (draws, n_labels).

        A draw that misses all positives of a rare label says nothing of it; counted as 0, as a label without any
        positives is, it would push intervals of macro averages below what they are about.
        """
        return (self.support > 0) | ~self.has_positives

    def _macro(self, by_label: DoubleArray) -> DoubleArray:
        is_scored = self._is_scored()
        return ratio((by_label * is_scored).sum(axis=1), is_scored.sum(axis=1))

    def scores(self) -> dict[str, DoubleArray]:
        """Every score of a threshold rule by `RULE_KEYS`, (draws,) each."""
        precision, recall, f1 = ratio(self.tp, self.predicted), ratio(self.tp, self.support), self._f1()
        tp, predicted, support = (x.sum(axis=1) for x in (self.tp, self.predicted, self.support))
        by_row = self.rows / self.n_examples
        return {
            "f1_macro": self._macro(f1),
            "f1_micro": ratio(2 * tp, predicted + support),
            "f1_weighted": ratio((f1 * self.support).sum(axis=1), support),
            "f1_samples": by_row[:, 0],
            "precision_macro": self._macro(precision),
            "precision_micro": ratio(tp, predicted),
            "precision_weighted": ratio((precision * self.support).sum(axis=1), support),
            "precision_samples": by_row[:, 1],
            "recall_macro": self._macro(recall),
            "recall_micro": ratio(tp, support),
            "recall_weighted": ratio(tp, support),  # the supports cancel
            "recall_samples": by_row[:, 2],
            "subset_accuracy": by_row[:, 3],
            "hamming_loss": by_row[:, 4],
            "jaccard_samples": by_row[:, 5],
        }


class DecidedRows:
    """Gold labels and several sets of predicted labels, prepared once for any draws of the rows.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        decided: predicted labels by name, bool, (n_examples, n_labels) each.
    """

    def __init__(self, y_true: BoolArray, decided: Mapping[str, BoolArray]) -> None:
        self._shape, self._names = y_true.shape, list(decided)
        self._has_positives = np.asarray(y_true.any(axis=0))
        self._chunks: list[tuple[slice, csr_array, csr_array, list[DoubleArray]]] = []
        for start in range(0, len(y_true), _CHUNK_ROWS):
            chunk = slice(start, start + _CHUNK_ROWS)
            gold, preds = y_true[chunk], [y_pred[chunk] for y_pred in decided.values()]
            scores = [_row_scores(gold, pred).T for pred in preds]
            self._chunks.append((chunk, *_counted_cells(gold, preds), scores))

    def sums(self, weights: FloatArray, precise: DoubleArray | None = None) -> dict[str, Sums]:
        """The sums by name, for draws of rows.

        Args:
            weights: of the rows, float32, (n_examples, draws).
            precise: the same in float64, if the caller has them.
        """
        precise = weights.astype(np.float64) if precise is None else precise
        (n_examples, n_labels), n = self._shape, len(self._names)
        counts = np.zeros(((1 + 2 * n) * n_labels, weights.shape[1]))
        rows = np.zeros((n, 6, weights.shape[1]))
        for chunk, cells, kinds, scores in self._chunks:
            counts += kinds @ (cells @ weights[chunk])  # small whole numbers: exact in float32 within a chunk
            # One by one: a name gets the same digits alone.
            rows += [by_row @ precise[chunk] for by_row in scores]
        support, *others = np.split(counts.T, 1 + 2 * n, axis=1)
        parts = zip(self._names, others[n:], others[:n], rows, strict=True)
        return {
            name: Sums(n_examples, tp, predicted, support, by_row.T, self._has_positives)
            for name, tp, predicted, by_row in parts
        }


def _counted_cells(gold: BoolArray, preds: Sequence[BoolArray]) -> tuple[csr_array, csr_array]:
    """Two factors of the matrix that counts gold, predicted and correct cells, each of them once for all sets of predictions.

    A cell of a label is of a kind: gold or not, and in which sets it is predicted. Most sets agree, so there are few kinds.

    Args:
        gold: bool, (n_examples, n_labels).
        preds: sets of predicted labels, likewise.

    Returns:
        Rows of each kind, (n_kinds, n_examples), and kinds that are counted for gold, then as predicted by each set, then as
        correct by each set, ((1 + 2 n_sets) n_labels, n_kinds); ones in float32.
    """
    n_labels, places = gold.shape[1], 1 << np.arange(len(preds) + 1)
    codes = sum((part * place for part, place in zip((gold, *preds), places, strict=True)), start=0)
    rows, labels = np.nonzero(codes)
    kinds, kind_of = np.unique(labels << len(places) | codes[rows, labels], return_inverse=True)
    has = (kinds & places[:, None]) > 0  # (1 + n_sets, n_kinds)
    counted = np.vstack([has, has[0] & has[1:]])  # (1 + 2 n_sets, n_kinds)
    what, kind = np.nonzero(counted)
    return (
        _ones(kind_of, rows, (len(kinds), len(gold))),
        _ones(what * n_labels + (kinds >> len(places))[kind], kind, (len(counted) * n_labels, len(kinds))),
    )


def _ones(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> csr_array:
    found: csr_array = coo_array((np.ones(len(rows), np.float32), (rows, columns)), shape).tocsr()
    return found


def sums_of(y_true: BoolArray, y_pred: BoolArray) -> Sums:
    """The sums of predicted labels over the rows as they are, as one draw."""
    return DecidedRows(y_true, {"": y_pred}).sums(np.ones((len(y_true), 1), np.float32))[""]


def _row_scores(y_true: BoolArray, y_pred: BoolArray) -> DoubleArray:
    """F1, precision, recall, all labels right, share of labels wrong, and Jaccard score of each row, (n_examples, 6)."""
    both, gold, predicted = (x.sum(axis=1) for x in (y_true & y_pred, y_true, y_pred))
    wrong = (y_true != y_pred).mean(axis=1)
    return np.stack(
        [
            ratio(2 * both, gold + predicted),
            ratio(both, predicted),
            ratio(both, gold),
            wrong == 0,
            wrong,
            ratio(both, gold + predicted - both),
        ],
        axis=1,
    )


def rule_scores(y_true: BoolArray, y_pred: BoolArray) -> dict[str, float]:
    """The scores of predicted labels, by `RULE_KEYS`; both arguments bool, (n_examples, n_labels)."""
    return {key: float(values[0]) for key, values in sums_of(y_true, y_pred).scores().items()}


@dataclass(frozen=True)
class Intervals:
    """95 % intervals: how far scores would move on another test set of the same kind."""

    scores: dict[str, tuple[float, float]]
    """By `RULE_KEYS`; the percentile bootstrap, but see `ml.metrics.intervals`."""
    f1: DoubleArray
    """Of each label's F1, (2, n_labels); Wilson's."""


class DrawnScores:
    """Scores of several sets of predicted labels, for draws of the rows that are given block by block.

    The F1 of a label and subset accuracy have Wilson's interval, which needs no draws. All other scores have the
    percentile bootstrap; one without width, of a model that is never or always right, gives way to `rule_edges`.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        decided: predicted labels by name, bool, (n_examples, n_labels) each.
    """

    def __init__(self, y_true: BoolArray, decided: Mapping[str, BoolArray]) -> None:
        self._y_true, self._decided = y_true, decided
        self._rows = DecidedRows(y_true, decided)
        self._drawn: dict[str, list[dict[str, DoubleArray]]] = {name: [] for name in decided}

    def draw(self, weights: FloatArray, precise: DoubleArray | None = None) -> None:
        """Score some draws; the arguments are those of `DecidedRows.sums`."""
        for name, sums in self._rows.sums(weights, precise).items():
            self._drawn[name].append(sums.scores())

    def intervals(self) -> dict[str, Intervals]:
        """Of all draws so far."""
        return {
            name: _intervals(self._y_true, y_pred, self._drawn[name])
            for name, y_pred in self._decided.items()
        }


def _intervals(y_true: BoolArray, y_pred: BoolArray, drawn: list[dict[str, DoubleArray]]) -> Intervals:
    bounds = {key: interval(np.concatenate([block[key] for block in drawn])) for key in drawn[0]}
    bounds["subset_accuracy"] = wilson((y_true == y_pred).all(axis=1).sum(), len(y_true))
    return Intervals(
        widened(
            {key: (float(low), float(high)) for key, (low, high) in bounds.items()},
            rule_edges(y_true, y_pred, rule_scores(y_true, y_pred)),
        ),
        _f1_intervals(count(y_true, y_pred)),
    )


def _f1_intervals(counts: Counts) -> DoubleArray:
    return f1_intervals(counts.tp, counts.tp + counts.fp + counts.fn)


@dataclass(frozen=True)
class SplitScores:
    """All that is said about a split."""

    summary: dict[str, Any]
    """What metrics.json holds under the split's name: ranking scores and every threshold rule, with intervals."""
    per_class: list[dict[str, Any]]
    """One row per label with `PER_CLASS_COLUMNS`, by one rule."""


@dataclass(frozen=True)
class Unscored:
    """Gold labels and probabilities of the rows of a split, and the rules that decide the labels."""

    y_true: BoolArray
    """(n_examples, n_labels)"""
    y_prob: FloatArray
    """(n_examples, n_labels)"""
    rules: LabelRules
    """Fitted on val."""
    rule: str | None = None
    """Of the rows per label; the run's own by default."""


def score_split(
    y_true: BoolArray, y_prob: FloatArray, rules: LabelRules, rule: str | None = None
) -> SplitScores:
    """Score a split by every rule of a run.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        y_prob: probabilities, float32, (n_examples, n_labels).
        rules: fitted on val.
        rule: of the rows per label; the run's own by default.
    """
    return score_together([Unscored(y_true, y_prob, rules, rule)])[0]


def score_together(parts: Sequence[Unscored]) -> list[SplitScores]:
    """The same for several parts with as many rows: the draws of rows are the same for all, and drawn once."""
    started = [_Scoring(part) for part in parts]
    for weights in resampled(len(parts[0].y_true)):
        precise = weights.astype(np.float64)  # once for all parts
        for scoring in started:
            scoring.ranked.draw(weights)
            scoring.drawn.draw(weights, precise)
    return [scoring.scores() for scoring in started]


class _Scoring:
    """A part whose scores are computed for all rows and for draws of them."""

    def __init__(self, part: Unscored) -> None:
        self._part = part
        self._decided = {name: part.rules.decide(part.y_prob, name) for name in part.rules.names}
        self.ranked = RankedSplit(part.y_true, part.y_prob)
        self.drawn = DrawnScores(part.y_true, self._decided)

    def scores(self) -> SplitScores:
        """The scores, with the intervals of the draws."""
        y_true, rules = self._part.y_true, self._part.rules
        ranked, intervals = self.ranked.scores(), self.drawn.intervals()
        summary: dict[str, Any] = {key: none_if_nan(getattr(ranked, key)) for key in RANKING_KEYS}
        summary |= {f"{key}_ci": list(bounds) for key, bounds in ranked.intervals.items()}
        summary["labels_without_positives"] = int((~y_true.any(axis=0)).sum())
        for name, y_pred in self._decided.items():
            bounds = {f"{key}_ci": list(pair) for key, pair in intervals[name].scores.items()}
            summary[name] = _with_accuracy(name, rule_scores(y_true, y_pred) | bounds)
        own = self._part.rule or rules.rule
        counts, f1_ci = count(y_true, self._decided[own]), intervals[own].f1
        return SplitScores(summary, _rows(rules.labels, counts, ranked, f1_ci, rules.decision(own)))


def _with_accuracy(rule: str, scores: dict[str, Any]) -> dict[str, Any]:
    """Scores of a rule; of single-label data also under the name that they have there."""
    if rule != ARGMAX:
        return scores
    return scores | {"accuracy": scores["subset_accuracy"], "accuracy_ci": scores["subset_accuracy_ci"]}


def per_class_rows(
    labels: tuple[str, ...],
    y_true: BoolArray,
    y_prob: FloatArray,
    y_pred: BoolArray,
    decision: Decision | None,
) -> list[dict[str, Any]]:
    """One row per label with `PER_CLASS_COLUMNS`, in label order; None where a score is undefined.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        y_prob: probabilities, float32, (n_examples, n_labels).
        y_pred: predicted labels, bool, (n_examples, n_labels).
        decision: what `y_pred` was decided by; None if unknown.

    Source:
        Demszky et al. 2020, https://arxiv.org/abs/2005.00547 (per-emotion table).
    """
    ranked = ranking_scores(y_true, y_prob, intervals=False)
    counts = count(y_true, y_pred)
    return _rows(labels, counts, ranked, _f1_intervals(counts), decision)


def _rows(
    labels: tuple[str, ...],
    counts: Counts,
    ranked: RankingScores,
    f1_ci: DoubleArray,
    decision: Decision | None,
) -> list[dict[str, Any]]:
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
            "threshold": None if decision is None else decision.threshold_of(at),
            "roc_auc": none_if_nan(ranked.roc_auc[at]),
            "average_precision": none_if_nan(ranked.average_precision[at]),
            "f1_ci_low": float(f1_ci[0, at]),
            "f1_ci_high": float(f1_ci[1, at]),
        }
        for at, label in enumerate(labels)
    ]
