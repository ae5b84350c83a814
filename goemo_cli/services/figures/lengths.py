"""Figures 04 and 05: how long texts are, in characters and in tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter

from goemo_cli.core.arrays import BoolArray, DoubleArray, IntArray
from goemo_cli.core.labels import SPLITS, Split, Terms
from goemo_cli.services.figures.class_counts import split_sizes
from goemo_cli.services.figures.registry import Drawn, figure
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
    limit_note,
    limited,
    mark_places,
    new_figure,
    percent,
    shown,
)
from goemo_cli.services.runs.run_data import RunData

ENOUGH = 20
"""Texts a label needs before its median may make the title."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_CHARACTER_BARS, _TOKEN_BARS = 60, 70
"""Maximum number of bars."""
_LINES: Mapping[Split, str] = {"val": "-", "test": "--"}


@figure("04", "character_length_distributions", needs="the run's data set")
def draw_character_length_distributions(source: RunData) -> Drawn:
    """Figure 04: how many characters texts have, in each split and with each label.

    Shares of each split by length, and below them the usual lengths of the train texts with each label.
    """
    data, terms = source.data(), source.terms
    lengths = {split: character_lengths(data.splits[split].texts) for split in SPLITS}
    usual = label_quantiles(lengths["train"], data.train.y_true)
    counts = data.train.y_true.sum(axis=0)
    order = np.argsort(-usual[:, 2], kind="stable")  # NaN, a label without texts, comes last
    title = _character_title(
        [data.labels[at] for at in order],
        usual[order],
        counts[order],
        float(np.median(lengths["train"])),
        terms,
    )
    order = limited(order, counts)
    labels = [data.labels[at] for at in order]
    usual, counts = usual[order], counts[order]
    edges = _character_edges(lengths)
    shares = {split: bars(found, edges) / max(len(found), 1) for split, found in lengths.items()}

    rows = LabelRows.of(len(labels))
    figure = new_figure(
        title,
        source.subtitle(*split_sizes(source)),
        height=rows.height + 4.2,
    )
    above, below = figure.subplots(2, 1, height_ratios=(2.6, rows.height))
    _draw_splits(above, {split: 100 * share for split, share in shares.items()}, edges, terms)
    above.set_xlim(*_limits(float(edges[-1])))
    above.set_xlabel(f"characters per {terms.text}")
    _draw_labels(below, labels, usual, counts, rows, terms)
    below.axvline(np.median(lengths["train"]), color=INK, linewidth=1.4, linestyle="--", zorder=1)
    note = limit_note(len(data.labels), f"train {terms.texts}")
    caption(figure, _caption(lengths, edges, counts, terms) + note)
    return Drawn(figure, _table(labels, usual, counts, shares, edges))


def character_lengths(texts: Sequence[str]) -> IntArray:
    """Unicode characters of each text, (n_examples,)."""
    return np.fromiter((len(text) for text in texts), dtype=np.int64, count=len(texts))


def label_quantiles(lengths: IntArray, y_true: BoolArray) -> DoubleArray:
    """`QUANTILES` of the lengths of the texts with each label, (n_labels, 5); NaN for a label without any."""
    found = np.full((y_true.shape[1], len(QUANTILES)), np.nan)
    for at in np.flatnonzero(y_true.any(axis=0)):
        found[at] = np.quantile(lengths[y_true[:, at]], QUANTILES)
    return found


def _character_title(
    labels: Sequence[str], usual: DoubleArray, counts: IntArray, median: float, terms: Terms
) -> str:
    start = f"half of the train {terms.texts} have at most {counted(round(median), 'character')}"
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


def _character_edges(lengths: Mapping[Split, IntArray]) -> DoubleArray:
    """Far beyond the usual lengths everything shares the last bar."""
    everything = np.concatenate(list(lengths.values()))
    last = min(float(everything.max()), 1.5 * float(np.percentile(everything, 99.5)))
    return _edges(last, _CHARACTER_BARS)


def _edges(last: float, most: int) -> DoubleArray:
    """Edges between whole numbers of at most `most` bars that reach to `last`."""
    width = max(1, int(np.ceil((last + 1) / most)))
    edges: DoubleArray = np.arange(0, np.ceil((last + 1) / width) + 1) * width - 0.5
    return edges


def bars(lengths: IntArray, edges: DoubleArray) -> IntArray:
    """How many texts are in each bar, (n_bars,); the last holds all that are longer."""
    return np.histogram(np.minimum(lengths, edges[-1] - 0.5), edges)[0]


def _draw_splits(axes: Any, percent: Mapping[Split, DoubleArray], edges: DoubleArray, terms: Terms) -> None:
    for split, heights in percent.items():
        style: dict[str, Any] = {"color": SPLIT_COLOR[split], "label": split}
        if split == "train":
            axes.stairs(heights, edges, fill=True, alpha=0.45, **style)
        else:
            axes.stairs(heights, edges, linewidth=1.7, linestyle=_LINES[split], **style)
    axes.set_ylabel(f"% of the split's {terms.texts}")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylim(0, axes.get_ylim()[1])
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)


def _limits(last: float) -> tuple[float, float]:
    """Limits of an axis whose bars end at `last`, with room for the outline of the outer bars."""
    room = 0.01 * last
    return -0.5 - room, last + room


def _draw_labels(
    axes: Any, labels: Sequence[str], usual: DoubleArray, counts: IntArray, rows: LabelRows, terms: Terms
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
    axes.set_xlabel(f"characters per train {terms.text} with the label")
    medians = ["–" if np.isnan(value) else f"{value:.0f}" for value in usual[:, 2]]
    rows.column(axes, "median", medians, at=56, color=BLUE)
    rows.column(axes, terms.texts, [f"{n:,}" for n in counts], at=124, color=MUTED)


def _caption(lengths: Mapping[Split, IntArray], edges: DoubleArray, counts: IntArray, terms: Terms) -> str:
    text = (
        "Below: bar from the lower to the upper quartile, circle at the median, line from the 5th to the 95th percentile. "
        "Dashed: the median of train."
    )
    beyond = sum(int((found > edges[-1]).sum()) for found in lengths.values())
    if beyond:
        longest = max(int(found.max()) for found in lengths.values())
        text = f"The last bar above holds {counted(beyond, f'longer {terms.text}')}, up to {longest:,} characters. {text}"
    return f"{text} –: no train {terms.text} with the label." if (counts == 0).any() else text


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


@figure("05", "token_length_distributions", needs="the run's data set and the checkpoint's tokenizer.json")
def draw_token_length_distributions(source: RunData) -> Drawn:
    """Figure 05: how many tokens texts have, and what `max_length` cuts.

    Shares of each split by tokens, with the mean, the 95th percentile and max_length.
    """
    terms = source.terms
    tokens = {split: source.token_counts(split) for split in SPLITS}
    limit = source.checkpoint.config.model.max_length
    figure = new_figure(
        _token_title(tokens, limit, terms),
        source.subtitle(*split_sizes(source), "with special tokens"),
        height=4.9,
    )
    axes = figure.subplots()
    edges = _token_edges(tokens, limit)
    shares = {split: 100 * bars(counts, edges) / len(counts) for split, counts in tokens.items()}
    _draw_splits(axes, shares, edges, terms)
    _mark(axes, tokens["train"], limit, last=float(edges[-1]))
    beyond = sum(int((counts >= edges[-1]).sum()) for counts in tokens.values())
    axes.set_xlabel(f"tokens per {terms.text}")
    longest = max(int(counts.max()) for counts in tokens.values())
    if beyond:
        caption(
            figure, f"The last bar holds {counted(beyond, f'longer {terms.text}')}, up to {longest:,} tokens."
        )
    elif limit > axes.get_xlim()[1]:
        caption(
            figure, f"max_length {limit} is right of the axis: the longest {terms.text} has {longest} tokens."
        )
    first = np.ceil(edges[:-1]).astype(int)
    last = [*(np.ceil(edges[1:-1]).astype(int) - 1), longest]
    table: dict[str, Any] = {"tokens_from": first, "tokens_to": last}
    table |= {f"{split}_percent": share for split, share in shares.items()}
    return Drawn(figure, table)


def _token_title(tokens: dict[Split, IntArray], limit: int, terms: Terms) -> str:
    everything = np.concatenate(list(tokens.values()))
    n_cut = int((everything > limit).sum())
    usual = int(np.percentile(tokens["train"], 95, method="inverted_cdf"))
    start = f"95\u00a0% of train {terms.texts} have at most {counted(usual, 'token')}; max_length {limit}"
    if not n_cut:
        return f"{start} cuts none"
    return f"{start} cuts {counted(n_cut, terms.text)} of all splits ({percent(n_cut / len(everything))})"


def _token_edges(tokens: dict[Split, IntArray], limit: int) -> DoubleArray:
    """Far beyond the usual lengths everything shares the last bar."""
    everything = np.concatenate(list(tokens.values()))
    usual = 1.6 * float(np.percentile(everything, 99.5))
    # Show max_length only if it is near: an axis up to 512 would squeeze texts of 20 tokens.
    last = min(float(everything.max()), max(usual, limit * 1.05 if limit <= 2 * usual else 0.0))
    return _edges(last, _TOKEN_BARS)


def _mark(axes: Any, train: IntArray, limit: int, *, last: float) -> None:
    mean, usual = float(train.mean()), float(np.percentile(train, 95, method="inverted_cdf"))
    marks = [
        (mean, f"mean of train {mean:.1f}", ":", INK),
        (usual, f"95th percentile {usual:.0f}", "--", INK),
    ]
    axes.set_xlim(*_limits(max(last, limit * 1.03 if limit <= 1.6 * last else last)))
    if limit <= axes.get_xlim()[1]:
        marks.append((float(limit), f"max_length {limit}", "-", INK))
    mark_places(axes, marks)
