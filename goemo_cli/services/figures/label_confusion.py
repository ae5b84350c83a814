"""Figure 16: which label is predicted when a gold label is missed."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import PowerNorm

from goemo_cli.core.arrays import BoolArray, DoubleArray, IntArray
from goemo_cli.ml.metrics.confusions import ConfusedPairs, confused_pairs
from goemo_cli.services.evaluation.error_tables import SIGNIFICANT
from goemo_cli.services.figures.label_grid import ENOUGH, FEW, LEAST, LabelGrid, coloured
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.style import caption, counted, new_figure, percent, shown
from goemo_cli.services.runs.run_data import RunData

_CAPTION = (
    "Read along a row: of the comments that miss the row's gold label (in brackets: missed of gold) and do not carry the "
    f"column's, the % on which the column's is predicted. Square-root colour scale; blank: never; {FEW}; grey: the label "
    "itself, and rows without a miss. {Marks}: more often than chance, also among the comments with both a "
    "missed and a false label (Fisher's exact test, 5\u00a0%, Holm over all pairs)."
)


def draw(source: RunData) -> ResampledRanks:
    """Shares of the missed comments of the row's label on which the column's is falsely predicted, on test."""
    test = source.predictions("test")
    order = np.argsort(-test.y_true.sum(axis=0), kind="stable")
    labels = [test.labels[at] for at in order]
    y_true, y_pred = test.y_true[:, order], test.y_pred[:, order]
    pairs = confused_pairs(y_true, y_pred)
    gold, missed = y_true.sum(axis=0), (y_true & ~y_pred).sum(axis=0)
    share = pairs.count / np.maximum(pairs.missed, 1)
    stands_out = outstanding(pairs)

    names = [shown(name) for name in labels]
    grid = LabelGrid.of(
        [f"{name} ({m:,} of {n:,})" for name, m, n in zip(names, missed, gold, strict=True)], names
    )
    figure = new_figure(
        _title(labels, share, missed, pairs, stands_out),
        source.subtitle(
            f"test, {counted(len(test), 'comment')}, {pairs.wrong_rows:,} with both a missed and a false label",
            f"threshold rule {source.thresholds.rule}",
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
    grid.add_scale(axes)
    grid.dot(axes, pairs.count, silent | stands_out)
    grid.mark(axes, cells, stands_out)
    caption(figure, _CAPTION.replace("{Marks}", grid.marks))
    return ResampledRanks(
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


FIGURE = Description("16", "label_confusion", "the predictions of test", draw)


def outstanding(pairs: ConfusedPairs) -> BoolArray:
    """Pairs that are confused beyond chance by the rule of `goemo errors`, bool, (n_labels, n_labels)."""
    return (pairs.p_holm < SIGNIFICANT) & (pairs.p_holm_in_wrong_rows < SIGNIFICANT)


def _title(
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
        f"{start}; where {shown(labels[row])} is missed, {shown(labels[column])} is falsely predicted on "
        f"{percent(share[row, column])}"
    )
