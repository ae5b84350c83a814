"""A training that is stopped: what is kept, what is said, and how lists of runs show it while it runs and after."""

from pathlib import Path
from typing import Any

import pytest

from goemo_cli.core.documents import EpochScores
from goemo_cli.core.events import EpochEnded, Event, Info, Interrupted, PhaseEnded, PhaseStarted, line_of
from goemo_cli.core.layout import Layout
from goemo_cli.services.runs.index import TrainingProgress, listed_runs, training_progress
from goemo_cli.services.training.seeds import train_seeds
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.tracking import open_tracker

FLAGS = {"model.name": "tiny", "data.name": "sample", "data.max_train_samples": 64, "training.epochs": 4}


def test_ctrl_c_tells_what_is_kept_and_lists_show_how_far_it_came(tmp_path: Path) -> None:
    layout, said = Layout(tmp_path), list[Event]()
    seen: list[tuple[str, TrainingProgress | None]] = []

    def listen(event: Event) -> None:
        said.append(event)
        if isinstance(event, EpochEnded):
            (listed,) = listed_runs(layout)
            seen.append((listed.state, training_progress(listed, layout)))
            if event.scores.epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_seeds(
            resolve_settings(None, FLAGS, ["training.learning_rate=1e-2"]),
            2,
            layout=layout,
            open_tracker=lambda config: open_tracker(config, layout=layout),
            on_event=listen,
        )
    assert seen == [("running", TrainingProgress(0, 4)), ("running", TrainingProgress(1, 4))]
    (listed,) = listed_runs(layout)
    assert (listed.state, training_progress(listed, layout)) == ("unfinished", TrainingProgress(1, 4))
    (stop,) = (event for event in said if isinstance(event, Interrupted))
    assert stop.kept_epoch in (1, 2)
    assert (stop.folder / "model.safetensors").is_file()
    assert (stop.folder, stop.epochs) == (listed.path, 4)
    assert Info("0 of 2 seeds are finished and kept") in said
    starts = [event for event in said if isinstance(event, PhaseStarted)]
    assert len(starts) == sum(isinstance(event, PhaseEnded) for event in said), "each phase ends"
    # A model without weights of its own has to be trained from the folder that the message names.
    assert resolve_settings(None, {**FLAGS, "model.name": str(stop.folder)}).model.name == str(stop.folder)


def test_a_line_of_an_epoch_fits_a_terminal_of_80_columns() -> None:
    scores: dict[str, Any] = {
        "epoch": 12, "train_loss": 0.69314, "val_loss": 0.123456, "val_f1_macro": 0.5, "val_f1_micro": 0.5,
        "val_auc_micro": 0.9, "learning_rate": None, "grad_norm": None, "epoch_seconds": 2198.0,
        "samples_per_second": 12345.6,
    }  # fmt: skip
    line = line_of(EpochEnded(EpochScores(**scores), epochs=20, is_best=True))
    assert line == "Epoch 12/20  loss 0.6931 val 0.1235  F1 macro 0.500 micro 0.500  36 min 38 s *"
    assert len(line) <= 80
