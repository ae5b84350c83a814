"""Figure 04: how many characters comments have, in each split and with each label."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter

from goemo_cli.core.arrays import BoolArray, DoubleArray, IntArray
from goemo_cli.core.labels import SPLITS, Split
from goemo_cli.services.figures.class_counts import split_sizes
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    PAPER,
    SPLIT_COLOR,
    LabelRows,
    caption,
    counted,
    new_figure,
    shown,
)
from goemo_cli.services.runs.run_data import RunData

ENOUGH = 20
"""Comments a label needs before its median may make the title."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_BARS = 60
"""At most so many."""
_LINES: Mapping[Split, str] = {"val": "-", "test": "--"}


def draw(source: RunData) -> ResampledRanks:
    """Shares of each split by length, and below them the usual lengths of the train comments with each label."""
    data = source.data()
    lengths = {split: character_lengths(data.splits[split].texts) for split in SPLITS}
    usual = label_quantiles(lengths["train"], data.train.y_true)
    counts = data.train.y_true.sum(axis=0)
    order = np.argsort(-usual[:, 2], kind="stable")  # NaN, a label without comments, comes last
    labels = [data.labels[at] for at in order]
    usual, counts = usual[order], counts[order]
    edges = _edges(lengths)

    rows = LabelRows.of(len(labels))
    figure = new_figure(
        _title(labels, usual, counts, float(np.median(lengths["train"]))),
        source.subtitle(*split_sizes(source)),
        height=rows.height + 4.2,
    )
    above, below = figure.subplots(2, 1, height_ratios=(2.6, rows.height))
    shares = _draw_splits(above, lengths, edges)
    _draw_labels(below, labels, usual, counts, rows)
    below.axvline(np.median(lengths["train"]), color=INK, linewidth=1.4, linestyle="--", zorder=1)
    caption(figure, _caption(lengths, edges, counts))
    return ResampledRanks(figure, _table(labels, usual, counts, shares, edges))


FIGURE = Description("04", "character_length_distributions", "the run's data set", draw)


def character_lengths(texts: Sequence[str]) -> IntArray:
    """Unicode characters of each text, (n_examples,)."""
    return np.fromiter((len(text) for text in texts), dtype=np.int64, count=len(texts))


def label_quantiles(lengths: IntArray, y_true: BoolArray) -> DoubleArray:
    """`QUANTILES` of the lengths of the comments with each label, (n_labels, 5); NaN for a label without any."""
    found = np.full((y_true.shape[1], len(QUANTILES)), np.nan)
    for at in np.flatnonzero(y_true.any(axis=0)):
        found[at] = np.quantile(lengths[y_true[:, at]], QUANTILES)
    return found


def _title(labels: Sequence[str], usual: DoubleArray, counts: IntArray, median: float) -> str:
    start = f"half of the train comments have at most {counted(round(median), 'character')}"
    known = np.flatnonzero(counts >= ENOUGH)
    if known.size < 2:
        return start
    longest, shortest = known[0], known[-1]
    if usual[longest, 2] == usual[shortest, 2]:
        return f"{start}, with every label"
    return (
        f"{start}; medians of the labels run from {usual[shortest, 2]:.0f} ({shown(labels[shortest])}) "
        f"to {usual[longest, 2]:.0f} ({shown(labels[longest])})"
    )


def _edges(lengths: Mapping[Split, IntArray]) -> DoubleArray:
    """Edges of the bars between whole numbers; far beyond the usual lengths everything shares the last bar."""
    everything = np.concatenate(list(lengths.values()))
    last = min(float(everything.max()), 1.5 * float(np.percentile(everything, 99.5)))
    width = max(1, int(np.ceil((last + 1) / _BARS)))
    edges: DoubleArray = np.arange(0, np.ceil((last + 1) / width) + 1) * width - 0.5
    return edges


def _draw_splits(
    axes: Any, lengths: Mapping[Split, IntArray], edges: DoubleArray
) -> dict[Split, DoubleArray]:
    """Histograms; returns the shares that are drawn, by split, (n_bars,)."""
    shares = {}
    for split, counts in lengths.items():
        shares[split] = np.histogram(np.minimum(counts, edges[-1] - 0.5), edges)[0] / max(len(counts), 1)
        style: dict[str, Any] = {"color": SPLIT_COLOR[split], "label": split}
        if split == "train":
            axes.stairs(100 * shares[split], edges, fill=True, alpha=0.45, **style)
        else:
            axes.stairs(100 * shares[split], edges, linewidth=1.7, linestyle=_LINES[split], **style)
    axes.set_xlim(-0.5, edges[-1])
    axes.set_ylim(0, axes.get_ylim()[1])
    axes.set_xlabel("characters per comment")
    axes.set_ylabel("% of the split's comments")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    return shares


def _draw_labels(
    axes: Any, labels: Sequence[str], usual: DoubleArray, counts: IntArray, rows: LabelRows
) -> None:
    places = np.arange(len(labels))
    high = float(np.nanmax(usual)) if np.isfinite(usual).any() else 1.0
    axes.hlines(places, 0, 1.05 * high, color=FAINT, linewidth=0.8, zorder=0)
    axes.hlines(places, usual[:, 0], usual[:, 4], color=BLUE, linewidth=1.4)
    axes.barh(places, usual[:, 3] - usual[:, 1], left=usual[:, 1], height=0.62, color=BLUE)
    axes.plot(
        usual[:, 2], places, linestyle="", marker="o", color=PAPER, markeredgecolor=INK,
        markersize=min(6.0, rows.font * 0.55),
    )  # fmt: skip
    rows.label(axes, labels)
    axes.set_xlim(0, 1.05 * high)
    axes.set_xlabel("characters per train comment with the label")
    medians = ["–" if np.isnan(value) else f"{value:.0f}" for value in usual[:, 2]]
    rows.column(axes, "median", medians, at=56, color=BLUE)
    rows.column(axes, "comments", [f"{n:,}" for n in counts], at=124, color=MUTED)


def _caption(lengths: Mapping[Split, IntArray], edges: DoubleArray, counts: IntArray) -> str:
    text = (
        "Below: bar from the lower to the upper quartile, circle at the median, line from the 5th to the 95th percentile. "
        "Dashed: the median of train."
    )
    beyond = sum(int((found > edges[-1]).sum()) for found in lengths.values())
    if beyond:
        longest = max(int(found.max()) for found in lengths.values())
        text = f"The last bar above holds {counted(beyond, 'longer comment')}, up to {longest:,} characters. {text}"
    return f"{text} –: no train comment with the label." if (counts == 0).any() else text


def _table(
    labels: Sequence[str],
    usual: DoubleArray,
    counts: IntArray,
    shares: Mapping[Split, DoubleArray],
    edges: DoubleArray,
) -> dict[str, list[Any]]:
    """First the labels, then the bars of each split; cells that are of the other kind are empty."""
    bars = [(split, at) for split in shares for at in range(len(edges) - 1)]
    no_label, no_bar = [None] * len(bars), [None] * len(labels)
    return {
        "emotion": [*labels, *no_label],
        "comments": [*counts, *no_label],
        **{f"p{100 * quantile:02.0f}": [*usual[:, at], *no_label] for at, quantile in enumerate(QUANTILES)},
        "split": [*["train"] * len(labels), *(split for split, _ in bars)],
        "from_characters": [*no_bar, *(edges[at] + 0.5 for _, at in bars)],
        "to_characters": [*no_bar, *(edges[at + 1] - 0.5 for _, at in bars)],
        "share": [*no_bar, *(shares[split][at] for split, at in bars)],
    }
