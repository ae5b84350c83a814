"""Figure 11: macro-F1 at every threshold, on val and on test."""

from collections.abc import Callable
from typing import Any

import numpy as np

from goemo_cli.core.arrays import DoubleArray
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.splits import Split
from goemo_cli.core.thresholds import decide
from goemo_cli.ml.scoring import f1_macro
from goemo_cli.ml.tuning import GRID
from goemo_cli.services.figures.description import Description, Drawn
from goemo_cli.services.figures.source import Source
from goemo_cli.services.figures.style import (
    INK,
    MUTED,
    SPLIT_COLOR,
    SPLIT_MARKER,
    caption,
    mark_places,
    new_figure,
)

FIXED = (0.3, 0.5)
SPLIT_LINES: tuple[tuple[Split, str], ...] = (("val", "-"), ("test", "--"))

Score = Callable[[Predictions, DoubleArray], DoubleArray]
"""A score with each of some thresholds for all labels, (n_thresholds,)."""


def draw(source: Source) -> Drawn:
    """One curve per split; vertical lines at the global threshold, fitted on val, and at the fixed ones."""
    return draw_score(source, "macro-F1", macro_f1)


FIGURE = Description("11", "threshold_macro", "the predictions of val and test, and thresholds.json", draw)


def macro_f1(predictions: Predictions, thresholds: DoubleArray) -> DoubleArray:
    """Macro-F1 with each threshold for all labels, (n_thresholds,)."""
    return np.array([f1_macro(predictions.y_true, decide(predictions.y_prob, float(t))) for t in thresholds])


def draw_score(source: Source, name: str, score: Score) -> Drawn:
    """A score over the thresholds, its values at the global and at the fixed ones beside it."""
    chosen = source.thresholds.global_threshold
    marks = np.array([chosen, *FIXED])
    predictions = {split: source.predictions(split) for split, _ in SPLIT_LINES}
    curves = {split: score(part, GRID) for split, part in predictions.items()}
    at_marks = {split: score(part, marks) for split, part in predictions.items()}
    figure = new_figure(
        f"one threshold of {chosen:g} for all labels, chosen on val, gives {name} {at_marks['test'][0]:.3f} on test; "
        f"0.5 gives {at_marks['test'][2]:.3f}",
        source.subtitle(
            ", ".join(f"{split} {len(part):,}" for split, part in predictions.items()) + " comments",
            f"{len(source.labels)} labels",
        ),
        height=4.9,
    )
    axes, table = figure.subplots(1, 2, width_ratios=(3, 1))
    for split, line in SPLIT_LINES:
        color, marker = SPLIT_COLOR[split], SPLIT_MARKER[split]
        axes.plot(GRID, curves[split], color=color, linestyle=line, label=split)
        axes.plot(
            marks,
            at_marks[split],
            color=color,
            marker=marker,
            linestyle="",
            markersize=7,
            zorder=4,
            clip_on=False,
        )
    mark_thresholds(axes, chosen)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, axes.get_ylim()[1])
    axes.set_xlabel("threshold for all labels")
    axes.set_ylabel(name)
    caption(figure, "The global threshold is chosen on val alone; the test curve is only looked at.")
    _tabulate(table, name, at_marks)
    return Drawn(figure, {"threshold": GRID, "val": curves["val"], "test": curves["test"]})


def mark_thresholds(axes: Any, chosen: float) -> None:
    """Lines at the global threshold and at the fixed ones."""
    mark_places(
        axes,
        [
            (chosen, f"global {chosen:g}, chosen on val", "-", INK),
            *((fixed, f"fixed {fixed:g}", ":", MUTED) for fixed in FIXED),
        ],
    )


def _tabulate(axes: Any, name: str, scores: dict[Split, DoubleArray]) -> None:
    """The marked values in numbers, which is also the legend."""
    axes.axis("off")
    words: dict[str, Any] = {"transform": axes.transAxes, "va": "center"}
    names = ("global", *(f"fixed {fixed:g}" for fixed in FIXED))
    axes.text(0, 0.93, name, color=MUTED, **words)
    for column, (split, line) in enumerate(SPLIT_LINES):
        right = 0.66 + 0.36 * column
        axes.text(right, 0.93, split, ha="right", weight="bold", color=SPLIT_COLOR[split], **words)
        axes.plot(
            [right - 0.24, right - 0.12, right], [0.86] * 3, transform=axes.transAxes, color=SPLIT_COLOR[split],
            linestyle=line, marker=SPLIT_MARKER[split], markevery=[1], clip_on=False,
        )  # fmt: skip
        for row, rule in enumerate(names):
            height, weight = 0.77 - 0.09 * row, "normal" if row else "bold"
            axes.text(right, height, f"{scores[split][row]:.3f}", ha="right", weight=weight, **words)
            if column == 0:
                axes.text(0, height, rule, weight=weight, **words)
