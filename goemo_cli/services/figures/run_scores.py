"""Figures 06, 09 and 20: scores of whole runs, and which measures of the labels go together."""

from collections.abc import Sequence
from functools import cache
from itertools import permutations
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from goemo_cli.core.arrays import DoubleArray, IntArray
from goemo_cli.core.errors import DataError
from goemo_cli.core.schema import RULES
from goemo_cli.ml.metrics.intervals import ALPHA, holm
from goemo_cli.services.figures.registry import Drawn, Table, figure
from goemo_cli.services.figures.several_runs import (
    DIFFERENCES,
    RUN_STYLES,
    by_run,
    highest,
    legend_height,
    name_runs,
    offsets,
    subtitle_of,
)
from goemo_cli.services.figures.style import (
    BLUE,
    FAINT,
    MUTED,
    PAPER,
    VERMILLION,
    LabelRows,
    caption,
    counted,
    ink_on,
    limit_note,
    limited,
    mark_intervals,
    new_figure,
    padded_limits,
    round_limit,
    shown,
    signed,
    span,
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


@figure("06", "metric_correlations", needs="the per-class metrics CSV")
def draw_metric_correlations(source: RunData) -> Drawn:
    """Figure 06: which measures of a label go together, over all labels.

    Spearman's rank correlation of every two measures over the labels, below the diagonal.
    """
    values = np.stack([source.by_label(column) for column, _ in MEASURES])
    n_labels = len(source.labels)
    if n_labels < _FEWEST:
        raise DataError(f"{n_labels} labels are too few to correlate anything over them")
    rho, counted = correlations(values)
    names = [name for _, name in MEASURES]
    figure = new_figure(
        _correlation_title(values, names, rho),
        source.subtitle(source.test_size(), f"{n_labels} labels"),
        height=6.2,
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
    caption(figure, _correlation_legend(n_labels, rho))
    pairs = np.argwhere(below)
    keys = [key for key, _ in MEASURES]
    return Drawn(
        figure,
        {
            "measure": [keys[row] for row, _ in pairs],
            "other": [keys[column] for _, column in pairs],
            "spearman": [rho[row, column] for row, column in pairs],
            "n_labels": [counted[row, column] for row, column in pairs],
            "coloured": [bool(beyond[row, column]) for row, column in pairs],
        },
    )


def average_ranks(values: DoubleArray) -> DoubleArray:
    """Ranks from 1, equal values with the mean of their ranks, (n_values,)."""
    import pandas  # which writes the tables of figures; scipy.stats is not loaded otherwise

    ranks: DoubleArray = np.asarray(pandas.Series(values).rank(), dtype=np.float64)
    return ranks


def correlations(values: DoubleArray) -> tuple[DoubleArray, IntArray]:
    """Spearman's rank correlation of every two rows, and over how many columns; NaN if a row does not vary.

    Args:
        values: (n_measures, n_labels); a pair leaves out the columns in which one of its two rows is NaN.
    """
    n = len(values)
    rho: DoubleArray = np.full((n, n), np.nan)
    counted: IntArray = np.zeros((n, n), dtype=np.int64)
    for a in range(n):
        for b in range(n):
            known = np.isfinite(values[a]) & np.isfinite(values[b])
            counted[a, b] = known.sum()
            if counted[a, b] >= _FEWEST:
                first, second = average_ranks(values[a, known]), average_ranks(values[b, known])
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
    first, second = (average_ranks(values) - (len(values) + 1) / 2 for values in (one, other))
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


def _correlation_title(values: DoubleArray, names: Sequence[str], rho: DoubleArray) -> str:
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
    beyond = holm(p_values) < ALPHA
    if not beyond.any():
        return f"over {n_labels} labels, F1 correlates with no other measure by more than chance"
    strongest = int(np.where(beyond, np.abs(others), -1.0).argmax())
    start = f"F1 correlates most with {names[strongest]} ({signed(others[strongest])})"
    support = names.index("support")
    if strongest == support or not np.isfinite(others[support]):
        return start
    amount = f"({signed(others[support])} with support)"
    if p_values[support] < ALPHA:
        return f"{start}; common labels have a {'higher' if others[support] > 0 else 'lower'} F1 {amount}"
    return f"{start}; whether a label is common makes no clear difference {amount}"


def _p_value(one: DoubleArray, other: DoubleArray) -> float:
    """Of their rank correlation, over the labels for which both are known."""
    known = np.isfinite(one) & np.isfinite(other)
    return rank_correlation(one[known], other[known])[1]


@cache
def by_chance(n_labels: int) -> float:
    """How large a correlation of unrelated measures is in one of twenty cases; infinite if even 1 is more frequent."""
    from scipy.special import stdtrit

    if n_labels < _FEWEST:
        return np.inf
    if n_labels > _EXACT:
        bound = float(stdtrit(n_labels - 2, 0.975))
        return bound / float(np.sqrt(n_labels - 2 + bound**2))
    ranks = np.arange(n_labels) - (n_labels - 1) / 2
    drawn = np.abs(ranks[np.array(list(permutations(range(n_labels))))] @ ranks) / (ranks**2).sum()
    reached = [value for value in np.unique(drawn.round(9)) if (drawn > value - 1e-6).mean() <= ALPHA]
    return float(reached[0]) if reached else np.inf


def _correlation_legend(n_labels: int, rho: DoubleArray) -> str:
    bound = by_chance(n_labels)
    text = (
        f"Over {n_labels} labels, unrelated measures reach \u00b1{bound:.2f} in one case of twenty; what is less has no colour."
        if np.isfinite(bound)
        else f"{n_labels} labels are too few to conclude anything: unrelated measures reach \u00b11 in more than one case of "
        "twenty. Hence no colours."
    )
    text += " Support, scores and areas are of test, thresholds were chosen on val."
    return f"{text} A dash: one of the two is the same for every label." if np.isnan(rho).any() else text


_SCORES = (("f1_macro", "macro-F1", BLUE, "o"), ("f1_micro", "micro-F1", VERMILLION, "s"))
_LONGEST_RUN = 44
_APART = 0.15
"""Rows between the marks of the two scores, half of it."""
_TESTED = (
    " Whether rare and common labels differ is tested by the rank correlation of F1 and support over the labels "
    "(permutation test, 5\u00a0%)."
)


@figure(
    "09", "macro_vs_micro", needs="metrics.json, thresholds.json and the per-class metrics CSV", several=True
)
def draw_macro_vs_micro(source: RunData) -> Drawn:
    """Figure 09: macro-F1 and micro-F1 by each threshold rule.

    A row per threshold rule, runs below each other: macro- and micro-F1 on test with their intervals.
    """
    runs = source.comparable()
    _ = [run.thresholds for run in runs]  # single-label runs have none to compare
    scores = np.array([[[run.score(key, rule) for key, *_ in _SCORES] for rule in RULES] for run in runs])
    own = [run.rules.rule for run in runs]
    names, places = _rows(runs, own)
    flat = scores.reshape(len(places), len(_SCORES), 3)  # value, low and high end
    sizes = LabelRows.of(len(names))
    figure = new_figure(
        _rule_title(runs, scores, own),
        subtitle_of(runs, source.test_size(), f"{len(source.labels)} labels"),
        height=sizes.height + 1.6,
    )
    axes = figure.subplots()
    for at, (_, name, color, marker) in enumerate(_SCORES):
        value, low, high = flat[:, at].T
        shifted = np.array(places) + (-_APART, _APART)[at]  # whiskers may overlap
        mark_intervals(axes, shifted, value, low, high, color=color, marker=marker, size=7, label=name)
        cells = dict(zip(places, (f"{one:.3f}" for one in value), strict=True))
        sizes.column(
            axes, name, [cells.get(row, "") for row in range(len(names))], at=74 + 78 * at, color=color
        )
    sizes.label(axes, names, longest=_LONGEST_RUN)
    for row, text in enumerate(axes.get_yticklabels()):
        if row not in places or names[row].endswith(_OWN):
            text.set_fontweight("bold")
    axes.set_xlim(*padded_limits(flat, least_span=0.1, floor=0.0, ceiling=1.0))
    axes.hlines(places, *axes.get_xlim(), color=FAINT, linewidth=0.8, zorder=0)
    axes.set_xlabel("F1 on test")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, handletextpad=0.2)
    caption(
        figure,
        "Macro: the mean over labels, each counts alike. Micro: over all cells together, so that common labels count "
        f"most. Whiskers: 95\u00a0% interval over the {source.terms.texts} of test."
        + (_TESTED if len(runs) == 1 else DIFFERENCES),
    )
    tables = [
        {"rule": RULES}
        | {
            f"{key}{end}": run[:, at, part]
            for at, (key, *_) in enumerate(_SCORES)
            for part, end in enumerate(("", "_ci_low", "_ci_high"))
        }
        for run in scores
    ]
    return Drawn(figure, by_run(runs, tables))


_OWN = ", its own"


def _rows(runs: Sequence[RunData], own: Sequence[str]) -> tuple[list[str], list[int]]:
    """Names of the rows, and which of them hold scores: the name of each of several runs is above its rules."""
    names: list[str] = []
    places: list[int] = []
    for run, rule_of_run in zip(runs, own, strict=True):
        if len(runs) > 1:
            names.append(str(run.checkpoint.run))
        for rule in RULES:
            places.append(len(names))
            names.append(f"{rule}{_OWN if rule == rule_of_run else ''}")
    return names, places


def _rule_title(runs: Sequence[RunData], scores: DoubleArray, own: Sequence[str]) -> str:
    macro, micro = (
        [scores[at, RULES.index(rule), column, 0] for at, rule in enumerate(own)]
        for column in range(len(_SCORES))
    )
    if len(runs) > 1:
        return f"{highest(runs, {'macro-F1': macro, 'micro-F1': micro})}; each by its own rule"
    start = f"by the rule {own[0]}, macro-F1 is {macro[0]:.3f} and micro-F1 {micro[0]:.3f}"
    return f"{start}; {_labels(runs[0])}"


def _labels(run: RunData) -> str:
    """How F1 differs between labels, and whether rare ones differ from common ones by more than chance."""
    f1, support = run.by_label("f1_score"), run.by_label("support")
    known = support > 0
    if not known.any():
        return "test has no positives of any label"
    f1, support = f1[known], support[known]
    text = f"F1 of the labels {span(f1)}"
    rho, p_value = rank_correlation(support, f1)
    if not p_value < ALPHA:
        return text
    return f"{text}, {'lower' if rho > 0 else 'higher'} for rare ones (rank correlation with support {signed(rho)})"


SCORES: tuple[tuple[str, str, bool], ...] = (
    ("auc_micro", "micro-AUC", False),
    ("auc_macro", "macro-AUC", False),
    ("lrap", "ranking precision", False),
    ("average_precision_macro", "macro average precision", False),
    ("f1_micro", "micro-F1", True),
    ("f1_weighted", "weighted F1", True),
    ("f1_samples", "F1 per {text}", True),
    ("f1_macro", "macro-F1", True),
    ("subset_accuracy", "all labels right", True),
)
"""(key of metrics.json, words with a place for what a text is called, whether it follows the run's threshold rule)."""
_COLUMNS = ("f1_score", "f1_ci_low", "f1_ci_high")


@figure(
    "20",
    "robustness_confidence_intervals",
    needs="metrics.json, thresholds.json and the per-class metrics CSV",
    several=True,
)
def draw_robustness_confidence_intervals(source: RunData) -> Drawn:
    """Figure 20: how far scores would move on another test set of the same kind, and how that depends on support.

    Scores of test with 95 % intervals above; below half the width of each label's interval of F1, commonest label first.
    """
    runs = source.comparable()
    scores = np.array(
        [[run.score(key, run.rules.rule if by_rule else None) for key, _, by_rule in SCORES] for run in runs]
    )  # (n_runs, n_scores, value and interval), as is the next
    per_label = np.stack([[run.by_label(column) for column in _COLUMNS] for run in runs]).transpose(0, 2, 1)
    support = source.by_label("support")
    order = np.argsort(-support, kind="stable")
    names, widths = [source.labels[at] for at in order], half_width(per_label[:, order])
    title = _interval_title(runs, scores, names, widths, support[order])
    order = limited(order, support)
    labels, per_label, support = [source.labels[at] for at in order], per_label[:, order], support[order]
    above, below = (LabelRows.of(n, n_runs=len(runs)) for n in (len(SCORES), len(labels)))
    rules = ", ".join(dict.fromkeys(run.rules.rule for run in runs))
    figure = new_figure(
        title,
        subtitle_of(runs, source.test_size(), f"threshold rule {rules}"),
        height=above.height + below.height + 2.3 + legend_height(runs),
    )
    top, bottom = figure.subplots(2, 1, height_ratios=(above.height, below.height))
    _draw_scores(top, above, runs, scores)
    _draw_widths(bottom, below, labels, half_width(per_label), support)
    name_runs(figure, top, runs)
    note = limit_note(len(source.labels), f"test {source.terms.texts}")
    caption(figure, _interval_legend(runs, half_width(np.concatenate([scores, per_label], axis=1))) + note)
    both = np.concatenate([scores, per_label], axis=1)
    none = [None] * len(SCORES)
    tables: list[Table] = [
        {
            "score": [*(key for key, *_ in SCORES), *["f1_score"] * len(labels)],
            "emotion": [*none, *labels],
            "value": run[:, 0],
            "ci_low": run[:, 1],
            "ci_high": run[:, 2],
            "half_width": half_width(run),
            "support": [*none, *support],
        }
        for run in both
    ]
    return Drawn(figure, by_run(runs, tables))


def half_width(values: DoubleArray) -> DoubleArray:
    """Half the width of each interval; NaN if there is none, or if it has no width.

    Args:
        values: value, low and high end, (..., 3).
    """
    found = (values[..., 2] - values[..., 1]) / 2
    return np.where(found > 0, found, np.nan)


def _draw_scores(axes: Any, rows: LabelRows, runs: Sequence[RunData], values: DoubleArray) -> None:
    places = np.arange(rows.count)
    for at, offset in enumerate(offsets(len(runs))):
        color, marker = RUN_STYLES[at]
        value, low, high = values[at].T
        mark_intervals(
            axes, places + offset, value, low, high, color=color, marker=marker, size=rows.marker(len(runs)),
            label=str(runs[at].checkpoint.run),
        )  # fmt: skip
    rows.label(axes, [words.format(text=runs[0].terms.text) for _, words, _ in SCORES])
    axes.set_xlim(0, 1)
    axes.hlines(places, 0, 1, color=FAINT, linewidth=0.8, zorder=0)
    axes.set_xlabel("score on test")
    first = values[0]
    if len(runs) == 1:
        rows.column(axes, "value", [_cell(value) for value in first[:, 0]], at=44)
    else:
        axes.tick_params(axis="x", pad=3)
    ends = [f"{_cell(low)}–{_cell(high)}" if high > low else "–" for _, low, high in first]
    rows.column(axes, "95\u00a0% interval", ends, at=132, color=MUTED)


def _draw_widths(
    axes: Any, rows: LabelRows, labels: Sequence[str], widths: DoubleArray, support: DoubleArray
) -> None:
    """A line from 0 to each half width, (n_runs, n_labels), and the support of each label, (n_labels,)."""
    places = np.arange(rows.count)
    for at, offset in enumerate(offsets(len(widths))):
        color, marker = RUN_STYLES[at]
        axes.hlines(places + offset, 0, widths[at], color=color, linewidth=2.0)
        axes.plot(
            widths[at], places + offset, linestyle="", marker=marker, color=color,
            clip_on=not np.isfinite(widths[at]).any(),
            markersize=rows.marker(len(widths)),
        )  # fmt: skip
    rows.label(axes, labels)
    known = widths[np.isfinite(widths)]
    axes.set_xlim(0, round_limit(float(known.max()) if known.size else 0.0))
    axes.hlines(places, *axes.get_xlim(), color=FAINT, linewidth=0.8, zorder=0)
    axes.set_xlabel("half the width of the 95\u00a0% interval of F1 on test")
    rows.column(axes, "\u00b1", [_cell(width) for width in widths[0]], at=44, color=RUN_STYLES[0][0])
    rows.column(axes, "support", [f"{n:,.0f}" for n in support], at=132, color=MUTED)


def _cell(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "–"


def _interval_title(
    runs: Sequence[RunData],
    scores: DoubleArray,
    labels: Sequence[str],
    widths: DoubleArray,
    support: DoubleArray,
) -> str:
    macro = [key for key, *_ in SCORES].index("f1_macro")
    value, low, high = scores[0, macro]
    who = f"{runs[0].checkpoint.run} has" if len(runs) > 1 else "the run has"
    start = f"{who} a macro-F1 of {value:.3f}"
    if not np.isfinite(low):
        return f"{start}; no interval is recorded"
    start += f", and could have {low:.2f} to {high:.2f} on another such test set"
    if not np.isfinite(widths[0]).any():
        return start
    least, most = int(np.nanargmin(widths[0])), int(np.nanargmax(widths[0]))
    if f"{widths[0, least]:.2f}" == f"{widths[0, most]:.2f}":
        return f"{start}; F1 of single labels is known to \u00b1{widths[0, most]:.2f}"
    ends = [
        f"\u00b1{widths[0, at]:.2f} ({shown(labels[at])}, {counted(int(support[at]), runs[0].terms.text)})"
        for at in dict.fromkeys((least, most))
    ]
    return f"{start}; F1 of single labels is known to {' up to '.join(ends)}"


def _interval_legend(runs: Sequence[RunData], widths: DoubleArray) -> str:
    text = (
        f"Whiskers: 95\u00a0% interval of the score over the {runs[0].terms.texts} of test. Below: the labels by support, "
        "the commonest first. Figure 07 shows F1 itself."
    )
    if len(runs) > 1:
        text += f" Numbers are those of the first run. Whiskers that overlap do not mean that runs are alike.{DIFFERENCES}"
    if not np.isfinite(widths[0]).all():
        text += " \u2013: no interval is recorded, or one without a width, which says nothing."
    return text
