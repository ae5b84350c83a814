"""Figure 03: which emotions occur together, without neutral and without the pair of an emotion with itself."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from scipy.stats import hypergeom

from goemo_cli.core.arrays import BoolArray, DoubleArray, IntArray
from goemo_cli.core.errors import DataError
from goemo_cli.ml.metrics.significance import holm
from goemo_cli.services.evaluation.error_tables import SIGNIFICANT
from goemo_cli.services.figures.label_grid import ENOUGH, FEW, LEAST, LabelGrid, coloured
from goemo_cli.services.figures.label_pairs import cooccurrence
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.style import caption, counted, new_figure, percent, shown
from goemo_cli.services.runs.run_data import NEUTRAL, RunData

_CAPTION = (
    "Read along a row: of the train comments with that emotion (their number in brackets), the % that also carry the "
    f"column's. Square-root colour scale; blank: never together; {FEW}; grey: the emotion itself. {{Marks}}: the pair is "
    "commoner than chance among the comments with several emotions (Fisher's exact test, 5\u00a0%, Holm over all pairs). "
    "Emotions that go together both ways (cosine) are neighbours."
)


def draw(source: RunData) -> ResampledRanks:
    """Of the train comments with the row's emotion, the share that carries the column's too."""
    data = source.data()
    if NEUTRAL not in data.labels:
        raise DataError(f"the data has no label {NEUTRAL!r} to leave out: figure 02 shows all labels")
    emotions = [at for at, label in enumerate(data.labels) if label != NEUTRAL]
    gold = data.train.y_true[:, emotions]
    order = similarity_order(cooccurrence(gold))
    labels, gold = [data.labels[emotions[at]] for at in order], gold[:, order]
    together, size = cooccurrence(gold), int(gold.any(axis=1).sum())
    counts = together.diagonal()
    share = together / np.maximum(counts, 1)[:, None]
    p_value = commoner_than_chance(gold)

    names = [shown(name) for name in labels]
    grid = LabelGrid.of([f"{name} ({n:,})" for name, n in zip(names, counts, strict=True)], names)
    figure = new_figure(
        _title(labels, together, p_value),
        source.subtitle(
            f"data {shown(data.name)}", f"train, {counted(size, 'comment')} with an emotion, neutral left out"
        ),
        height=grid.height + 1.0,
        width=max(8.0, grid.width),
    )
    axes = figure.subplots()
    itself = np.eye(len(labels), dtype=np.bool_)
    apart, beyond = coloured(share, together, itself), p_value < SIGNIFICANT
    grid.draw(axes, apart, PowerNorm(0.5, 0, float(apart.max()) if apart.count() else 1.0))
    grid.shade(axes, itself)
    grid.add_scale(axes)
    grid.dot(axes, together, itself | beyond)
    grid.mark(axes, apart, beyond)
    caption(figure, _CAPTION.replace("{Marks}", grid.marks))
    return ResampledRanks(
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


FIGURE = Description("03", "label_cooccurrence_clean", "the run's data set, with a label neutral", draw)


def similarity_order(together: IntArray) -> IntArray:
    """An order of labels in which those that go together are neighbours, (n_labels,).

    Args:
        together: comments that carry both labels, (n_labels, n_labels); the diagonal counts each label.

    Source:
        Bar-Joseph, Gifford and Jaakkola 2001, Fast optimal leaf ordering for hierarchical clustering,
        Bioinformatics 17.
    """
    counts = together.diagonal()
    if len(counts) < 3:
        return np.arange(len(counts))
    cosine = together / np.sqrt(np.maximum(np.outer(counts, counts), 1))
    distance = squareform(1 - np.clip(cosine, 0, 1), checks=False)
    order: IntArray = leaves_list(linkage(distance, "average", optimal_ordering=True)).astype(np.int64)
    return order


def commoner_than_chance(y_true: BoolArray) -> DoubleArray:
    """P-values that two labels share comments by chance: Fisher's exact test, one-sided, Holm over all pairs.

    Counted over the comments with several labels: most comments have one, which in itself keeps all labels apart.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).

    Returns:
        (n_labels, n_labels), symmetric; NaN on the diagonal and if a label is never on a comment with another.
    """
    several = y_true[y_true.sum(axis=1) > 1]
    together = cooccurrence(several)
    counts = together.diagonal()
    p_value = hypergeom.sf(together - 1, len(several), counts[:, None], counts)
    asked = np.triu(np.ones(together.shape, dtype=np.bool_), k=1) & (np.outer(counts, counts) > 0)
    adjusted = holm(np.where(asked, p_value, np.nan))
    return np.where(np.isnan(adjusted), adjusted.T, adjusted)


def _title(labels: Sequence[str], together: IntArray, p_value: DoubleArray) -> str:
    above = np.triu(np.ones(together.shape, dtype=np.bool_), k=1)
    if not (together[above] > 0).any():
        return "no comment of train carries two emotions"
    found = int((p_value[above] < SIGNIFICANT).sum())
    start = f"{found or 'none'} of {counted(int(above.sum()), 'pair')} of emotions {'is' if found == 1 else 'are'} "
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
