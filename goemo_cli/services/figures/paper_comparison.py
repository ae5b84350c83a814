"""Figure 23: our F1 of each emotion, with intervals, next to that of the paper's BERT-base."""

from collections.abc import Sequence

import numpy as np

from goemo_cli.core.arrays import DoubleArray
from goemo_cli.core.errors import DataError
from goemo_cli.core.labels import PAPER_F1, PAPER_F1_MACRO
from goemo_cli.ml.data.goemotions import is_published_test
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.several_runs import (
    DIFFERENCES,
    RUN_STYLES,
    by_run,
    legend_height,
    name_runs,
    offsets,
    subtitle_of,
)
from goemo_cli.services.figures.style import (
    FAINT,
    INK,
    MUTED,
    LabelRows,
    caption,
    mark_intervals,
    new_figure,
    signed,
)
from goemo_cli.services.runs.run_data import RunData

_ROUNDING = 0.005
"""The paper's F1 has two decimals."""
_COLUMNS = ("f1_score", "f1_ci_low", "f1_ci_high")


def draw(source: RunData) -> ResampledRanks:
    """All emotions, what we gain most first; the paper's F1 is an upright bar, each run a colour."""
    runs = source.comparable()
    if set(source.labels) != set(PAPER_F1):
        raise DataError(f"the labels of {source.checkpoint.run} are not the {len(PAPER_F1)} of the paper")
    if not is_published_test(source.labels, source.test_sha256()):
        raise DataError(f"{source.checkpoint.run} was not scored on the test split of GoEmotions")
    paper = np.array([PAPER_F1[label] for label in source.labels])
    ours = np.stack([[run.by_label(column) for column in _COLUMNS] for run in runs])
    order = np.argsort(paper - ours[0, 0], kind="stable")
    labels, paper, ours = [source.labels[at] for at in order], paper[order], ours[..., order]
    places = np.arange(len(labels))
    rows = LabelRows.of(len(labels), n_runs=len(runs))
    rules = ", ".join(dict.fromkeys(run.thresholds.rule for run in runs))
    figure = new_figure(
        _title(runs, ours, paper),
        subtitle_of(runs, source.test_size(), f"threshold rule {rules}"),
        height=rows.height + 1.5 + legend_height(runs),
    )
    axes = figure.subplots()
    for at, offset in enumerate(offsets(len(runs))):
        color, marker = RUN_STYLES[at]
        mark_intervals(
            axes, places + offset, *ours[at], color=color, marker=marker, size=rows.marker(len(runs)),
            label=str(runs[at].checkpoint.run),
        )  # fmt: skip
    axes.vlines(paper, places - 0.38, places + 0.38, color=INK, linewidth=2.6, zorder=4)
    rows.label(axes, labels)
    axes.set_xlim(-0.01, 1)
    axes.hlines(places, 0, 1, color=FAINT, linewidth=0.8, zorder=0)
    axes.set_xlabel("F1 on test")
    rows.column(axes, "paper", [f"{value:.2f}" for value in paper], at=40, color=MUTED)
    color = RUN_STYLES[0][0]
    rows.column(axes, "ours", [f"{value:.2f}" for value in ours[0, 0]], at=84, color=color)
    gain = [signed(value) for value in ours[0, 0] - paper]
    rows.column(axes, "difference", gain, at=156, color=color)
    name_runs(figure, axes, runs)
    caption(figure, _legend(runs))
    tables = [{"emotion": labels, "paper_f1": paper, **dict(zip(_COLUMNS, run, strict=True))} for run in ours]
    return ResampledRanks(figure, by_run(runs, tables))


FIGURE = Description(
    "23", "paper_comparison",
    "the per-class metrics CSV, metrics.json and thresholds.json of a run on GoEmotions", draw, several=True,
)  # fmt: skip


def sides(ours: DoubleArray, paper: DoubleArray) -> tuple[int, int]:
    """How many labels have their whole interval above the paper's F1, and below it.

    Args:
        ours: value, low and high end, (3, n_labels); NaN if no interval is recorded. One without a width says nothing.
        paper: F1 of two decimals, (n_labels,)
    """
    _, low, high = ours
    is_interval = high > low
    above, below = low > paper + _ROUNDING, high < paper - _ROUNDING
    return int((above & is_interval).sum()), int((below & is_interval).sum())


def _title(runs: Sequence[RunData], ours: DoubleArray, paper: DoubleArray) -> str:
    above, below = sides(ours[0], paper)
    whose = f" of {runs[0].checkpoint.run}" if len(runs) > 1 else ""
    return (
        f"the whole interval of F1{whose} is above the paper's BERT-base for {above or 'none'} of the {len(paper)} emotions, "
        f"below for {below or 'none'}; macro-F1 {ours[0, 0].mean():.2f} against {PAPER_F1_MACRO['full']:.2f}"
    )


def _legend(runs: Sequence[RunData]) -> str:
    text = (
        "Upright bar: the paper's F1 (Demszky et al. 2020, table 4; BERT-base, threshold 0.3, two decimals, no interval). "
        "Whiskers: our 95\u00a0% interval over the comments of test; chance alone would put about one emotion on each side."
    )
    return (
        f"{text} The numbers are those of {runs[0].checkpoint.run}.{DIFFERENCES}" if len(runs) > 1 else text
    )
