"""A training that is stopped: what is kept, what is said, and how lists of runs show it while it runs and after."""

import os
import signal
from pathlib import Path

import pytest

from goemo_cli.core.errors import TrainingStoppedError
from goemo_cli.core.events import EpochEnded, Event, PhaseEnded, PhaseStarted
from goemo_cli.core.layout import Layout
from goemo_cli.services.runs.index import TrainingProgress, listed_runs, training_progress
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.tracking import open_tracker
from goemo_cli.services.training.train import train

FLAGS = {"model.name": "tiny", "data.max_train_samples": 64, "training.epochs": 4}


def test_lists_show_how_far_a_training_is_while_it_runs_and_after_a_stop(
    small_data: Path, tmp_path: Path
) -> None:
    layout, said = Layout(tmp_path), list[Event]()
    seen: list[tuple[str, TrainingProgress | None]] = []

    def handle(event: Event) -> None:
        said.append(event)
        if isinstance(event, EpochEnded):
            (listed,) = listed_runs(layout)
            seen.append((listed.state, training_progress(listed, layout)))
            if event.scores.epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    flags = {"data.name": str(small_data), **FLAGS}
    config = resolve_settings(None, flags, ["training.learning_rate=1e-2"])
    with pytest.raises(TrainingStoppedError, match="the state of step 4 is saved"):
        train(config, layout=layout, tracker=open_tracker(config, layout=layout), on_event=handle)
    assert seen == [("running", TrainingProgress(0, 4)), ("running", TrainingProgress(1, 4))]
    (listed,) = listed_runs(layout)
    assert (listed.state, training_progress(listed, layout)) == ("interrupted", TrainingProgress(2, 4))
    starts = [event for event in said if isinstance(event, PhaseStarted)]
    assert len(starts) == sum(isinstance(event, PhaseEnded) for event in said), "each phase ends"
