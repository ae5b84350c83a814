"""Figures 17 and 18: whether probabilities are what is observed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from goemo_cli.core.labels import Terms
from goemo_cli.ml.metrics.calibration import Assessment, Reliability, assess
from goemo_cli.ml.metrics.exact_tests import binomial_tail, clopper_pearson
from goemo_cli.ml.metrics.intervals import ALPHA, LEVEL, SEED
from goemo_cli.services.evaluation.observed_shares import LOWEST, Bins, bins_of, states_of_test
from goemo_cli.services.figures.registry import Drawn, figure
from goemo_cli.services.figures.style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    VERMILLION,
    LabelRows,
    caption,
    counted,
    limit_note,
    limited,
    log_scale,
    new_figure,
    percent,
    shown,
)
from goemo_cli.services.runs.run_data import RunData

STYLES: Mapping[str, tuple[str, str]] = {"before": (BLUE, "o"), "after": (VERMILLION, "s")}
NAMES: Mapping[str, str] = {"before": "as the model gives them", "after": "calibrated"}
_COLUMNS = 7
"""Panels side by side."""
_STEPS = 40
_BINS_CAPTION = (
    "On the diagonal, probabilities are what is observed; below it they are too high. One bin holds all below 5\u00a0%, "
    "the others hold equal numbers. Whiskers: exact 95\u00a0% interval of the share, as if cells were independent. Small "
    "panels: one label each, gold positives in brackets, the same axes. ECE: as in figure 18, by 15 bins of each label."
)


@figure("17", "reliability_diagram", needs="the predictions of test, and calibration.json if the run has one")
def draw_reliability_diagram(source: RunData) -> Drawn:
    """Figure 17: of the texts given a probability, the share that carries the label, over all labels and for each.

    Observed against predicted on test, before and after calibration: all cells, their number, and each label.
    """
    test, states = states_of_test(source)
    labels, terms = test.labels, source.terms
    support = test.y_true.sum(axis=0)
    order = limited(np.argsort(-support, kind="stable"), support)
    columns = min(_COLUMNS, max(4, len(order)))
    n_rows = -(-len(order) // columns)
    height = 1.5  # inches of a panel
    figure = new_figure(
        _bins_title(test.y_true, states),
        source.subtitle(
            f"test, {counted(len(test), terms.text)} x {len(labels)} labels",
            "before and after goemo calibrate" if "after" in states else "not calibrated",
        ),
        height=4.4 + height * n_rows,
    )
    parts = figure.add_gridspec(2, 1, height_ratios=(3.4, height * n_rows))
    two, panels = parts[0].subgridspec(1, 2, width_ratios=(1.1, 1)), parts[1].subgridspec(n_rows, columns)
    overall, numbers = figure.add_subplot(two[0]), figure.add_subplot(two[1])
    rows: list[dict[str, Any]] = []
    for state, y_prob in states.items():
        rows += _draw_bins(overall, "", state, bins_of(test.y_true.ravel(), y_prob.ravel()))
        _draw_numbers(numbers, state, y_prob)
    _finish_overall(overall, numbers, terms, several=len(states) > 1)
    for place, at in enumerate(order):
        axes = figure.add_subplot(panels[divmod(place, columns)])
        for state, y_prob in states.items():
            found = bins_of(test.y_true[:, at], y_prob[:, at])
            rows += _draw_bins(axes, labels[at], state, found, small=True)
        _finish_panel(
            axes,
            f"{shown(labels[at], 16)} ({support[at]:,})",
            is_left=place % columns == 0,
            is_lowest=place + columns >= len(order),
        )
    caption(figure, _BINS_CAPTION + limit_note(len(labels), f"test {terms.texts}"))
    return Drawn(figure, {column: [row[column] for row in rows] for column in rows[0]})


def _bins_title(y_true: BoolArray, states: Mapping[str, FloatArray]) -> str:
    errors = {state: assess(y_true, y_prob).ece_macro for state, y_prob in states.items()}
    known = states["before"].astype(np.float64) >= LOWEST
    text = f"mean calibration error (ECE) of the labels {errors['before']:.4f}"
    if "after" in errors:
        text += f", {errors['after']:.4f} after calibration"
    least = f"{100 * LOWEST:.0f}\u00a0%"
    if not known.any():
        return f"no probability reaches {least}; {text}"
    return (
        f"probabilities of {least} or more average {percent(float(states['before'][known].mean(dtype=np.float64)))}, and "
        f"{percent(float(y_true[known].mean()))} of them are gold; {text}"
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


def _finish_overall(overall: Any, numbers: Any, terms: Terms, *, several: bool) -> None:
    for axes in (overall, numbers):
        axes.set_xlim(-0.01, 1.01)
        axes.set_xlabel("probability")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    overall.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=":", zorder=1)
    overall.set_ylim(-0.01, 1.01)
    overall.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    overall.set_title("All labels")
    overall.set_ylabel("share that is gold")
    numbers.set_title("How many there are")
    numbers.set_yscale("log")
    numbers.set_ylabel(f"cells: {terms.texts} x labels")
    numbers.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if several:
        overall.legend(loc="upper left", fontsize=10)
        numbers.set_ylim(top=10 * numbers.get_ylim()[1])  # room for the legend
        numbers.legend(loc="upper right", fontsize=10)


def _finish_panel(axes: Any, title: str, *, is_left: bool, is_lowest: bool) -> None:
    """Ticks on each panel, numbers on the outer ones."""
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=":", zorder=1)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.tick_params(length=2.5, pad=2, labelsize=8, labelleft=is_left, labelbottom=is_lowest)
    axes.set_title(title, fontsize=8.5, weight="normal", pad=3)


DRAWS = 200
_OFFSETS: Mapping[int, tuple[float, ...]] = {1: (0.0,), 2: (-0.17, 0.17)}
_SHAPES: Mapping[str, str] = {"o": "●", "s": "■"}
_ECE_CAPTION = (
    "Left: expected calibration error (ECE), the mean |share of gold - probability| over 15 bins of equal numbers; grey: 95\u00a0% of the errors that models with "
    "the same, but perfectly calibrated, probabilities would have; chance puts 2.5\u00a0% of the labels above it. Title and figure 17: the mean over the labels. Right: the number of gold {texts} that the probabilities add up "
    "to, over the number there are; above 1 they are too high; whiskers: exact 95\u00a0% interval."
)


@figure("18", "calibration_summary", needs="the predictions of test, and calibration.json if the run has one")
def draw_calibration_summary(source: RunData) -> Drawn:
    """Figure 18: the calibration error of every label, and whether its probabilities are too high or too low.

    All labels by falling calibration error, before and after calibration, on test.
    """
    (test, states), terms = states_of_test(source), source.terms
    found = {state: assess(test.y_true, y_prob) for state, y_prob in states.items()}
    errors = {state: np.array([one.ece for one in each.per_label]) for state, each in found.items()}
    chance = {state: chance_errors(y_prob, found[state]) for state, y_prob in states.items()}
    title, support = _ece_title(found, errors, chance), test.y_true.sum(axis=0)
    order = limited(np.argsort(-errors["before"], kind="stable"), support)
    labels, support = [test.labels[at] for at in order], support[order]
    chance = {state: ends[:, order] for state, ends in chance.items()}
    ratios = {
        state: expected_over_observed(test.y_true, y_prob)[:, order] for state, y_prob in states.items()
    }
    errors = {state: values[order] for state, values in errors.items()}

    rows = LabelRows.of(len(labels))
    figure = new_figure(
        title,
        source.subtitle(
            f"test, {counted(len(test), terms.text)}",
            f"{len(test.labels)} labels",
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
    hollow = f" Hollow, at the edge: no gold {terms.text}." if (support == 0).any() else ""
    note = limit_note(len(test.labels), f"test {terms.texts}")
    caption(figure, _ECE_CAPTION.format(texts=terms.texts) + hollow + note)
    return Drawn(figure, {"emotion": labels, "support": support} | _columns(errors, chance, ratios))


def chance_errors(y_prob: FloatArray, found: Assessment, *, draws: int = DRAWS) -> DoubleArray:
    """The range of each label's ECE if its probabilities were perfectly calibrated, (2, n_labels).

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
    """The sum of each label's probabilities over its gold texts, and the ends of its 95 % interval, (3, n_labels).

    NaN if a label is never gold.
    """
    gold = y_true.sum(axis=0)
    expected = y_prob.sum(axis=0, dtype=np.float64)
    low, high = clopper_pearson(gold, len(y_true)) * len(y_true)
    with np.errstate(divide="ignore"):
        found = np.stack([expected / np.maximum(gold, 1), expected / high, expected / low])
    return np.where(gold > 0, found, np.nan)


def _ece_title(
    found: Mapping[str, Assessment], errors: Mapping[str, DoubleArray], chance: Mapping[str, DoubleArray]
) -> str:
    n_labels = len(errors["before"])
    beyond = {state: int((errors[state] > chance[state][1]).sum()) for state in errors}
    text = (
        f"{beyond['before'] or 'none'} of {counted(n_labels, 'label')} have a calibration error beyond chance"
    )
    macro = {state: f"{each.ece_macro:.4f}" for state, each in found.items()}
    if "after" not in found:
        if beyond["before"] and binomial_tail(beyond["before"], n_labels, (1 - LEVEL) / 2) >= ALPHA:
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
    log_scale(axes, low, high)
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
        undefined = places[np.isnan(ratio)]
        if undefined.size:
            axes.plot(
                np.full(undefined.size, low), undefined + offset, fillstyle="none", clip_on=False, **style
            )
    axes.axvline(1, color=INK, linewidth=1.4, linestyle="--", zorder=1)
    axes.hlines(places, low, high, color=FAINT, linewidth=0.8, zorder=0)
    log_scale(axes, low, high)
    axes.set_xlabel("expected / observed (log)")
    axes.tick_params(axis="y", labelleft=False, length=0)
    if rows.count > 40:
        axes.tick_params(axis="x", top=True, labeltop=True)


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
