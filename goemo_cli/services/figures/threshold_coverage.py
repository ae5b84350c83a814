"""Figure 14: how many comments get a label at every threshold, and how many labels each."""

from typing import Any

import numpy as np

from goemo_cli.core.arrays import DoubleArray
from goemo_cli.core.labels import Split
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.thresholds import decide
from goemo_cli.ml.metrics.thresholds import GRID
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.style import SPLIT_COLOR, caption, new_figure, percent
from goemo_cli.services.figures.threshold_macro import SPLIT_LINES, mark_thresholds, purpose
from goemo_cli.services.runs.run_data import RunData


def draw(source: RunData) -> ResampledRanks:
    """On the left the share of comments with a label, on the right labels per comment; thin lines: the gold labels."""
    chosen = source.thresholds.global_threshold
    parts = {split: source.predictions(split) for split, _ in SPLIT_LINES}
    curves = {split: coverage(part, GRID) for split, part in parts.items()}
    gold = {
        split: (part.y_true.any(axis=1).mean(), part.y_true.sum(axis=1).mean())
        for split, part in parts.items()
    }
    covered, each = coverage(parts["test"], np.array([chosen]))[:, 0]
    figure = new_figure(
        f"at the global threshold {chosen:g}, {percent(covered)} of test comments get a label; there are {each:.2f} "
        f"labels per comment, {gold['test'][1]:.2f} in gold",
        source.subtitle(
            ", ".join(f"{split} {len(part):,}" for split, part in parts.items()) + " comments",
            f"{len(source.labels)} labels",
        ),
        height=4.9,
    )
    panels = figure.subplots(1, 2)
    for at, (axes, name) in enumerate(
        zip(panels, ("comments with a label, %", "labels per comment"), strict=True)
    ):
        factor = 1 if at else 100
        for split, line in SPLIT_LINES:
            color = SPLIT_COLOR[split]
            axes.plot(GRID, factor * curves[split][at], color=color, linestyle=line, label=split)
            axes.axhline(factor * gold[split][at], color=color, linestyle=line, linewidth=1.0, zorder=1)
        _finish(axes, name, chosen, curves, at)
    panels[0].legend(loc="lower left")
    caption(
        figure,
        f"Thin: the gold labels. Global: chosen on val for {purpose(source.thresholds)}.{_own_rule(source, parts)}",
    )
    columns = [
        (f"{split}_{name}", curves[split][at])
        for at, name in enumerate(("coverage", "labels_per_comment"))
        for split, _ in SPLIT_LINES
    ]
    return ResampledRanks(figure, {"threshold": GRID, **dict(columns)})


FIGURE = Description("14", "threshold_coverage", "the predictions of val and test, and thresholds.json", draw)


def coverage(predictions: Predictions, thresholds: DoubleArray) -> DoubleArray:
    """The share of comments with a label, and labels per comment, with each threshold for all labels, (2, n_thresholds)."""
    counts = [decide(predictions.y_prob, float(t)).sum(axis=1) for t in thresholds]
    return np.array([[(each > 0).mean() for each in counts], [each.mean() for each in counts]])


def _finish(axes: Any, name: str, chosen: float, curves: dict[Split, DoubleArray], at: int) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, None if at else 102)
    if at:  # what happens below a threshold of 0.1 would press the rest to the floor
        usual = max(float(curve[1][GRID >= 0.1].max()) for curve in curves.values())
        axes.set_ylim(0, max(1.2 * usual, 1.0))
    mark_thresholds(axes, chosen)
    axes.set_xlabel("threshold for all labels")
    axes.set_ylabel(name)


def _own_rule(source: RunData, parts: dict[Split, Predictions]) -> str:
    """What the run's own labels are like, which the curves cannot show where thresholds differ by label."""
    own = parts["test"].y_pred
    return (
        f" The run's own labels, by {source.thresholds.rule}: {percent(own.any(axis=1).mean())} of test comments "
        f"get one; {own.sum(axis=1).mean():.2f} labels per comment."
    )
