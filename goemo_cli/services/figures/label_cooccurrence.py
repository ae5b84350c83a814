"""Figure 02: which gold labels stand on the same comments."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from goemo_cli.core.arrays import BoolArray, DoubleArray, IntArray
from goemo_cli.services.figures.class_distribution import split_sizes
from goemo_cli.services.figures.description import Description, Drawn
from goemo_cli.services.figures.source import Source
from goemo_cli.services.figures.style import (
    FAINT,
    caption,
    ink_on,
    new_figure,
    percent,
    shown,
    text_width,
)

ANNOTATED = 40
"""Up to so many labels the cells hold their numbers."""
ENOUGH = 20
"""Comments a label needs before its shares may make the title."""
_LEAST_SHARE = 0.001
_CAPTION = (
    "Read along a row: of the train comments with that label (their number in brackets), the % that also carry the "
    "column's label. Log colour scale; blank: never together; grey: the label itself."
)


def draw(source: Source) -> Drawn:
    """Of the train comments with the row's label, the share that carries the column's label too."""
    data = source.data()
    y_true = data.train.y_true
    counts = y_true.sum(axis=0)
    order = np.argsort(-counts, kind="stable")
    labels = [data.labels[at] for at in order]
    together, counts = cooccurrence(y_true)[np.ix_(order, order)], counts[order]
    share = together / np.maximum(counts, 1)[:, None]

    size = min(1.1, max(0.13, 9.2 / len(labels)), 60 / len(labels))  # inches of a cell
    side, font = size * len(labels), min(11.0, max(3.0, size * 72 * 0.72))
    names = [shown(name) for name in labels]
    numbered = [f"{name} ({n:,})" for name, n in zip(names, counts, strict=True)]
    below, left = (max(text_width(name, font) for name in column) / 72 for column in (names, numbered))
    figure = new_figure(
        _title(labels, y_true, share, counts),
        source.subtitle(
            *split_sizes(source)[:1], f"train, {len(data.train):,} comments, commonest label first"
        ),
        height=side + below + 0.85,
        width=max(8.0, side + left + 1.5),
    )
    axes = figure.subplots()
    _draw_shares(axes, share)
    _draw_scale(axes, width=0.2 / side)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=font)
    axes.set_yticks(range(len(names)), numbered, fontsize=font)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    caption(figure, _CAPTION)
    if len(labels) <= ANNOTATED:
        _write_shares(axes, share, font=min(10.0, size * 72 * 0.36))
    return Drawn(
        figure,
        {
            "emotion": np.repeat(labels, len(labels)),
            "other": labels * len(labels),
            "comments": np.repeat(counts, len(labels)),
            "together": together.ravel(),
            "share": share.ravel(),
        },
    )


FIGURE = Description("02", "label_cooccurrence", "the run's data set", draw)


def cooccurrence(y_true: BoolArray) -> IntArray:
    """Comments that carry both labels, (n_labels, n_labels); the diagonal counts each label."""
    gold = y_true.astype(np.float64)  # exact far beyond any data set, and a fast product
    counts: IntArray = np.rint(gold.T @ gold).astype(np.int64)
    return counts


def _title(labels: Sequence[str], y_true: BoolArray, share: DoubleArray, counts: IntArray) -> str:
    several = (y_true.sum(axis=1) > 1).mean()
    if not several:
        return "no comment of train carries more than one label"
    apart = np.where(np.eye(len(labels), dtype=bool), 0, share)
    known = apart[counts >= ENOUGH] if (counts >= ENOUGH).any() else apart
    names = [label for label, n in zip(labels, counts, strict=True) if n >= ENOUGH] or labels
    row, column = divmod(int(known.argmax()), len(labels))
    more = f"{percent(several)} of train comments carry several labels"
    if not known[row, column]:
        return more
    return (
        f"{more}; closest pair: {percent(known[row, column])} of {shown(names[row])} "
        f"is also {shown(labels[column])}"
    )


def _draw_shares(axes: Any, share: DoubleArray) -> None:
    itself = np.eye(len(share), dtype=bool)
    apart = np.ma.masked_where((share == 0) | itself, share)
    high = float(apart.max()) if apart.count() else 1.0
    low = max(_LEAST_SHARE, min(float(apart.min()) if apart.count() else 1.0, high / 5))
    axes.imshow(apart, norm=LogNorm(low, high, clip=True), interpolation="nearest")
    grey = np.ma.masked_where(~itself, np.ones_like(share))
    axes.imshow(grey, cmap=ListedColormap([FAINT]), interpolation="nearest")


def _draw_scale(axes: Any, width: float) -> None:
    beside = axes.inset_axes((1.015, 0.2, width, 0.6))
    bar = axes.figure.colorbar(axes.images[0], cax=beside)
    bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}\u00a0%"))
    bar.outline.set_visible(False)


def _write_shares(axes: Any, share: DoubleArray, font: float) -> None:
    colour = axes.images[0]
    for row, column in np.argwhere(share > 0):
        if row == column:
            continue
        ink = ink_on(colour.cmap(colour.norm(share[row, column])))
        value = 100 * share[row, column]
        text = "<1" if value < 0.95 else f"{value:.0f}"
        axes.text(column, row, text, ha="center", va="center", size=font, color=ink)
