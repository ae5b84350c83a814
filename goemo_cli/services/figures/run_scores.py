"""Figure 20: how far scores would move on another test set of the same kind, and how that depends on support."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from goemo_cli.core.arrays import DoubleArray
from goemo_cli.services.figures.registry import Description, ResampledRanks, Table
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
    MUTED,
    LabelRows,
    caption,
    counted,
    mark_intervals,
    new_figure,
    round_limit,
    shown,
)
from goemo_cli.services.runs.run_data import RunData

SCORES: tuple[tuple[str, str, bool], ...] = (
    ("auc_micro", "micro-AUC", False),
    ("auc_macro", "macro-AUC", False),
    ("lrap", "ranking precision", False),
    ("average_precision_macro", "macro average precision", False),
    ("f1_micro", "micro-F1", True),
    ("f1_weighted", "weighted F1", True),
    ("f1_samples", "F1 per comment", True),
    ("f1_macro", "macro-F1", True),
    ("subset_accuracy", "all labels right", True),
)
"""(key of metrics.json, words, whether it follows the run's threshold rule)."""
_COLUMNS = ("f1_score", "f1_ci_low", "f1_ci_high")


def draw(source: RunData) -> ResampledRanks:
    """Scores of test with 95 % intervals above; below half the width of each label's interval of F1, commonest label first."""
    runs = source.comparable()
    scores = np.array(
        [
            [run.score(key, run.thresholds.rule if by_rule else None) for key, _, by_rule in SCORES]
            for run in runs
        ]
    )  # (n_runs, n_scores, value and interval), as is the next
    per_label = np.stack([[run.by_label(column) for column in _COLUMNS] for run in runs]).transpose(0, 2, 1)
    support = source.by_label("support")
    order = np.argsort(-support, kind="stable")
    labels, per_label, support = [source.labels[at] for at in order], per_label[:, order], support[order]
    above, below = (LabelRows.of(n, n_runs=len(runs)) for n in (len(SCORES), len(labels)))
    rules = ", ".join(dict.fromkeys(run.thresholds.rule for run in runs))
    figure = new_figure(
        _title(runs, scores, labels, half_width(per_label), support),
        subtitle_of(runs, source.test_size(), f"threshold rule {rules}"),
        height=above.height + below.height + 2.3 + legend_height(runs),
    )
    top, bottom = figure.subplots(2, 1, height_ratios=(above.height, below.height))
    _draw_scores(top, above, runs, scores)
    _draw_widths(bottom, below, labels, half_width(per_label), support)
    name_runs(figure, top, runs)
    caption(figure, _legend(runs, half_width(np.concatenate([scores, per_label], axis=1))))
    both = np.concatenate([scores, per_label], axis=1)
    none = [None] * len(SCORES)
    tables: list[Table] = [
        {
            "score": [*(key for key, *_ in SCORES), *["f1_score"] * len(labels)],
            "emotion": [*none, *labels],
            "value": run[:, 0],
            "ci_low": run[:, 1],
            "ci_high": run[:, 2],
            "half_width": half_width(run),
            "support": [*none, *support],
        }
        for run in both
    ]
    return ResampledRanks(figure, by_run(runs, tables))


FIGURE = Description(
    "20", "robustness_confidence_intervals",
    "metrics.json, thresholds.json and the per-class metrics CSV", draw, several=True,
)  # fmt: skip


def half_width(values: DoubleArray) -> DoubleArray:
    """Half the width of each interval; NaN if there is none, or one without a width, which says nothing.

    Args:
        values: value, low and high end, (..., 3).
    """
    found = (values[..., 2] - values[..., 1]) / 2
    return np.where(found > 0, found, np.nan)


def _draw_scores(axes: Any, rows: LabelRows, runs: Sequence[RunData], values: DoubleArray) -> None:
    places = np.arange(rows.count)
    for at, offset in enumerate(offsets(len(runs))):
        color, marker = RUN_STYLES[at]
        value, low, high = values[at].T
        mark_intervals(
            axes, places + offset, value, low, high, color=color, marker=marker, size=rows.marker(len(runs)),
            label=str(runs[at].checkpoint.run),
        )  # fmt: skip
    rows.label(axes, [words for _, words, _ in SCORES])
    axes.set_xlim(0, 1)
    axes.hlines(places, 0, 1, color=FAINT, linewidth=0.8, zorder=0)
    axes.set_xlabel("score on test")
    first = values[0]
    if len(runs) == 1:
        rows.column(axes, "value", [_cell(value) for value in first[:, 0]], at=44)
    else:
        axes.tick_params(axis="x", pad=3)
    ends = [f"{_cell(low)}–{_cell(high)}" if high > low else "–" for _, low, high in first]
    rows.column(axes, "95\u00a0% interval", ends, at=132, color=MUTED)


def _draw_widths(
    axes: Any, rows: LabelRows, labels: Sequence[str], widths: DoubleArray, support: DoubleArray
) -> None:
    """A line from 0 to each half width, (n_runs, n_labels), beside the support, (n_labels,)."""
    places = np.arange(rows.count)
    for at, offset in enumerate(offsets(len(widths))):
        color, marker = RUN_STYLES[at]
        axes.hlines(places + offset, 0, widths[at], color=color, linewidth=2.0)
        axes.plot(
            widths[at], places + offset, linestyle="", marker=marker, color=color,
            clip_on=not np.isfinite(widths[at]).any(),
            markersize=rows.marker(len(widths)),
        )  # fmt: skip
    rows.label(axes, labels)
    known = widths[np.isfinite(widths)]
    axes.set_xlim(0, round_limit(float(known.max()) if known.size else 0.0))
    axes.hlines(places, *axes.get_xlim(), color=FAINT, linewidth=0.8, zorder=0)
    axes.set_xlabel("half the width of the 95\u00a0% interval of F1 on test")
    rows.column(axes, "\u00b1", [_cell(width) for width in widths[0]], at=44, color=RUN_STYLES[0][0])
    rows.column(axes, "support", [f"{n:,.0f}" for n in support], at=132, color=MUTED)


def _cell(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "–"


def _title(
    runs: Sequence[RunData],
    scores: DoubleArray,
    labels: Sequence[str],
    widths: DoubleArray,
    support: DoubleArray,
) -> str:
    macro = [key for key, *_ in SCORES].index("f1_macro")
    value, low, high = scores[0, macro]
    who = f"{runs[0].checkpoint.run} has" if len(runs) > 1 else "the run has"
    start = f"{who} a macro-F1 of {value:.3f}"
    if not np.isfinite(low):
        return f"{start}; no interval is recorded"
    start += f", and could have {low:.2f} to {high:.2f} on another such test set"
    if not np.isfinite(widths[0]).any():
        return start
    least, most = int(np.nanargmin(widths[0])), int(np.nanargmax(widths[0]))
    if f"{widths[0, least]:.2f}" == f"{widths[0, most]:.2f}":
        return f"{start}; F1 of single labels is known to \u00b1{widths[0, most]:.2f}"
    ends = [
        f"\u00b1{widths[0, at]:.2f} ({shown(labels[at])}, {counted(int(support[at]), 'comment')})"
        for at in dict.fromkeys((least, most))
    ]
    return f"{start}; F1 of single labels is known to {' up to '.join(ends)}"


def _legend(runs: Sequence[RunData], widths: DoubleArray) -> str:
    text = (
        "Whiskers: 95\u00a0% interval of the score over the comments of test. Below: the labels by support, the commonest "
        "first. Figure 07 shows F1 itself."
    )
    if len(runs) > 1:
        text += f" Numbers are those of the first run. Whiskers that overlap do not mean that runs are alike.{DIFFERENCES}"
    if not np.isfinite(widths[0]).all():
        text += " \u2013: no interval is recorded, or one without a width, which says nothing."
    return text
