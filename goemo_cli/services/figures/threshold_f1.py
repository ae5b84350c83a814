"""Figure 13: F1 of every label at every threshold on val, and where its threshold lies."""

from typing import Any

import numpy as np

from goemo_cli.core.arrays import DoubleArray, IntArray
from goemo_cli.core.thresholds import decide
from goemo_cli.ml.scoring import count
from goemo_cli.ml.tuning import GRID, counts_on_grid, reached_on_grid
from goemo_cli.services.figures.description import Description, Drawn
from goemo_cli.services.figures.label_grid import ENOUGH
from goemo_cli.services.figures.source import Source
from goemo_cli.services.figures.style import (
    INK,
    MUTED,
    PAPER,
    SPLIT_COLOR,
    LabelRows,
    caption,
    new_figure,
    percent,
    shown,
)

NEAR = 0.95
"""A threshold is good enough where F1 reaches this share of the label's best."""


def draw(source: Source) -> Drawn:
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
        height=rows.height + 1.55,
    )
    axes = figure.subplots()
    step = GRID[1] - GRID[0]
    image = axes.imshow(
        np.ma.masked_equal(f1.T, 0), aspect="auto", interpolation="nearest", vmin=0, vmax=max(float(f1.max()), 0.1),
        extent=(GRID[0] - step / 2, GRID[-1] + step / 2, len(labels) - 0.5, -0.5),
    )  # fmt: skip
    _mark(axes, f1, own, rows)
    axes.axvline(thresholds.global_threshold, color=PAPER, linewidth=2.4, zorder=2)
    axes.axvline(thresholds.global_threshold, color=INK, linewidth=1.4, linestyle="--", zorder=2)
    rows.label(axes, labels)
    axes.grid(visible=False)
    axes.set_xlim(0, 1)
    axes.set_xlabel("threshold")
    rows.column(axes, "val", [f"{value:.2f}" for value in reached["val"]], at=38, color=SPLIT_COLOR["val"])
    rows.column(axes, "test", [f"{value:.2f}" for value in reached["test"]], at=78, color=SPLIT_COLOR["test"])
    rows.column(axes, "positives", [f"{n:,}" for n in positives[order]], at=146, color=MUTED)
    bar = figure.colorbar(image, ax=axes, location="top", aspect=50, pad=0.02, shrink=0.6, anchor=(0, 0))
    bar.outline.set_visible(False)
    bar.set_label("F1 on val", loc="left")
    caption(
        figure,
        f"Dot: the label's own threshold; val and test: F1 there. Bar: F1 is at least {percent(NEAR)} of the label's best. "
        f"Blank: F1 is 0. Dashed: the global threshold {thresholds.global_threshold:g}. All are chosen on val alone.",
    )
    n_grid = len(GRID)
    return Drawn(
        figure,
        {
            "emotion": [label for label in labels for _ in range(n_grid)],
            "threshold": np.tile(GRID, len(labels)),
            "f1_val": f1.T.ravel(),
            "own_threshold": np.repeat(own, n_grid),
        },
    )


FIGURE = Description("13", "threshold_f1", "the predictions of val and test, and thresholds.json", draw)


def good_range(f1: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """The lowest and the highest threshold of the grid with F1 near the best, (n_labels,) each; NaN where all is 0.

    Args:
        f1: (n_grid, n_labels).
    """
    best = f1.max(axis=0)
    near = (f1 >= NEAR * best) & (best > 0)
    low = np.where(near.any(axis=0), GRID[near.argmax(axis=0)], np.nan)
    high = np.where(near.any(axis=0), GRID[len(GRID) - 1 - near[::-1].argmax(axis=0)], np.nan)
    return low, high


def _mark(axes: Any, f1: DoubleArray, own: DoubleArray, rows: LabelRows) -> None:
    """Bars and dots that show on every colour: the paper's, edged with ink."""
    places, (low, high) = np.arange(rows.count), good_range(f1)
    axes.hlines(places, low, high, color=INK, linewidth=3.4, zorder=3)
    axes.hlines(places, low, high, color=PAPER, linewidth=1.6, zorder=3)
    axes.plot(
        own, places, linestyle="", marker="o", markersize=rows.marker(), color=PAPER, markeredgecolor=INK,
        markeredgewidth=1.3, zorder=4, clip_on=False,
    )  # fmt: skip


def _title(
    labels: list[str], f1: DoubleArray, f1_shared: DoubleArray, positives: IntArray, shared: float
) -> str:
    best = f1.max(axis=0)
    if not best.any():
        return f"no threshold gives any of the {len(labels)} labels an F1 above 0 on val"
    suited = int(((f1_shared >= NEAR * best) & (best > 0)).sum())
    enough = positives >= ENOUGH if (positives >= ENOUGH).any() else positives >= 0
    worst = int(np.where(enough, best - f1_shared, -1.0).argmax())
    return (
        f"the global threshold {shared:g} is near the best for {suited or 'none'} of the {len(labels)} labels; {shown(labels[worst])} "
        f"loses most by it (F1 {f1_shared[worst]:.2f} instead of {best[worst]:.2f})"
    )
