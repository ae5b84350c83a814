"""Two processes train the model that one process trains; a lost process ends the training, which can be resumed."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions
from goemo_cli.services.evaluation.export import export_predictions
from tests.processes import free_port
from tests.torture.commands import Command
from tests.waiting import GUARD_SECONDS, wait_for

SETTINGS = [
    "--model", "tiny", "--data", "sample", "--max-train-samples", "97", "--lr", "1e-2",
    "training.precision=fp32", "--no-wandb", "--quiet",
]  # fmt: skip
"""97 comments in batches of 32: in the last batch, of one comment, one of the processes has none."""


def start(processes: int, root: Path, *options: str) -> subprocess.Popen[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        [sys.executable, *(launcher if processes > 1 else []), "-m", "goemo_cli", "train", "--root", str(root), *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def trained(root: Path, *options: str) -> Checkpoint:
    """By two processes of torchrun."""
    process = start(2, root, *options)
    output, messages = process.communicate()
    assert process.returncode == 0, messages
    assert output.count("Trained tiny-") == 1
    return only_run(root)


def trained_by_forks(root: Path, *options: str) -> Checkpoint:
    """By two processes that have all packages loaded, with the variables that torchrun sets."""
    torchrun = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = []
    for rank in ("0", "1"):
        (folder := root / f"rank {rank}").mkdir(parents=True)
        variables = {**torchrun, "RANK": rank, "LOCAL_RANK": rank}
        processes.append(
            Command(
                "train", "--root", root, *options, folder=folder, limit=partial(os.environ.update, variables)
            )
        )
    assert [process.code for process in processes] == [0, 0], [process.said for process in processes]
    return only_run(root)


def trained_alone(root: Path, *options: str) -> Checkpoint:
    done = CliRunner().invoke(app, ["train", "--root", str(root), *options])
    assert done.exit_code == 0, done.output
    return only_run(root)


def only_run(root: Path) -> Checkpoint:
    (folder,) = Layout(root).checkpoints()
    return Checkpoint.open(folder)


def probabilities(run: Checkpoint, root: Path) -> dict[str, np.ndarray]:
    layout = Layout(root)
    return {
        split: read_predictions(layout.split_predictions(run.run, split)).y_prob for split in ("val", "test")
    }


PLAIN = [*SETTINGS, "--epochs", "2", "model.dropout=0.0"]
FROZEN = [*PLAIN, "training.frozen_layers=1", "training.accumulation=2"]


@pytest.fixture(scope="module", params=["forks", pytest.param("torchrun", marks=pytest.mark.slow)])
def by_two(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Checkpoint]:
    root = tmp_path_factory.mktemp("by_two")
    return root, (trained_by_forks if request.param == "forks" else trained)(root, *PLAIN)


def assert_equal_trainings(root: Path, run: Checkpoint, other_root: Path, other: Checkpoint) -> None:
    for one, two in zip(run.metrics.history, other.metrics.history, strict=True):
        assert two.train_loss == pytest.approx(one.train_loss, abs=1e-6)
        assert two.grad_norm == pytest.approx(one.grad_norm, abs=1e-5)
        assert two.val_loss == pytest.approx(one.val_loss, abs=1e-6)
    one_prob, two_prob = probabilities(run, root), probabilities(other, other_root)
    assert all(two_prob[split] == pytest.approx(one_prob[split], abs=1e-5) for split in one_prob)


def test_two_processes_train_as_one_does(by_two: tuple[Path, Checkpoint], tmp_path: Path):
    assert_equal_trainings(tmp_path, trained_alone(tmp_path, *PLAIN), *by_two)


def test_two_processes_train_upper_layers_in_pieces_as_one_does(tmp_path: Path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    runs = trained_alone(alone, *FROZEN), trained_by_forks(together, *FROZEN)
    assert_equal_trainings(alone, runs[0], together, runs[1])


def test_processes_score_the_bytes_that_one_process_scores(by_two: tuple[Path, Checkpoint], tmp_path: Path):
    root, found = by_two
    layout = Layout(root)
    for split in ("val", "test"):
        written = layout.split_predictions(found.run, split).read_bytes()
        again = export_predictions(found, layout=layout, splits=(split,), output=tmp_path / f"{split}.csv")
        assert again.paths[split].read_bytes() == written


@pytest.mark.slow
def test_a_lost_process_ends_the_training_which_continues_exactly(tmp_path: Path):
    settings = [*SETTINGS, "--epochs", "40", "model.dropout=0.1", "training.early_stopping.patience=null"]
    expected = probabilities(trained(tmp_path / "whole", *settings), tmp_path / "whole")
    root = tmp_path / "killed"
    process = start(2, root, *settings)
    wait_for(lambda: list(root.glob("artifacts/models/*/*/state/step-*/state.json")), process=process)
    (other,) = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if child.environ().get("RANK") == "1"
    ]
    other.send_signal(signal.SIGKILL)
    output, messages = process.communicate(timeout=GUARD_SECONDS)
    assert process.returncode != 0
    assert messages.count("\nError: ") == 1
    assert "Trained" not in output
    assert "torchrun --nproc-per-node 2 -m goemo_cli train --resume" in messages
    alone = start(1, root, "--resume", "@latest", "--quiet")
    assert "processes was 2, is 1" in alone.communicate()[1]
    assert alone.returncode == 3
    found = probabilities(trained(root, "--resume", "@latest", "--quiet"), root)
    assert all(np.array_equal(found[split], expected[split]) for split in expected)
