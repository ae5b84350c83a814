"""Figure 17: of the comments given a probability, the share that carries the label, over all labels and for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from goemo_cli.core.errors import DataError
from goemo_cli.ml.metrics.calibration import assess, reliability
from goemo_cli.ml.metrics.confusions import clopper_pearson
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.style import (
    BLUE,
    MUTED,
    VERMILLION,
    caption,
    counted,
    new_figure,
    percent,
    shown,
)
from goemo_cli.services.runs.run_data import RunData

LOWEST = 0.05
"""Probabilities below share one bin: most are there, and say little."""
MOST_BINS = 10
LEAST_CELLS = 25
"""Of each of the other bins, as long as there are several."""
STYLES: Mapping[str, tuple[str, str]] = {"before": (BLUE, "o"), "after": (VERMILLION, "s")}
NAMES: Mapping[str, str] = {"before": "as the model gives them", "after": "calibrated"}
_COLUMNS = 7
"""Panels side by side."""
_STEPS = 40
_CAPTION = (
    "On the diagonal, probabilities are what is observed; below it they are too high. One bin holds all below 5\u00a0%, "
    "the others hold equal numbers. Whiskers: exact 95\u00a0% interval of the share, as if cells were independent. Each "
    "label (gold positives in brackets) has the axes of the first panel. ECE: as in figure 18, by 15 bins of each label."
)


def draw(source: RunData) -> ResampledRanks:
    """Observed against predicted on test, before and after calibration: all cells, their number, and each label."""
    test, states = states_of_test(source)
    labels = test.labels
    support = test.y_true.sum(axis=0)
    order = np.argsort(-support, kind="stable")
    columns = min(_COLUMNS, max(4, len(labels)))
    n_rows = -(-len(labels) // columns)
    height = min(1.5, 110 / n_rows)  # inches of a panel
    figure = new_figure(
        _title(test.y_true, states),
        source.subtitle(
            f"test, {counted(len(test), 'comment')} x {len(labels)} labels",
            "before and after goemo calibrate" if "after" in states else "not calibrated",
        ),
        height=4.1 + height * n_rows,
    )
    parts = figure.add_gridspec(2, 1, height_ratios=(3.4, height * n_rows))
    two, panels = parts[0].subgridspec(1, 2, width_ratios=(1.1, 1)), parts[1].subgridspec(n_rows, columns)
    overall, numbers = figure.add_subplot(two[0]), figure.add_subplot(two[1])
    rows: list[dict[str, Any]] = []
    for state, y_prob in states.items():
        rows += _draw_bins(overall, "", state, bins_of(test.y_true.ravel(), y_prob.ravel()))
        _draw_numbers(numbers, state, y_prob)
    _finish_overall(overall, numbers)
    for place, at in enumerate(order):
        axes = figure.add_subplot(panels[divmod(place, columns)])
        for state, y_prob in states.items():
            found = bins_of(test.y_true[:, at], y_prob[:, at])
            rows += _draw_bins(axes, labels[at], state, found, small=True)
        _finish_panel(axes, f"{shown(labels[at], 16)} ({support[at]:,})")
    caption(figure, _CAPTION)
    return ResampledRanks(figure, {column: [row[column] for row in rows] for column in rows[0]})


FIGURE = Description(
    "17", "reliability_diagram", "the predictions of test, and calibration.json where the run has one", draw
)


@dataclass(frozen=True)
class Bins:
    """What is drawn of one label, or of all cells; (n_bins,) each, lowest probabilities first."""

    count: IntArray
    mean_predicted: DoubleArray
    observed_share: DoubleArray

    @property
    def interval(self) -> DoubleArray:
        """Exact 95 % interval of the observed share, (2, n_bins)."""
        return clopper_pearson(np.rint(self.observed_share * self.count), self.count)


def states_of_test(source: RunData) -> tuple[Any, dict[str, FloatArray]]:
    """The predictions of test, and their probabilities `before` calibration and, where there is one, `after` it.

    Raises:
        NotFoundError, DataFileError: no predictions that can be used.
        DataError: fewer than two rows.
        CorruptArtifactError: a calibration.json that cannot be used.
    """
    test, calibrator = source.predictions("test"), source.calibrator()
    if len(test) < 2:
        path = source.layout.split_predictions(source.checkpoint.run, "test")
        raise DataError(f"{path} holds one row; a calibration error needs at least two")
    states = {"before": test.y_prob}
    return test, states | ({"after": calibrator.apply(test.y_prob)} if calibrator else {})


def bins_of(y_true: BoolArray, y_prob: FloatArray) -> Bins:
    """One bin below `LOWEST`, and bins of equal mass above it; all in one where there is next to nothing above.

    Args:
        y_true: gold labels, bool, (n_cells,); at least two.
        y_prob: probabilities, float32, (n_cells,).
    """
    low = y_prob.astype(np.float64) < LOWEST
    if (~low).sum() < 2:
        low[:] = True
    few = [Bins(low.sum(keepdims=True), *_means(y_true[low], y_prob[low]))] if low.any() else []
    if not low.all():
        found = reliability(
            y_true[~low], y_prob[~low], bins=int(np.clip((~low).sum() // LEAST_CELLS, 1, MOST_BINS))
        )
        few.append(Bins(found.count, found.mean_predicted, found.observed_share))
    return Bins(
        np.concatenate([one.count for one in few]),
        np.concatenate([one.mean_predicted for one in few]),
        np.concatenate([one.observed_share for one in few]),
    )


def _means(y_true: BoolArray, y_prob: FloatArray) -> tuple[DoubleArray, DoubleArray]:
    return y_prob.mean(dtype=np.float64, keepdims=True), y_true.mean(keepdims=True)


def _title(y_true: BoolArray, states: Mapping[str, FloatArray]) -> str:
    errors = {state: assess(y_true, y_prob).ece_macro for state, y_prob in states.items()}
    known = states["before"].astype(np.float64) >= LOWEST
    text = f"mean calibration error (ECE) of the labels {errors['before']:.4f}"
    if "after" in errors:
        text += f", {errors['after']:.4f} after calibration"
    least = f"{100 * LOWEST:.0f}\u00a0%"
    if not known.any():
        return f"no probability reaches {least}; {text}"
    return (
        f"where the model gives {least} or more, it says {percent(float(states['before'][known].mean(dtype=np.float64)))} "
        f"on average and {percent(float(y_true[known].mean()))} are gold; {text}"
    )


def _draw_bins(axes: Any, label: str, state: str, bins: Bins, *, small: bool = False) -> list[dict[str, Any]]:
    """Draw one label's bins; returns the rows of the table."""
    color, marker = STYLES[state]
    low, high = bins.interval
    axes.vlines(bins.mean_predicted, low, high, color=color, linewidth=0.9 if small else 1.3, alpha=0.6)
    axes.plot(
        bins.mean_predicted, bins.observed_share, color=color, marker=marker, label=NAMES[state],
        linewidth=1.1 if small else 1.8, markersize=3.2 if small else 6,
    )  # fmt: skip
    return [
        {
            "emotion": label or None,
            "state": state,
            "bin": number,
            "count": bins.count[number - 1],
            "mean_predicted": bins.mean_predicted[number - 1],
            "observed_share": bins.observed_share[number - 1],
            "ci_low": low[number - 1],
            "ci_high": high[number - 1],
        }
        for number in range(1, len(bins.count) + 1)
    ]


def _draw_numbers(axes: Any, state: str, y_prob: FloatArray) -> None:
    edges = np.linspace(0, 1, _STEPS + 1)
    count = np.histogram(y_prob, edges)[0]
    color, _ = STYLES[state]
    axes.stairs(
        np.where(count > 0, count, np.nan), edges, baseline=0.7, color=color, linewidth=1.6,
        linestyle="-" if state == "before" else "--", label=NAMES[state],
    )  # fmt: skip


def _finish_overall(overall: Any, numbers: Any) -> None:
    for axes in (overall, numbers):
        axes.set_xlim(-0.01, 1.01)
        axes.set_xlabel("probability")
        axes.legend(loc="upper left" if axes is overall else "upper right", fontsize=10)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    overall.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=":", zorder=1)
    overall.set_ylim(-0.01, 1.01)
    overall.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    overall.set_title("All labels")
    overall.set_ylabel("share that is gold")
    numbers.set_title("How many there are")
    numbers.set_yscale("log")
    numbers.set_ylabel("cells: comments x labels")
    numbers.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _finish_panel(axes: Any, title: str) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=":", zorder=1)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks([0, 0.5, 1], [])
    axes.set_yticks([0, 0.5, 1], [])
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=8.5, weight="normal", pad=3)
