"""Figures 02, 03, 16 and 19: heat maps of pairs of labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm, PowerNorm

from goemo_cli.core.arrays import BoolArray, DoubleArray, IntArray
from goemo_cli.core.errors import DataError
from goemo_cli.core.labels import Terms
from goemo_cli.ml.metrics.confusions import (
    LEAST,
    ConfusedPairs,
    confused_pairs,
    cooccurrence_counts,
    pair_differences,
)
from goemo_cli.ml.metrics.exact_tests import hypergeometric_tail
from goemo_cli.ml.metrics.intervals import ALPHA, holm
from goemo_cli.services.figures.class_counts import split_sizes, with_another
from goemo_cli.services.figures.label_grid import ENOUGH, LabelGrid, coloured, few
from goemo_cli.services.figures.registry import Drawn, figure
from goemo_cli.services.figures.style import (
    INK,
    PAPER,
    caption,
    caption_height,
    counted,
    limit_note,
    limited,
    new_figure,
    percent,
    shown,
)
from goemo_cli.services.runs.run_data import NEUTRAL, RunData

_LEAST_SHARE = 0.001


@figure("02", "label_cooccurrence", needs="the run's data set")
def draw_label_cooccurrence(source: RunData) -> Drawn:
    """Figure 02: which gold labels are on the same texts.

    Of the train texts with the row's label, the share that carries the column's label too.
    """
    data, terms = source.data(), source.terms
    y_true = data.train.y_true
    counts = y_true.sum(axis=0)
    order = limited(np.argsort(-counts, kind="stable"), counts)
    labels = [data.labels[at] for at in order]
    together, counts = cooccurrence_counts(y_true[:, order]), counts[order]
    share = share_of_row(together)

    names = [shown(name) for name in labels]
    grid = LabelGrid.of([f"{name} ({n:,})" for name, n in zip(names, counts, strict=True)], names)
    figure = new_figure(
        _gold_title(labels, y_true, together, terms),
        source.subtitle(
            *split_sizes(source)[:1], f"train, {len(data.train):,} {terms.texts}, commonest label first"
        ),
        height=grid.height + 0.85,
        width=max(8.0, grid.width),
    )
    axes = figure.subplots()
    itself = np.eye(len(labels), dtype=np.bool_)
    cells = coloured(share, together, itself)
    grid.draw(axes, cells, _norm(cells.compressed()))
    grid.shade(axes, itself)
    grid.dot(axes, together, itself)
    grid.add_scale(axes, _together(terms, "label"))
    if grid.is_written:
        grid.mark(axes, cells, ~np.ma.getmaskarray(cells))
    caption(
        figure,
        f"Read along a row: of the train {terms.texts} with that label (their number in brackets), the % that also carry "
        f"the column's label. Log colour scale; blank: never together; {few(terms)}; grey: the label itself."
        f"{limit_note(len(data.labels), f'train {terms.texts}')}",
    )
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


def _together(terms: Terms, label: str) -> str:
    """What the colours of figures 02, 03 and 19 are."""
    return f"% of the row's {terms.texts} with the column's {label}"


def _gold_title(labels: Sequence[str], y_true: BoolArray, together: IntArray, terms: Terms) -> str:
    several = (y_true.sum(axis=1) > 1).mean()
    if not several:
        return f"no {terms.text} of train carries more than one label"
    start = f"{percent(several)} of train {terms.texts} carry several labels"
    counts = together.diagonal()
    known = (counts[:, None] >= ENOUGH) & (together >= LEAST) & ~np.eye(len(labels), dtype=np.bool_)
    if not known.any():
        return start
    share = np.where(known, share_of_row(together), 0)
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


@figure("03", "label_cooccurrence_clean", needs="the run's data set, with a label neutral")
def draw_label_cooccurrence_clean(source: RunData) -> Drawn:
    """Figure 03: which labels occur together, without neutral and without the pair of a label with itself.

    Of the train texts with the row's label, the share that carries the column's too.
    """
    data, terms = source.data(), source.terms
    if NEUTRAL not in data.labels:
        raise DataError(f"the data has no label {NEUTRAL!r} to leave out: figure 02 shows all labels")
    emotions = np.array([at for at, label in enumerate(data.labels) if label != NEUTRAL])
    size = int(data.train.y_true[:, emotions].any(axis=1).sum())
    kept = limited(emotions, data.train.y_true.sum(axis=0))
    order = kept[similarity_order(cooccurrence_counts(data.train.y_true[:, kept]))]
    labels, gold = [data.labels[at] for at in order], data.train.y_true[:, order]
    together = cooccurrence_counts(gold)
    counts, share = together.diagonal(), share_of_row(together)
    p_value = commoner_than_chance(gold)

    names = [shown(name) for name in labels]
    grid = LabelGrid.of([f"{name} ({n:,})" for name, n in zip(names, counts, strict=True)], names)
    figure = new_figure(
        _emotion_title(labels, together, p_value, terms),
        source.subtitle(
            f"data {shown(data.name)}", f"train, {size:,} {with_another(terms)}, neutral left out"
        ),
        height=grid.height + 1.0,
        width=max(8.0, grid.width),
    )
    axes = figure.subplots()
    itself = np.eye(len(labels), dtype=np.bool_)
    apart, beyond = coloured(share, together, itself), p_value < ALPHA
    grid.draw(axes, apart, PowerNorm(0.5, 0, float(apart.max()) if apart.count() else 1.0))
    grid.shade(axes, itself)
    grid.add_scale(axes, _together(terms, terms.label))
    grid.dot(axes, together, itself | beyond)
    grid.mark(axes, apart, beyond)
    note = limit_note(len(emotions), f"train {terms.texts}")
    caption(figure, _emotion_caption(terms, grid.marks if beyond.any() else None) + note)
    return Drawn(
        figure,
        {
            "emotion": np.repeat(labels, len(labels)),
            "other": labels * len(labels),
            "comments": np.repeat(counts, len(labels)),
            "together": together.ravel(),
            "share": share.ravel(),
            "p_holm": p_value.ravel(),
        },
    )


def _emotion_caption(terms: Terms, marks: str | None) -> str:
    """How to read figure 03; `marks` are what the pairs beyond chance have, None if no pair is."""
    marked = (
        f" {marks}: the pair is commoner than chance among the {terms.texts} with several {terms.labels} (Fisher's exact "
        "test, 5\u00a0%, Holm over all pairs)."
    )
    return (
        f"Read along a row: of the train {terms.texts} with that {terms.label} (their number in brackets), the % that also "
        f"carry the column's. Square-root colour scale; blank: never together; {few(terms)}; grey: the {terms.label} "
        f"itself.{marked if marks else ''} {terms.labels.capitalize()} that go together both ways (cosine) are neighbours."
    )


def similarity_order(together: IntArray) -> IntArray:
    """An order of labels in which those that go together are neighbours, (n_labels,).

    Args:
        together: texts that carry both labels, (n_labels, n_labels); the diagonal counts each label.

    Source:
        Bar-Joseph, Gifford and Jaakkola 2001, Fast optimal leaf ordering for hierarchical clustering,
        Bioinformatics 17.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    counts = together.diagonal()
    if len(counts) < 3:
        return np.arange(len(counts))
    cosine = together / np.sqrt(np.maximum(np.outer(counts, counts), 1))
    distance = squareform(1 - np.clip(cosine, 0, 1), checks=False)
    order: IntArray = leaves_list(linkage(distance, "average", optimal_ordering=True)).astype(np.int64)
    return order


def commoner_than_chance(y_true: BoolArray) -> DoubleArray:
    """P-values that two labels share texts by chance: Fisher's exact test, one-sided, Holm over all pairs.

    Counted over the texts with several labels: most texts have one, which in itself keeps all labels apart.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).

    Returns:
        (n_labels, n_labels), symmetric; NaN on the diagonal and if a label is never on a text with another.
    """
    several = y_true[y_true.sum(axis=1) > 1]
    together = cooccurrence_counts(several)
    counts = together.diagonal()
    p_value = hypergeometric_tail(together, len(several), counts[:, None], counts)
    asked = np.triu(np.ones(together.shape, dtype=np.bool_), k=1) & (np.outer(counts, counts) > 0)
    adjusted = holm(np.where(asked, p_value, np.nan))
    return np.where(np.isnan(adjusted), adjusted.T, adjusted)


def _emotion_title(labels: Sequence[str], together: IntArray, p_value: DoubleArray, terms: Terms) -> str:
    above = np.triu(np.ones(together.shape, dtype=np.bool_), k=1)
    if not (together[above] > 0).any():
        return f"no {terms.text} of train carries two {terms.labels}"
    found = int((p_value[above] < ALPHA).sum())
    start = f"{found or 'none'} of {counted(int(above.sum()), 'pair')} of {terms.labels} {'is' if found == 1 else 'are'} "
    start += "commoner than chance"
    counts = together.diagonal()
    known = above & (np.minimum.outer(counts, counts) >= ENOUGH) & (together >= LEAST)
    if not known.any():
        return start
    cosine = together / np.sqrt(np.maximum(np.outer(counts, counts), 1))
    cosine = np.where(known, cosine, 0)
    row, column = divmod(int(cosine.argmax()), len(labels))
    one, other = (row, column) if counts[row] <= counts[column] else (column, row)
    return (
        f"{start}; closest are {shown(labels[one])} and {shown(labels[other])}: "
        f"{percent(together[one, other] / counts[one])} of {shown(labels[one])} is also {shown(labels[other])}"
    )


@figure("16", "label_confusion", needs="the predictions of test")
def draw_label_confusion(source: RunData) -> Drawn:
    """Figure 16: which label is predicted when a gold label is missed.

    Shares of the missed texts of the row's label on which the column's is falsely predicted, on test.
    """
    test, terms = source.predictions("test"), source.terms
    support = test.y_true.sum(axis=0)
    order = limited(np.argsort(-support, kind="stable"), support)
    labels = [test.labels[at] for at in order]
    y_true, y_pred = test.y_true[:, order], test.y_pred[:, order]
    pairs = confused_pairs(y_true, y_pred)
    gold, missed = y_true.sum(axis=0), (y_true & ~y_pred).sum(axis=0)
    share = pairs.count / np.maximum(pairs.missed, 1)
    stands_out = pairs.stands_out

    names = [shown(name) for name in labels]
    grid = LabelGrid.of(
        [f"{name} ({m:,} of {n:,})" for name, m, n in zip(names, missed, gold, strict=True)], names
    )
    figure = new_figure(
        _confusion_title(labels, share, missed, pairs, stands_out),
        source.subtitle(
            f"test, {counted(len(test), terms.text)}, {pairs.wrong_rows:,} with both a missed and a false label",
            f"threshold rule {source.rules.rule}",
            "commonest gold label first",
        ),
        height=grid.height + 1.2,
        width=max(8.0, grid.width),
    )
    axes = figure.subplots()
    silent = np.eye(len(labels), dtype=np.bool_) | (missed == 0)[:, None]
    cells = coloured(share, pairs.count, silent)
    grid.draw(axes, cells, PowerNorm(0.5, 0, float(cells.max()) if cells.count() else 1.0))
    axes.set_ylabel("gold label, missed")
    axes.set_xlabel("label predicted though not gold")
    grid.shade(axes, silent)
    grid.add_scale(axes, f"% of the row's missed {terms.texts}")
    grid.dot(axes, pairs.count, silent | stands_out)
    grid.mark(axes, cells, stands_out)
    note = limit_note(len(test.labels), f"test {terms.texts}")
    caption(figure, _confusion_caption(terms, grid.marks if stands_out.any() else None) + note)
    return Drawn(
        figure,
        {
            "gold": np.repeat(labels, len(labels)),
            "predicted": labels * len(labels),
            "count": pairs.count.ravel(),
            "missed": pairs.missed.ravel(),
            "share": np.where(pairs.missed > 0, share, np.nan).ravel(),
            "lift": pairs.lift.ravel(),
            "p_holm": pairs.p_holm.ravel(),
            "p_holm_in_wrong_rows": pairs.p_holm_in_wrong_rows.ravel(),
        },
    )


def _confusion_caption(terms: Terms, marks: str | None) -> str:
    """How to read figure 16; `marks` are what the pairs beyond chance have, None if no pair is."""
    marked = (
        f" {marks}: more often than chance, also among the {terms.texts} with both a missed and a false label (Fisher's "
        "exact test, 5\u00a0%, Holm over all pairs)."
    )
    return (
        f"Read along a row: of the {terms.texts} that miss the row's gold label (in brackets: missed of gold) and do not "
        "carry the column's, the % on which the column's is predicted. Square-root colour scale; blank: never; "
        f"{few(terms)}; grey: the label itself, and rows without a miss.{marked if marks else ''}"
    )


def _confusion_title(
    labels: Sequence[str], share: DoubleArray, missed: IntArray, pairs: ConfusedPairs, stands_out: BoolArray
) -> str:
    if not missed.any():
        return "no gold label is missed"
    n_pairs = len(labels) * (len(labels) - 1)
    if not stands_out.any():
        return f"none of {counted(n_pairs, 'pair')} of labels is confused more often than chance"
    n = int(stands_out.sum())
    start = f"{n} of {counted(n_pairs, 'pair')} of labels {'is' if n == 1 else 'are'} confused more often than chance"
    known = stands_out & (pairs.missed >= ENOUGH) & (pairs.count >= LEAST)
    if not known.any():
        return start
    highest = int(np.where(known, share, -1).argmax())
    row, column = divmod(highest, len(labels))
    return (
        f"{start}; if {shown(labels[row])} is missed, {shown(labels[column])} is falsely predicted on "
        f"{percent(share[row, column])}"
    )


@figure("19", "cooccurrence_heatmap", needs="the predictions of test")
def draw_cooccurrence_heatmap(source: RunData) -> Drawn:
    """Figure 19: which labels occur together, in the gold labels and in the predicted ones.

    Of the test texts with the row's label, the share with the column's too: gold left, predicted right.
    """
    test, terms = source.predictions("test"), source.terms
    kept = limited(np.arange(len(test.labels)), test.y_true.sum(axis=0))
    order = kept[similarity_order(cooccurrence_counts(test.y_true[:, kept]))]
    labels, y_true, y_pred = [test.labels[at] for at in order], test.y_true[:, order], test.y_pred[:, order]
    pairs = pair_differences(y_true, y_pred)
    shares = {"gold": share_of_row(pairs.gold), "predicted": share_of_row(pairs.predicted)}
    itself = np.eye(len(labels), dtype=np.bool_)

    names = [shown(name) for name in labels]
    counts = zip(names, pairs.gold.diagonal(), pairs.predicted.diagonal(), strict=True)
    grid = LabelGrid.of([f"{name} ({n:,} | {m:,})" for name, n, m in counts], names, side=6.4)
    silent = {what: itself | (getattr(pairs, what).diagonal() == 0)[:, None] for what in shares}
    cells = {what: coloured(share, getattr(pairs, what), silent[what]) for what, share in shares.items()}
    highest = max(_highest(cells[what], getattr(pairs, what).diagonal()) for what in shares) or 1.0
    is_cut = any(each.count() and each.max() > highest for each in cells.values())
    framed = (pairs.p_holm < ALPHA) & ~itself
    words = _predicted_caption(terms, pairs.predicted - pairs.gold, framed, highest if is_cut else None)
    words += limit_note(len(test.labels), f"test {terms.texts}")
    width = max(10.0, grid.width + grid.side + 0.3)
    figure = new_figure(
        _predicted_title(pairs.gold, pairs.predicted, pairs.p_holm, test.y_true, test.y_pred, terms),
        source.subtitle(f"test, {counted(len(test), terms.text)}", f"threshold rule {source.rules.rule}"),
        height=grid.height + caption_height(words, width) + 0.85,
        width=width,
    )
    both = figure.subplots(1, 2)
    for axes, what in zip(both, shares, strict=True):
        grid.draw(
            axes, np.minimum(cells[what], highest), PowerNorm(0.5, 0, highest), named_rows=what == "gold"
        )
        grid.shade(axes, silent[what])
        grid.dot(axes, getattr(pairs, what), silent[what])
        axes.set_title(f"{what.capitalize()} labels")
        axes.set_anchor("N")  # square cells leave room: below, between names and caption
    _frame(both[1], pairs.p_holm, pairs.predicted - pairs.gold)
    grid.add_scale(both[1], _together(terms, "label"))
    caption(figure, words)
    return Drawn(
        figure,
        {
            "emotion": np.repeat(labels, len(labels)),
            "other": labels * len(labels),
            "gold": pairs.gold.ravel(),
            "predicted": pairs.predicted.ravel(),
            "gold_share": shares["gold"].ravel(),
            "predicted_share": shares["predicted"].ravel(),
            "p_holm": pairs.p_holm.ravel(),
        },
    )


def _predicted_caption(terms: Terms, difference: IntArray, framed: BoolArray, end: float | None) -> str:
    """How to read figure 19, as far as it is drawn.

    Args:
        difference: predicted minus gold texts of each pair, (n_labels, n_labels).
        framed: pairs that differ beyond chance, bool, (n_labels, n_labels).
        end: the share at the end of the colour scale if some cells are beyond it.
    """
    frames = [
        f"{way} ({line})"
        for way, line, found in (
            ("more", "solid", difference[framed] > 0), ("fewer", "dotted", difference[framed] <= 0)
        )
        if found.any()
    ]  # fmt: skip
    test = "(exact McNemar test, 5\u00a0%, Holm over all pairs)"
    about = (
        f"Framed on the right: pairs that are predicted on {' or '.join(frames)} {terms.texts} than are gold {test}."
        if frames
        else f"No pair is predicted on more or fewer {terms.texts} than are gold, beyond chance {test}."
    )
    at_end = "" if end is None else f", {percent(end)} or more at its end"
    return (
        f"Read along a row: of the {terms.texts} with that label, the % that also carry the column's; the number of such "
        f"{terms.texts} in brackets, gold | predicted. Square-root colour scale, the same for both{at_end}; blank: never "
        f"together; {few(terms)}; grey: the label itself, and labels on no {terms.text}. {about} Labels that go together "
        "are neighbours."
    )


def share_of_row(together: IntArray) -> DoubleArray:
    """Of the texts with the row's label, the share with the column's, (n_labels, n_labels); 0 for a label on none."""
    share: DoubleArray = together / np.maximum(together.diagonal(), 1)[:, None]
    return share


def _highest(cells: Any, counts: IntArray) -> float:
    """The largest coloured share, of labels with enough texts if there are any; 0 if none is coloured."""
    known = cells[counts >= ENOUGH]
    found = known if known.count() else cells
    return float(found.max()) if found.count() else 0.0


def _predicted_title(
    gold: IntArray,
    predicted: IntArray,
    p_holm: DoubleArray,
    y_true: BoolArray,
    y_pred: BoolArray,
    terms: Terms,
) -> str:
    above = np.triu(p_holm < ALPHA, k=1)
    more, fewer = int((above & (predicted > gold)).sum()), int((above & (predicted < gold)).sum())
    n_pairs = len(gold) * (len(gold) - 1) // 2
    start = f"{more or 'none'} of {counted(n_pairs, 'pair')} of labels {'is' if more == 1 else 'are'} predicted together"
    return (
        f"{start} more often than gold, {fewer or 'none'} less often; "
        f"{y_pred.sum(axis=1).mean():.2f} labels per {terms.text} instead of {y_true.sum(axis=1).mean():.2f}"
    )


def _frame(axes: Any, p_holm: DoubleArray, difference: IntArray) -> None:
    """Frame cells beyond chance: solid if there are more than gold, dotted if fewer."""
    for row, column in np.argwhere(p_holm < ALPHA):
        x, y = column + np.array([-0.5, 0.5, 0.5, -0.5, -0.5]), row + np.array([-0.5, -0.5, 0.5, 0.5, -0.5])
        axes.plot(x, y, color=PAPER, linewidth=3)  # seen on dark cells too
        axes.plot(x, y, color=INK, linewidth=1.3, linestyle="-" if difference[row, column] > 0 else ":")
