"""`goemo sweep --wandb` with the real SDK: what its agent is told, and which runs arrive in the sweep."""

import math
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from goemo_cli.core.layout import Layout
from tests.processes import python
from tests.wandb_server.sweeps import SweepServer

CONTENT: dict[str, Any] = {
    "method": "grid",
    "metric": {"name": "val/f1_macro", "goal": "maximize"},
    "early_terminate": {"type": "hyperband", "min_iter": 1},
    "parameters": {
        "model.name": {"value": "tfidf"},
        "data.name": {"value": "mine.csv"},
        "training.seed": {"values": [3, 4]},
    },
}


def sweep_there(
    folder: Path, server: SweepServer, content: Any = CONTENT
) -> subprocess.CompletedProcess[str]:
    """Run the sweep from a folder, in which its paths begin."""
    (folder / "s.yaml").write_text(yaml.safe_dump(content))
    online = server.environment(folder / "sdk") | {"WANDB_MODE": "online"}
    return python("-m", "goemo_cli", "sweep", "s.yaml", "--wandb", "--count", 2, cwd=folder, env=online)


@pytest.mark.slow
def test_the_runs_of_the_agent_are_those_of_the_sweep(tmp_path: Path) -> None:
    rows = [f"{word} {n},{label}" for n in range(60) for word, label in (("glad", "joy"), ("mad", "anger"))]
    (tmp_path / "mine.csv").write_text("\n".join(["text,labels", *rows]) + "\n")
    with SweepServer() as server:
        done = sweep_there(tmp_path, server)
        assert done.returncode == 0, done.stderr
        [sweep] = server.sweeps.values()
        config = yaml.safe_load(sweep["config"])
        assert config["parameters"]["training.seed"] == {"values": [3, 4]}
        assert (config["method"], config["early_terminate"]["type"]) == ("grid", "hyperband")
        told = [command["run_id"] for command in sweep["told"]]
        assert len(told) == 2
        runs = {run.id: run for run in server.store.runs.values()}
        assert set(told) <= set(runs), done.stderr  # the agent's own runs, not others next to them
        assert [runs[id].state for id in told] == ["finished", "finished"]
        assert server.bugs == []
    assert len(list(Layout(tmp_path).models.glob("tfidf/*/manifest.json"))) == 2


@pytest.mark.slow
def test_several_objectives_are_searched_by_the_scheduler_of_the_sdk(tmp_path: Path) -> None:
    several = {
        "method": "bayes",
        "metrics": [CONTENT["metric"], {"name": "val/loss", "goal": "minimize"}],
        "parameters": {
            "model.name": {"value": "tiny"},
            "data.name": {"value": "sample"},
            "data.max_train_samples": {"value": 64},
            "training.epochs": {"value": 1},
            "training.learning_rate": {"distribution": "log_uniform", "min": -9, "max": -5},
            "training.early_stopping.patience": {"value": None},
        },
    }
    with SweepServer() as server:
        done = sweep_there(tmp_path, server, several)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["Ran", "sweep", "sweep1", "on", "W&B", "sweep", "sweep1"]
        [sweep] = server.sweeps.values()
        told = sweep["told"]
        assert len(told) == 2
        rates = [command["args"]["training.learning_rate"]["value"] for command in told]
        assert all(math.exp(-9) <= rate <= math.exp(-5) for rate in rates)
        runs = {run.id: run for run in server.store.runs.values()}
        assert [runs[command["run_id"]].state for command in told] == ["finished", "finished"]
        assert {"val/f1_macro", "val/loss"} <= set(runs[told[0]["run_id"]].summary)
        assert server.bugs == []


@pytest.mark.slow
def test_a_scheduler_that_cannot_run_ends_the_sweep(tmp_path: Path) -> None:
    several = {**CONTENT, "metrics": [CONTENT["metric"], {"name": "val/loss"}]}
    del several["metric"], several["early_terminate"]
    several["parameters"] = {"training.seed": {"min": 0, "max": 3}}
    with SweepServer() as server:
        server.faults.add(operation="SweepConfig", status=404)
        done = sweep_there(tmp_path, server, {**several, "method": "random"})
    assert done.returncode == 7, done.stderr
    assert "the scheduler of sweep" in done.stderr


@pytest.mark.slow
def test_a_sweep_whose_every_run_fails_has_failed(tmp_path: Path) -> None:
    with SweepServer() as server:
        done = sweep_there(tmp_path, server)  # mine.csv is not there
    assert done.returncode == 10, done.stderr
    assert "no run of sweep" in done.stderr
