"""`goemo sweep --wandb` with the real SDK: what its agent is told, and which runs arrive in the sweep."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from goemo_cli.core.layout import Layout
from tests.waiting import GUARD_SECONDS
from tests.wandb_server.sweeps import SweepServer

CONTENT = {
    "method": "grid",
    "metric": {"name": "val/f1_macro", "goal": "maximize"},
    "early_terminate": {"type": "hyperband", "min_iter": 1},
    "parameters": {
        "model.name": {"value": "tfidf"},
        "data.name": {"value": "mine.csv"},
        "training.seed": {"values": [3, 4]},
    },
}


def sweep_there(folder: Path, server: SweepServer) -> subprocess.CompletedProcess[str]:
    """Run the sweep from a folder, in which its paths begin."""
    (folder / "s.yaml").write_text(yaml.safe_dump(CONTENT))
    return subprocess.run(
        [sys.executable, "-m", "goemo_cli", "sweep", "s.yaml", "--wandb", "--count", "2"],
        cwd=folder,
        env={**os.environ, **server.environment(folder / "sdk"), "WANDB_MODE": "online"},
        capture_output=True,
        text=True,
        timeout=GUARD_SECONDS,
        check=False,
    )


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
        assert set(told) <= set(runs), done.stderr  # the agent's own runs, not others beside them
        assert [runs[id].state for id in told] == ["finished", "finished"]
        assert server.bugs == []
    assert len(list(Layout(tmp_path).models.glob("tfidf/*/manifest.json"))) == 2


@pytest.mark.slow
def test_a_sweep_whose_every_run_fails_has_failed(tmp_path: Path) -> None:
    with SweepServer() as server:
        done = sweep_there(tmp_path, server)  # mine.csv is not there
    assert done.returncode == 10, done.stderr
    assert "no run of sweep" in done.stderr
