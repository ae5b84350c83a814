"""Sweeps, read from the tables that they leave in output/sweeps/: needs no Optuna."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from goemo_cli.core.csv_files import open_csv
from goemo_cli.core.errors import DataFileError, NotFoundError
from goemo_cli.core.files import sha256_file
from goemo_cli.core.layering import read_yaml_mapping
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.services.report.parts import Missing, part, visible
from goemo_cli.services.sweep.sweep_file import Goal, Method, read_sweep_file

MOST_SWEEPS = 10
MOST_TRIALS = 200
"""Rows of a sweep's table; its chart has all trials."""
STATES = ("finished", "pruned", "failed", "running", "waiting")
_FIRST, _LAST = ["trial", "state"], ["run", "seconds", "duplicate_of", "reason"]
_FILE, _TABLE, _BEST = "sweep.yaml", "trials.csv", "best.yaml"
Cell = float | str | None


@dataclass(frozen=True)
class Trial:
    """One row of trials.csv."""

    number: int
    state: str
    values: tuple[float, ...]
    """Of the objectives; empty unless finished."""
    cells: tuple[Cell, ...]
    """Of `Sweep.columns`."""
    run: str | None
    seconds: float | None
    duplicate_of: int | None
    """The trial with the same settings whose result this one has."""
    reason: str | None


@dataclass(frozen=True)
class Sweep:
    """One sweep as its tables have it."""

    method: Method
    objectives: tuple[tuple[str, Goal], ...]
    columns: tuple[str, ...]
    """The settings that were searched; before them what a combined score was made from."""
    trials: tuple[Trial, ...]
    """Finished ones first, the best by the first objective on top; then the others by number."""
    front: tuple[Trial, ...]
    """Those that no other one beats in every objective, the best by the first on top; with one objective the best alone."""
    best: str | Missing
    """best.yaml."""
    sources: Mapping[str, str]
    """SHA-256 of the files by path from the root; none while trials run, since the files change then."""

    def count(self, state: str) -> int:
        """How many trials are in one of `STATES`."""
        return sum(one.state == state for one in self.trials)

    def is_number(self, column: int) -> bool:
        """Whether a column holds numbers and nothing else."""
        return all(not isinstance(one.cells[column], str) for one in self.trials)


@dataclass(frozen=True)
class Sweeps:
    """Every sweep below the root, by its name, the newest first."""

    shown: Mapping[str, Sweep | Missing]
    total: int
    """How many there are before the limit."""

    @property
    def sources(self) -> dict[str, str]:
        """SHA-256 of the files of those that are shown."""
        found = (one for one in self.shown.values() if isinstance(one, Sweep))
        return {path: digest for one in found for path, digest in one.sources.items()}

    def missing(self) -> list[tuple[str, str, str]]:
        """(sweep, part, reason) of what cannot be shown."""
        found = [(f"sweep {name}", "trials", one) for name, one in self.shown.items()]
        return [(name, what, one.reason) for name, what, one in found if isinstance(one, Missing)]


def all_sweeps(layout: Layout) -> Sweeps:
    """The newest sweeps, at most `MOST_SWEEPS`: those without a readable table first, then by the start of the last run."""
    folders = {path.parent for name in (_FILE, _TABLE) for path in layout.sweeps.glob(f"*/{name}")}
    found = {path.name: _sweep_or_reason(path, layout) for path in sorted(folders)}
    newest = sorted(found, key=lambda name: _last_start(found[name]), reverse=True)
    return Sweeps({name: found[name] for name in newest[:MOST_SWEEPS]}, len(found))


def _sweep_or_reason(folder: Path, layout: Layout) -> Sweep | Missing:
    """One sweep; a folder that cannot be read is one line of the report and does not stop it."""
    try:
        return part(partial(_sweep, folder, layout))
    except OSError as error:
        return Missing(visible(str(error)))


def _last_start(one: Sweep | Missing) -> str:
    if isinstance(one, Missing):
        return "now"  # after every date: it has just begun, or needs attention
    runs = [RunName.parse(trial.run) for trial in one.trials if trial.run]
    return max((run.stamp for run in runs if run), default="")


def _sweep(folder: Path, layout: Layout) -> Sweep:
    file, table, best = (folder / name for name in (_FILE, _TABLE, _BEST))
    if not table.is_file():
        raise NotFoundError(
            f"no {_TABLE} yet: its first call runs or was killed; goemo sweep show {shlex.quote(folder.name)}"
        )
    description = read_sweep_file(file)
    goals = [metric.goal for metric in description.metrics]
    header, trials = _read(table, len(goals))
    objectives = tuple(zip(header[2:], goals, strict=False))
    ranked = tuple(sorted(trials, key=lambda one: (not one.values, _costs(one, goals)[:1], one.number)))
    running = any(one.state in ("running", "waiting") for one in trials)
    read = [] if running else [path for path in (file, table, best) if path.is_file()]
    return Sweep(
        method=description.method,
        objectives=objectives,
        columns=tuple(header[2 + len(goals) : -len(_LAST)]),
        trials=ranked,
        front=_front(ranked, goals),
        best=part(lambda: _best(best)),
        sources={layout.shown(path): sha256_file(path) for path in read},
    )


def _best(path: Path) -> str:
    if not path.is_file():
        raise NotFoundError("no trial has finished")
    read_yaml_mapping(path)  # its error describes any fault in one line
    return path.read_text(encoding="utf-8")


def _costs(one: Trial, goals: Sequence[Goal]) -> tuple[float, ...]:
    """Its values with the sign that makes lower better."""
    return tuple(
        -value if goal == "maximize" else value for value, goal in zip(one.values, goals, strict=False)
    )


def _front(ranked: Sequence[Trial], goals: Sequence[Goal]) -> tuple[Trial, ...]:
    candidates = [(one, _costs(one, goals)) for one in ranked if one.values and one.duplicate_of is None]
    if len(goals) == 1:
        return tuple(one for one, _ in candidates[:1])
    every = {costs for _, costs in candidates}
    return tuple(one for one, costs in candidates if not any(_beats(other, costs) for other in every))


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _read(path: Path, n_objectives: int) -> tuple[list[str], list[Trial]]:
    with open_csv(path) as (header, rows):
        middle = len(header) - len(_FIRST) - len(_LAST)
        if header[:2] != _FIRST or header[-len(_LAST) :] != _LAST or middle < n_objectives:
            raise DataFileError(path, "is not a table of trials", 1)
        trials = []
        for line, fields in rows:
            if len(fields) != len(header):
                raise DataFileError(path, "has too few or too many fields", line)
            try:
                trials.append(_trial(fields, n_objectives))
            except ValueError as error:
                raise DataFileError(path, str(error), line) from error
    return header, trials


def _trial(fields: Sequence[str], n_objectives: int) -> Trial:
    number, state, *middle = fields[: -len(_LAST)]
    run, seconds, duplicate_of, reason = fields[-len(_LAST) :]
    if state not in STATES:
        raise ValueError(f"{state!r} is not a state of a trial: {', '.join(STATES)}")
    return Trial(
        number=int(number),
        state=state,
        values=tuple(map(_number, middle[:n_objectives])) if state == "finished" else (),
        cells=tuple(map(_cell, middle[n_objectives:])),
        run=run or None,
        seconds=_number(seconds) if seconds else None,
        duplicate_of=int(duplicate_of) if duplicate_of else None,
        reason=reason or None,
    )


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return value


def _cell(text: str) -> Cell:
    try:
        return _number(text) if text else None
    except ValueError:
        return text
