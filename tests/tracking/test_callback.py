import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from goemo_cli.tracking import ArtifactManager, LoggerCallback, LoggerConfig
from goemo_cli.tracking.local_runs import read_metrics
from tests.waiting import GUARD_SECONDS
from tests.wandb_server import WandbServer

REPOSITORY = Path(__file__).resolve().parents[2]


def folder_of(root: Path) -> Path:
    [folder] = (root / "artifacts/registry/runs").iterdir()
    return folder


def lines_of(root: Path) -> list[tuple[int, dict[str, Any]]]:
    lines = read_metrics(folder_of(root) / "metrics.jsonl")
    return [(line["step"], {key: line[key] for key in line if key not in ("step", "time")}) for line in lines]


def test_every_nth_step_is_logged_and_the_last_one_is_not_lost(tmp_path: Path):
    config = LoggerConfig(mode="local", log_every_n_steps=3)
    with LoggerCallback(config, root=tmp_path) as logger:
        for step in range(1, 8):
            logger.on_step_end(step, {"loss": step / 10})
    assert lines_of(tmp_path) == [(3, {"loss": 0.3}), (6, {"loss": 0.6}), (7, {"loss": 0.7})]


def test_epochs_are_always_logged_at_their_last_step(tmp_path: Path):
    with LoggerCallback(LoggerConfig(mode="local", log_every_n_steps=100), root=tmp_path) as logger:
        logger.on_step_end(1, {"loss": 0.5})
        logger.on_step_end(2, {"loss": 0.4})
        logger.on_epoch_end(1, {"val/f1_macro": 0.6})
        logger.on_epoch_end(2, {"val/f1_macro": 0.7}, step=9)
    assert lines_of(tmp_path) == [
        (2, {"loss": 0.4}),
        (2, {"val/f1_macro": 0.6, "epoch": 1}),
        (9, {"val/f1_macro": 0.7, "epoch": 2}),
    ]


def test_checkpoints_are_versions_and_the_best_keeps_its_alias(tmp_path: Path):
    weights = tmp_path / "weights.bin"
    with LoggerCallback(LoggerConfig(mode="local"), root=tmp_path) as logger:
        for epoch, is_best in ((1, True), (2, False)):
            weights.write_text(f"epoch {epoch}")
            logger.on_checkpoint(weights, "net", is_best=is_best)
    registry = logger.manager.registry
    assert registry.aliases("net") == {"best": "v0", "latest": "v1"}


@pytest.mark.parametrize(("fails", "state"), [(False, "finished"), (True, "failed")])
def test_how_a_run_ended_is_recorded(tmp_path: Path, fails: bool, state: str):
    try:
        with LoggerCallback(LoggerConfig(mode="local"), root=tmp_path):
            if fails:
                raise RuntimeError("out of memory")
    except RuntimeError:
        assert fails
    assert json.loads((folder_of(tmp_path) / "run.json").read_text())["state"] == state


def test_a_run_of_a_manager_is_joined_not_doubled(tmp_path: Path):
    manager = ArtifactManager(LoggerConfig(mode="local"), root=tmp_path)
    run_id = manager.init_run()
    assert LoggerCallback(manager=manager).on_train_begin() == run_id


@pytest.mark.slow
def test_on_wandb_a_resumed_run_goes_on_where_it_was(wandb_server: WandbServer, tmp_path: Path):
    program = """
    import sys
    from goemo_cli.tracking import LoggerCallback, LoggerConfig
    step = int(sys.argv[2])
    config = LoggerConfig(project="mood", resume="abc123", notes="a note", tags=("one",))
    with LoggerCallback(config, root=sys.argv[1]) as logger:
        logger.on_step_end(step, {"train/loss": 1 / step})
    """
    for step in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), str(tmp_path), step],
            env=os.environ | wandb_server.environment(tmp_path) | {"PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=GUARD_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    run = wandb_server.runs["tester/mood/abc123"]
    assert [(row["_step"], row["train/loss"]) for row in run.history] == [(1, 1.0), (2, 0.5)]
    assert (run.state, run.notes, list(run.tags)) == ("finished", "a note", ["one"])
    assert lines_of(tmp_path) == [(1, {"train/loss": 1.0}), (2, {"train/loss": 0.5})]


def test_the_trainer_of_transformers_tells_it_what_it_logs(tmp_path: Path):
    """Through the class that the Trainer itself calls its callbacks with."""
    from transformers.trainer_callback import CallbackHandler, TrainerControl, TrainerState

    arguments = SimpleNamespace(
        learning_rate=1e-3, num_train_epochs=1, per_device_train_batch_size=8, gradient_accumulation_steps=1,
        weight_decay=0.0, seed=3, hub_token="hf_SECRET",
    )  # fmt: skip
    logger = LoggerCallback(LoggerConfig(mode="local"), root=tmp_path)
    handler = CallbackHandler([logger.for_trainer()], None, None, None, None)
    state, control = TrainerState(), TrainerControl()
    handler.on_train_begin(arguments, state, control)
    state.global_step = 5
    handler.on_log(arguments, state, control, {"loss": 0.25, "note": "text"})
    handler.on_train_end(arguments, state, control)
    assert lines_of(tmp_path) == [(5, {"loss": 0.25})]
    record = json.loads((folder_of(tmp_path) / "run.json").read_text())
    assert (record["state"], record["config"]["trainer"]["seed"]) == ("finished", 3)
    assert "SECRET" not in json.dumps(record)
