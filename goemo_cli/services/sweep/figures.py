"""Pictures of a sweep: history, importance, parallel coordinates, slices, and the Pareto front of several objectives."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rcParams
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from goemo_cli.core.events import EventHandler, FileWritten, ignore
from goemo_cli.services.figures.style import (
    BLUE,
    INK,
    MUTED,
    VERMILLION,
    caption,
    counted,
    house_style,
    new_figure,
    save_figure,
    shown,
)
from goemo_cli.services.sweep.objectives import Objective
from goemo_cli.services.sweep.results import SweepResult, TrialRow

_COLUMNS = 3
_LOG_RATIO = 20.0
"""Ratio of the largest to the smallest value from which a setting is shown by its logarithm."""
_LONGEST = 22
_WORDS_PER_PANEL = 26
"""Characters that fit below one panel of several in a row."""
_LEAST_GAP = 0.06
"""Share of an axis between two values with labels."""

Importances = Mapping[str, Mapping[str, float]]


def draw_sweep(
    result: SweepResult, importances: Importances, *, on_event: EventHandler = ignore
) -> list[Path]:
    """Draw what can be drawn of a sweep into its folder; nothing if no trial has finished."""
    finished = [one for one in result.trials if one.values and one.duplicate_of is None]
    written = []
    for name, draw in _FIGURES.items():
        with house_style():
            figure = draw(result, finished, importances) if finished else None
            path = result.folder / f"{name}.png"
            if figure is None:
                path.unlink(missing_ok=True)  # of an earlier state
                continue
            save_figure(figure, path, {})
        written.append(path)
        on_event(FileWritten(path))
    return written


def _history(result: SweepResult, finished: Sequence[TrialRow], _: Importances) -> Figure:
    """Every trial's values by its number, and the best so far."""
    aims = result.objectives
    best = result.require_best()
    title = f"trial {best.number} is the best of {len(finished)}: {best.shown_values()}"
    if len(aims) > 1:
        title = f"{len(result.front)} of {len(finished)} trials are beaten by no other in every objective"
    figure = new_figure(title, _subtitle(result), height=3.2 * len(aims) + 0.4)
    for axes, aim in zip(np.atleast_1d(figure.subplots(len(aims), 1, sharex=True)), aims, strict=True):
        numbers = [one.number for one in finished]
        values = [one.values[aim.name] for one in finished]
        axes.plot(numbers, values, linestyle="", marker="o", color=BLUE, label="trial")
        running = np.maximum.accumulate(values) if aim.goal == "maximize" else np.minimum.accumulate(values)
        axes.step(numbers, running, where="post", color=VERMILLION, label="best so far", zorder=1)
        for row, state in enumerate(("pruned", "failed")):
            at = [one.number for one in result.trials if one.state == state]
            axes.plot(
                at, [0.03] * len(at), linestyle="", marker="vx"[row], color=MUTED, label=state if at else None,
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip
        axes.margins(y=0.15)
        axes.set_ylabel(shown(aim.name))
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    axes.set_xlabel("trial")
    figure.axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2)
    return figure


def _importance(result: SweepResult, finished: Sequence[TrialRow], importances: Importances) -> Figure | None:
    """How much of the variance of each objective each setting explains."""
    if not importances or len(result.searched) < 2:
        return None
    first, *_ = importances.values()
    names = sorted(result.searched, key=lambda name: first.get(name, 0.0))
    top = names[-1]
    figure = new_figure(
        f"over {counted(len(finished), 'trial')}, {_short(top, names)} explains {first.get(top, 0.0):.0%} of the variance of "
        f"{next(iter(importances))}",
        _subtitle(result),
        height=max(1.6, 0.45 * len(names)) + 1.2,
    )
    for axes, (aim, shares) in zip(
        np.atleast_1d(figure.subplots(1, len(importances), sharey=True)), importances.items(), strict=True
    ):
        values = [shares.get(name, 0.0) for name in names]
        axes.barh(range(len(names)), values, color=BLUE, height=0.6)
        for at, value in enumerate(values):
            axes.annotate(f"{value:.0%}", (value, at), (4, 0), textcoords="offset points", va="center")
        axes.set_xlim(0, max(values) * 1.25 or 1)
        axes.set_yticks(range(len(names)), [_short(name, names) for name in names])
        axes.grid(visible=False, axis="y")
        axes.set_xticks([])
        axes.set_title(shown(aim))
    caption(figure, f"fANOVA over {counted(len(finished), 'trial')}: with few of them a hint, not a finding.")
    return figure


def _parallel(result: SweepResult, finished: Sequence[TrialRow], _: Importances) -> Figure | None:
    """A line per trial through the values of its settings, coloured by the first objective."""
    if len(finished) < 2:
        return None
    aim, names = result.objectives[0], result.searched
    columns = [*names, *(one.name for one in result.objectives)]
    scales = [_Scale.of([_cell(one, column) for one in finished]) for column in columns]
    figure = new_figure(
        f"trial {result.require_best().number} is best by {aim.name}: {_settings_text(result.require_best(), names)}",
        _subtitle(result),
        height=4.8,
        width=max(10.0, 1.7 * len(columns) + 1.5),
    )
    axes = figure.subplots()
    values = np.array([one.values[aim.name] for one in finished])
    colors = ScalarMappable(Normalize(values.min(), values.max()), colormaps[str(rcParams["image.cmap"])])
    order = np.argsort(values if aim.goal == "maximize" else -values)
    for at in order:
        heights = [
            scale.place(_cell(finished[at], column)) for scale, column in zip(scales, columns, strict=True)
        ]
        axes.plot(
            range(len(columns)), heights, color=colors.to_rgba(values[at]), alpha=0.85, clip_on=False,
            linewidth=3.4 if finished[at] is result.best else 1.4,
        )  # fmt: skip
    for at, scale in enumerate(scales):
        axes.axvline(at, color=MUTED, linewidth=1, zorder=0)
        for height, text in scale.marks():
            axes.annotate(
                text, (at, height), (5, 0), textcoords="offset points", va="center", size=9, color=INK,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": "goemo:paper", "edgecolor": "none", "alpha": 0.8},
                annotation_clip=False, zorder=5,
            )  # fmt: skip
    axes.set_xticks(range(len(columns)), [_short(column, columns) for column in columns])
    axes.set_xlim(-0.15, len(columns) - 0.35)
    axes.set_ylim(-0.06, 1.06)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(axis="x", length=0, pad=8)
    bar = figure.colorbar(colors, ax=axes, pad=0.02, fraction=0.04)
    bar.set_label(shown(aim.name))
    caption(figure, "A line is a trial; the thick one is the best.")
    return figure


def _slices(result: SweepResult, finished: Sequence[TrialRow], _: Importances) -> Figure | None:
    """The first objective over each setting."""
    if len(finished) < 2:
        return None
    aim, names = result.objectives[0], result.searched
    columns = min(_COLUMNS, len(names))
    n_rows = math.ceil(len(names) / columns)
    figure = new_figure(f"{aim.name} over every setting", _subtitle(result), height=3.0 * n_rows + 0.3)
    panels = np.atleast_1d(figure.subplots(n_rows, columns, sharey=True, squeeze=False)).ravel()
    for axes, name in zip(panels, names, strict=False):
        scale = _Scale.of([_cell(one, name) for one in finished])
        for rows, marker, color in ((finished, "o", BLUE), ([result.require_best()], "D", VERMILLION)):
            axes.plot(
                [scale.place(_cell(one, name)) for one in rows],
                [one.values[aim.name] for one in rows],
                linestyle="",
                marker=marker,
                markersize=6 if marker == "o" else 9,
                color=color,
            )
        scale.label(axes, room=_WORDS_PER_PANEL)
        axes.margins(y=0.12)
        axes.set_xlabel(_short(name, names))
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.supylabel(shown(aim.name), color=MUTED, size=11)
    caption(figure, "Diamond: the best trial.")
    return figure


def _pareto(result: SweepResult, finished: Sequence[TrialRow], _: Importances) -> Figure | None:
    """The first objective over each of the others; the trials that no other one beats are joined."""
    if len(result.objectives) < 2:
        return None
    first, *others = result.objectives
    figure = new_figure(
        f"{len(result.front)} of {len(finished)} trials are beaten by no other in every objective",
        _subtitle(result),
        height=4.6,
        width=max(10.0, 4.4 * len(others)),
    )
    for axes, other in zip(np.atleast_1d(figure.subplots(1, len(others), sharey=True)), others, strict=True):
        scale = _Scale.of([one.values[other.name] for one in finished])
        for rows, color, marker, label in (
            ([one for one in finished if one not in result.front], MUTED, "o", "beaten"),
            (list(result.front), VERMILLION, "D", "not beaten"),
        ):
            axes.plot(
                [scale.place(one.values[other.name]) for one in rows],
                [one.values[first.name] for one in rows],
                linestyle="",
                marker=marker,
                color=color,
                label=label,
            )
        spots = {
            one.number: (scale.place(one.values[other.name]), one.values[first.name]) for one in finished
        }
        own = [(*spots.pop(one.number), one.number) for one in result.front]
        _number_points(axes, own, list(spots.values()))
        axes.margins(y=0.12)
        scale.label(axes, room=60)
        axes.set_xlabel(f"{other.name}  ({_better(other)} is better)")
    figure.axes[0].set_ylabel(f"{first.name}  ({_better(first)} is better)")
    figure.axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    caption(figure, "Numbers are those of the trials.")
    return figure


_FIGURES: dict[str, Callable[[SweepResult, Sequence[TrialRow], Importances], Figure | None]] = {
    "history": _history,
    "importance": _importance,
    "parallel_coordinates": _parallel,
    "slices": _slices,
    "pareto": _pareto,
}


class _Scale:
    """Positions of the values of a setting between 0 and 1: numbers, also by their logarithm, or names in a column."""

    def __init__(self, names: list[str], numbers: list[float], *, is_log: bool) -> None:
        self.names, self.numbers, self.is_log = names, numbers, is_log
        self.low, self.high = (numbers[0], numbers[-1]) if numbers else (0.0, 0.0)

    @classmethod
    def of(cls, cells: Sequence[Any]) -> "_Scale":
        if all(isinstance(cell, (int, float)) and not isinstance(cell, bool) for cell in cells):
            numbers = sorted({float(cell) for cell in cells})
            return cls([], numbers, is_log=numbers[0] > 0 and numbers[-1] / numbers[0] >= _LOG_RATIO)
        return cls(sorted({_text(cell) for cell in cells}), [], is_log=False)

    def place(self, cell: Any) -> float:
        if self.names:
            return (self.names.index(_text(cell)) + 0.5) / len(self.names)
        if self.low == self.high:
            return 0.5
        if self.is_log:
            return math.log(cell / self.low) / math.log(self.high / self.low)
        return float((cell - self.low) / (self.high - self.low))

    def label(self, axes: Any, *, room: int) -> None:
        """Put the scale on the x axis; names that need more than `room` characters are rotated."""
        places, texts = zip(*self.marks(), strict=True)
        aslant = sum(len(text) + 2 for text in texts) > room
        axes.set_xticks(places, texts, rotation=25 if aslant else 0, ha="right" if aslant else "center")
        axes.set_xlim(-0.1, 1.1)

    def marks(self) -> list[tuple[float, str]]:
        if self.names:
            return [(self.place(name), shown(name, _LONGEST)) for name in self.names]
        marked = self.numbers
        places = [self.place(number) for number in marked]
        if any(above - below < _LEAST_GAP for below, above in pairwise(places)):
            middle = math.sqrt(self.low * self.high) if self.is_log else (self.low + self.high) / 2
            marked = [self.low, middle, self.high]
        return [(self.place(number), f"{number:.3g}") for number in marked]


def _cell(one: TrialRow, column: str) -> Any:
    return one.values.get(column, one.settings.get(column))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _short(name: str, names: Sequence[str]) -> str:
    """The last part of a setting's name if that is clear enough."""
    if "." not in name:
        return shown(name)
    last = name.rpartition(".")[2]
    if last == "name":
        return shown(name)
    return shown(last if sum(one.rpartition(".")[2] == last for one in names) == 1 else name)


def _settings_text(one: TrialRow, names: Sequence[str]) -> str:
    cells = [(_short(name, names), one.settings[name]) for name in names]
    return ", ".join(
        f"{name} {cell:.3g}" if isinstance(cell, float) else f"{name} {cell}" for name, cell in cells
    )


def _subtitle(result: SweepResult) -> str:
    repeated = sum(one.duplicate_of is not None for one in result.trials)
    counts = [
        (
            result.count("finished")
            - sum(one.duplicate_of is not None and bool(one.values) for one in result.trials),
            "finished",
        ),
        (repeated, "with the settings of another"),
        (result.count("pruned"), "pruned"),
        (result.count("failed"), "failed"),
    ]
    return f"sweep {result.name}, val, {', '.join(f'{count} {state}' for count, state in counts if count)}"


def _better(aim: Objective) -> str:
    return "higher" if aim.goal == "maximize" else "lower"


def _number_points(
    axes: Any, points: Sequence[tuple[float, float, int]], others: Sequence[tuple[float, float]]
) -> None:
    """Write trial numbers next to their points: on the first side without a point or another number.

    Args:
        points: (place, value, number) of those that get one.
        others: (place, value) of the other points.
    """
    values = [value for _, value, *_ in [*points, *others]]
    span = (max(values) - min(values)) or 1.0
    taken = [(place, value / span) for place, value, *_ in [*points, *others]]
    for place, value, number in points:
        free = (
            (right, up)
            for right, up in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
            if not any(
                abs(place + 0.045 * right - x) < 0.035 and abs(value / span + 0.055 * up - y) < 0.045
                for x, y in taken
            )
        )
        right, up = next(free, (1, 0))
        taken.append((place + 0.045 * right, value / span + 0.055 * up))
        axes.annotate(
            str(number), (place, value), (15 * right, 13 * up), textcoords="offset points", ha="center", va="center",
            size=9, color=INK,
        )  # fmt: skip
