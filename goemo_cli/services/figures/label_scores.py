"""Figure 07: F1 of every label on test, with intervals and support."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.style import (
    BLUE,
    INK,
    MUTED,
    VERMILLION,
    LabelRows,
    caption,
    counted,
    named,
    new_figure,
    round_limit,
    shown,
    span,
)
from goemo_cli.services.runs.run_data import RunData


def draw(source: RunData) -> ResampledRanks:
    """All labels by falling F1, also those at zero; whiskers are 95 % intervals."""
    rows = sorted(source.per_class(), key=lambda row: -row["f1_score"])
    f1 = np.array([row["f1_score"] for row in rows])
    places = np.arange(len(rows))
    sizes = LabelRows.of(len(rows))
    figure = new_figure(_title(rows), source.subtitle(*_facts(source, rows[0])), height=sizes.height + 1.25)
    axes = figure.subplots()
    axes.barh(places, f1, height=0.66, color=BLUE, label="F1")
    low, high = (
        np.array([np.nan if row[key] is None else row[key] for row in rows])
        for key in ("f1_ci_low", "f1_ci_high")
    )
    axes.hlines(places, low, high, color=INK, linewidth=1.3)
    for ends in (low, high):
        axes.plot(ends, places, linestyle="", marker="|", color=INK, markersize=min(6.0, sizes.font * 0.55))
    zero = f1 == 0
    if zero.any():
        axes.plot(
            f1[zero], places[zero], linestyle="", marker="D", markersize=5, color=VERMILLION, clip_on=False,
            zorder=4,
        )  # fmt: skip
    axes.axvline(f1.mean(), color=INK, linewidth=1.4, linestyle="--")
    sizes.label(axes, [row["emotion"] for row in rows])
    axes.set_xlim(0, round_limit(float(np.nanmax([f1, high]))))
    sizes.column(axes, "F1", [f"{value:.2f}" for value in f1], at=42, color=BLUE)
    sizes.column(axes, "support", [f"{row['support']:,}" for row in rows], at=104, color=MUTED)
    axes.set_xlabel("F1 on test")
    caption(figure, _legend(float(f1.mean()), low, zero))
    columns = ("emotion", "f1_score", "f1_ci_low", "f1_ci_high", "support")
    return ResampledRanks(figure, {column: [row[column] for row in rows] for column in columns})


FIGURE = Description("07", "per_emotion_f1_scores", "the per-class metrics CSV", draw)


def _title(rows: Sequence[dict[str, Any]]) -> str:
    best, names = rows[0], [row["emotion"] for row in rows]
    macro = sum(row["f1_score"] for row in rows) / len(rows)
    if best["f1_score"] == 0:
        return f"F1 is 0 for {'all ' if len(rows) > 1 else ''}{counted(len(rows), 'label')}"
    highest = f"{best['f1_score']:.2f} ({shown(best['emotion'])})"
    if zero := [row["emotion"] for row in rows if row["f1_score"] == 0]:
        verb = "has" if len(zero) == 1 else "have"
        return f"{len(zero)} of {len(rows)} labels {verb} F1 = 0{named(zero)}; the highest F1 is {highest}"
    return (
        f"F1 {span([row['f1_score'] for row in rows], names)}; "
        f"macro-F1 over {counted(len(rows), 'label')} is {macro:.3f}"
    )


def _facts(source: RunData, row: dict[str, Any]) -> list[str]:
    n_comments = sum(row[key] or 0 for key in ("tp", "fp", "fn", "tn"))
    return [f"test, {n_comments:,} comments", f"threshold rule {source.thresholds.rule}"]


def _legend(macro: float, low: DoubleArray, zero: BoolArray) -> str:
    text = f"Dashed: macro-F1 {macro:.3f}."
    if np.isfinite(low).any():
        text += " Whiskers: 95\u00a0% interval over the comments of test."
    return f"{text} Diamond: F1 = 0." if zero.any() else text
