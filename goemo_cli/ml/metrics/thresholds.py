"""Thresholds fitted on val: one for all labels, and one per label drawn toward it where positives are few."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_array

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, IntArray, none_if_nan, ratio
from goemo_cli.core.documents.rules import RuleChoice
from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.core.thresholds import Thresholds
from goemo_cli.ml.metrics.guarantees import recall_thresholds
from goemo_cli.ml.metrics.intervals import interval, resampled

GRID: DoubleArray = np.round(np.arange(0.02, 0.981, 0.01), 2)
"""Candidate thresholds."""
RESAMPLES = 200
"""Of val, to see how far each threshold would move."""
_HELD_CELLS = 1_000_000
"""Counts of candidates and labels held at once: bounds memory."""


@dataclass(frozen=True)
class GridCounts:
    """What each candidate threshold would count; the leading axes may be draws of rows.

    Attributes:
        tp: true positives, (..., n_grid, n_labels).
        predicted: predicted positives, (..., n_grid, n_labels).
        support: gold positives, (..., n_labels).
    """

    tp: DoubleArray
    predicted: DoubleArray
    support: DoubleArray

    def f_beta(self, beta: float = 1.0) -> DoubleArray:
        """F-beta of each label at each candidate, (..., n_grid, n_labels); 0 if nothing is gold or predicted."""
        weighted = beta**2
        return ratio((1 + weighted) * self.tp, weighted * self.support[..., None, :] + self.predicted)

    def precision(self) -> DoubleArray:
        """Precision, likewise; 1 if nothing is predicted, since then nothing is wrong."""
        return np.where(self.predicted > 0, ratio(self.tp, self.predicted), 1.0)

    def recall(self) -> DoubleArray:
        """Recall, likewise; 0 if nothing is gold."""
        return ratio(self.tp, self.support[..., None, :])


def reached_on_grid(y_prob: FloatArray) -> IntArray:
    """How many candidate thresholds each probability reaches, where `probability >= threshold` is a yes.

    Args:
        y_prob: probabilities, float32, (n_examples, n_labels).
    """
    reached: IntArray = np.searchsorted(GRID, y_prob.astype(np.float64), side="right")
    return reached


def counts_on_grid(y_true: BoolArray, reached: IntArray, weights: FloatArray | None = None) -> GridCounts:
    """Counts at every candidate threshold.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        reached: what `reached_on_grid` gives, (n_examples, n_labels).
        weights: draws of row weights, float32, (n_examples, draws); as they are without.
    """
    if weights is None:
        one = counts_on_grid(y_true, reached, np.ones((len(y_true), 1), dtype=np.float32))
        return GridCounts(one.tp[0], one.predicted[0], one.support[0])
    tp, predicted = [], []
    for label in range(y_true.shape[1]):
        gold = y_true[:, label]
        predicted.append(_reaching(reached[:, label], weights))
        tp.append(_reaching(reached[gold, label], weights[gold]))
    support = (weights.T @ y_true.astype(np.float32)).astype(np.float64)
    return GridCounts(np.stack(tp, axis=-1), np.stack(predicted, axis=-1), support)


def _reaching(reached: IntArray, weights: FloatArray) -> DoubleArray:
    """Weight of the rows that reach each candidate, (draws, n_grid)."""
    n_rows = len(reached)
    ones = np.ones(n_rows, dtype=np.float32)
    bins = csc_array((ones, reached, np.arange(n_rows + 1)), (len(GRID) + 1, n_rows))  # a column has a one
    histogram = (bins @ weights).astype(np.float64)  # (n_bins, draws)
    counts: DoubleArray = histogram[::-1].cumsum(axis=0)[::-1][1:].T
    return counts


def fit_thresholds(
    labels: tuple[str, ...],
    y_true: BoolArray,
    y_prob: FloatArray,
    settings: ThresholdSettings,
    *,
    resamples: int = RESAMPLES,
    choice: RuleChoice | None = None,
) -> Thresholds:
    """The thresholds that serve the objective best on val.

    With the objective recall_guarantee, see `recall_thresholds`. Otherwise:
    the global one serves it over all labels. A label's own best is averaged with it, weighted by its n positives
    against the shrinkage: (n * own + shrinkage * global) / (n + shrinkage). A best on a plateau is its middle,
    which generalises better than its edge. A floor is held after that: if the average misses it, the candidate
    nearest to the average that holds it is taken. `below_floor` names the labels for which there is none.

    Args:
        y_true: gold labels of val, bool, (n_val, n_labels).
        y_prob: probabilities on val, float32, (n_val, n_labels).
        settings: objective, shrinkage, and the rule and options that the run's labels follow.
        resamples: draws of val's rows, for the interval of each threshold; 0 leaves them out.
        choice: how the rule was chosen, if it was not the settings that named it.

    Returns:
        Thresholds rounded to four decimals, so that the written number is the number used.
    """
    guarantee = None
    if settings.objective == "recall_guarantee":
        assert settings.floor is not None  # as the settings checked
        found = recall_thresholds(y_true, y_prob, settings.floor)
        shared, per_label = found.shared, found.per_label
        guarantee = found.guarantee(labels, settings.floor, settings.rule)
    else:
        shared, per_label = _fit(counts_on_grid(y_true, reached_on_grid(y_prob)), settings)
    global_ci, per_label_ci = (0.0, 1.0), None
    if resamples and len(y_true):
        draws = list(_drawn_fits(y_true, y_prob, settings, resamples))
        low, high = interval(np.array([draw[0] for draw in draws]))
        global_ci = (round(float(low), 4), round(float(high), 4))
        per_label_ci = np.round(interval(np.stack([draw[1] for draw in draws])), 4)
    return Thresholds(
        labels=labels,
        global_threshold=round(shared, 4),
        per_label=np.round(per_label, 4),
        n_positives=tuple(int(n) for n in y_true.sum(axis=0)),
        settings=settings,
        global_ci=global_ci,
        per_label_ci=per_label_ci,
        choice=choice,
        guarantee=guarantee,
    )


def _drawn_fits(
    y_true: BoolArray, y_prob: FloatArray, settings: ThresholdSettings, resamples: int
) -> "Iterator[Choice]":
    """The global threshold, and one per label, of each draw of val's rows."""
    reached = reached_on_grid(y_prob)
    for weights in resampled(len(y_true), resamples):
        if settings.objective == "recall_guarantee":
            for draw in weights.T.astype(np.int64):
                rows = np.repeat(np.arange(len(y_true)), draw)
                found = recall_thresholds(y_true[rows], y_prob[rows], settings.floor or 0.0)
                yield found.shared, found.per_label
        else:
            for counts in _each_draw(y_true, reached, weights):
                yield _fit(counts, settings)


def _each_draw(y_true: BoolArray, reached: IntArray, weights: FloatArray) -> Iterator[GridCounts]:
    at_once = max(1, _HELD_CELLS // (len(GRID) * y_true.shape[1]))
    for start in range(0, weights.shape[1], at_once):
        counts = counts_on_grid(y_true, reached, weights[:, start : start + at_once])
        yield from map(GridCounts, counts.tp, counts.predicted, counts.support)


def _fit(counts: GridCounts, settings: ThresholdSettings) -> tuple[float, DoubleArray]:
    """The global threshold, and one per label (n_labels,)."""
    choose = _CHOICES[settings.objective]
    shared, own = choose(counts, settings)
    n = counts.support
    # Without positives a label has no best threshold, whatever the grid says.
    weight = np.maximum(n + settings.shrinkage, 1e-9)
    per_label: DoubleArray = np.where(n > 0, (n * own + settings.shrinkage * shared) / weight, shared)
    if settings.objective in _HELD:
        per_label = _with_floor(per_label, counts, settings)
    return shared, per_label


Choice = tuple[float, DoubleArray]
"""The global threshold, and each label's own best."""


def _best_f_beta(counts: GridCounts, settings: ThresholdSettings) -> Choice:
    table = counts.f_beta(settings.beta)
    return _middle_of_best(table.mean(axis=1)), _best_per_label(table)


def _best_f1_micro(counts: GridCounts, settings: ThresholdSettings) -> Choice:
    """The global optimum, and from there label by label until no label gains: a local optimum of micro-F1."""
    pooled = ratio(2 * counts.tp.sum(axis=1), counts.predicted.sum(axis=1) + counts.support.sum())
    shared = _middle_of_best(pooled)
    labels = np.arange(counts.tp.shape[1])
    at = np.full(len(labels), int(np.searchsorted(GRID, shared, side="right")) - 1)
    while True:
        before = at.copy()
        for label in labels:
            others = labels != label
            tp = counts.tp[at[others], labels[others]].sum() + counts.tp[:, label]
            predicted = counts.predicted[at[others], labels[others]].sum() + counts.predicted[:, label]
            scores = ratio(2 * tp, predicted + counts.support.sum())
            if scores.max() > scores[at[label]]:
                at[label] = int(scores.argmax())
        if (at == before).all():
            return shared, GRID[at]


def _best_recall(counts: GridCounts, settings: ThresholdSettings) -> Choice:
    """Most recall with precision at the floor or above."""
    return _above_floor(counts, counts.precision(), counts.recall(), settings)


def _best_precision(counts: GridCounts, settings: ThresholdSettings) -> Choice:
    """Most precision with recall at the floor or above."""
    return _above_floor(counts, counts.recall(), counts.precision(), settings)


def _above_floor(
    counts: GridCounts, held: DoubleArray, raised: DoubleArray, settings: ThresholdSettings
) -> Choice:
    """The most of one score with the other at the floor or above; if none is, the most of the other.

    The global threshold holds the floor for the macro average as it is reported: over labels with positives, with
    0 for a label that is never predicted.
    """
    floor = settings.floor or 0.0

    def best(held: DoubleArray, raised: DoubleArray) -> float:
        reached = held >= floor
        return _middle_of_best(np.where(reached, raised, -1.0) if reached.any() else held)

    own = [best(held[:, label], raised[:, label]) for label in range(held.shape[1])]
    scored = counts.support > 0 if counts.support.any() else np.ones(len(own), dtype=np.bool_)
    reported = np.where(counts.predicted > 0, held, 0.0)
    return best(*(table[:, scored].mean(axis=1) for table in (reported, raised))), np.array(own)


def _with_floor(per_label: DoubleArray, counts: GridCounts, settings: ThresholdSettings) -> DoubleArray:
    """Each threshold moved to the nearest candidate that holds the floor, if there is one, (n_labels,).

    A candidate at which the label is never predicted is only taken if no other holds the floor.
    """
    holds = _HELD[settings.objective](counts) >= (settings.floor or 0.0)
    predicted = holds & (counts.predicted > 0)
    moved = per_label.copy()
    for label in np.flatnonzero((counts.support > 0) & holds.any(axis=0)):
        allowed = GRID[predicted[:, label] if predicted[:, label].any() else holds[:, label]]
        moved[label] = allowed[np.abs(allowed - per_label[label]).argmin()]
    return moved


_HELD: dict[str, Callable[[GridCounts], DoubleArray]] = {
    "precision_floor": GridCounts.precision,
    "recall_floor": GridCounts.recall,
}
"""The score that each floor is about."""


MACRO = "macro average"
"""What `below_floor` calls the score that the global threshold holds the floor for."""


def below_floor(thresholds: Thresholds, y_true: BoolArray, y_pred: BoolArray) -> dict[str, float | None]:
    """What misses the floor that the thresholds were fitted for: precision or recall by label, or their `MACRO` average.

    Args:
        thresholds: with the rule that decided: per_label holds the floor for each label, global for the average over
            labels with positives. Other rules and objectives hold none.
        y_true: gold labels of val, bool, (n_val, n_labels).
        y_pred: what was decided, likewise.

    Returns:
        None for a score that is undefined: of a label that is never predicted, or has no positives.
    """
    settings = thresholds.settings
    if settings.objective not in _HELD or settings.rule not in ("per_label", "global"):
        return {}
    floor = settings.floor or 0.0
    tp, support = (y_true & y_pred).sum(axis=0), y_true.sum(axis=0)
    of = y_pred.sum(axis=0) if settings.objective == "precision_floor" else support
    scores = ratio(tp, of, undefined=np.nan)
    names = thresholds.labels
    if settings.rule == "global":
        scored = np.nan_to_num(scores)[support > 0]
        names, scores = (MACRO,), np.array([scored.mean() if len(scored) else np.nan])
    return {
        name: none_if_nan(score)
        for name, score in zip(names, scores, strict=True)
        if not score >= floor - _NOISE
    }


_NOISE = 1e-12
"""Means of floats differ in the last digit."""


_CHOICES: dict[str, Callable[[GridCounts, ThresholdSettings], Choice]] = {
    "f1_macro": _best_f_beta,
    "f_beta": _best_f_beta,
    "f1_micro": _best_f1_micro,
    "precision_floor": _best_recall,
    "recall_floor": _best_precision,
}


def _middle_of_best(scores: DoubleArray) -> float:
    """The middle of the run of grid points around the first best one that score the same."""
    return float(_best_per_label(scores[:, None])[0])


def _best_per_label(table: DoubleArray) -> DoubleArray:
    """The middle of that run in each column of (n_grid, n_labels)."""
    first = table.argmax(axis=0)
    best = np.take_along_axis(table, first[None], axis=0)
    is_behind = (table != best) & (np.arange(len(table))[:, None] > first)
    last = np.where(is_behind.any(axis=0), is_behind.argmax(axis=0), len(table)) - 1
    middle: DoubleArray = (GRID[first] + GRID[last]) / 2
    return middle
