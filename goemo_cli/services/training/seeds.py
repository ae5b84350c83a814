"""`goemo train --seeds N`: one configuration under several seeds, and their ensemble as a further model."""

import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.checkpoint import MANIFEST, Checkpoint, readable_steps
from goemo_cli.core.documents.training import SeedGroup
from goemo_cli.core.errors import (
    CorruptArtifactError,
    SettingError,
    TrainingStoppedError,
    WorkerFailedError,
)
from goemo_cli.core.events import EventHandler, Info, ignore, working
from goemo_cli.core.files import remove_if_empty
from goemo_cli.core.hints import command_line
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.predictions import Predictions, read_predictions
from goemo_cli.core.schema import SCHEMA_VERSION, Executor
from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.system.processes import peak_memory_bytes
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.models.ensemble import mean_probability
from goemo_cli.ml.training.frozen import FrozenStore
from goemo_cli.services.data.data_file import STDIN
from goemo_cli.services.data.tables import FRAME
from goemo_cli.services.evaluation.teacher import teach
from goemo_cli.services.parallel.executors import trainer
from goemo_cli.services.parallel.task import Task, group_of_process
from goemo_cli.services.parallel.together import TaskFailed, train_together
from goemo_cli.services.runs.index import is_resumable, listed_runs
from goemo_cli.services.runs.locks import held
from goemo_cli.services.training.build import texts_per_epoch
from goemo_cli.services.training.evaluate import evaluate
from goemo_cli.services.training.resume import OpenTracker, resume
from goemo_cli.services.training.saved_states import StateStore
from goemo_cli.services.training.settings import for_few_texts
from goemo_cli.services.training.stopping import StopSignal
from goemo_cli.services.training.summaries import multiseed_rows
from goemo_cli.services.training.train import claimed, read_data, train, training_data
from goemo_cli.services.training.write_run import utc_now, write_run
from goemo_cli.tracking.base import Tracker
from goemo_cli.tracking.environment import processor, versions


@dataclass(frozen=True)
class SeedsResult:
    """A finished group of runs."""

    runs: tuple[Checkpoint, ...]
    ensemble: Checkpoint
    spread: tuple[Mapping[str, Any], ...]
    """One row per score of this group, by `MULTISEED_COLUMNS`."""
    summary: Path
    """multiseed_summary.csv, with every group below the root."""


def train_seeds(
    config: TrainConfig,
    n_seeds: int,
    *,
    layout: Layout,
    open_tracker: Callable[[TrainConfig], Tracker],
    workers: int | None = None,
    executor: Executor = "local",
    on_event: EventHandler = ignore,
) -> SeedsResult:
    """Train under the settings' seed and the ones after it, then score their mean.

    Args:
        config: resolved settings.
        n_seeds: number of runs, at least two.
        layout: where to write.
        open_tracker: makes the tracker of each run; processes make their own.
        workers: the number of trainings at a time, each in a process; by default one after the other in this process.
        executor: where the processes run.
        on_event: called with each event.

    Raises:
        As `services.training.train.train`; runs that are finished by then stay.
        SettingError: processes cannot read the data.
        WorkerFailedError: the process of a seed has failed; the others saved their states.
    """
    entry = model_entry(config.model.name)
    group = SeedGroup(
        count=n_seeds,
        first_seed=config.training.seed,
        runs=[],
        id=f"{entry.name}-{secrets.token_hex(4)}",
        workers=workers or (0 if executor == "local" else n_seeds),
    )
    if group.workers:
        _require_readable_data(config)
    with working(on_event, "Reading the data"):
        data = read_data(config, layout, on_event)
    if not group.workers:
        members = _Members(config, group, layout, allow_changes=False, on_event=on_event)
        return members.train_here(data, lambda one, _: open_tracker(one))
    cut = training_data(config, data, ignore)
    taught = teach(config, cut, layout, on_event)  # computed once, not in each process
    config = for_few_texts(config, texts_per_epoch(cut, taught), on_event)
    return _Members(config, group, layout, allow_changes=False, on_event=on_event).train_in_processes(
        executor
    )


def resume_run(
    folder: Path,
    *,
    layout: Layout,
    open_tracker: OpenTracker,
    data: Dataset | None = None,
    allow_changes: bool = False,
    workers: int | None = None,
    executor: Executor = "local",
    on_event: EventHandler = ignore,
) -> Checkpoint | SeedsResult:
    """Continue an interrupted training: of one run, or with several seeds.

    Arguments and errors are those of `resume` and `resume_seeds`. The process of one of several seeds continues its run alone.
    """
    is_alone = StateStore(folder).record().seeds is None
    if is_alone and workers:
        raise SettingError([f"{folder.name} is one training, without --seeds"], "--workers")
    if is_alone or group_of_process():
        return resume(
            folder, layout=layout, open_tracker=open_tracker, data=data, allow_changes=allow_changes, on_event=on_event
        )  # fmt: skip
    return resume_seeds(
        folder,
        layout=layout,
        open_tracker=open_tracker,
        data=data,
        allow_changes=allow_changes,
        workers=workers,
        executor=executor,
        on_event=on_event,
    )


def resume_seeds(
    folder: Path,
    *,
    layout: Layout,
    open_tracker: OpenTracker,
    data: Dataset | None = None,
    allow_changes: bool = False,
    workers: int | None = None,
    executor: Executor = "local",
    on_event: EventHandler = ignore,
) -> SeedsResult:
    """Continue a training with several seeds: the interrupted runs and the seeds that are missing, then the ensemble.

    Args:
        folder: a run of the group.
        layout: where the runs are.
        open_tracker: makes the tracker of each run, from its settings and the log of the run so far.
        data: as `resume` has it.
        allow_changes: as `resume` has it.
        workers: as `train_seeds` has it; by default as before.
        executor: where the processes run.
        on_event: called with each event.

    Raises:
        As `resume` and `train_seeds`; CorruptArtifactError: the run belongs to no group.
    """
    store = StateStore(folder)
    group, config = store.record().seeds, store.settings()
    if group is None:
        raise CorruptArtifactError(store.folder, "does not belong to a training with several seeds")
    if workers or (executor != "local" and not group.workers):
        group = group.model_copy(update={"workers": workers or group.count})
    members = _Members(config, group, layout, allow_changes=allow_changes, on_event=on_event)
    members.find(folder)
    if group.workers:
        return members.train_in_processes(executor)
    if data is None:
        with working(on_event, "Reading the data"):
            data = read_data(config, layout, on_event)
    return members.train_here(data, open_tracker)


class _Members:
    """The runs of a training with several seeds, and how those that are not finished are trained.

    Args:
        config: the settings of one of them.
        group: the training.
        layout: where the runs are.
        allow_changes: continue interrupted runs although something has changed.
        on_event: called with each event.
    """

    def __init__(
        self,
        config: TrainConfig,
        group: SeedGroup,
        layout: Layout,
        *,
        allow_changes: bool,
        on_event: EventHandler,
    ) -> None:
        self.config, self.group, self.layout = config, group, layout
        self.allow_changes, self.on_event = allow_changes, on_event
        self.seeds = range(group.first_seed, group.first_seed + group.count)
        self.folders: dict[int, Path] = {}
        """By seed."""

    def find(self, *more: Path) -> None:
        """Look for the runs of the group.

        Args:
            more: runs that belong to it.
        """
        earlier = [
            self.layout.find_checkpoint(name) for run in self.group.runs if (name := RunName.parse(run))
        ]
        known = {path for path in earlier if path} | set(more)
        for path in self.layout.checkpoints():
            if path in known or self._belongs(path):
                seed = StateStore(path).settings().training.seed
                if not self.finished(seed):
                    self.folders[seed] = path

    def _belongs(self, path: Path) -> bool:
        if not is_resumable(path):
            return False
        try:
            seeds = StateStore(path).record().seeds
        except CorruptArtifactError:
            return False
        return seeds is not None and bool(seeds.id) and seeds.id == self.group.id

    def finished(self, seed: int) -> Checkpoint | None:
        """The run of a seed; None if it is not finished."""
        folder = self.folders.get(seed)
        return Checkpoint.open(folder) if folder and (folder / MANIFEST).is_file() else None

    def settings(self, seed: int) -> TrainConfig:
        """The settings of a seed."""
        return self.config.model_copy(
            update={"training": self.config.training.model_copy(update={"seed": seed})}
        )

    def train_here(self, data: Dataset, open_tracker: OpenTracker) -> SeedsResult:
        """Train the seeds one after the other in this process, then write the ensemble."""
        frozen, runs = FrozenStore(), list[Checkpoint]()
        for i, seed in enumerate(self.seeds):
            run = self.finished(seed)
            if run is None:
                self.on_event(Info(f"Seed {seed}, run {i + 1} of {self.group.count}"))
                run = self._train_here(seed, runs, data, open_tracker, frozen)
            runs.append(run)
        del frozen  # its file is as large as the texts
        return self._concluded(runs)

    def _train_here(
        self,
        seed: int,
        runs: list[Checkpoint],
        data: Dataset,
        open_tracker: OpenTracker,
        frozen: FrozenStore,
    ) -> Checkpoint:
        if seed in self.folders:
            return resume(
                self.folders[seed],
                layout=self.layout,
                data=data,
                open_tracker=open_tracker,
                allow_changes=self.allow_changes,
                on_event=self.on_event,
            )
        settings = self.settings(seed)
        return train(
            settings,
            layout=self.layout,
            data=data,
            tracker=open_tracker(settings, None),
            group=self.group.model_copy(update={"runs": [str(run.run) for run in runs]}),
            frozen=frozen,
            on_event=self.on_event,
        )

    def train_in_processes(self, executor: Executor) -> SeedsResult:
        """Train the seeds in processes, some at a time, then write the ensemble.

        Raises:
            SettingError: the data can be read by one process only.
            BusyError: a run of the group is being trained already.
            WorkerFailedError: a process has failed; the others saved their states.
            TrainingStoppedError: a signal asked to stop; all saved their states.
        """
        _require_readable_data(self.config)
        folder = self.layout.seeds / self.group.id
        with (
            held(folder, "goemo train --seeds"),
            trainer(executor, self.group.workers, "--executor ray") as start,
        ):
            tasks = {
                seed: self._task(seed, folder, start.threads)
                for seed in self.seeds
                if not self.finished(seed)
            }
            try:
                train_together(list(tasks.values()), start, self.on_event)
            except (TaskFailed, StopSignal) as error:
                self._add_runs(tasks)
                self._explain(error)
            finally:
                shutil.rmtree(folder / "shared", ignore_errors=True)
            self._add_runs(tasks)
            shutil.rmtree(folder, ignore_errors=True)
        remove_if_empty(self.layout.seeds)
        runs = [run for seed in self.seeds if (run := self.finished(seed))]
        return self._concluded(runs)

    def _task(self, seed: int, folder: Path, threads: int) -> Task:
        """The training of a seed. A run that was begun continues with the number of threads that it had."""
        found = self.folders.get(seed)
        if found:
            threads = int(StateStore(found).record().conditions["threads"])
        task = Task(
            f"seed {seed}",
            folder / str(seed),
            root=self.layout.root,
            shared=folder / "shared",
            threads=threads,
            group=self.group,
            continued=found,
            allow_changes=self.allow_changes,
        )
        task.begin(self.settings(seed))
        return task

    def _add_runs(self, tasks: Mapping[int, Task]) -> None:
        """Note the runs that the processes have begun."""
        begun = {seed: task.run for seed, task in tasks.items()}
        self.folders |= {seed: run for seed, run in begun.items() if run and run.is_dir()}

    def _explain(self, error: TaskFailed | StopSignal) -> NoReturn:
        """Say what is kept of every seed, and how to continue."""
        kept = "; ".join(f"seed {seed}: {self._kept(seed)}" for seed in self.seeds)
        begun = [folder for folder in self.folders.values() if is_resumable(folder)]
        resume = (
            command_line("goemo train --resume", begun[-1].name, root=self.layout.root) if begun else None
        )
        if isinstance(error, TaskFailed):
            raise WorkerFailedError(f"{error}. {kept}", error.code, resume) from error
        raise TrainingStoppedError(
            f"{self.group.count} seeds stopped; {kept}", error.number, resume
        ) from error

    def _kept(self, seed: int) -> str:
        if self.finished(seed):
            return "finished"
        steps = readable_steps(self.folders[seed]) if seed in self.folders else []
        return f"the state of step {steps[0]:,} is saved" if steps else "nothing was saved yet"

    def _concluded(self, runs: list[Checkpoint]) -> SeedsResult:
        """Write the ensemble of the finished runs."""
        with working(self.on_event, "Scoring the ensemble"):
            ensemble = write_ensemble(runs, layout=self.layout, on_event=self.on_event)
        for run in runs:
            StateStore(run.path).remove()
        spread = [
            row for row in multiseed_rows(listed_runs(self.layout)) if row["group"] == str(ensemble.run)
        ]
        return SeedsResult(tuple(runs), ensemble, tuple(spread), self.layout.multiseed_summary)


def _require_readable_data(config: TrainConfig) -> None:
    """Refuse data that one process alone can read.

    Raises:
        SettingError: standard input, or a data frame.
    """
    if config.data.name in (STDIN, FRAME):
        raise SettingError(["several processes cannot read this data: give a file"], "--workers")


def write_ensemble(
    members: list[Checkpoint], *, layout: Layout, on_event: EventHandler = ignore
) -> Checkpoint:
    """Write the mean of the probabilities of several runs as a run without weights.

    Args:
        members: runs of one model on the same data.
        layout: of the project with their predictions.
        on_event: called with each event.
    """
    first = members[0]
    excluded = first.manifest.parents.excluded
    entry = model_entry(first.config.model.name)
    started = time.monotonic()
    with claimed(layout, f"{entry.name}-ensemble", entry.family) as (run, folder):
        val, test = (
            _mean([read_predictions(layout.split_predictions(member.run, split)) for member in members])
            for split in ("val", "test")
        )
        return write_run(
            run,
            folder,
            "ensemble",
            first.config,
            _facts(run, members, started),
            evaluate(val, test, first.config),
            parents={
                "data": first.manifest.parents.data,
                "base_model": first.manifest.parents.base_model,
                "members": [str(member.run) for member in members],
                **({"excluded": excluded.as_json()} if excluded else {}),
            },
            layout=layout,
            on_event=on_event,
        )


def _mean(members: list[Predictions]) -> Predictions:
    first = members[0]
    y_prob = mean_probability([member.y_prob for member in members])
    return Predictions(first.labels, first.texts, first.y_true, first.y_pred, y_prob, first.ids)


def _facts(run: RunName, members: list[Checkpoint], started: float) -> dict[str, Any]:
    first = members[0].metrics.as_json()
    metrics = [member.metrics for member in members]
    return {
        "schema_version": SCHEMA_VERSION,
        "run": str(run),
        "model": run.model,
        "base_model": first["base_model"],
        "seed": None,
        "best_epoch": None,
        "history": [],
        "data": first["data"],
        "members": [{"run": member.run, "seed": member.seed} for member in metrics],
        "training_seconds": sum(member.training_seconds for member in metrics) + time.monotonic() - started,
        "peak_memory_bytes": peak_memory_bytes(),
        "device": {**first["device"], "processor": processor()},
        "versions": versions(),
        "finished": utc_now(),
        "wandb_run_id": None,
    }
