"""Figure 08: how well each label is ranked (ROC AUC) and how well it is decided (F1)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from goemo_cli.core.arrays import DoubleArray
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.several_runs import (
    DIFFERENCES,
    RUN_STYLES,
    by_run,
    highest,
    legend_height,
    name_runs,
    offsets,
    subtitle_of,
)
from goemo_cli.services.figures.style import (
    FAINT,
    LabelRows,
    caption,
    counted,
    mark_intervals,
    new_figure,
    round_limit,
    shown,
    span,
)
from goemo_cli.services.runs.run_data import RunData

_VISIBLE = 0.01
"""Differences that are smaller are not worth a title."""
_COLUMNS = ("f1_score", "f1_ci_low", "f1_ci_high", "roc_auc")


def draw(source: RunData) -> ResampledRanks:
    """All labels by the F1 of the first run: F1 with its interval on the left, AUC on the right, each run a colour."""
    runs = source.comparable()
    values = np.stack([[run.by_label(column) for column in _COLUMNS] for run in runs])
    order = np.argsort(-values[0, 0], kind="stable")
    labels = [source.labels[at] for at in order]
    values = values[..., order]  # (n_runs, columns, n_labels)
    f1, low, high, auc = values.transpose(1, 0, 2)
    places = np.arange(len(labels))
    rows = LabelRows.of(len(labels), n_runs=len(runs))
    figure = new_figure(
        _title(runs, labels, f1, auc),
        subtitle_of(runs, source.test_size()),
        height=rows.height + 1.45 + legend_height(runs),
    )
    left, right = figure.subplots(1, 2, sharey=True)
    without = np.full(len(labels), np.nan)
    for at, offset in enumerate(offsets(len(runs))):
        color, marker = RUN_STYLES[at]
        style: dict[str, Any] = {"color": color, "marker": marker, "size": rows.marker(len(runs))}
        name = str(runs[at].checkpoint.run)
        mark_intervals(left, places + offset, f1[at], low[at], high[at], label=name, **style)
        mark_intervals(right, places + offset, auc[at], without, without, **style)
    rows.label(left, labels)
    left.set_xlim(0, round_limit(float(np.nanmax([f1, high]))))
    right.set_xlim(np.floor(10 * np.nanmin([0.5, *auc.ravel()])) / 10, 1)
    right.tick_params(axis="y", labelleft=False, length=0)
    right.tick_params(axis="x", top=len(labels) > 40, labeltop=len(labels) > 40)
    for axes in (left, right):
        axes.hlines(places, *axes.get_xlim(), color=FAINT, linewidth=0.8, zorder=0)
    left.set_xlabel("F1 on test, by the run's thresholds")
    right.set_xlabel("ROC AUC on test, without a threshold (0.5: guessing)")
    if len(runs) == 1:
        rows.column(left, "F1", [f"{value:.2f}" for value in f1[0]], at=40)
        rows.column(right, "AUC", [f"{value:.3f}" if np.isfinite(value) else "–" for value in auc[0]], at=50)
    name_runs(figure, left, runs)
    caption(figure, _legend(low, auc) + (DIFFERENCES if len(runs) > 1 else ""))
    tables = [{"emotion": labels, **dict(zip(_COLUMNS, run, strict=True))} for run in values]
    return ResampledRanks(figure, by_run(runs, tables))


FIGURE = Description(
    "08", "auc_vs_f1_tradeoff", "the per-class metrics CSV and metrics.json", draw, several=True
)


def _title(runs: Sequence[RunData], labels: Sequence[str], f1: DoubleArray, auc: DoubleArray) -> str:
    if not np.isfinite(auc).any(axis=1).all():
        return f"without positives and negatives in test, {counted(len(labels), 'label')} have no AUC"
    if len(runs) > 1:
        return highest(runs, {"macro-F1": f1.mean(axis=1), "macro-AUC": np.nanmean(auc, axis=1)})
    start = f"AUC of {counted(len(labels), 'label')} {span(auc[0], digits=3)}, F1 {span(f1[0])}"
    gaps = auc[0] - f1[0]
    if np.nanmax(gaps) - np.nanmin(gaps) < _VISIBLE:
        return start
    return f"{start}; furthest apart is {shown(labels[int(np.nanargmax(gaps))])}"


def _legend(low: DoubleArray, auc: DoubleArray) -> str:
    text = "AUC asks only for the right order of probabilities, F1 also for the right threshold."
    if np.isfinite(low).any():
        text += " Whiskers: 95\u00a0% interval over the comments of test."
    return f"{text} No AUC where test has no positives." if np.isnan(auc).any() else text
