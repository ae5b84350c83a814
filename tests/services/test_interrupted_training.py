"""A training that is stopped: what is kept, what is said, and how lists of runs show it while it runs and after."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from goemo_cli.core.documents.metrics import EpochScores
from goemo_cli.core.errors import TrainingStoppedError
from goemo_cli.core.events import EpochEnded, Event, PhaseEnded, PhaseStarted, line_of
from goemo_cli.core.layout import Layout
from goemo_cli.services.runs.index import TrainingProgress, listed_runs, training_progress
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.tracking import open_tracker
from goemo_cli.services.training.train import train

FLAGS = {"model.name": "tiny", "data.name": "sample", "data.max_train_samples": 64, "training.epochs": 4}


def test_lists_show_how_far_a_training_is_while_it_runs_and_after_a_stop(tmp_path: Path) -> None:
    layout, said = Layout(tmp_path), list[Event]()
    seen: list[tuple[str, TrainingProgress | None]] = []

    def handle(event: Event) -> None:
        said.append(event)
        if isinstance(event, EpochEnded):
            (listed,) = listed_runs(layout)
            seen.append((listed.state, training_progress(listed, layout)))
            if event.scores.epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    config = resolve_settings(None, FLAGS, ["training.learning_rate=1e-2"])
    with pytest.raises(TrainingStoppedError, match="the state of step 4 is saved"):
        train(config, layout=layout, tracker=open_tracker(config, layout=layout), on_event=handle)
    assert seen == [("running", TrainingProgress(0, 4)), ("running", TrainingProgress(1, 4))]
    (listed,) = listed_runs(layout)
    assert (listed.state, training_progress(listed, layout)) == ("interrupted", TrainingProgress(2, 4))
    starts = [event for event in said if isinstance(event, PhaseStarted)]
    assert len(starts) == sum(isinstance(event, PhaseEnded) for event in said), "each phase ends"


def test_a_line_of_an_epoch_fits_a_terminal_of_80_columns() -> None:
    scores: dict[str, Any] = {
        "epoch": 12, "train_loss": 0.69314, "val_loss": 0.123456, "val_f1_macro": 0.5, "val_f1_micro": 0.5,
        "val_auc_micro": 0.9, "learning_rate": None, "grad_norm": None, "epoch_seconds": 2198.0,
        "samples_per_second": 12345.6,
    }  # fmt: skip
    line = line_of(EpochEnded(EpochScores(**scores), epochs=20, is_best=True))
    assert line == "Epoch 12/20  loss 0.6931 val 0.1235  F1 macro 0.500 micro 0.500  36 min 38 s *"
    assert len(line) <= 80
