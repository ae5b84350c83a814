"""`goemo sweep --wandb` with the real SDK: what its agent is told, and which runs arrive in the sweep."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from goemo_cli.core.layout import Layout
from tests.wandb_server.sweeps import SweepServer

CONTENT = {
    "method": "grid",
    "metric": {"name": "val/f1_macro", "goal": "maximize"},
    "early_terminate": {"type": "hyperband", "min_iter": 1},
    "parameters": {
        "model.name": {"value": "tfidf"},
        "data.name": {"value": "sample"},
        "data.max_train_samples": {"value": 60},
        "training.seed": {"values": [3, 4]},
    },
}


@pytest.mark.slow
def test_the_runs_of_the_agent_are_those_of_the_sweep(tmp_path: Path) -> None:
    file, layout = tmp_path / "s.yaml", Layout(tmp_path / "root")
    file.write_text(yaml.safe_dump(CONTENT))
    with SweepServer() as server:
        done = subprocess.run(
            [sys.executable, "-m", "goemo_cli", "sweep", str(file), "--wandb", "--count", "2", "--root", str(layout.root)],
            env={**os.environ, **server.environment(tmp_path / "sdk"), "WANDB_MODE": "online"},
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )  # fmt: skip
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
    assert len(list(layout.models.glob("tfidf/*/manifest.json"))) == 2
