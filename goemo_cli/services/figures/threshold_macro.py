"""Figure 11: macro-F1 at every threshold, on val and on test."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from goemo_cli.core.arrays import DoubleArray
from goemo_cli.core.labels import Split
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.thresholds import Thresholds, decide
from goemo_cli.ml.metrics.scoring import f1_macro
from goemo_cli.ml.metrics.thresholds import GRID
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.style import (
    INK,
    MUTED,
    SPLIT_COLOR,
    SPLIT_MARKER,
    caption,
    mark_places,
    new_figure,
)
from goemo_cli.services.runs.run_data import RunData

FIXED = (0.3, 0.5)
SPLIT_LINES: tuple[tuple[Split, str], ...] = (("val", "-"), ("test", "--"))

_SAME = 1e-9
Score = Callable[[Predictions, DoubleArray], DoubleArray]
"""A score with each of some thresholds for all labels, (n_thresholds,)."""


def draw(source: RunData) -> ResampledRanks:
    """One curve per split; vertical lines at the global threshold, fitted on val, and at the fixed ones."""
    return draw_score(source, "macro-F1", macro_f1)


FIGURE = Description("11", "threshold_macro", "the predictions of val and test, and thresholds.json", draw)


def macro_f1(predictions: Predictions, thresholds: DoubleArray) -> DoubleArray:
    """Macro-F1 with each threshold for all labels, (n_thresholds,)."""
    return np.array([f1_macro(predictions.y_true, decide(predictions.y_prob, float(t))) for t in thresholds])


def draw_score(source: RunData, name: str, score: Score) -> ResampledRanks:
    """A score over the thresholds, with its values at the global and the fixed ones, and at the best one on val."""
    thresholds = source.thresholds
    chosen = thresholds.global_threshold
    places = np.union1d(GRID, [chosen, *FIXED])  # so that the marked points are on the curves
    predictions = {split: source.predictions(split) for split, _ in SPLIT_LINES}
    curves = {split: score(part, places) for split, part in predictions.items()}
    best = float(places[curves["val"].argmax()])
    marks = {"global": chosen} | {f"fixed {fixed:g}": fixed for fixed in FIXED}
    if curves["val"][places == chosen] < curves["val"].max() - _SAME:
        marks["best on val"] = best
    at_marks = {
        split: curve[np.searchsorted(places, list(marks.values()))] for split, curve in curves.items()
    }
    figure = new_figure(
        _title(thresholds, name, dict(zip(marks, at_marks["test"], strict=True)), best),
        source.subtitle(
            ", ".join(f"{split} {len(part):,}" for split, part in predictions.items()) + " comments",
            f"{len(source.labels)} labels",
        ),
        height=4.9,
    )
    axes, table = figure.subplots(1, 2, width_ratios=(3, 1))
    for split, line in SPLIT_LINES:
        color, marker = SPLIT_COLOR[split], SPLIT_MARKER[split]
        axes.plot(places, curves[split], color=color, linestyle=line, label=split)
        axes.plot(
            list(marks.values()), at_marks[split], color=color, marker=marker, linestyle="", markersize=7,
            zorder=4, clip_on=False,
        )  # fmt: skip
    mark_thresholds(axes, chosen, best=marks.get("best on val"))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, axes.get_ylim()[1])
    axes.set_xlabel("threshold for all labels")
    axes.set_ylabel(name)
    caption(
        figure,
        f"The global threshold was chosen on val alone, for {purpose(thresholds)}. The test curve is shown only for "
        "comparison.",
    )
    _tabulate(table, name, list(marks), at_marks)
    return ResampledRanks(
        figure,
        {
            "threshold": places,
            "val": curves["val"],
            "test": curves["test"],
            "mark": [", ".join(mark for mark, place in marks.items() if place == one) for one in places],
        },
    )


def purpose(thresholds: Thresholds) -> str:
    """What the thresholds were chosen for on val: `macro-F1`."""
    settings = thresholds.settings
    if settings.objective == "f1_micro":
        return "micro-F1"
    if settings.objective == "precision_floor":
        return f"recall with a precision of at least {settings.floor:g}"
    if settings.objective == "recall_floor":
        return f"precision with a recall of at least {settings.floor:g}"
    return "macro-F1" if settings.beta == 1 else f"macro-F-beta (beta {settings.beta:g})"


def mark_thresholds(axes: Any, chosen: float, *, best: float | None = None) -> None:
    """Lines at the global threshold, at the fixed ones, and at the best one on val if that is another."""
    marks = [
        (chosen, f"global {chosen:g}", "-", INK),
        *((fixed, f"fixed {fixed:g}", ":", MUTED) for fixed in FIXED),
    ]
    if best is not None:
        marks.append((best, f"best on val {best:g}", "--", SPLIT_COLOR["val"]))
    mark_places(axes, marks)


def _title(thresholds: Thresholds, name: str, on_test: Mapping[str, float], best: float) -> str:
    aim, value = purpose(thresholds), on_test["global"]
    start = f"the global threshold {thresholds.global_threshold:g}, chosen on val for {aim}, gives "
    if aim == name:
        return f"{start}{value:.3f} on test; 0.5 gives {on_test['fixed 0.5']:.3f}"
    start += f"{name} {value:.3f} on test"
    if "best on val" not in on_test:
        return f"{start}; no other threshold does better on val"
    return f"{start}; {best:g}, the best on val for {name}, gives {on_test['best on val']:.3f}"


def _tabulate(axes: Any, name: str, names: Sequence[str], scores: Mapping[Split, DoubleArray]) -> None:
    """The marked values in numbers, which is also the legend."""
    axes.axis("off")
    words: dict[str, Any] = {"transform": axes.transAxes, "va": "center"}
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
