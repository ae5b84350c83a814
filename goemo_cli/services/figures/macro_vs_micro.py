"""Figure 09: macro-F1 and micro-F1 by each threshold rule."""

from collections.abc import Sequence

import numpy as np

from goemo_cli.core.arrays import DoubleArray
from goemo_cli.core.schema import RULES
from goemo_cli.services.evaluation.error_tables import SIGNIFICANT
from goemo_cli.services.figures.metric_correlations import rank_correlation
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.several_runs import DIFFERENCES, by_run, highest, subtitle_of
from goemo_cli.services.figures.style import (
    BLUE,
    FAINT,
    VERMILLION,
    LabelRows,
    caption,
    mark_intervals,
    new_figure,
    padded_limits,
    signed,
    span,
)
from goemo_cli.services.runs.run_data import RunData

_SCORES = (("f1_macro", "macro-F1", BLUE, "o"), ("f1_micro", "micro-F1", VERMILLION, "s"))
_LONGEST_RUN = 44
_APART = 0.15
"""Rows between the marks of the two scores, half of it."""
_TESTED = (
    " Whether rare and common labels differ is tested by the rank correlation of F1 and support over the labels "
    "(permutation test, 5\u00a0%)."
)


def draw(source: RunData) -> ResampledRanks:
    """A row per threshold rule, runs below each other: macro- and micro-F1 on test with their intervals."""
    runs = source.comparable()
    scores = np.array([[[run.score(key, rule) for key, *_ in _SCORES] for rule in RULES] for run in runs])
    own = [run.thresholds.rule for run in runs]
    names, places = _rows(runs, own)
    flat = scores.reshape(len(places), len(_SCORES), 3)  # value, low and high end
    sizes = LabelRows.of(len(names))
    figure = new_figure(
        _title(runs, scores, own),
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
        "most. Whiskers: 95\u00a0% interval over the comments of test."
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
    return ResampledRanks(figure, by_run(runs, tables))


FIGURE = Description(
    "09", "macro_vs_micro", "metrics.json, thresholds.json and the per-class metrics CSV", draw, several=True
)

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


def _title(runs: Sequence[RunData], scores: DoubleArray, own: Sequence[str]) -> str:
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
    if not p_value < SIGNIFICANT:
        return text
    return f"{text}, {'lower' if rho > 0 else 'higher'} for rare ones (rank correlation with support {signed(rho)})"
