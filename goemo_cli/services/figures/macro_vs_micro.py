"""Figure 09: macro-F1 beside micro-F1 by every threshold rule."""

from collections.abc import Sequence

import numpy as np

from goemo_cli.core.arrays import DoubleArray
from goemo_cli.core.schema import RULES
from goemo_cli.services.figures.description import Description, Drawn
from goemo_cli.services.figures.side_by_side import ahead, by_run, subtitle_of
from goemo_cli.services.figures.source import Source
from goemo_cli.services.figures.style import (
    BLUE,
    FAINT,
    VERMILLION,
    LabelRows,
    caption,
    mark_intervals,
    new_figure,
    padded_limits,
)

_SCORES = (("f1_macro", "macro-F1", BLUE, "o"), ("f1_micro", "micro-F1", VERMILLION, "s"))
_LONGEST_RUN = 44


def draw(source: Source) -> Drawn:
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
        mark_intervals(axes, places, value, low, high, color=color, marker=marker, size=8, label=name)
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
        "most. Whiskers: 95\u00a0% bootstrap interval over the comments of test.",
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


FIGURE = Description("09", "macro_vs_micro", "metrics.json and thresholds.json", draw, several=True)

_OWN = ", its own"


def _rows(runs: Sequence[Source], own: Sequence[str]) -> tuple[list[str], list[int]]:
    """Names of the rows, and which of them hold scores: each of several runs stands above its rules."""
    names: list[str] = []
    places: list[int] = []
    for run, rule_of_run in zip(runs, own, strict=True):
        if len(runs) > 1:
            names.append(str(run.checkpoint.run))
        for rule in RULES:
            places.append(len(names))
            names.append(f"{rule}{_OWN if rule == rule_of_run else ''}")
    return names, places


def _title(runs: Sequence[Source], scores: DoubleArray, own: Sequence[str]) -> str:
    macro, micro = (
        [scores[at, RULES.index(rule), column, 0] for at, rule in enumerate(own)]
        for column in range(len(_SCORES))
    )
    if len(runs) > 1:
        return f"{ahead(runs, {'macro-F1': macro, 'micro-F1': micro})}, each by its own rule"
    gap = round(micro[0], 3) - round(macro[0], 3)  # as it is read beside them
    start = f"by the rule {own[0]}, micro-F1 ({micro[0]:.3f}) is {abs(gap):.3f}"
    low, high = scores[0, RULES.index(own[0]), 0, 1:]
    if low <= micro[0] <= high:
        return (
            f"{start} from macro-F1 ({macro[0]:.3f}), within its interval: rare and common labels fare alike"
        )
    if gap > 0:
        return f"{start} above macro-F1 ({macro[0]:.3f}): rare labels are recognised worse than common ones"
    return f"{start} below macro-F1 ({macro[0]:.3f}): rare labels are no harder than common ones"
