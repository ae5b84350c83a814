"""Figure 02: which gold labels are on the same comments."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LogNorm

from goemo_cli.core.arrays import BoolArray, DoubleArray, IntArray
from goemo_cli.services.figures.class_counts import split_sizes
from goemo_cli.services.figures.label_grid import ENOUGH, FEW, LEAST, LabelGrid, coloured
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.style import caption, new_figure, percent, shown
from goemo_cli.services.runs.run_data import RunData

_LEAST_SHARE = 0.001
_CAPTION = (
    "Read along a row: of the train comments with that label (their number in brackets), the % that also carry the "
    f"column's label. Log colour scale; blank: never together; {FEW}; grey: the label itself."
)


def draw(source: RunData) -> ResampledRanks:
    """Of the train comments with the row's label, the share that carries the column's label too."""
    data = source.data()
    y_true = data.train.y_true
    counts = y_true.sum(axis=0)
    order = np.argsort(-counts, kind="stable")
    labels = [data.labels[at] for at in order]
    cooccurrence_counts, counts = cooccurrence(y_true)[np.ix_(order, order)], counts[order]
    share = cooccurrence_counts / np.maximum(counts, 1)[:, None]

    names = [shown(name) for name in labels]
    grid = LabelGrid.of([f"{name} ({n:,})" for name, n in zip(names, counts, strict=True)], names)
    figure = new_figure(
        _title(labels, y_true, cooccurrence_counts),
        source.subtitle(
            *split_sizes(source)[:1], f"train, {len(data.train):,} comments, commonest label first"
        ),
        height=grid.height + 0.85,
        width=max(8.0, grid.width),
    )
    axes = figure.subplots()
    itself = np.eye(len(labels), dtype=np.bool_)
    cells = coloured(share, cooccurrence_counts, itself)
    grid.draw(axes, cells, _norm(cells.compressed()))
    grid.shade(axes, itself)
    grid.dot(axes, cooccurrence_counts, itself)
    grid.add_scale(axes)
    if grid.is_written:
        grid.mark(axes, cells, ~np.ma.getmaskarray(cells))
    caption(figure, _CAPTION)
    return ResampledRanks(
        figure,
        {
            "emotion": np.repeat(labels, len(labels)),
            "other": labels * len(labels),
            "comments": np.repeat(counts, len(labels)),
            "together": cooccurrence_counts.ravel(),
            "share": share.ravel(),
        },
    )


FIGURE = Description("02", "label_cooccurrence", "the run's data set", draw)


def cooccurrence(y_true: BoolArray) -> IntArray:
    """Comments that carry both labels, (n_labels, n_labels); the diagonal counts each label."""
    gold = y_true.astype(np.float64)  # exact far beyond any data set, and a fast product
    counts: IntArray = np.rint(gold.T @ gold).astype(np.int64)
    return counts


def _title(labels: Sequence[str], y_true: BoolArray, cooccurrence_counts: IntArray) -> str:
    several = (y_true.sum(axis=1) > 1).mean()
    if not several:
        return "no comment of train carries more than one label"
    start = f"{percent(several)} of train comments carry several labels"
    counts = cooccurrence_counts.diagonal()
    known = (
        (counts[:, None] >= ENOUGH) & (cooccurrence_counts >= LEAST) & ~np.eye(len(labels), dtype=np.bool_)
    )
    if not known.any():
        return start
    share = np.where(known, cooccurrence_counts / np.maximum(counts, 1)[:, None], 0)
    row, column = divmod(int(share.argmax()), len(labels))
    return (
        f"{start}; closest pair: {percent(share[row, column])} of {shown(labels[row])} "
        f"is also {shown(labels[column])}"
    )


def _norm(shares: DoubleArray) -> LogNorm:
    """A log scale over the shares that are coloured, (n_cells,)."""
    high = float(shares.max()) if shares.size else 1.0
    low = max(_LEAST_SHARE, min(float(shares.min()) if shares.size else 1.0, high / 5))
    return LogNorm(low, high, clip=True)
