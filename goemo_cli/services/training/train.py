"""`goemo train`: from settings to a finished checkpoint with predictions, metrics and thresholds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.checkpoint import Checkpoint, claim_checkpoint
from goemo_cli.core.events import Event, EventHandler, Info, StoppedEarly, Warning, ignore
from goemo_cli.core.files import remove_if_empty, require_no_dangling_link
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.predictions import Predictions, write_predictions
from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.thresholds import SELECTION_THRESHOLD, decide
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.training.loop import Step
from goemo_cli.ml.training.seeding import seed_everything
from goemo_cli.services.data.checks import label_doubts, summary, warnings_for
from goemo_cli.services.data.find import GOEMOTIONS, SAMPLE, first_of_shuffle, load_data
from goemo_cli.services.runs.locks import held
from goemo_cli.services.training.finishing import RunContext, finish_run
from goemo_cli.services.training.fitting import fit_and_save, prepare
from goemo_cli.services.training.tracker_tables import structure_table
from goemo_cli.services.training.tracking import (
    RunLog,
    data_artifact,
    epoch_values,
    failures_logged,
    logged_settings,
    start_facts,
)
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
    config: TrainConfig, *, layout: Layout, tracker: Tracker = _NULL_TRACKER, on_event: EventHandler = ignore
) -> TrainResult:
    """Train a model and write everything that contract and layout promise of a run.

    Args:
        config: resolved settings.
        layout: where to write.
        tracker: a mirror of the run.
        on_event: called with each event.

    Raises:
        DataError, NotFoundError: data or model that cannot be used; nothing has been written then.
        TrainingFailedError: not finite, or out of memory.
        StorageError, OSError: the disk refused.
        GoemoError: whatever a required mirror says that cannot begin; nothing is left behind then.
    """
    log = RunLog(on_event, layout.root)
    on_event = log
    data = training_data(config, layout, on_event)
    entry = model_entry(config.model.name)
    seed_everything(config.training.seed, deterministic=config.training.deterministic)
    prepared = prepare(config, entry, data, on_event)
    facts = data.facts()
    with claimed(layout, entry.name, entry.family) as (run, folder):
        tracker.start(
            run,
            logged_settings(config),
            start_facts(facts, prepared.base, prepared.device.type, prepared.precision),
        )
        with failures_logged(tracker):
            if config.logging.wandb.environment:
                log.begin(tracker)
            tracker.artifact(data_artifact(facts, data.labels))
            if config.logging.wandb.watch_model and prepared.classifier:
                tracker.table(structure_table(prepared.classifier.model), step=0)
            watch = _Watch(config, data, run, layout, tracker)

            def told(event: Event) -> None:
                watch.event(event)
                on_event(event)

            started = time.monotonic()
            fitted = fit_and_save(
                prepared,
                config,
                data,
                folder,
                on_event=told,
                on_epoch=watch.epoch,
                on_step=watch.step,
            )
            seconds = time.monotonic() - started
            context = RunContext(
                config, entry, run, folder, data, facts, replace(prepared, classifier=None), fitted, seconds
            )
            checkpoint = finish_run(
                context,
                layout=layout,
                tracker=tracker,
                on_event=on_event,
                written=watch.written,
                step=watch.last_step,
            )
    return TrainResult(
        run, checkpoint, checkpoint.metrics_json, layout.split_predictions(run, "test"), data.is_fallback
    )


class _Watch:
    """What happens while a model is fitted, told to the tracker; and the look at val after every epoch, written."""

    def __init__(
        self, config: TrainConfig, data: Dataset, run: RunName, layout: Layout, tracker: Tracker
    ) -> None:
        self.config, self.data, self.run, self.layout, self.tracker = config, data, run, layout, tracker
        self.last_step = 0
        self.written: list[Path] = []
        self._epoch_seconds: list[float] = []

    def step(self, step: Step) -> None:
        """After an optimizer step."""
        self.last_step = step.step
        every = self.config.logging.wandb.log_every
        if every and step.step % every == 0:
            values = {
                "step/loss": step.loss,
                "step/learning_rate": step.learning_rate,
                "step/grad_norm": step.grad_norm,
            }
            self.tracker.log(values, step=step.step)
        if step.histograms:
            self.tracker.histograms(step.histograms, step=step.step)

    def epoch(self, history: dict[str, Any], val_prob: FloatArray) -> None:
        """After an epoch."""
        if self.config.output.epoch_predictions:
            path = self.layout.epoch_predictions(self.run, history["epoch"])
            write_predictions(path, _at_selection_threshold(self.data, val_prob))
            self.written.append(path)
        self._epoch_seconds.append(history["epoch_seconds"])
        self.last_step = max(self.last_step, 1)  # a model without steps has one
        values = epoch_values(history, self.config.logging.combined_score)
        self.tracker.log(values, step=self.last_step, epoch=history["epoch"])

    def event(self, event: Event) -> None:
        """Of all that the screen is told, what mirrors are told too."""
        if isinstance(event, StoppedEarly):
            saved = self.config.training.epochs - event.epoch
            seconds = saved * sum(self._epoch_seconds) / len(self._epoch_seconds)
            values = {
                "epoch": event.epoch,
                "best_epoch": event.best_epoch,
                "best_value": event.best_value,
                "epochs_saved": saved,
                "seconds_saved": seconds,
            }
            self.tracker.event("early_stopping", values)


def training_data(
    config: TrainConfig, layout: Layout, on_event: EventHandler, *, may_fetch: bool = True
) -> Dataset:
    """The data as it will be trained on: loaded, checked, and cut to `max_train_samples`."""
    data = load_data(config.data, root=layout.root, may_fetch=may_fetch, on_event=on_event)
    train = first_of_shuffle(data.train, config.data.max_train_samples, config.training.seed)
    cut = replace(data, splits={**data.splits, "train": train})
    cut.require_usable()
    understood = summary(cut, split_seed=config.data.split_seed, whole_train=len(data.train))
    on_event(Info(f"Data: {understood}"))
    if data.name not in (GOEMOTIONS, SAMPLE):
        for doubt in (*label_doubts(cut, config.data), *warnings_for(cut)):
            on_event(Warning(doubt))
    return cut


@contextmanager
def claimed(layout: Layout, model: str, family: str) -> Iterator[tuple[RunName, Path]]:
    """A run name and its folder, with its lock held; a run that fails before it saved anything leaves no empty folder behind."""
    for path in (layout.models, layout.predictions, layout.stats, layout.journals):
        require_no_dangling_link(path)
    layout.predictions.mkdir(parents=True, exist_ok=True)  # a read-only place fails now, not after training
    layout.stats.mkdir(parents=True, exist_ok=True)
    while True:
        run, folder = claim_checkpoint(layout, model, family)
        try:
            with held(folder, "goemo train"):
                if folder.is_dir():  # else it was cleared away before it was held
                    yield run, folder
                    return
        except BaseException:
            above = (folder.parent, layout.models, layout.predictions, layout.stats, layout.artifacts)
            remove_if_empty(folder, *above, layout.journals, layout.output)
            raise


def _at_selection_threshold(data: Dataset, val_prob: FloatArray) -> Predictions:
    """An epoch's look at val."""
    val = data.val
    y_pred = decide(val_prob, SELECTION_THRESHOLD)
    return Predictions(data.labels, val.texts, val.y_true, y_pred, val_prob, val.ids)
