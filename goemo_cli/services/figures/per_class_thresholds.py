"""Figure 15: the threshold of every label, the global one, and the val positives it was fitted on."""

import numpy as np

from goemo_cli.core.thresholds import Thresholds
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    PAPER,
    LabelRows,
    caption,
    counted,
    new_figure,
    round_limit,
    shown,
)
from goemo_cli.services.runs.run_data import RunData


def draw(source: RunData) -> ResampledRanks:
    """All labels by falling val positives: the fewer, the closer to the global threshold."""
    thresholds = source.thresholds
    n_positives = np.array(thresholds.n_positives)
    order = np.lexsort((-thresholds.per_label, -n_positives))
    values, positives = thresholds.per_label[order], n_positives[order]
    places = np.arange(len(order))
    rows = LabelRows.of(len(order))
    figure = new_figure(
        _title(thresholds),
        source.subtitle(
            f"fitted on val, {source.metric('data')['sizes']['val']:,} comments",
            f"the run's labels follow the rule {thresholds.rule}",
        ),
        height=rows.height + 1.3,
    )
    axes = figure.subplots()
    shared = thresholds.global_threshold
    axes.hlines(places, 0, 1, color=FAINT, linewidth=0.8, zorder=0)
    axes.hlines(places, shared, values, color=BLUE, linewidth=2.2)
    axes.plot(values, places, linestyle="", marker="o", markersize=min(7.0, rows.font * 0.62), color=BLUE)
    without = positives == 0
    axes.plot(
        values[without], places[without], linestyle="", marker="o", markersize=min(7.0, rows.font * 0.62),
        color=BLUE, markerfacecolor=PAPER,
    )  # fmt: skip
    axes.axvline(shared, color=INK, linewidth=1.4, linestyle="--", zorder=1)
    rows.label(axes, [source.labels[at] for at in order])
    axes.set_xlim(0, round_limit(max(shared, float(values.max()))))
    rows.column(axes, "threshold", [f"{value:.3f}" for value in values], at=66, color=BLUE)
    rows.column(axes, "val positives", [f"{n:,}" for n in positives], at=152, color=MUTED)
    axes.set_xlabel("threshold")
    hollow = " Hollow: no positives in val, so the global one is taken." if without.any() else ""
    caption(figure, f"Dashed: the global threshold {shared:g}.{hollow}")
    return ResampledRanks(
        figure,
        {
            "emotion": [source.labels[at] for at in order],
            "threshold": values,
            "n_positives": positives,
            "global_threshold": np.full(len(order), shared),
        },
    )


FIGURE = Description("15", "per_class_thresholds", "thresholds.json", draw)


def _title(thresholds: Thresholds) -> str:
    values, shared = thresholds.per_label, thresholds.global_threshold
    below, above = int((values < shared).sum()), int((values > shared).sum())
    if not below + above:
        return f"every label keeps the global threshold of {shared:g}"
    furthest = int(np.abs(values - shared).argmax())
    return (
        f"{above or 'none'} of {counted(len(values), 'label')} {'has' if above == 1 else 'have'} a higher threshold than the global "
        f"{shared:g}, {below or 'none'} a lower one; {shown(thresholds.labels[furthest])} is furthest, at {values[furthest]:.2f}"
    )
