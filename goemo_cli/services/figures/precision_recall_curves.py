"""Figure 22: precision against recall of every label on test, and where the run's own labels lie."""

from typing import Any

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray
from goemo_cli.ml.ranking import ranking_scores
from goemo_cli.ml.scoring import count
from goemo_cli.services.figures.description import Description, Drawn
from goemo_cli.services.figures.source import Source
from goemo_cli.services.figures.style import BLUE, MUTED, VERMILLION, caption, counted, new_figure, shown

_MOST_POINTS = 101
_MOST_COLUMNS, _PANEL, _TALLEST = 5, 1.9, 110.0
"""Panels beside each other; inches of one; inches of all."""
_LONGEST = 22


def draw(source: Source) -> Drawn:
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
    decided = count(test.y_true, test.y_pred)
    table: dict[str, list[Any]] = {key: [] for key in ("emotion", "threshold", "recall", "precision")}
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
        threshold, recall, precision = curve(test.y_true[:, at], test.y_prob[:, at])
        # Before the first positive nothing is known: the curve begins as level as it enters.
        axes.plot([0, *recall], [precision[0], *precision], color=BLUE, linewidth=1.8)
        axes.plot(
            decided.recall[at], decided.precision[at], marker="o", markersize=6, color=VERMILLION, zorder=4,
            clip_on=False,
        )  # fmt: skip
        table["emotion"] += [label] * len(threshold)
        table["threshold"] += threshold.tolist()
        table["recall"] += recall.tolist()
        table["precision"] += precision.tolist()
    for axes in panels[len(order) :]:
        axes.set_axis_off()
    caption(
        figure,
        f"Dot: the run's own labels, by the rule {rule}. Dotted: guessing, the label's share of the comments. AP: average "
        "precision, the area under the curve. The best comes first.",
    )
    return Drawn(figure, table)


FIGURE = Description("22", "precision_recall_curves", "the predictions of test, and thresholds.json", draw)


def curve(y_true: BoolArray, y_prob: FloatArray) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Thresholds, and recall and precision at each: at the probability of every positive, evenly thinned where many.

    Args:
        y_true: gold labels, bool, (n_examples,), with at least one positive.
        y_prob: probabilities, float32, (n_examples,).
    """
    cuts = np.unique(y_prob[y_true])[::-1]  # between two of them precision only falls, and recall stays
    cuts = cuts[np.unique(np.linspace(0, len(cuts) - 1, _MOST_POINTS).round().astype(int))]
    tp, predicted = (
        len(scores) - np.searchsorted(np.sort(scores), cuts) for scores in (y_prob[y_true], y_prob)
    )
    return cuts.astype(np.float64), tp / y_true.sum(), tp / predicted


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
    best, worst = int(np.nanargmax(area)), int(np.nanargmin(area))
    return (
        f"{shown(labels[best])} keeps its precision longest as recall grows (AP {area[best]:.2f}), {shown(labels[worst])} "
        f"loses it soonest ({area[worst]:.2f}); the mean over labels is {np.nanmean(area):.3f}"
    )
