"""Figures 00 and 01: how many texts of each split carry each label, in one design."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter

from goemo_cli.core.arrays import IntArray
from goemo_cli.core.errors import DataError
from goemo_cli.core.labels import SPLITS, Split, Terms
from goemo_cli.services.figures.registry import Drawn, figure
from goemo_cli.services.figures.style import (
    FAINT,
    SPLIT_COLOR,
    SPLIT_MARKER,
    LabelRows,
    caption,
    counted,
    limit_note,
    limited,
    log_scale,
    named,
    new_figure,
    percent,
    shown,
)
from goemo_cli.services.runs.run_data import NEUTRAL, RunData


@figure("00", "class_distribution", needs="the run's data set")
def draw_class_distribution(source: RunData) -> Drawn:
    """Figure 00: how many texts of each split carry each label.

    All labels, commonest first: counts of each split, and shares that show whether the splits are alike.
    """
    data = source.data()
    counts = {split: data.splits[split].y_true.sum(axis=0) for split in SPLITS}
    sizes = {split: len(data.splits[split]) for split in SPLITS}
    title = _class_title(data.labels, counts["train"], sizes["train"], source.terms)
    return draw_counts(
        title,
        source.subtitle(*split_sizes(source)),
        data.labels,
        counts,
        sizes,
        source.terms,
        share_of="the split",
    )


def draw_counts(
    title: str,
    subtitle: str,
    labels: Sequence[str],
    counts: dict[Split, IntArray],
    sizes: dict[Split, int],
    terms: Terms,
    *,
    share_of: str,
) -> Drawn:
    """Bars of train, numbers of all splits, and their shares of `sizes`, which are `share_of`, on a log scale."""
    order = limited(np.argsort(-counts["train"], kind="stable"), counts["train"])
    rows = LabelRows.of(len(order))
    figure = new_figure(title, subtitle, height=rows.height + 1.05)
    bars, shares = figure.subplots(1, 2, sharey=True, width_ratios=(1.25, 1))
    places = np.arange(len(order))
    bars.barh(places, counts["train"][order], height=0.72, color=SPLIT_COLOR["train"])
    rows.label(bars, [labels[at] for at in order])
    bars.set_xlabel(f"{terms.texts} in train")
    bars.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    bars.locator_params(axis="x", nbins=5, integer=True)
    for column, split in enumerate(SPLITS):
        cells = [f"{counts[split][at]:,}" for at in order]
        rows.column(bars, split, cells, at=44 + 42 * column, color=SPLIT_COLOR[split])
    _draw_shares(shares, order, counts, sizes, rows)
    shares.set_xlabel(f"share of {share_of}, % (log scale)")
    hollow = any((count[order] == 0).any() for count in counts.values())
    about = f"Hollow, at the left edge: no {terms.text} of that split." if hollow else ""
    if about := f"{about}{limit_note(len(labels), f'train {terms.texts}')}".strip():
        caption(figure, about)
    return Drawn(
        figure,
        {"emotion": [labels[at] for at in order]}
        | {split: counts[split][order] for split in SPLITS}
        | {f"{split}_share": counts[split][order] / max(sizes[split], 1) for split in SPLITS},
    )


def split_sizes(source: RunData) -> list[str]:
    """`train 1,427`, `val 304`, `test 309 comments`; and whether train was cut."""
    data, limit = source.data(), source.checkpoint.config.data.max_train_samples
    cut = " (cut by max_train_samples)" if limit is not None and limit == len(data.train) else ""
    sizes = (
        f"train {len(data.train):,}{cut}, val {len(data.val):,}, test {len(data.test):,} {source.terms.texts}"
    )
    return [f"data {shown(data.name)}", sizes]


def _class_title(labels: Sequence[str], train: IntArray, size: int, terms: Terms) -> str:
    if absent := [labels[at] for at in np.flatnonzero(train == 0).tolist()]:
        return f"{len(absent)} of {len(labels)} labels never occur in train{named(absent)}"
    top, rarest = int(train.argmax()), int(train.argmin())
    if train[top] == train[rarest]:
        return f"every one of the {len(labels)} labels is on {counted(int(train[top]), terms.text)} of train"
    return (
        f"{shown(labels[top])} is {percent(train[top] / size)} of train; {shown(labels[rarest])}, "
        f"the rarest of {len(labels)}, has {counted(int(train[rarest]), terms.text)}"
    )


def _draw_shares(
    axes: Any, order: IntArray, counts: dict[Split, IntArray], sizes: dict[Split, int], rows: LabelRows
) -> None:
    places = np.arange(len(order))
    shares = {split: 100 * counts[split][order] / max(sizes[split], 1) for split in SPLITS}
    present = np.concatenate([share[share > 0] for share in shares.values()])
    low = float(present.min()) / 1.6 if present.size else 0.1
    axes.hlines(places, low, 100, color=FAINT, linewidth=0.8, zorder=0)
    for split in reversed(SPLITS):
        share, style = shares[split], {"color": SPLIT_COLOR[split], "marker": SPLIT_MARKER[split]}
        axes.plot(np.where(share > 0, share, np.nan), places, linestyle="", label=split, **style)
        absent = places[share == 0]
        if absent.size:  # a log scale has no zero: hollow marks at its edge
            axes.plot(
                np.full(absent.size, low), absent, linestyle="", fillstyle="none", clip_on=False, **style
            )
    high = float(present.max()) * 1.6 if present.size else 1.0
    log_scale(axes, low, high)
    axes.tick_params(axis="y", labelleft=False, length=0)
    if rows.count > 40:
        axes.tick_params(axis="x", top=True, labeltop=True)
    handles, names = axes.get_legend_handles_labels()
    axes.legend(
        handles[::-1], names[::-1], loc="lower right", bbox_to_anchor=(1, 1), ncols=3,
        borderaxespad=2.2 if rows.count > 40 else 0.1, handletextpad=0.1, columnspacing=1.0,
    )  # fmt: skip


@figure("01", "class_distribution_no_neutral", needs="the run's data set, with a label neutral")
def draw_class_distribution_no_neutral(source: RunData) -> Drawn:
    """Figure 01: how many texts of each split carry each label, neutral left out.

    Like figure 00, over the texts with another label: without neutral, the other bars use the whole width.
    """
    data = source.data()
    if NEUTRAL not in data.labels:
        raise DataError(f"the data has no label {NEUTRAL!r} to leave out: figure 00 shows all labels")
    keep = [at for at, label in enumerate(data.labels) if label != NEUTRAL]
    labels = [data.labels[at] for at in keep]
    gold = {split: data.splits[split].y_true[:, keep] for split in SPLITS}
    counts = {split: gold[split].sum(axis=0) for split in SPLITS}
    sizes = {split: int(gold[split].any(axis=1).sum()) for split in SPLITS}
    return draw_counts(
        _emotion_title(labels, counts["train"], sizes["train"], source.terms),
        source.subtitle(
            f"data {shown(data.name)}",
            f"{with_another(source.terms)}: " + ", ".join(f"{split} {sizes[split]:,}" for split in SPLITS),
        ),
        labels,
        counts,
        sizes,
        source.terms,
        share_of=f"these {source.terms.texts}",
    )


def with_another(terms: Terms) -> str:
    """The texts with a label other than neutral: `comments with an emotion`."""
    return f"{terms.texts} with {'an emotion' if terms.label == 'emotion' else 'a label other than neutral'}"


def _emotion_title(labels: Sequence[str], train: IntArray, size: int, terms: Terms) -> str:
    if absent := [labels[at] for at in np.flatnonzero(train == 0).tolist()]:
        return f"{len(absent)} of {len(labels)} {terms.labels} never occur in train{named(absent)}"
    top, rarest = int(train.argmax()), int(train.argmin())
    times = train[top] / train[rarest]
    if train[top] == train[rarest]:
        return (
            f"without neutral, the {len(labels)} {terms.labels} are equally common: "
            f"{counted(int(train[top]), terms.text)} each"
        )
    return (
        f"{shown(labels[top])} is on {percent(train[top] / size)} of the train {with_another(terms)}, "
        f"{times:.{0 if times >= 10 else 1 if times >= 1.1 else 2}f} times as many as {shown(labels[rarest])}"
    )
