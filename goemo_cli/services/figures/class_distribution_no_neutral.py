"""Figure 01: how many comments of each split carry each emotion, neutral left out."""

from collections.abc import Sequence

import numpy as np

from goemo_cli.core.arrays import IntArray
from goemo_cli.core.errors import DataError
from goemo_cli.core.labels import SPLITS
from goemo_cli.services.figures.class_counts import draw_counts
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.style import counted, named, percent, shown
from goemo_cli.services.runs.run_data import NEUTRAL, RunData


def draw(source: RunData) -> ResampledRanks:
    """As figure 00 over the comments that carry an emotion: neutral no longer presses the others together."""
    data = source.data()
    if NEUTRAL not in data.labels:
        raise DataError(f"the data has no label {NEUTRAL!r} to leave out: figure 00 shows all labels")
    keep = [at for at, label in enumerate(data.labels) if label != NEUTRAL]
    labels = [data.labels[at] for at in keep]
    gold = {split: data.splits[split].y_true[:, keep] for split in SPLITS}
    counts = {split: gold[split].sum(axis=0) for split in SPLITS}
    sizes = {split: int(gold[split].any(axis=1).sum()) for split in SPLITS}
    return draw_counts(
        _title(labels, counts["train"], sizes["train"]),
        source.subtitle(
            f"data {shown(data.name)}",
            "comments with an emotion: " + ", ".join(f"{split} {sizes[split]:,}" for split in SPLITS),
        ),
        labels,
        counts,
        sizes,
    )


FIGURE = Description("01", "class_distribution_no_neutral", "the run's data set, with a label neutral", draw)


def _title(labels: Sequence[str], train: IntArray, size: int) -> str:
    if absent := [labels[at] for at in np.flatnonzero(train == 0).tolist()]:
        return f"{len(absent)} of {len(labels)} emotions never occur in train{named(absent)}"
    top, rarest = int(train.argmax()), int(train.argmin())
    times = train[top] / train[rarest]
    if train[top] == train[rarest]:
        return f"without neutral, the {len(labels)} emotions are equally common: {counted(int(train[top]), 'comment')} each"
    return (
        f"{shown(labels[top])} is on {percent(train[top] / size)} of the train comments with an emotion, "
        f"{times:.{0 if times >= 10 else 1 if times >= 1.1 else 2}f} times as many as {shown(labels[rarest])}"
    )
