"""Thresholds fitted on val: one for all labels, and one per label drawn toward it where positives are few."""

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray
from goemo_cli.core.thresholds import Rule, Thresholds

GRID: DoubleArray = np.round(np.arange(0.02, 0.981, 0.01), 2)
"""Candidate thresholds."""


def f1_on_grid(y_true: BoolArray, y_prob: FloatArray, grid: DoubleArray = GRID) -> DoubleArray:
    """F1 of each label at each candidate threshold, (n_grid, n_labels)."""
    n_labels = y_true.shape[1]
    table = np.zeros((len(grid), n_labels))
    for label in range(n_labels):
        gold = y_true[:, label]
        prob = y_prob[:, label].astype(np.float64)
        # Sorted once, the counts at every threshold are two look-ups: predicted positive where prob >= threshold.
        positives = np.sort(prob[gold])
        predicted = len(prob) - np.searchsorted(np.sort(prob), grid, side="left")
        hits = len(positives) - np.searchsorted(positives, grid, side="left")
        whole = predicted + len(positives)
        table[:, label] = np.divide(2.0 * hits, whole, out=np.zeros(len(grid)), where=whole > 0)
    return table


def fit_thresholds(
    labels: tuple[str, ...], y_true: BoolArray, y_prob: FloatArray, *, shrinkage: float, rule: Rule
) -> Thresholds:
    """The thresholds that give the best F1 on val.

    The global one maximises macro-F1. A label's own best is averaged with it, weighted by its n positives against
    `shrinkage`: (n * own + shrinkage * global) / (n + shrinkage). A best on a plateau is its middle, which
    generalises better than its edge.

    Args:
        labels: label names.
        y_true: gold labels of val, bool, (n_val, n_labels).
        y_prob: probabilities on val, float32, (n_val, n_labels).
        shrinkage: positives at which a label's own best and the global threshold count the same.
        rule: which of them the run's labels follow.

    Returns:
        Thresholds rounded to four decimals, so that the written number is the number used.
    """
    table = f1_on_grid(y_true, y_prob)
    shared = _middle_of_best(table.mean(axis=1))
    own = np.array([_middle_of_best(table[:, label]) for label in range(len(labels))])
    n_positives = y_true.sum(axis=0)
    weight = n_positives + shrinkage
    # Without positives there is no best of its own, whatever the grid says.
    per_label: DoubleArray = np.where(
        n_positives > 0, (n_positives * own + shrinkage * shared) / np.maximum(weight, 1e-9), shared
    )
    return Thresholds(
        labels=labels,
        global_threshold=round(shared, 4),
        per_label=np.round(per_label, 4),
        n_positives=tuple(int(n) for n in n_positives),
        shrinkage=shrinkage,
        rule=rule,
    )


def _middle_of_best(scores: DoubleArray) -> float:
    """The middle of the run of grid points around the first best one that score the same."""
    first = int(scores.argmax())
    last = first
    while last + 1 < len(scores) and scores[last + 1] == scores[first]:
        last += 1
    return float((GRID[first] + GRID[last]) / 2)
