"""Figure 22: precision against recall of every label on test, and the point of the run's own labels."""

from typing import Any

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray
from goemo_cli.ml.metrics.ranking import ranking_scores
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.style import (
    BLUE,
    MUTED,
    PAPER,
    VERMILLION,
    caption,
    counted,
    new_figure,
    shown,
    span,
)
from goemo_cli.services.runs.run_data import RunData

_MOST_POINTS = 101
_MOST_COLUMNS, _PANEL, _TALLEST = 5, 1.9, 110.0
"""Panels beside each other; inches of one; inches of all."""
_LONGEST = 22


def draw(source: RunData) -> ResampledRanks:
    """A panel per label, by falling average precision; dotted is guessing, the dot is what the run decides."""
    test, rule = source.predictions("test"), source.thresholds.rule
    support = test.y_true.sum(axis=0)
    area = ranking_scores(test.y_true, test.y_prob, intervals=False).average_precision
    order = np.lexsort((-support, np.where(np.isfinite(area), -area, np.inf))).tolist()
    n_columns = min(_MOST_COLUMNS, len(order))
    n_rows = -(-len(order) // n_columns)
    figure = new_figure(
        _title(source.labels, area),
        source.subtitle(f"test, {len(test):,} comments", f"threshold rule {rule}"),
        height=min(_TALLEST, max(1, 6 - n_columns) ** 0.5 * n_rows * _PANEL) + 1.1,
    )
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
    kinds: set[str] = set()
    table: dict[str, list[Any]] = {
        key: [] for key in ("emotion", "threshold", "recall", "precision", "point")
    }
    for place, at in enumerate(order):
        label, axes = source.labels[at], panels[place]
        words = (
            f"AP {area[at]:.2f}, {counted(int(support[at]), 'positive')}" if support[at] else "no positives"
        )
        axes.set_title(shown(label, _LONGEST), size=10.5, pad=16)
        axes.annotate(
            words, (0, 1), (0, 3), xycoords="axes fraction", textcoords="offset points", size=9, color=MUTED
        )
        axes.axhline(support[at] / len(test), color=MUTED, linewidth=1.2, linestyle=":")
        _finish(axes, is_left=place % n_columns == 0, is_lowest=place + n_columns >= len(order))
        if place < (n_rows - 1) * n_columns:
            axes.xaxis.set_in_layout(
                False
            )  # where a blank panel is below, the words of the axis hang into it
        if not support[at]:
            continue
        y_true, y_prob, y_pred = test.y_true[:, at], test.y_prob[:, at], test.y_pred[:, at]
        cut = cut_of(y_prob, y_pred)
        threshold, recall, precision = curve(y_true, y_prob, also=cut)
        # Before the first positive nothing is known: the curve begins level.
        axes.plot([0, *recall], [precision[0], *precision], color=BLUE, linewidth=1.6, drawstyle="steps-pre")
        found = [None if cut is None else float(cut), *_point(y_true, y_pred)]
        kind = "off" if cut is None and y_pred.any() else "on" if y_pred.any() else "none"
        kinds.add(kind)
        axes.plot(
            found[1], precision[0] if found[2] is None else found[2], marker="D" if kind == "off" else "o",
            markersize=6, color=VERMILLION, markerfacecolor=PAPER if kind == "none" else VERMILLION, zorder=4,
            clip_on=False,
        )  # fmt: skip
        vertices = [[*row, "curve"] for row in zip(threshold, recall, precision, strict=True)]
        for row in [*vertices, [*found, "run"]]:
            for key, cell in zip(table, [label, *row], strict=True):
                table[key].append(cell)
    for axes in panels[len(order) :]:
        axes.set_axis_off()
    caption(figure, _caption(rule, kinds))
    return ResampledRanks(figure, table)


FIGURE = Description("22", "precision_recall_curves", "the predictions of test, and thresholds.json", draw)


def curve(
    y_true: BoolArray, y_prob: FloatArray, *, also: float | None = None
) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Falling thresholds, and recall and precision at each: the corners of a curve of steps.

    At the probability of every positive recall rises; from there precision falls until the next one. Both ends of each
    fall are corners; if there are many positives, they are thinned evenly. The area of the steps that end at each
    corner is the average precision.

    Args:
        y_true: gold labels, bool, (n_examples,), with at least one positive.
        y_prob: probabilities, float32, (n_examples,).
        also: a probability that is a corner in any case.
    """
    cuts = np.unique(y_prob)[::-1]
    tp, predicted = (
        len(scores) - np.searchsorted(np.sort(scores), cuts) for scores in (y_prob[y_true], y_prob)
    )
    rises = np.flatnonzero(np.diff(tp, prepend=0))
    falls = np.append(rises[1:] - 1, rises[-1])
    kept = np.unique(np.linspace(0, len(rises) - 1, _MOST_POINTS).round().astype(int))
    extra = np.flatnonzero(cuts == also)  # none if it is None
    corners = np.unique(np.concatenate([rises[kept], falls[kept], extra]).astype(int))
    return cuts[corners].astype(np.float64), tp[corners] / y_true.sum(), tp[corners] / predicted[corners]


def cut_of(y_prob: FloatArray, y_pred: BoolArray) -> Any:
    """The lowest probability of a predicted label, if all at or above it are predicted; else None.

    None: nothing is predicted, or not by a threshold alone (never_empty, top_k).

    Args:
        y_prob: probabilities, float32, (n_examples,).
        y_pred: predicted labels, bool, (n_examples,).
    """
    if not y_pred.any():
        return None
    lowest = y_prob[y_pred].min()
    return lowest if ((y_prob >= lowest) == y_pred).all() else None


def _point(y_true: BoolArray, y_pred: BoolArray) -> tuple[float, float | None]:
    """Recall and precision of the run's own labels; precision is None if nothing is predicted."""
    if not y_pred.any():
        return 0.0, None
    hits = int((y_true & y_pred).sum())
    return hits / int(y_true.sum()), hits / int(y_pred.sum())


def _caption(rule: str, kinds: set[str]) -> str:
    text = (
        f"Dot: the run's own labels, by the rule {rule}. Dotted: guessing, the label's share of the comments. AP: average "
        "precision, the area below the steps. The highest comes first."
    )
    if "none" in kinds:
        text += " Hollow: nothing is predicted."
    if "off" in kinds:
        text += " Diamond: not decided by a threshold alone (never_empty, top_k), so not on the curve."
    return text


def _finish(axes: Any, *, is_left: bool, is_lowest: bool) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xticks((0, 0.5, 1), ("0", "0.5", "1"))
    axes.set_yticks((0, 0.5, 1), ("0", "0.5", "1"))
    axes.tick_params(labelbottom=is_lowest, labelsize=9.5)
    if is_lowest:
        axes.set_xlabel("recall")
    if is_left:
        axes.set_ylabel("precision")


def _title(labels: tuple[str, ...], area: DoubleArray) -> str:
    if not np.isfinite(area).any():
        return f"test has no positives of any of the {len(labels)} labels"
    return f"average precision {span(area, labels)}; the mean over labels is {np.nanmean(area):.3f}"
