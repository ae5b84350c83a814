"""`goemo train --resume`: continue a training that was interrupted."""

from collections.abc import Callable
from pathlib import Path

from goemo_cli.core.checkpoint import MANIFEST, Checkpoint
from goemo_cli.core.errors import BusyError, CorruptArtifactError, DataError, NotFoundError, SettingError
from goemo_cli.core.events import EventHandler, Info, RunBegan, Warning, ignore
from goemo_cli.core.hints import command_line
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.system.variables import EVENTS_FILE, environment
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.services.evaluation.teacher import teach
from goemo_cli.services.runs.index import is_resumable, listed_runs
from goemo_cli.services.runs.locks import WAIT_SECONDS, held
from goemo_cli.services.runs.references import find_run, open_run
from goemo_cli.services.training.build import Run, prepare
from goemo_cli.services.training.saved_states import StateStore, changes, training_record
from goemo_cli.services.training.tracking import Continued, RunLog, continued_log, start_tracker
from goemo_cli.services.training.train import read_data, train_to_the_end, training_data
from goemo_cli.tracking.base import Tracker

_WAIT_SECONDS = 120.0
"""For the process of a worker that died, which may still save its state."""
OpenTracker = Callable[[TrainConfig, Continued | None], Tracker]


def resume(
    folder: Path,
    *,
    layout: Layout,
    open_tracker: OpenTracker,
    data: Dataset | None = None,
    allow_changes: bool = False,
    on_event: EventHandler = ignore,
) -> Checkpoint:
    """Continue an interrupted training from its newest saved state; the result is that of an undisturbed training.

    Args:
        data: what `read_data` or `load_data` returned; by default it is loaded as the settings say.
        open_tracker: makes the tracker, from the settings and the log of the run so far.
        allow_changes: continue although data, versions or hardware have changed; metrics.json then has `exact: false`.

    Raises:
        NotFoundError: the run has no saved states.
        BusyError: another process trains it.
        CorruptArtifactError: all states are damaged.
        DataError: something has changed that changes the result.
    """
    wait = _WAIT_SECONDS if environment(EVENTS_FILE) else WAIT_SECONDS
    with held(folder, "goemo train --resume", wait=wait):
        on_event(RunBegan(folder))
        return _resume(folder, layout, open_tracker, data, allow_changes=allow_changes, on_event=on_event)


def longer_training(
    reference: str, epochs: int, layout: Layout, on_event: EventHandler = ignore
) -> TrainConfig:
    """The settings of a new run that trains a finished one longer, from its weights.

    Args:
        epochs: of both runs together.

    Raises:
        SettingError: the run was trained for as many epochs already, or has no weights that can be trained.
        NotFoundError, CorruptArtifactError: the run cannot be used.
    """
    checkpoint = open_run(reference, layout, on_event)
    done, config = len(checkpoint.metrics.history), checkpoint.config
    if checkpoint.kind in ("tfidf", "ensemble"):
        raise SettingError([f"{checkpoint.run} has no weights that can be trained further"], "--resume")
    if epochs <= done:
        raise SettingError(
            [f"{checkpoint.run} was trained for {done} epochs; give more than that"], "--epochs"
        )
    more = epochs - done
    unit = "epoch" if more == 1 else "epochs"
    on_event(Info(f"A new run trains the weights of {checkpoint.run} for {more} more {unit}"))
    return config.changed("model", name=str(checkpoint.path), revision=None).changed("training", epochs=more)


def find_interrupted(reference: str, layout: Layout) -> Path:
    """The folder of an interrupted run.

    Args:
        reference: name or folder of the run; `@latest`: the newest interrupted one.

    Raises:
        NotFoundError: no such run, or one without saved states.
        BusyError: the run is finished.
    """
    if reference == "@latest":
        resumable = [run.path for run in listed_runs(layout) if is_resumable(run.path)]
        if not resumable:
            listing = command_line("goemo runs list", root=layout.root)
            raise NotFoundError(f"no interrupted run in {layout.models}; {listing} shows all runs")
        return resumable[-1]
    folder = find_run(reference, layout)
    if (folder / MANIFEST).is_file() and not is_resumable(folder):
        raise BusyError(f"{folder.name} is finished; there is nothing to resume")
    return folder


def _resume(
    folder: Path,
    layout: Layout,
    open_tracker: OpenTracker,
    data: Dataset | None,
    *,
    allow_changes: bool,
    on_event: EventHandler,
) -> Checkpoint:
    store, log = StateStore(folder), RunLog(on_event, layout.root)
    record, config = store.record(), store.settings()
    name = RunName.parse(record.run)
    if name is None or record.run != folder.name:
        raise CorruptArtifactError(folder, f"has the state of another run, {record.run}")
    data = training_data(config, read_data(config, layout, log) if data is None else data, log)
    taught = teach(config, data, layout, log)
    run = prepare(config, data, log, taught=taught).run(name, folder)
    if differences := changes(record, training_record(run)):
        if not allow_changes:
            raise DataError(
                f"{name} cannot continue exactly: {'; '.join(differences)}. --allow-changes continues all the same"
            )
        run.exact = False
        for difference in differences:
            log(Warning(f"changed since the training began: {difference}"))
    kept_bytes = _restore(run, store, layout, log)
    tracker = open_tracker(config, _log_so_far(run, layout, kept_bytes, log))
    start_tracker(tracker, run)
    return train_to_the_end(run, record.seeds, layout=layout, tracker=tracker, log=log)


def _restore(run: Run, store: StateStore, layout: Layout, on_event: EventHandler) -> int:
    """Set a run to its newest state; returns the length of its journal then, 0 if it begins again."""
    store.remove_unfinished()
    newest = store.newest(on_event)
    if newest is None:
        on_event(Info(f"{run.name} has no saved state yet: it begins again"))
        return 0
    saved, run.start = newest
    store.restore_best(saved)
    run.history, run.seconds = list(saved.history), saved.training_seconds
    run.best_epoch, run.step = saved.position.best_epoch, saved.position.step
    if run.config.output.epoch_predictions:
        run.written += [layout.epoch_predictions(run.name, scores.epoch) for scores in run.history]
    on_event(Info(f"Resuming {run.name} after step {saved.position.step} (epoch {saved.position.epoch})"))
    return saved.journal_bytes


def _log_so_far(run: Run, layout: Layout, kept_bytes: int, on_event: EventHandler) -> Continued | None:
    try:
        return continued_log(layout, run.name, kept_bytes)
    except (NotFoundError, CorruptArtifactError) as error:
        on_event(Warning(f"{error}; the log of the run begins again"))
        return None
