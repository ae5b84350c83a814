"""Figure 06: which measures of a label go together, over all labels."""

from collections.abc import Sequence
from functools import cache
from itertools import permutations

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from scipy.stats import rankdata, t

from goemo_cli.core.arrays import DoubleArray, IntArray
from goemo_cli.core.errors import DataError
from goemo_cli.ml.metrics.significance import holm
from goemo_cli.services.evaluation.error_tables import SIGNIFICANT
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.style import (
    BLUE,
    MUTED,
    PAPER,
    VERMILLION,
    caption,
    ink_on,
    new_figure,
    signed,
)
from goemo_cli.services.runs.run_data import RunData

MEASURES = (
    ("support", "support"), ("f1_score", "F1"), ("precision", "precision"), ("recall", "recall"),
    ("roc_auc", "ROC AUC"), ("average_precision", "average precision"), ("threshold", "threshold"),
)  # fmt: skip
_FEWEST = 3
"""Labels; over two, every correlation is 1 or -1."""
_EXACT = 7
"""Values whose permutations are all counted; of more, `_PERMUTATIONS` are drawn."""
_PERMUTATIONS = 9_999


def draw(source: RunData) -> ResampledRanks:
    """Spearman's rank correlation of every two measures over the labels, below the diagonal."""
    values = np.stack([source.by_label(column) for column, _ in MEASURES])
    n_labels = len(source.labels)
    if n_labels < _FEWEST:
        raise DataError(f"{n_labels} labels are too few to correlate anything over them")
    rho, counted = correlations(values)
    names = [name for _, name in MEASURES]
    figure = new_figure(
        _title(values, names, rho), source.subtitle(source.test_size(), f"{n_labels} labels"), height=6.2
    )
    axes = figure.subplots()
    below = np.tril(np.ones_like(rho, dtype=bool), k=-1)
    bounds = np.vectorize(by_chance, otypes=[float])(counted)
    beyond = np.abs(rho) >= bounds - 1e-9
    ramp = LinearSegmentedColormap.from_list("goemo", [VERMILLION, PAPER, BLUE])
    image = axes.imshow(
        np.ma.masked_invalid(np.where(below & beyond, rho, np.nan))[1:, :-1], cmap=ramp, vmin=-1, vmax=1,
        aspect="auto", interpolation="nearest",
    )  # fmt: skip
    for row, column in np.argwhere(below):
        value = rho[row, column]
        known = np.isfinite(value)
        axes.text(
            column, row - 1, signed(value) if known else "–", ha="center", va="center", size=13,
            color=ink_on(ramp(image.norm(value))) if beyond[row, column] else MUTED,
        )  # fmt: skip
    axes.set_xticks(range(len(names) - 1), names[:-1])
    axes.set_yticks(range(len(names) - 1), names[1:])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, ticks=(-1, -0.5, 0, 0.5, 1), aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label("Spearman's rank correlation")
    caption(figure, _legend(n_labels, rho))
    pairs = np.argwhere(below)
    keys = [key for key, _ in MEASURES]
    return ResampledRanks(
        figure,
        {
            "measure": [keys[row] for row, _ in pairs],
            "other": [keys[column] for _, column in pairs],
            "spearman": [rho[row, column] for row, column in pairs],
            "n_labels": [counted[row, column] for row, column in pairs],
            "coloured": [bool(beyond[row, column]) for row, column in pairs],
        },
    )


FIGURE = Description("06", "metric_correlations", "the per-class metrics CSV", draw)


def correlations(values: DoubleArray) -> tuple[DoubleArray, IntArray]:
    """Spearman's rank correlation of every two rows, and over how many columns; NaN where a row does not vary.

    Args:
        values: (n_measures, n_labels); columns where one of the two is NaN are left out of that pair.
    """
    n = len(values)
    rho: DoubleArray = np.full((n, n), np.nan)
    counted: IntArray = np.zeros((n, n), dtype=np.int64)
    for a in range(n):
        for b in range(n):
            known = np.isfinite(values[a]) & np.isfinite(values[b])
            counted[a, b] = known.sum()
            if counted[a, b] >= _FEWEST:
                first, second = rankdata(values[a, known]), rankdata(values[b, known])
                if np.ptp(first) and np.ptp(second):
                    rho[a, b] = np.corrcoef(first, second)[0, 1]
    return rho, counted


def rank_correlation(one: DoubleArray, other: DoubleArray) -> tuple[float, float]:
    """Spearman's rank correlation and the two-sided p-value of a permutation test; NaN if one does not vary.

    The test is exact for up to `_EXACT` values, and of seeded permutations for more: Student's t claims too much for few.

    Args:
        one: (n_values,).
        other: (n_values,).
    """
    first, second = (rankdata(values) - (len(values) + 1) / 2 for values in (one, other))
    spread = float(np.sqrt((first**2).sum() * (second**2).sum()))
    if not spread:
        return np.nan, np.nan
    if len(first) <= _EXACT:
        orders = np.array(list(permutations(range(len(first)))))
    else:
        identity = np.tile(np.arange(len(first)), (_PERMUTATIONS, 1))
        orders = np.random.default_rng(0).permuted(identity, axis=1)
        orders[0] = identity[0]
    drawn = second[orders] @ first / spread
    rho = float(first @ second) / spread
    return rho, float((np.abs(drawn) >= abs(rho) - 1e-12).mean())


def _title(values: DoubleArray, names: Sequence[str], rho: DoubleArray) -> str:
    f1 = names.index("F1")
    others = np.where(np.arange(len(names)) == f1, np.nan, rho[f1])
    if not np.isfinite(others).any():
        return "F1 is the same for every label, and so correlates with nothing"
    n_labels = values.shape[1]
    p_values = np.array(
        [
            _p_value(values[f1], values[at]) if np.isfinite(other) else np.nan
            for at, other in enumerate(others)
        ]
    )
    beyond = holm(p_values) < SIGNIFICANT
    if not beyond.any():
        return f"over {n_labels} labels, F1 correlates with no other measure by more than chance"
    strongest = int(np.where(beyond, np.abs(others), -1.0).argmax())
    start = f"F1 correlates most with {names[strongest]} ({signed(others[strongest])})"
    support = names.index("support")
    if strongest == support or not np.isfinite(others[support]):
        return start
    chance = "" if p_values[support] < SIGNIFICANT else ", no more than by chance"
    return f"{start}; with support, how common a label is, {signed(others[support])}{chance}"


def _p_value(one: DoubleArray, other: DoubleArray) -> float:
    """Of their rank correlation, over the labels where both are known."""
    known = np.isfinite(one) & np.isfinite(other)
    return rank_correlation(one[known], other[known])[1]


@cache
def by_chance(n_labels: int) -> float:
    """How large a correlation of unrelated measures is in one of twenty cases; infinite if even 1 is more frequent."""
    if n_labels < _FEWEST:
        return np.inf
    if n_labels > _EXACT:
        bound = float(t.ppf(0.975, n_labels - 2))
        return bound / float(np.sqrt(n_labels - 2 + bound**2))
    ranks = np.arange(n_labels) - (n_labels - 1) / 2
    drawn = np.abs(ranks[np.array(list(permutations(range(n_labels))))] @ ranks) / (ranks**2).sum()
    reached = [value for value in np.unique(drawn.round(9)) if (drawn > value - 1e-6).mean() <= SIGNIFICANT]
    return float(reached[0]) if reached else np.inf


def _legend(n_labels: int, rho: DoubleArray) -> str:
    bound = by_chance(n_labels)
    text = (
        f"Over {n_labels} labels, unrelated measures reach \u00b1{bound:.2f} in one case of twenty; what is less has no colour."
        if np.isfinite(bound)
        else f"{n_labels} labels are too few to conclude anything: unrelated measures reach \u00b11 in more than one case of "
        "twenty. Hence no colours."
    )
    text += " Support, scores and areas are of test, thresholds were chosen on val."
    return f"{text} A dash: one of the two is the same for every label." if np.isnan(rho).any() else text
