"""The same sweep on W&B: a file for `wandb sweep`, or the sweep itself and an agent that starts `goemo train`."""

import sys
from collections.abc import Sequence
from typing import Any

from goemo_cli.core.errors import SettingError, TrainingFailedError
from goemo_cli.core.events import EventHandler, Info, ignore
from goemo_cli.core.layering import dump_yaml
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import WandbSettings
from goemo_cli.services.runs.index import listed_runs
from goemo_cli.services.sweep.objectives import EPOCH_KEYS, objectives_of
from goemo_cli.services.sweep.search_space import Parameter
from goemo_cli.services.sweep.sweep_file import SweepFile
from goemo_cli.tracking.wandb.sweeps import create_sweep, run_agent

_COPIED = ("description", "entity", "early_terminate", "run_cap", "controller")


def wandb_text(file: SweepFile) -> str:
    """YAML for `wandb sweep`.

    Raises:
        SettingError: an objective that no run logs while it trains, so that W&B could not know it.
    """
    content = dump_yaml(wandb_content(file, ("goemo",)))
    return f"# wandb sweep THIS_FILE, then: wandb agent SWEEP_ID\n{content}"


def wandb_content(file: SweepFile, program: Sequence[str], *more: str) -> dict[str, Any]:
    """A sweep as W&B takes it: flat names, metrics as goemo logs them, the command of a run.

    Args:
        file: what is searched.
        program: how goemo is started.
        more: arguments of `goemo train` that every run gets.

    Raises:
        SettingError: an objective that no run logs while it trains.
    """
    aims = objectives_of(file)
    if unknown := [one.name for one in aims.objectives if one.name not in EPOCH_KEYS]:
        raise SettingError(
            [f"W&B cannot search for {', '.join(unknown)}: runs log {', '.join(EPOCH_KEYS.values())}"],
            file.source,
        )
    metrics = [
        {"name": EPOCH_KEYS[one.name], "goal": one.goal}
        | ({} if one.target is None else {"target": one.target})
        for one in aims.objectives
    ]
    # Several objectives, and methods of Optuna's own, are what W&B calls custom.
    is_custom = len(metrics) > 1 or file.method == "custom"
    project = _project(file)
    return {
        "program": "goemo",  # W&B wants one to be named; the command counts
        "command": [
            "${env}", *program, "train", "--wandb", f"logging.wandb.project={project}", *more, "${args_no_hyphens}",
        ],
        "name": file.name,
        "project": project,
        "method": "custom" if is_custom else file.method,
        **({"scheduler": {"engine": "optuna"}} if is_custom else {}),
        **({"metrics": metrics} if len(metrics) > 1 else {"metric": metrics[0]}),
        "parameters": {one.name: _entry(one) for one in file.parameters},
        **{key: file.content[key] for key in _COPIED if key in file.content},
    }  # fmt: skip


def sweep_on_wandb(file: SweepFile, *, layout: Layout, count: int, on_event: EventHandler = ignore) -> str:
    """Create a sweep on W&B and run its agent here.

    Args:
        file: what is searched.
        layout: where the runs go.
        count: how many runs the agent makes.
        on_event: called with each event.

    Returns:
        W&B's id of the sweep.

    Raises:
        MissingPackageError: wandb.
        SettingError: an objective that W&B cannot know.
        AuthenticationError: no key, or one that is refused.
        RemoteError: W&B took no sweep, or the agent did not come to its end.
        TrainingFailedError: every run of the agent failed.
    """
    goemo = (sys.executable, "-m", "goemo_cli")
    content = wandb_content(file, goemo, "--root", str(layout.root.resolve()))
    project, entity = content["project"], content.get("entity")
    id = create_sweep(content)
    on_event(Info(f"Sweep {id} in project {project}; others join it with: wandb agent {id}"))
    before = _finished_runs(layout)
    run_agent(id, project=project, entity=entity, count=count, directory=layout.wandb)
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


def _entry(one: Parameter) -> dict[str, Any]:
    if one.is_constant:
        return {"value": one.values[0]}
    if one.values:
        return {"values": list(one.values)} | ({"probabilities": list(one.weights)} if one.weights else {})
    return {"distribution": one.distribution, **(one.numbers or {})}
