"""Figure 05: how many tokens comments have, and what `max_length` cuts."""

from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter

from goemo_cli.core.arrays import DoubleArray, IntArray
from goemo_cli.core.labels import SPLITS, Split
from goemo_cli.services.figures.class_counts import split_sizes
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.style import (
    INK,
    SPLIT_COLOR,
    caption,
    counted,
    mark_places,
    new_figure,
    percent,
)
from goemo_cli.services.runs.run_data import RunData

_BARS = 70
"""At most so many."""
_LINES: dict[Split, str] = {"val": "-", "test": "--"}


def draw(source: RunData) -> ResampledRanks:
    """Shares of each split by tokens, with the mean, the 95th percentile and max_length."""
    tokens = {split: source.token_counts(split) for split in SPLITS}
    limit = source.checkpoint.config.model.max_length
    figure = new_figure(
        _title(tokens, limit),
        source.subtitle(*split_sizes(source), "with special tokens"),
        height=4.9,
    )
    axes = figure.subplots()
    edges = _edges(tokens, limit)
    shares = {split: _shares(counts, edges) for split, counts in tokens.items()}
    _draw_splits(axes, shares, edges)
    _mark(axes, tokens["train"], limit, last=float(edges[-1]))
    beyond = sum(int((counts >= edges[-1]).sum()) for counts in tokens.values())
    axes.set_xlabel("tokens per comment")
    longest = max(int(counts.max()) for counts in tokens.values())
    if beyond:
        caption(figure, f"The last bar holds {counted(beyond, 'longer comment')}, up to {longest:,} tokens.")
    elif limit > axes.get_xlim()[1]:
        caption(
            figure, f"max_length {limit} lies right of the axis: the longest comment has {longest} tokens."
        )
    first = np.ceil(edges[:-1]).astype(int)
    last = [*(np.ceil(edges[1:-1]).astype(int) - 1), longest]
    table: dict[str, Any] = {"tokens_from": first, "tokens_to": last}
    table |= {f"{split}_percent": share for split, share in shares.items()}
    return ResampledRanks(figure, table)


FIGURE = Description(
    "05", "token_length_distributions", "the run's data set and the checkpoint's tokenizer.json", draw
)


def _title(tokens: dict[Split, IntArray], limit: int) -> str:
    everything = np.concatenate(list(tokens.values()))
    n_cut = int((everything > limit).sum())
    usual = int(np.percentile(tokens["train"], 95, method="inverted_cdf"))
    start = f"95\u00a0% of train comments have at most {counted(usual, 'token')}; max_length {limit}"
    if not n_cut:
        return f"{start} cuts none"
    return f"{start} cuts {counted(n_cut, 'comment')} of all splits ({percent(n_cut / len(everything))})"


def _edges(tokens: dict[Split, IntArray], limit: int) -> DoubleArray:
    """Edges of the bars between whole numbers; far beyond the usual lengths everything shares the last bar."""
    everything = np.concatenate(list(tokens.values()))
    usual = 1.6 * float(np.percentile(everything, 99.5))
    # max_length is worth showing where it is near: 512 beside comments of 20 tokens would only squeeze them.
    last = min(float(everything.max()), max(usual, limit * 1.05 if limit <= 2 * usual else 0.0))
    width = max(1, int(np.ceil((last + 1) / _BARS)))
    edges: DoubleArray = np.arange(0, np.ceil((last + 1) / width) + 1) * width - 0.5
    return edges


def _shares(counts: IntArray, edges: DoubleArray) -> DoubleArray:
    """Percent of the comments in each bar; the last holds all that are longer."""
    within = np.minimum(counts, edges[-1] - 0.5)
    shares: DoubleArray = 100 * np.histogram(within, edges)[0] / len(counts)
    return shares


def _draw_splits(axes: Any, shares: dict[Split, DoubleArray], edges: DoubleArray) -> None:
    for split, share in shares.items():
        if split == "train":
            axes.stairs(share, edges, fill=True, color=SPLIT_COLOR[split], alpha=0.45, label=split)
        else:
            axes.stairs(
                share, edges, color=SPLIT_COLOR[split], linewidth=1.7, linestyle=_LINES[split], label=split
            )
    axes.set_ylabel("% of the split's comments")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylim(0, axes.get_ylim()[1])
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)


def _mark(axes: Any, train: IntArray, limit: int, *, last: float) -> None:
    mean, usual = float(train.mean()), float(np.percentile(train, 95, method="inverted_cdf"))
    marks = [
        (mean, f"mean of train {mean:.1f}", ":", INK),
        (usual, f"95th percentile {usual:.0f}", "--", INK),
    ]
    axes.set_xlim(-0.5, max(last, limit * 1.03 if limit <= 1.6 * last else last))
    if limit <= axes.get_xlim()[1]:
        marks.append((float(limit), f"max_length {limit}", "-", INK))
    mark_places(axes, marks)
