"""What figures of several runs share: colours and markers, the highest scores, and one table of all runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from goemo_cli.core.arrays import DoubleArray
from goemo_cli.services.figures.registry import Table
from goemo_cli.services.figures.style import BLUE, GREEN, INK, ORANGE, PURPLE, VERMILLION, shown
from goemo_cli.services.runs.run_data import RunData

RUN_STYLES = ((BLUE, "o"), (VERMILLION, "s"), (GREEN, "^"), (ORANGE, "D"), (PURPLE, "v"), (INK, "P"))
"""Colour and marker of each run, at most `run_data.MOST_RUNS`."""
DIFFERENCES = " Whether runs differ by more than chance: goemo compare."
"""For captions of figures that compare."""
_LINE = 0.24
"""Inches of a line of the legend."""
_LONGEST = 48


def subtitle_of(runs: Sequence[RunData], *facts: str) -> str:
    """The line below the title; the legend names several runs instead."""
    return runs[0].subtitle(*facts) if len(runs) == 1 else " · ".join([f"{len(runs)} runs", *facts])


def offsets(n_runs: int) -> list[float]:
    """The offset of each run within a row, so that none covers another."""
    return [0.0] if n_runs == 1 else np.linspace(-0.27, 0.27, n_runs).tolist()


def legend_height(runs: Sequence[RunData]) -> float:
    """Inches that `name_runs` takes below the subtitle."""
    return 0.0 if len(runs) == 1 else 0.1 + _LINE * -(-len(runs) // _columns(runs))


def name_runs(figure: Figure, axes: Any, runs: Sequence[RunData]) -> None:
    """A legend of the runs between subtitle and panels; none for one run."""
    if len(runs) == 1:
        return
    layout: Any = figure.get_layout_engine()
    left, bottom, width, height = layout.get()["rect"]
    handles, names = axes.get_legend_handles_labels()
    legend = figure.legend(
        handles, [shown(name, _LONGEST) for name in names], loc="upper left", bbox_to_anchor=(0.02, bottom + height),
        ncols=_columns(runs), handletextpad=0.2, columnspacing=1.6, borderaxespad=0, fontsize=10.5,
    )  # fmt: skip
    legend.set_in_layout(False)  # its room is set aside here
    room = legend_height(runs) / figure.get_figheight()
    layout.set(rect=(left, bottom, width, height - room))


def _columns(runs: Sequence[RunData]) -> int:
    return 3 if max(len(str(run.checkpoint.run)) for run in runs) <= 30 else 2


def highest(runs: Sequence[RunData], scores: Mapping[str, Sequence[float] | DoubleArray]) -> str:
    """Which run has the highest scores: `highest macro-F1: a (0.512); highest macro-AUC: a and b (0.931)`.

    Scores are equal if they are written alike. This is not a test of chance, see `DIFFERENCES`.

    Args:
        runs: two or more.
        scores: one value per run, by the name of the score; more is better.
    """
    parts = []
    for name, values in scores.items():
        written = [f"{value:.3f}" for value in values]
        best = written[int(np.argmax(values))]
        leaders = [str(run.checkpoint.run) for run, one in zip(runs, written, strict=True) if one == best]
        who = "all runs" if len(leaders) == len(runs) else " and ".join(leaders)
        parts.append(f"highest {name}: {who} ({best})")
    return "; ".join(parts)


def by_run(runs: Sequence[RunData], tables: Sequence[Table]) -> Table:
    """The tables of several runs below each other, the run in the first column."""
    lengths = [len(next(iter(table.values()))) for table in tables]
    names = [
        str(run.checkpoint.run) for run, length in zip(runs, lengths, strict=True) for _ in range(length)
    ]
    return {"run": names} | {
        column: [cell for table in tables for cell in table[column]] for column in tables[0]
    }
