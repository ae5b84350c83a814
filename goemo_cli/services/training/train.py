"""`goemo train`: from settings to a finished checkpoint with predictions, metrics and thresholds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from goemo_cli.core.checkpoint import (
    MANIFEST,
    Checkpoint,
    readable_steps,
)
from goemo_cli.core.documents.training import SeedGroup
from goemo_cli.core.errors import NotFoundError, ProcessLostError, TrainingFailedError, TrainingStoppedError
from goemo_cli.core.events import (
    EpochEnded,
    Event,
    EventHandler,
    FileWritten,
    Info,
    RunBegan,
    StoppedEarly,
    Warning,
    ignore,
    progress,
    working,
)
from goemo_cli.core.hints import command_line
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions, write_predictions
from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.system.stopping import StopSignal, stop_request
from goemo_cli.core.thresholds import Decision
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.data.label_cells import separator_within
from goemo_cli.ml.training.frozen import FrozenStore
from goemo_cli.ml.training.loop import Epoch, Step, Stopped
from goemo_cli.ml.training.ranks import joined
from goemo_cli.services.data.checks import label_doubts, summary, warnings_for
from goemo_cli.services.data.data_file import STDIN
from goemo_cli.services.data.find import GOEMOTIONS, SAMPLE, first_of_shuffle, load_data
from goemo_cli.services.data.tables import FRAME
from goemo_cli.services.evaluation.export import predicted
from goemo_cli.services.evaluation.teacher import teach
from goemo_cli.services.training.build import Run, prepare
from goemo_cli.services.training.evaluate import evaluate
from goemo_cli.services.training.fit import fit_model, load_saved
from goemo_cli.services.training.saved_states import StateSaver, StateStore, training_record
from goemo_cli.services.training.tracker_results import (
    EmbeddedSample,
    early_stopping_values,
    embedded_sample,
    epoch_values,
    log_results,
)
from goemo_cli.services.training.tracking import RunLog, failures_logged, log_inputs, log_step, start_tracker
from goemo_cli.services.training.write_run import claimed, write_trained
from goemo_cli.tracking.base import Tracker

_NO_TRACKER = Tracker()


def train(
    config: TrainConfig,
    *,
    layout: Layout,
    data: Dataset | None = None,
    tracker: Tracker = _NO_TRACKER,
    group: SeedGroup | None = None,
    frozen: FrozenStore | None = None,
    on_event: EventHandler = ignore,
) -> Checkpoint:
    """Train a model and write all files of the run.

    Args:
        data: what `read_data` or `load_data` returned; by default it is loaded as the settings say. If it was in memory,
            the settings of the run name it so, and no later command can read it again.
        group: the training with several seeds that this run is a part of.
        frozen: what the frozen layers give, shared by the trainings of a group.

    Raises:
        DataError, NotFoundError: data or model cannot be used; nothing has been written.
        TrainingFailedError: a loss that is not finite, or out of memory.
        StorageError, OSError: the disk refused.
        GoemoError: a required tracker cannot start; nothing has been written.
    """
    log = RunLog(on_event, layout.root)
    with working(log, "Reading the data"):
        whole = read_data(config, layout, log) if data is None else data
    if whole.source == FRAME:
        config = config.changed("data", name=FRAME)
    with working(log, "Checking the data"):
        data = training_data(config, whole, log)
    taught = teach(config, data, layout, log)
    with working(log, "Loading the model"):
        prepared = prepare(config, data, log, taught=taught)
    entry = prepared.entry
    with claimed(layout, entry.name, entry.family) as (name, folder):
        on_event(RunBegan(folder))
        run = prepared.run(name, folder)
        run.frozen = frozen or run.frozen
        del prepared  # the run alone holds the model, so that it can free it
        if run.model and run.config.training.save_every_minutes:
            StateStore(folder).begin(training_record(run, group), run.config)
        with working(log, "Starting the trackers"):
            start_tracker(tracker, run)
        return train_to_the_end(run, group, layout=layout, tracker=tracker, log=log)


def train_to_the_end(
    run: Run,
    group: SeedGroup | None,
    *,
    layout: Layout,
    tracker: Tracker,
    log: RunLog,
) -> Checkpoint:
    """Train a run from its start or from a saved state, and write all its files.

    Raises:
        As `train`; TrainingStoppedError: a signal asked to stop, and the state is saved.
    """
    with stop_request() as stop, _resumable(run, layout, log), failures_logged(tracker):
        log_inputs(tracker, run, log)
        saver = StateSaver(run, layout.journal(run.name), stop)
        with joined(run.ranks):
            fit_and_save(run, saver, layout=layout, tracker=tracker, on_event=log)
            scored = score_saved(run, log)
        checkpoint = _finish(run, scored, layout=layout, tracker=tracker, on_event=log)
        if group:  # its record is needed to continue the group
            saver.store.remove_states()
        else:
            saver.store.remove()
        return checkpoint


@contextmanager
def _resumable(run: Run, layout: Layout, on_event: EventHandler) -> Iterator[None]:
    """Say what is kept of a training that ends early, and how to continue it."""
    try:
        yield
    except BaseException as error:
        steps = readable_steps(run.folder)
        is_saved = bool(steps)
        command = resume_command(run, layout) if is_saved else None
        kept = _kept(run, steps)
        if isinstance(error, StopSignal):
            raise TrainingStoppedError(f"{run.name} stopped; {kept}", error.number, command) from error
        if isinstance(error, FileNotFoundError):
            run.require_folder()  # names the cause
        if isinstance(error, ProcessLostError):
            raise ProcessLostError(f"{error}; {kept}", command) from error
        if isinstance(error, TrainingFailedError):
            if run.entry.kind != "tfidf":
                on_event(Info(_after_failure(run)))
        elif is_saved:
            on_event(Info(f"{run.name}: {kept}; continue with {command}"))
        raise


def resume_command(run: Run, layout: Layout) -> str:
    """The command that continues a training; for data frames, which no command can give again, the call in Python."""
    if run.config.data.name == FRAME:
        root = "" if layout.root == Path() else f", root={str(layout.root)!r}"
        return f"goemo_cli.resume({str(run.name)!r}, data{root})"
    count = run.ranks.count
    program = "goemo" if count == 1 else f"torchrun --nproc-per-node {count} -m goemo_cli"
    return command_line(f"{program} train --resume", run.name, root=layout.root)


def _kept(run: Run, steps: list[int]) -> str:
    """What is kept of a training that ended early, with the steps of its states."""
    if (run.folder / MANIFEST).is_file():
        return "it is finished, only its logs are incomplete"
    if steps:
        return f"the state of step {steps[0]:,} is saved"
    if run.best_epoch:
        return (
            f"the weights of epoch {run.best_epoch} are kept in {run.folder}, without scores and thresholds"
        )
    return "nothing was saved yet"


def _after_failure(run: Run) -> str:
    """What to do after a loss that is not finite, or too little memory."""
    settings = run.config.training
    smaller = f"--lr {settings.learning_rate / 2:g} or --batch-size {max(1, settings.batch_size // 2)}"
    if run.best_epoch:
        return (
            f"The weights of epoch {run.best_epoch} are kept: {command_line('goemo train --model', run.folder)} continues "
            f"from them as a new run, with {smaller}"
        )
    return f"Start again with {smaller}"


def fit_and_save(
    run: Run,
    saver: StateSaver,
    *,
    layout: Layout,
    tracker: Tracker,
    on_event: EventHandler,
) -> None:
    """Train, log every step and epoch, and leave the weights of the best epoch in the checkpoint."""
    started = time.monotonic() - run.seconds
    advance: Callable[[int, str], None] | None = None
    name = ""
    with ExitStack() as bar:
        for fact in fit_model(run, on_event):
            match fact:
                case Step():
                    if advance is None or fact.is_first:
                        name = f"Epoch {fact.epoch}/{run.config.training.epochs}"
                        advance = bar.enter_context(progress(on_event, name, run.n_texts))
                    advance(fact.comments, f"loss {fact.loss:.4f}")
                    if fact.is_last:
                        bar.close()
                        bar.enter_context(working(on_event, f"{name}: scoring val"))
                    run.step, run.seconds = fact.step, time.monotonic() - started
                    log_step(tracker, fact, every=run.config.logging.wandb.log_every)
                    saver.after(fact)
                case Epoch():
                    bar.close()
                    with saver.stop.deferred():
                        _write_epoch(run, fact, layout, tracker, on_event)
                case Stopped():
                    tracker.event("early_stopping", early_stopping_values(run, fact))
                    on_event(StoppedEarly(fact.epoch, fact.best_epoch, fact.best_value))
    if not run.best_epoch:
        raise TrainingFailedError(f"no epoch had a finite {run.config.training.early_stopping.metric}")
    if len(run.history) > 1:
        metric = run.config.training.early_stopping.metric
        on_event(Info(f"Kept epoch {run.best_epoch}, the best by {metric} (* the best so far)"))
    run.seconds = time.monotonic() - started


def _write_epoch(run: Run, epoch: Epoch, layout: Layout, tracker: Tracker, on_event: EventHandler) -> None:
    """Save the weights if they are the best so far, and log the epoch."""
    run.require_folder()
    output = run.config.output
    if epoch.is_best:
        run.best_epoch = epoch.scores.epoch
        epoch.classifier.save(run.folder, output.weights)
    run.history.append(epoch.scores)
    run.step = max(run.step, 1)
    on_event(EpochEnded(epoch.scores, epoch.epochs, epoch.is_best))
    if output.epoch_predictions:
        run.written.append(_write_epoch_predictions(run, epoch, layout))
    values = epoch_values(epoch.scores, run.config.logging.combined_score)
    tracker.log(values, step=run.step, epoch=epoch.scores.epoch)


@dataclass(frozen=True)
class Scored:
    """What the saved weights give."""

    val: Predictions
    test: Predictions
    embedded: EmbeddedSample | None
    """Of test, if a tracker gets embeddings."""


def score_saved(run: Run, on_event: EventHandler) -> Scored:
    """Score val and test with the saved weights; all processes of the training take part."""
    run.model, run.frozen = None, FrozenStore()  # their memory and file are not needed any more
    folder = run.ranks.of_first(str(run.folder.absolute()))
    if run.ranks.rank:
        run.folder = Path(folder)
    run.require_folder()
    with working(on_event, "Loading the saved model"):
        saved = load_saved(run)
    val, test = (predicted(saved, run.data, split, on_event) for split in ("val", "test"))
    has_embeddings = run.config.logging.wandb.log_embeddings and run.ranks.rank == 0
    return Scored(val, test, embedded_sample(saved, test.texts, on_event) if has_embeddings else None)


def _finish(
    run: Run, scored: Scored, *, layout: Layout, tracker: Tracker, on_event: EventHandler
) -> Checkpoint:
    """Write all files of the run, and log the results."""

    def handle(event: Event) -> None:
        on_event(event)
        if isinstance(event, FileWritten):
            run.written.append(event.path)

    with working(on_event, "Fitting thresholds, computing scores and intervals"):
        evaluation = evaluate(scored.val, scored.test, run.config)
    with working(on_event, "Writing the results"):
        checkpoint = write_trained(
            run, evaluation, layout=layout, wandb_run_id=tracker.run_id, on_event=handle
        )
    with working(on_event, "Logging the results"):
        log_results(
            tracker, run, checkpoint, evaluation.test, scored.embedded, layout=layout, on_event=on_event
        )
    return checkpoint


def _write_epoch_predictions(run: Run, epoch: Epoch, layout: Layout) -> Path:
    """Write the val predictions of an epoch, with the labels by which epochs are compared."""
    val = run.data.val
    decision = Decision.of_epochs(len(run.data.labels), single_label=run.config.data.single_label)
    y_pred = decision(epoch.val_prob)
    path = layout.epoch_predictions(run.name, epoch.scores.epoch)
    write_predictions(
        path, Predictions(run.data.labels, val.texts, val.y_true, y_pred, epoch.val_prob, val.ids)
    )
    return path


def read_data(
    config: TrainConfig, layout: Layout, on_event: EventHandler, *, may_fetch: bool = True
) -> Dataset:
    """The whole data that the settings name; standard input is read for the name `-`.

    Raises:
        NotFoundError: the data was a data frame; otherwise as `load_data`.
    """
    if config.data.name == FRAME:
        raise NotFoundError(
            "the data was a data frame, which only Python can give again: goemo_cli.resume(RUN, data)"
        )
    stdin = sys.stdin.buffer if config.data.name == STDIN else None
    return load_data(config.data, root=layout.root, may_fetch=may_fetch, stdin=stdin, on_event=on_event)


def training_data(config: TrainConfig, data: Dataset, on_event: EventHandler) -> Dataset:
    """The data to train on, checked and cut to `max_train_samples`; a summary and warnings are events."""
    train = first_of_shuffle(data.train, config.data.max_train_samples, config.training.seed)
    cut = replace(data, splits={**data.splits, "train": train})
    cut.require_usable()
    if config.data.single_label:
        cut.require_single_label()
    understood = summary(cut, split_seed=config.data.split_seed, whole_train=len(data.train))
    on_event(Info(f"Data: {understood}"))
    if data.name not in (GOEMOTIONS, SAMPLE):
        for warning in (*label_doubts(cut, config.data), *warnings_for(cut)):
            on_event(Warning(warning))
    if not config.data.single_label and cut.is_single_label and not separator_within(cut.labels):
        on_event(
            Info("Each text has exactly one label: --single-label trains a classifier that predicts one")
        )
    return cut
