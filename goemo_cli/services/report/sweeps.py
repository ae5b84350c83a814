"""Sweeps, read from the tables that they leave in output/sweeps/: needs no Optuna."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from goemo_cli.core.csv_files import open_csv
from goemo_cli.core.errors import DataFileError, NotFoundError
from goemo_cli.core.files import sha256_file
from goemo_cli.core.hints import command_line
from goemo_cli.core.layering import read_yaml_mapping
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.services.report.content import STATES, Cell, Missing, Sweep, Sweeps, Trial, part
from goemo_cli.services.report.text import visible
from goemo_cli.services.sweep.sweep_file import Goal, read_sweep_file

MOST_SWEEPS = 10
_FIRST, _LAST = ["trial", "state"], ["run", "seconds", "duplicate_of", "reason"]
_FILE, _TABLE, _BEST = "sweep.yaml", "trials.csv", "best.yaml"


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
            f"no {_TABLE} yet: its first call runs or was killed; {command_line('goemo sweep show', folder.name)}"
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
