"""What two trainings with the same settings must have in common, and a signal in the middle of one."""

import json
import os
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.events import Advanced, Event
from goemo_cli.core.layout import Layout
from goemo_cli.tracking.journal import LogLine, journal_path, read_journal

_OF_THE_RUN = ("run", "finished", "training_seconds", "peak_memory_bytes", "wandb_run_id")
_OF_AN_EPOCH = ("epoch_seconds", "samples_per_second")
_OF_TIME = ("train/epoch_time", "train/samples_per_sec")


class SignalAt:
    """An event handler that sends this process a signal at the n-th progress event.

    Args:
        count: number of progress events until the signal.
        number: of the signal.
    """

    def __init__(self, count: int, number: int) -> None:
        self.left, self.number = count, number
        self.lines: list[str] = []

    def __call__(self, event: Event) -> None:
        """Count progress, and keep the other events."""
        if isinstance(event, Advanced):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), self.number)
        else:
            self.lines.append(str(event))


def content_of(checkpoint: Checkpoint, layout: Layout) -> dict[str, Any]:
    """Everything of a run that does not name it or measure time; weights and predictions as bytes."""
    files: dict[str, Any] = {
        path.name: path.read_bytes() for path in sorted(checkpoint.path.glob("*")) if path.is_file()
    }
    for name in ("README.md", "manifest.json"):
        del files[name]
    files["train_config.yaml"] = files["train_config.yaml"].split(b"\n", 1)[1]
    for name in ("metrics.json", "thresholds.json"):
        files[name] = _without(json.loads(files[name]), _OF_THE_RUN)
    files["metrics.json"]["history"] = [
        _without(epoch, _OF_AN_EPOCH) for epoch in files["metrics.json"]["history"]
    ]
    for split in ("val", "test"):
        files[f"predictions of {split}"] = layout.split_predictions(checkpoint.run, split).read_bytes()
    for epoch in range(1, len(checkpoint.metrics.history) + 1):
        files[f"predictions of epoch {epoch}"] = layout.epoch_predictions(checkpoint.run, epoch).read_bytes()
    return files


def logged_steps(checkpoint: Checkpoint, layout: Layout) -> list[tuple[int, int | None, dict[str, float]]]:
    """Every logged number of a run in order, without times."""
    lines = read_journal(journal_path(layout.journals, checkpoint.run)).lines
    return [
        (line.step, line.epoch, {key: value for key, value in line.values.items() if key not in _OF_TIME})
        for line in lines
        if isinstance(line, LogLine)
    ]


def states_of(folder: Path) -> list[Path]:
    """The folders of the saved states of a run, the oldest first."""
    return sorted((folder / "state").glob("step-*"))


def _without(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in names}
