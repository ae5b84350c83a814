"""Figure 19: which labels occur together, in the gold labels and in the predicted ones."""

from typing import Any

import numpy as np
from matplotlib.colors import PowerNorm

from goemo_cli.core.arrays import BoolArray, DoubleArray, IntArray
from goemo_cli.ml.metrics.confusions import pair_differences
from goemo_cli.services.evaluation.error_tables import SIGNIFICANT
from goemo_cli.services.figures.label_cooccurrence_clean import similarity_order
from goemo_cli.services.figures.label_grid import ENOUGH, FEW, LabelGrid, coloured
from goemo_cli.services.figures.label_pairs import cooccurrence
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.style import INK, PAPER, caption, counted, new_figure, percent, shown
from goemo_cli.services.runs.run_data import RunData

_CAPTION = (
    "Read along a row: of the comments with that label, the % that also carry the column's; the number of such comments "
    f"in brackets, gold | predicted. Square-root colour scale, the same for both; blank: never together; {FEW}; grey: the label "
    "itself, and labels on no comment. Framed on the right: pairs that are predicted on more (solid) or fewer (dotted) "
    "comments than are gold (exact McNemar test, 5\u00a0%, Holm over all pairs). Labels that go together are neighbours."
)


def draw(source: RunData) -> ResampledRanks:
    """Of the test comments with the row's label, the share with the column's too: gold left, predicted right."""
    test = source.predictions("test")
    order = similarity_order(cooccurrence(test.y_true))
    labels, y_true, y_pred = [test.labels[at] for at in order], test.y_true[:, order], test.y_pred[:, order]
    pairs = pair_differences(y_true, y_pred)
    shares = {"gold": share_of_row(pairs.gold), "predicted": share_of_row(pairs.predicted)}
    itself = np.eye(len(labels), dtype=np.bool_)

    names = [shown(name) for name in labels]
    counts = zip(names, pairs.gold.diagonal(), pairs.predicted.diagonal(), strict=True)
    grid = LabelGrid.of([f"{name} ({n:,} | {m:,})" for name, n, m in counts], names, side=6.4)
    figure = new_figure(
        _title(pairs.gold, pairs.predicted, pairs.p_holm, y_true, y_pred),
        source.subtitle(f"test, {counted(len(test), 'comment')}", f"threshold rule {source.thresholds.rule}"),
        height=grid.height + 1.7,
        width=max(10.0, grid.width + grid.side + 0.3),
    )
    silent = {what: itself | (getattr(pairs, what).diagonal() == 0)[:, None] for what in shares}
    cells = {what: coloured(share, getattr(pairs, what), silent[what]) for what, share in shares.items()}
    highest = max(_highest(cells[what], getattr(pairs, what).diagonal()) for what in shares) or 1.0
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
    grid.add_scale(both[1])
    beyond = any(each.count() and each.max() > highest for each in cells.values())
    caption(
        figure,
        _CAPTION.replace("both;", f"both, {percent(highest)} or more at its end;") if beyond else _CAPTION,
    )
    return ResampledRanks(
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


FIGURE = Description("19", "cooccurrence_heatmap", "the predictions of test", draw)


def share_of_row(cooccurrence_counts: IntArray) -> DoubleArray:
    """Of the comments with the row's label, the share with the column's, (n_labels, n_labels); 0 for a label on none."""
    share: DoubleArray = cooccurrence_counts / np.maximum(cooccurrence_counts.diagonal(), 1)[:, None]
    return share


def _highest(cells: Any, counts: IntArray) -> float:
    """The largest coloured share, of labels with enough comments if there are any; 0 if none is coloured."""
    known = cells[counts >= ENOUGH]
    found = known if known.count() else cells
    return float(found.max()) if found.count() else 0.0


def _title(
    gold: IntArray, predicted: IntArray, p_holm: DoubleArray, y_true: BoolArray, y_pred: BoolArray
) -> str:
    above = np.triu(p_holm < SIGNIFICANT, k=1)
    more, fewer = int((above & (predicted > gold)).sum()), int((above & (predicted < gold)).sum())
    n_pairs = len(gold) * (len(gold) - 1) // 2
    start = f"{more or 'none'} of {counted(n_pairs, 'pair')} of labels {'is' if more == 1 else 'are'} predicted together"
    return (
        f"{start} more often than gold, {fewer or 'none'} less often; "
        f"{y_pred.sum(axis=1).mean():.2f} labels per comment instead of {y_true.sum(axis=1).mean():.2f}"
    )


def _frame(axes: Any, p_holm: DoubleArray, difference: IntArray) -> None:
    """Frame cells beyond chance: solid where there are more than gold, dotted where fewer."""
    for row, column in np.argwhere(p_holm < SIGNIFICANT):
        x, y = column + np.array([-0.5, 0.5, 0.5, -0.5, -0.5]), row + np.array([-0.5, -0.5, 0.5, 0.5, -0.5])
        axes.plot(x, y, color=PAPER, linewidth=3)  # seen on dark cells too
        axes.plot(x, y, color=INK, linewidth=1.3, linestyle="-" if difference[row, column] > 0 else ":")
