"""Figure 18: the calibration error of every label, and whether its probabilities are too high or too low."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from scipy.stats import binom

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from goemo_cli.ml.metrics.bootstrap import LEVEL, SEED
from goemo_cli.ml.metrics.calibration import Assessment, Reliability, assess
from goemo_cli.ml.metrics.confusions import clopper_pearson
from goemo_cli.services.evaluation.error_tables import SIGNIFICANT
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.reliability import STYLES, states_of_test
from goemo_cli.services.figures.style import FAINT, INK, MUTED, LabelRows, caption, counted, new_figure
from goemo_cli.services.runs.run_data import RunData

DRAWS = 200
_OFFSETS: Mapping[int, tuple[float, ...]] = {1: (0.0,), 2: (-0.17, 0.17)}
_SHAPES: Mapping[str, str] = {"o": "●", "s": "■"}
_CAPTION = (
    "Left: expected calibration error (ECE), the mean |share of gold - probability| over 15 bins of equal numbers; grey: 95\u00a0% of the errors that models with "
    "the same, but perfectly calibrated, probabilities would have; chance puts 2.5\u00a0% of the labels above it. Title and figure 17: the mean over the labels. Right: the number of gold comments that the probabilities add up "
    "to, over the number there are; above 1 they are too high; whiskers: exact 95\u00a0% interval."
)


def draw(source: RunData) -> ResampledRanks:
    """All labels by falling calibration error, before and after calibration, on test."""
    test, states = states_of_test(source)
    found = {state: assess(test.y_true, y_prob) for state, y_prob in states.items()}
    errors = {state: np.array([one.ece for one in each.per_label]) for state, each in found.items()}
    order = np.argsort(-errors["before"], kind="stable")
    labels, support = [test.labels[at] for at in order], test.y_true.sum(axis=0)[order]
    chance = {state: chance_errors(y_prob, found[state])[:, order] for state, y_prob in states.items()}
    ratios = {
        state: expected_over_observed(test.y_true, y_prob)[:, order] for state, y_prob in states.items()
    }
    errors = {state: values[order] for state, values in errors.items()}

    rows = LabelRows.of(len(labels))
    figure = new_figure(
        _title(found, errors, chance),
        source.subtitle(
            f"test, {counted(len(test), 'comment')}",
            f"{len(labels)} labels",
            "before and after goemo calibrate" if "after" in states else "not calibrated",
        ),
        height=rows.height + 1.9,
    )
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.25, 1))
    _draw_errors(left, errors, chance, rows)
    rows.label(left, labels)
    _draw_ratios(right, ratios, rows)
    for at, (state, values) in enumerate(errors.items()):
        color, marker = STYLES[state]
        heading = f"{_SHAPES[marker]} {state}" if len(errors) > 1 else "error"
        rows.column(right, heading, [f"{value:.4f}" for value in values], at=54 + 62 * at, color=color)
    rows.column(right, "support", [f"{n:,}" for n in support], at=60 + 62 * len(errors), color=MUTED)
    lacking = " Hollow, at the edge: no gold comment." if (support == 0).any() else ""
    caption(figure, _CAPTION + lacking)
    return ResampledRanks(figure, {"emotion": labels, "support": support} | _columns(errors, chance, ratios))


FIGURE = Description(
    "18", "calibration_summary", "the predictions of test, and calibration.json where the run has one", draw
)


def chance_errors(y_prob: FloatArray, found: Assessment, *, draws: int = DRAWS) -> DoubleArray:
    """Where the ECE of each label would lie if its probabilities were perfectly calibrated, (2, n_labels).

    Gold labels are drawn from the probabilities themselves; the middle 95 % of their calibration errors.

    Args:
        y_prob: probabilities, float32, (n_examples, n_labels).
        found: their assessment, for its bins.
        draws: of each label.

    Source:
        Bröcker and Smith 2007, Increasing the reliability of reliability diagrams, Weather and Forecasting 22.
    """
    rng = np.random.default_rng(SEED)
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    ends = [
        np.quantile(_drawn_errors(y_prob[:, at], one.bins, rng, draws), tails)
        for at, one in enumerate(found.per_label)
    ]
    return np.stack(ends, axis=1)


def _drawn_errors(y_prob: FloatArray, bins: Reliability, rng: np.random.Generator, draws: int) -> DoubleArray:
    """The ECE of each draw, (draws,)."""
    prob = np.sort(y_prob.astype(np.float64))  # the bins hold neighbours, lowest first
    starts = np.concatenate([[0], np.cumsum(bins.count)[:-1]])
    predicted = np.add.reduceat(prob, starts)
    errors = np.empty(draws)
    for draw in range(draws):
        gold = np.add.reduceat((rng.random(len(prob)) < prob).astype(np.float64), starts)
        errors[draw] = np.abs(gold - predicted).sum() / len(prob)
    return errors


def expected_over_observed(y_true: BoolArray, y_prob: FloatArray) -> DoubleArray:
    """The sum of each label's probabilities over its gold comments, and the ends of its 95 % interval, (3, n_labels).

    NaN where a label is never gold.
    """
    gold = y_true.sum(axis=0)
    expected = y_prob.sum(axis=0, dtype=np.float64)
    low, high = clopper_pearson(gold, len(y_true)) * len(y_true)
    with np.errstate(divide="ignore"):
        found = np.stack([expected / np.maximum(gold, 1), expected / high, expected / low])
    return np.where(gold > 0, found, np.nan)


def _title(
    found: Mapping[str, Assessment], errors: Mapping[str, DoubleArray], chance: Mapping[str, DoubleArray]
) -> str:
    n_labels = len(errors["before"])
    beyond = {state: int((errors[state] > chance[state][1]).sum()) for state in errors}
    text = (
        f"{beyond['before'] or 'none'} of {counted(n_labels, 'label')} have a calibration error beyond chance"
    )
    macro = {state: f"{each.ece_macro:.4f}" for state, each in found.items()}
    if "after" not in found:
        if beyond["before"] and binom.sf(beyond["before"] - 1, n_labels, (1 - LEVEL) / 2) >= SIGNIFICANT:
            text += ", as many as chance puts there"
        return f"{text}; the mean error (ECE) of all is {macro['before']}"
    return f"{text}, {beyond['after'] or 'none'} after calibration; the mean error (ECE) goes from {macro['before']} to {macro['after']}"


def _draw_errors(
    axes: Any, errors: Mapping[str, DoubleArray], chance: Mapping[str, DoubleArray], rows: LabelRows
) -> None:
    places = np.arange(rows.count)
    drawn = np.concatenate([*errors.values(), *(ends.ravel() for ends in chance.values())])
    known = drawn[drawn > 0]
    low, high = (float(known.min()) / 1.2, float(known.max()) * 1.2) if known.size else (1e-4, 1.0)
    for offset, (state, values) in zip(_OFFSETS[len(errors)], errors.items(), strict=True):
        start, end = np.maximum(chance[state], low)  # a log scale has no zero: 0 is drawn at its edge
        color, marker = STYLES[state]
        axes.barh(places + offset, end - start, left=start, height=0.34, color=MUTED, alpha=0.35, linewidth=0)
        axes.plot(
            np.maximum(values, low), places + offset, linestyle="", color=color, marker=marker,
            markersize=min(6.0, rows.font * 0.5),
        )  # fmt: skip
    axes.hlines(places, low, high, color=FAINT, linewidth=0.8, zorder=0)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    _few_ticks(axes, low, high)
    axes.set_xlabel("calibration error (log)")


def _draw_ratios(axes: Any, ratios: Mapping[str, DoubleArray], rows: LabelRows) -> None:
    places = np.arange(rows.count)
    everything = np.concatenate([found.ravel() for found in ratios.values()])
    known = everything[np.isfinite(everything) & (everything > 0)]
    low = min(0.5, float(known.min()) / 1.15) if known.size else 0.5
    high = max(2.0, float(known.max()) * 1.15) if known.size else 2.0
    for offset, (state, (ratio, *ends)) in zip(_OFFSETS[len(ratios)], ratios.items(), strict=True):
        color, marker = STYLES[state]
        style: dict[str, Any] = {
            "linestyle": "", "color": color, "marker": marker, "markersize": min(6.0, rows.font * 0.5),
        }  # fmt: skip
        axes.hlines(
            places + offset, np.maximum(ends[0], low), np.minimum(ends[1], high), color=color, linewidth=1.2
        )
        axes.plot(ratio, places + offset, **style)
        lacking = places[np.isnan(ratio)]
        if lacking.size:
            axes.plot(np.full(lacking.size, low), lacking + offset, fillstyle="none", clip_on=False, **style)
    axes.axvline(1, color=INK, linewidth=1.4, linestyle="--", zorder=1)
    axes.hlines(places, low, high, color=FAINT, linewidth=0.8, zorder=0)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    _few_ticks(axes, low, high)
    axes.set_xlabel("expected / observed (log)")
    axes.tick_params(axis="y", labelleft=False, length=0)
    if rows.count > 40:
        axes.tick_params(axis="x", top=True, labeltop=True)


def _few_ticks(axes: Any, low: float, high: float) -> None:
    steps = (1, 2, 5) if high < 60 * low else (1, 3) if high < 1000 * low else (1,)
    # Within a decade the steps above are too few, and LogLocator would put a number at every place.
    axes.xaxis.set_major_locator(MaxNLocator(4) if high < 10 * low else LogLocator(subs=steps, numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _columns(
    errors: Mapping[str, DoubleArray], chance: Mapping[str, DoubleArray], ratios: Mapping[str, DoubleArray]
) -> dict[str, DoubleArray | IntArray]:
    """The numbers of each state."""
    columns: dict[str, DoubleArray | IntArray] = {}
    for state, values in errors.items():
        columns |= {
            f"ece_{state}": values,
            f"chance_low_{state}": chance[state][0],
            f"chance_high_{state}": chance[state][1],
            f"expected_over_observed_{state}": ratios[state][0],
            f"ratio_ci_low_{state}": ratios[state][1],
            f"ratio_ci_high_{state}": ratios[state][2],
        }
    return columns
