"""`goemo train`: from settings to a finished checkpoint with predictions, metrics and thresholds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.checkpoint import Checkpoint, claim_checkpoint
from goemo_cli.core.config import TrainConfig
from goemo_cli.core.events import Listener, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.predictions import Predictions, write_predictions
from goemo_cli.core.thresholds import SELECTION_THRESHOLD, decide
from goemo_cli.ml.data import Dataset
from goemo_cli.ml.seeding import seed_everything
from goemo_cli.services.datasets import first_of_shuffle, load_data
from goemo_cli.services.finishing import RunContext, finish_run
from goemo_cli.services.fitting import fit_and_save, prepare
from goemo_cli.tracking.base import NullTracker, Tracker

_NULL_TRACKER = NullTracker()


@dataclass(frozen=True)
class TrainResult:
    """A finished run."""

    run: RunName
    checkpoint: Checkpoint
    metrics: dict[str, Any]
    """metrics.json."""
    predictions: Path
    """Of the test split."""
    is_fallback: bool
    """Trained on the sample because GoEmotions could not be had."""


def train(
    config: TrainConfig, *, layout: Layout, tracker: Tracker = _NULL_TRACKER, listen: Listener = ignore
) -> TrainResult:
    """Train a model and write everything that contract and layout promise of a run.

    Args:
        config: resolved settings.
        layout: where to write.
        tracker: a mirror of the run.
        listen: told what happens.

    Raises:
        DataError, NotFoundError: data or model that cannot be used; nothing has been written then.
        TrainingFailedError: not finite, or out of memory.
        StorageError, OSError: the disk refused.
    """
    data = training_data(config, layout, listen)
    entry = model_entry(config.model.name)
    seed_everything(config.training.seed, deterministic=config.training.deterministic)
    prepared = prepare(config, entry, data, listen)
    with claimed(layout, entry.name, entry.family) as (run, folder):
        tracker.start(run, config.model_dump(mode="json"))

        def on_epoch(history: dict[str, Any], val_prob: FloatArray) -> None:
            if config.output.epoch_predictions:
                path = layout.epoch_predictions(run, history["epoch"])
                write_predictions(path, _at_selection_threshold(data, val_prob))
            tracker.log(_tracked(history), step=history["epoch"])

        started = time.monotonic()
        fitted = fit_and_save(prepared, config, data, folder, listen=listen, on_epoch=on_epoch)
        seconds = time.monotonic() - started
        context = RunContext(
            config, entry, run, folder, data, replace(prepared, classifier=None), fitted, seconds
        )
        checkpoint = finish_run(context, layout=layout, tracker=tracker, listen=listen)
    return TrainResult(
        run, checkpoint, checkpoint.metrics, layout.split_predictions(run, "test"), data.is_fallback
    )


def training_data(
    config: TrainConfig, layout: Layout, listen: Listener, *, may_fetch: bool = True
) -> Dataset:
    """The data as it will be trained on: loaded, checked, and cut to `max_train_samples`."""
    data = load_data(config.data, root=layout.root, may_fetch=may_fetch, listen=listen)
    train = first_of_shuffle(data.train, config.data.max_train_samples, config.training.seed)
    cut = replace(data, splits={**data.splits, "train": train})
    cut.require_usable()
    return cut


@contextmanager
def claimed(layout: Layout, model: str, family: str) -> Iterator[tuple[RunName, Path]]:
    """A run name and its folder; a run that fails before it saved anything leaves no folder behind."""
    layout.predictions.mkdir(parents=True, exist_ok=True)  # a read-only place fails now, not after training
    layout.stats.mkdir(parents=True, exist_ok=True)
    run, folder = claim_checkpoint(layout, model, family)
    try:
        yield run, folder
    except BaseException:
        with suppress(OSError):
            folder.rmdir()  # only if empty
        raise


def _at_selection_threshold(data: Dataset, val_prob: FloatArray) -> Predictions:
    """An epoch's look at val."""
    val = data.val
    y_pred = decide(val_prob, SELECTION_THRESHOLD)
    return Predictions(data.labels, val.texts, val.y_true, y_pred, val_prob, val.ids)


def _tracked(history: dict[str, Any]) -> dict[str, float]:
    names = {
        "train/loss": "train_loss",
        "train/learning_rate": "learning_rate",
        "train/epoch_time": "epoch_seconds",
        "train/samples_per_sec": "samples_per_second",
        "train/grad_norm": "grad_norm",
        "val/loss": "val_loss",
        "val/auc": "val_auc_micro",
        "val/f1_micro": "val_f1_micro",
        "val/f1_macro": "val_f1_macro",
    }
    return {name: history[key] for name, key in names.items() if history[key] is not None}
