"""Two processes train the model that one process trains; a lost process ends the training, which can be resumed."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions
from goemo_cli.services.evaluation.export import export_predictions
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


def trained(processes: int, root: Path, *options: str) -> Checkpoint:
    process = start(processes, root, *options)
    output, messages = process.communicate()
    assert process.returncode == 0, messages
    assert output.count("Trained tiny-") == 1
    (folder,) = Layout(root).checkpoints()
    return Checkpoint.open(folder)


def probabilities(run: Checkpoint, root: Path) -> dict[str, np.ndarray]:
    layout = Layout(root)
    return {
        split: read_predictions(layout.split_predictions(run.run, split)).y_prob for split in ("val", "test")
    }


@pytest.mark.parametrize(
    "extra", [[], ["training.frozen_layers=1", "training.accumulation=2"]], ids=["plain", "frozen"]
)
def test_two_processes_train_as_one_does(tmp_path: Path, extra: list[str]):
    runs = [
        trained(count, tmp_path / str(count), *SETTINGS, "--epochs", "2", "model.dropout=0.0", *extra)
        for count in (1, 2)
    ]
    for one, two in zip(*(run.metrics.history for run in runs), strict=True):
        assert two.train_loss == pytest.approx(one.train_loss, abs=1e-6)
        assert two.grad_norm == pytest.approx(one.grad_norm, abs=1e-5)
        assert two.val_loss == pytest.approx(one.val_loss, abs=1e-6)
    one_prob, two_prob = (probabilities(run, tmp_path / str(i)) for i, run in enumerate(runs, start=1))
    assert all(two_prob[split] == pytest.approx(one_prob[split], abs=1e-5) for split in one_prob)


def test_processes_score_the_bytes_that_one_process_scores(tmp_path: Path):
    found = trained(2, tmp_path, *SETTINGS, "--epochs", "1")
    layout = Layout(tmp_path)
    for split in ("val", "test"):
        written = layout.split_predictions(found.run, split).read_bytes()
        again = export_predictions(found, layout=layout, splits=(split,), output=tmp_path / f"{split}.csv")
        assert again.paths[split].read_bytes() == written


@pytest.mark.slow
def test_a_lost_process_ends_the_training_which_continues_exactly(tmp_path: Path):
    settings = [*SETTINGS, "--epochs", "40", "model.dropout=0.1", "training.early_stopping.patience=null"]
    expected = probabilities(trained(2, tmp_path / "whole", *settings), tmp_path / "whole")
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
    found = probabilities(trained(2, root, "--resume", "@latest", "--quiet"), root)
    assert all(np.array_equal(found[split], expected[split]) for split in expected)
