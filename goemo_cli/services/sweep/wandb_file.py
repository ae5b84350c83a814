"""The same sweep on W&B: a file for `wandb sweep`, or the sweep itself and an agent that starts `goemo train`."""

import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from goemo_cli.core.errors import MissingPackageError, SettingError, TrainingFailedError
from goemo_cli.core.events import EventHandler, Info, ignore
from goemo_cli.core.layering import dump_yaml
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import COMBINED
from goemo_cli.core.settings import WandbSettings
from goemo_cli.services.runs.index import listed_runs
from goemo_cli.services.sweep.objectives import EPOCH_KEYS, Objectives, objectives_of
from goemo_cli.services.sweep.search_space import Parameter
from goemo_cli.services.sweep.sweep_file import SweepFile
from goemo_cli.tracking.wandb.sweeps import create_sweep, run_agent

_COPIED = ("description", "entity", "early_terminate", "run_cap", "controller")
_SCHEDULED = ("constant", "categorical", "int_uniform", "uniform", "q_uniform")
"""Distributions that W&B's scheduler passes to Optuna as they are."""


def wandb_text(file: SweepFile) -> str:
    """YAML for `wandb sweep`.

    Raises:
        SettingError: an objective or a distribution that W&B cannot search.
    """
    content = wandb_content(file, ("goemo",))
    lines = ["# wandb sweep THIS_FILE, then: wandb agent SWEEP_ID"]
    if "scheduler" in content:
        lines.append("# and once, next to the agents: wandb sweep-scheduler SWEEP_ID   (pip install optuna)")
    return "\n".join([*lines, dump_yaml(content)])


def wandb_content(file: SweepFile, program: Sequence[str], *more: str) -> dict[str, Any]:
    """A sweep as W&B takes it: flat names, metrics as goemo logs them, the command of a run.

    Args:
        program: how goemo is started.
        more: arguments of `goemo train` that every run gets.

    Raises:
        SettingError: an objective that no run logs while it trains, or a distribution that W&B's scheduler does not know.
    """
    aims = objectives_of(file)
    if unknown := [name for name in aims.needed if name not in EPOCH_KEYS]:
        raise SettingError(
            [f"W&B cannot search for {', '.join(unknown)}: runs log {', '.join(EPOCH_KEYS.values())}"],
            file.source,
        )
    metrics = [
        {"name": EPOCH_KEYS.get(one.name, COMBINED), "goal": one.goal}
        | ({} if one.target is None else {"target": one.target})
        for one in aims.objectives
    ]
    # Several objectives, and methods of Optuna's own, are what W&B calls custom: a scheduler of its SDK searches.
    is_custom = len(metrics) > 1 or file.method == "custom"
    entries = _scheduled_entries(file) if is_custom else {one.name: _entry(one) for one in file.parameters}
    project = _project(file)
    return {
        "program": "goemo",  # W&B requires a name; only the command is used
        "command": [
            "${env}", *program, "train", "--wandb", f"logging.wandb.project={project}", *_combined(aims), *more,
            "${args_no_hyphens}",
        ],
        "name": file.name,
        "project": project,
        "method": "custom" if is_custom else file.method,
        **({"scheduler": {"engine": "optuna"}} if is_custom else {}),
        **({"metrics": metrics} if len(metrics) > 1 else {"metric": metrics[0]}),
        "parameters": entries,
        **{key: file.content[key] for key in _COPIED if key in file.content},
    }  # fmt: skip


def sweep_on_wandb(file: SweepFile, *, layout: Layout, count: int, on_event: EventHandler = ignore) -> str:
    """Create a sweep on W&B and run its agent here.

    Args:
        count: how many runs the agent makes.

    Returns:
        W&B's id of the sweep.

    Raises:
        MissingPackageError: wandb; Optuna, if W&B's scheduler searches.
        SettingError: an objective or a distribution that W&B cannot search.
        AuthenticationError: no key, or one that is refused.
        RemoteError: W&B took no sweep, or the agent did not come to its end.
        TrainingFailedError: every run of the agent failed.
    """
    goemo = (sys.executable, "-m", "goemo_cli")
    content = wandb_content(file, goemo, "--root", str(layout.root.resolve()))
    is_scheduled = "scheduler" in content
    if is_scheduled and find_spec("optuna") is None:
        raise MissingPackageError("optuna", "sweep", "W&B's scheduler")
    path = create_sweep(content)
    id = path.rpartition("/")[2]
    on_event(Info(f"Sweep {path}; others join it with: wandb agent {path}"))
    if is_scheduled:
        on_event(Info(f"The scheduler runs here; if it ends, go on with: wandb sweep-scheduler {path}"))
    before = _finished_runs(layout)
    run_agent(path, count=count, directory=layout.wandb, is_scheduled=is_scheduled)
    if _finished_runs(layout) == before:
        raise TrainingFailedError(f"no run of sweep {id} finished; its agent says why above")
    return id


def _finished_runs(layout: Layout) -> int:
    return sum(one.is_finished for one in listed_runs(layout))


def _project(file: SweepFile) -> str:
    """W&B's folder of the sweep and its runs: the file's, else the one its runs are set to."""
    fixed = {one.name: one.values[0] for one in file.parameters if one.is_constant}
    default = WandbSettings().resolved().project
    return str(file.content.get("project") or fixed.get("logging.wandb.project", default))


def _combined(aims: Objectives) -> list[str]:
    """The argument that makes runs log the combined score."""
    weights = {EPOCH_KEYS[name]: weight for name, weight in aims.weights.items()}
    return [f"logging.combined_score={json.dumps(weights)}"] if weights else []


def _scheduled_entries(file: SweepFile) -> dict[str, dict[str, Any]]:
    """The parameters as W&B's scheduler knows them: it has fewer distributions than W&B's server."""
    entries = {one.name: _scheduled_entry(one) for one in file.parameters}
    if unknown := [one for one in file.parameters if entries[one.name] is None]:
        raise SettingError(
            [f"{one.name}: W&B's scheduler does not know {one.distribution}" for one in unknown], file.source
        )
    return {name: entry for name, entry in entries.items() if entry is not None}


def _scheduled_entry(one: Parameter) -> dict[str, Any] | None:
    if one.distribution in _SCHEDULED:
        return _entry(one)
    span, q = one.interval(), (one.numbers or {}).get("q")
    if span is None:
        return None
    low, high, _ = span
    if q is None:
        return {"distribution": "log_uniform_values", "min": low, "max": high}
    if q == 1 and low >= 1 and float(low).is_integer() and float(high).is_integer():
        return {"distribution": "q_log_uniform_values", "min": int(low), "max": int(high), "q": 1}
    return None  # the scheduler would ignore q


def _entry(one: Parameter) -> dict[str, Any]:
    if one.is_constant:
        return {"value": one.values[0]}
    if one.values:
        return {"values": list(one.values)} | ({"probabilities": list(one.weights)} if one.weights else {})
    return {"distribution": one.distribution, **(one.numbers or {})}
