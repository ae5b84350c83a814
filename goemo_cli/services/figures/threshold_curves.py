"""Figure 13: F1 of every label at every threshold on val, with its own threshold."""

from itertools import pairwise
from typing import Any

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, IntArray
from goemo_cli.core.thresholds import Thresholds, decide
from goemo_cli.ml.metrics.scoring import count
from goemo_cli.ml.metrics.thresholds import GRID, counts_on_grid, reached_on_grid
from goemo_cli.services.figures.label_grid import ENOUGH
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.style import (
    INK,
    MUTED,
    PAPER,
    SPLIT_COLOR,
    LabelRows,
    caption,
    counted,
    new_figure,
    percent,
    shown,
)
from goemo_cli.services.figures.threshold_macro import purpose
from goemo_cli.services.runs.run_data import RunData

NEAR = 0.95
"""A threshold is good enough if F1 reaches this share of the label's best."""
_STEP = float(GRID[1] - GRID[0])
_SCALE = 0.09
"""Inches of the colour scale."""
_VISIBLE = 0.01
"""Two F1 that are nearer are the same in a title."""


def draw(source: RunData) -> ResampledRanks:
    """A row per label, by falling val positives; blank where F1 is 0, a bar over the good thresholds."""
    thresholds, val, test = source.thresholds, source.predictions("val"), source.predictions("test")
    f1 = counts_on_grid(val.y_true, reached_on_grid(val.y_prob)).f_beta()  # (n_grid, n_labels)
    positives = val.y_true.sum(axis=0)
    order = np.lexsort((-f1.max(axis=0), -positives))
    f1, labels = f1[:, order], [source.labels[at] for at in order]
    own = thresholds.per_label[order]
    reached = {
        split: count(part.y_true, decide(part.y_prob, thresholds.per_label)).f1[order]
        for split, part in (("val", val), ("test", test))
    }
    shared = decide(val.y_prob, thresholds.global_threshold)
    rows = LabelRows.of(len(labels))
    figure = new_figure(
        _title(
            labels, f1, count(val.y_true, shared).f1[order], positives[order], thresholds.global_threshold
        ),
        source.subtitle(f"val, {len(val):,} comments, commonest label first"),
        height=rows.height + 2.1,
    )
    parts = figure.add_gridspec(2, 2, height_ratios=(_SCALE, rows.height), width_ratios=(3, 2))
    axes = figure.add_subplot(parts[1, :])
    image = axes.imshow(
        np.ma.masked_equal(f1.T, 0), aspect="auto", interpolation="nearest", vmin=0, vmax=max(float(f1.max()), 0.1),
        extent=(GRID[0] - _STEP / 2, GRID[-1] + _STEP / 2, len(labels) - 0.5, -0.5),
    )  # fmt: skip
    good = good_cells(f1, own, reached["val"])
    below = reached["val"] < NEAR * f1.max(axis=0)
    _mark(axes, good, own, below, rows)
    axes.axvline(thresholds.global_threshold, color=PAPER, linewidth=2.4, zorder=2)
    axes.axvline(thresholds.global_threshold, color=INK, linewidth=1.4, linestyle="--", zorder=2)
    rows.label(axes, labels)
    axes.grid(visible=False)
    axes.set_xlim(0, 1)
    axes.set_xlabel("threshold")
    rows.column(axes, "val", [f"{value:.2f}" for value in reached["val"]], at=38, color=SPLIT_COLOR["val"])
    rows.column(axes, "test", [f"{value:.2f}" for value in reached["test"]], at=78, color=SPLIT_COLOR["test"])
    rows.column(axes, "positives", [f"{n:,}" for n in positives[order]], at=146, color=MUTED)
    bar = figure.colorbar(
        image, cax=figure.add_subplot(parts[0, 0]), orientation="horizontal", ticklocation="top"
    )
    bar.outline.set_visible(False)
    bar.set_label("F1 on val", loc="left")
    caption(
        figure,
        f"Dot: the label's own threshold; val and test: F1 there. Bar: F1 is at least {percent(NEAR)} of the label's best"
        f"{_hollow(below, thresholds)}. Blank: F1 is 0. Dashed: the global threshold {thresholds.global_threshold:g}. "
        "All are chosen on val alone.",
    )
    n_grid = len(GRID)
    return ResampledRanks(
        figure,
        {
            "emotion": [label for label in labels for _ in range(n_grid)],
            "threshold": np.tile(GRID, len(labels)),
            "f1_val": f1.T.ravel(),
            "in_bar": good.T.ravel(),
            "own_threshold": np.repeat(own, n_grid),
            "own_f1_val": np.repeat(reached["val"], n_grid),
            "own_f1_test": np.repeat(reached["test"], n_grid),
            "val_positives": np.repeat(positives[order], n_grid),
        },
    )


FIGURE = Description("13", "threshold_f1", "the predictions of val and test, and thresholds.json", draw)


def good_cells(f1: DoubleArray, own: DoubleArray, reached: DoubleArray) -> BoolArray:
    """Thresholds of the grid that the bars cover, bool, (n_grid, n_labels): F1 near the best, or as at the own threshold.

    The own threshold is always covered; a label whose F1 is 0 everywhere has no bar.

    Args:
        f1: (n_grid, n_labels).
        own: the thresholds of the labels, (n_labels,).
        reached: F1 at these, (n_labels,).
    """
    best = f1.max(axis=0)
    good: BoolArray = f1 >= np.minimum(NEAR * best, reached)
    nearest = np.abs(GRID[:, None] - own).argmin(axis=0)
    good[nearest, np.arange(len(own))] = True
    good &= best > 0
    return good


def bars(good: BoolArray, own: DoubleArray) -> list[tuple[int, float, float]]:
    """Each run of good thresholds: label, lowest and highest; out to the own threshold if it is beyond the grid."""
    found = []
    for label, column in enumerate(good.T):
        changes = np.flatnonzero(np.diff(np.concatenate([[False], column, [False]]).astype(int)))
        for start, end in list(pairwise(changes.tolist()))[::2]:
            low, high = float(GRID[start] - _STEP / 2), float(GRID[end - 1] + _STEP / 2)
            if start == 0:
                low = min(low, float(own[label]))
            if end == len(GRID):
                high = max(high, float(own[label]))
            found.append((label, low, high))
    return found


def _mark(axes: Any, good: BoolArray, own: DoubleArray, below: BoolArray, rows: LabelRows) -> None:
    """Bars and dots that show on every colour: the paper's, edged with ink."""
    for place, low, high in bars(good, own):
        axes.hlines(place, low, high, color=INK, linewidth=3.4, zorder=3)
        axes.hlines(place, low, high, color=PAPER, linewidth=1.6, zorder=3)
    places = np.arange(rows.count)
    for chosen, face in ((~below, INK), (below, PAPER)):
        if not chosen.any():
            continue  # to the layout, unclipped marks without a place are at the corner of the figure
        axes.plot(
            own[chosen], places[chosen], linestyle="", marker="o", markersize=rows.marker(), color=face,
            markeredgecolor=PAPER if face == INK else INK, markeredgewidth=1.3, zorder=4, clip_on=False,
        )  # fmt: skip


def _hollow(below: BoolArray, thresholds: Thresholds) -> str:
    if not below.any():
        return ""
    text = "; with a hollow dot, at least what its own threshold reaches, which is less"
    aim = purpose(thresholds)
    if aim != "macro-F1":
        return f"{text}: it was chosen for {aim}"
    return f"{text}: few val positives draw it to the global one" if thresholds.settings.shrinkage else text


def _title(
    labels: list[str], f1: DoubleArray, f1_shared: DoubleArray, positives: IntArray, shared: float
) -> str:
    best = f1.max(axis=0)
    if not best.any():
        return f"no threshold gives any of the {len(labels)} labels an F1 above 0 on val"
    suited = int(((f1_shared >= NEAR * best) & (best > 0)).sum())
    start = (
        f"on val, the global threshold {shared:g} gives at least {percent(NEAR)} of the best F1 for {suited or 'none'} of "
        f"{counted(len(labels), 'label')}"
    )
    loss = np.where(positives >= ENOUGH, best - f1_shared, 0.0)
    worst = int(loss.argmax())
    if loss[worst] < _VISIBLE:
        return start
    return f"{start}; {shown(labels[worst])} loses most by it ({f1_shared[worst]:.2f} instead of {best[worst]:.2f})"
