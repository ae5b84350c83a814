"""Mirrors: the real wandb SDK offline, real event files, and proof that neither can hurt or change a run."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from goemo_cli.core.config import TrainConfig
from goemo_cli.core.events import Event, Warned
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.services.settings import resolve_settings
from goemo_cli.services.tracking import open_tracker
from goemo_cli.services.training import TrainResult, train
from goemo_cli.tracking.base import NullTracker
from goemo_cli.tracking.guarded import GuardedTrackers


def config(*overrides: str) -> TrainConfig:
    flags = {"model.name": "tiny", "data.name": "sample", "data.max_train_samples": 64, "training.epochs": 2}
    return resolve_settings(None, flags, overrides)


def run(root: Path, *overrides: str) -> tuple[TrainResult, list[str]]:
    said: list[Event] = []
    settings, layout = config(*overrides), Layout(root)
    tracker = open_tracker(settings, layout=layout, listen=said.append)
    result = train(settings, layout=layout, tracker=tracker, listen=said.append)
    return result, [
        event.message for event in said if isinstance(event, Warned) and "tokens" not in event.message
    ]


def test_without_mirrors_there_is_none() -> None:
    assert isinstance(open_tracker(config(), layout=Layout()), NullTracker)


@pytest.mark.filterwarnings("ignore")  # wandb and tensorboard warn of their own dependencies
def test_wandb_offline_mirrors_the_run_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    plain, _ = run(tmp_path / "plain")
    mirrored, warnings = run(tmp_path / "mirrored", "logging.wandb.enabled=true", "logging.wandb.project=p")
    assert warnings == []
    assert mirrored.metrics["wandb_run_id"]
    logged = list((tmp_path / "mirrored" / "output" / "wandb").rglob("*.wandb"))
    assert len(logged) == 1
    deadline = time.monotonic() + 60  # wandb's own process writes the file, a little later
    while b"total_training_time" not in logged[0].read_bytes() and time.monotonic() < deadline:
        time.sleep(0.1)
    for name in (b"val/f1_macro", b"train/samples_per_sec", b"test/auc_macro", b"total_training_time"):
        assert name in logged[0].read_bytes()
    assert mirrored.predictions.read_bytes() == plain.predictions.read_bytes()
    weights = [
        result.checkpoint.manifest["files"]["model.safetensors"]["sha256"] for result in (plain, mirrored)
    ]
    assert weights[0] == weights[1]


def test_wandb_with_a_bad_key_and_no_server_costs_a_warning_and_no_run(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    environment = os.environ | {
        "WANDB_MODE": "online",
        "WANDB_BASE_URL": "http://127.0.0.1:9",
        "WANDB_API_KEY": "secret-and-much-too-short",
    }
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "goemo_cli",
            "train",
            "--config",
            "configs/debug.yaml",
            "--wandb",
            "--root",
            str(tmp_path),
        ],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("W&B stopped mirroring") == 1
    assert "secret" not in done.stderr + done.stdout
    assert list(tmp_path.glob("artifacts/models/tiny/*/manifest.json"))


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_event_files_hold_every_epoch(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result, warnings = run(tmp_path, "logging.tensorboard=true")
    events = EventAccumulator(str(tmp_path / "output" / "tensorboard" / str(result.run))).Reload()
    values = [event.value for event in events.Scalars("val/f1_macro")]
    assert warnings == []
    assert values == pytest.approx([entry["val_f1_macro"] for entry in result.metrics["history"]], abs=1e-6)


class _Failing(NullTracker):
    """Works until the first epoch."""

    calls = 0

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        self.calls += 1
        raise ConnectionError("the server is gone\nsecond line")


def test_a_tracker_that_fails_is_warned_of_once_and_left_out() -> None:
    said: list[str] = []
    failing, works = _Failing(), NullTracker()
    trackers = GuardedTrackers({"Bad": failing, "Good": works}, said.append)
    trackers.start(RunName("tiny", "20260101-000000"), {})
    for step in (1, 2, 3):
        trackers.log({"val/auc": 0.5}, step=step)
    assert failing.calls == 1
    assert trackers.names == ["Good"]
    assert said == [
        "Bad stopped mirroring this run (ConnectionError: the server is gone); local files are complete"
    ]


def test_a_missing_package_costs_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hidden: dict[str, Any] = {"wandb": None, "goemo_cli.tracking.wandb_tracker": None}
    for name, module in hidden.items():
        monkeypatch.setitem(sys.modules, name, module)
    result, warnings = run(tmp_path, "logging.wandb.enabled=true")
    assert warnings == [
        "W&B is not installed: pip install 'goemo[wandb]', or train with --no-wandb; going on without"
    ]
    assert result.predictions.is_file()
