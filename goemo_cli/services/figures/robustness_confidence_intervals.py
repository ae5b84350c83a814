"""Figure 20: how far every score would move on another test set of the same kind."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from goemo_cli.core.arrays import DoubleArray
from goemo_cli.services.figures.description import Description, Drawn, Table
from goemo_cli.services.figures.side_by_side import (
    RUN_STYLES,
    by_run,
    legend_height,
    name_runs,
    offsets,
    subtitle_of,
)
from goemo_cli.services.figures.source import Source
from goemo_cli.services.figures.style import (
    FAINT,
    MUTED,
    LabelRows,
    caption,
    mark_intervals,
    new_figure,
    shown,
)

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


def draw(source: Source) -> Drawn:
    """Scores of test above, F1 of each label below, the surest first; whiskers are 95 % intervals, each run a colour."""
    runs = source.comparable()
    scores = np.array(
        [
            [run.score(key, run.thresholds.rule if by_rule else None) for key, _, by_rule in SCORES]
            for run in runs
        ]
    )  # (n_runs, n_scores, value and interval), as is the next
    per_label = np.stack([[run.by_label(column) for column in _COLUMNS] for run in runs]).transpose(0, 2, 1)
    order = np.argsort(width(per_label[0]), kind="stable")
    labels, per_label = [source.labels[at] for at in order], per_label[:, order]
    above, below = (LabelRows.of(n, n_runs=len(runs)) for n in (len(SCORES), len(labels)))
    rules = ", ".join(dict.fromkeys(run.thresholds.rule for run in runs))
    figure = new_figure(
        _title(runs, scores, labels, per_label),
        subtitle_of(runs, source.test_size(), f"threshold rule {rules}"),
        height=above.height + below.height + 2.3 + legend_height(runs),
    )
    top, bottom = figure.subplots(2, 1, height_ratios=(above.height, below.height))
    _draw_rows(top, above, [words for _, words, _ in SCORES], runs, scores)
    _draw_rows(bottom, below, labels, runs, per_label)
    support = [f"{n:,.0f}" for n in source.by_label("support")[order]]
    below.column(bottom, "support", support, at=186, color=MUTED)
    top.set_xlabel("score on test")
    bottom.set_xlabel("F1 on test")
    name_runs(figure, top, runs)
    caption(figure, _legend(runs, np.concatenate([scores, per_label], axis=1)))
    tables: list[Table] = [
        {
            "score": [*(key for key, *_ in SCORES), *["f1_score"] * len(labels)],
            "emotion": [*[None] * len(SCORES), *labels],
            "value": np.concatenate([scores[at, :, 0], per_label[at, :, 0]]),
            "ci_low": np.concatenate([scores[at, :, 1], per_label[at, :, 1]]),
            "ci_high": np.concatenate([scores[at, :, 2], per_label[at, :, 2]]),
        }
        for at in range(len(runs))
    ]
    return Drawn(figure, by_run(runs, tables))


FIGURE = Description(
    "20", "robustness_confidence_intervals",
    "metrics.json, thresholds.json and the per-class metrics CSV", draw, several=True,
)  # fmt: skip


def _draw_rows(
    axes: Any, rows: LabelRows, names: Sequence[str], runs: Sequence[Source], values: DoubleArray
) -> None:
    places = np.arange(rows.count)
    for at, offset in enumerate(offsets(len(runs))):
        color, marker = RUN_STYLES[at]
        value, low, high = values[at].T
        mark_intervals(
            axes, places + offset, value, low, high, color=color, marker=marker, size=rows.marker(len(runs)),
            label=str(runs[at].checkpoint.run),
        )  # fmt: skip
    rows.label(axes, names)
    axes.set_xlim(0, 1)
    axes.hlines(places, 0, 1, color=FAINT, linewidth=0.8, zorder=0)
    first = values[0]
    if len(runs) == 1:
        rows.column(axes, "value", [_cell(value) for value in first[:, 0]], at=44)
    else:
        axes.tick_params(axis="x", pad=3)
    ends = [f"{_cell(low)}–{_cell(high)}" if np.isfinite(low) else "–" for _, low, high in first]
    rows.column(axes, "95\u00a0% interval", ends, at=132, color=MUTED)


def width(values: DoubleArray) -> DoubleArray:
    """Of each interval, (n_rows,); infinite where there is none, and where it has no width: 0 of 6 is 0 in every draw.

    Args:
        values: value, low and high end, (n_rows, 3).
    """
    found = values[:, 2] - values[:, 1]
    return np.where(found > 0, found, np.inf)


def _cell(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "–"


def _title(runs: Sequence[Source], scores: DoubleArray, labels: Sequence[str], per_label: DoubleArray) -> str:
    macro = [key for key, *_ in SCORES].index("f1_macro")
    value, low, high = scores[0, macro]
    who = f"{runs[0].checkpoint.run} has" if len(runs) > 1 else "the run has"
    start = f"{who} a macro-F1 of {value:.3f}"
    if not np.isfinite(low):
        return f"{start}; no interval is recorded"
    start += f", and could have {low:.2f} to {high:.2f} on another such test set"
    wide = width(per_label[0])
    if not np.isfinite(wide).any():
        return start
    at = int(np.where(np.isfinite(wide), wide, -1.0).argmax())
    _, label_low, label_high = per_label[0, at]
    return f"{start}; least is known of {shown(labels[at])} ({label_low:.2f} to {label_high:.2f})"


def _legend(runs: Sequence[Source], values: DoubleArray) -> str:
    text = "Whiskers: 95\u00a0% interval over the comments of test; the narrowest label first."
    if len(runs) > 1:
        text += (
            " Intervals and support in numbers are those of the first run. Whiskers that overlap do not mean that runs "
            "are alike: goemo compare tests it on the same comments."
        )
    if not np.isfinite(width(values[0])).all():
        text += " Last and without a whisker: nothing for resampling to vary, or no interval recorded."
    return text
