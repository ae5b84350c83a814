"""`goemo train --seeds N`: one configuration under several seeds, and their ensemble as a further model."""

import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
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
from goemo_cli.core.schema import Executor
from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.system.stopping import StopSignal
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.training.frozen import FrozenStore
from goemo_cli.services.data.data_file import STDIN
from goemo_cli.services.data.tables import FRAME
from goemo_cli.services.evaluation.teacher import teach
from goemo_cli.services.parallel.executors import trainer
from goemo_cli.services.parallel.task import Task, group_of_process
from goemo_cli.services.parallel.together import TaskFailed, train_together
from goemo_cli.services.runs.index import is_resumable, listed_runs
from goemo_cli.services.runs.locks import held
from goemo_cli.services.runs.summaries import multiseed_rows
from goemo_cli.services.training.build import texts_per_epoch
from goemo_cli.services.training.ensemble import write_ensemble
from goemo_cli.services.training.resume import OpenTracker, resume
from goemo_cli.services.training.saved_states import StateStore
from goemo_cli.services.training.settings import for_few_texts
from goemo_cli.services.training.train import read_data, train, training_data


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
    open_tracker: OpenTracker,
    workers: int | None = None,
    executor: Executor = "local",
    on_event: EventHandler = ignore,
) -> SeedsResult:
    """Train under the settings' seed and the ones after it, then score their mean.

    Args:
        n_seeds: number of runs, at least two.
        open_tracker: makes the tracker of each run; processes make their own.
        workers: the number of trainings at a time, each in a process; by default one after the other in this process.

    Raises:
        As `services.training.train.train`; runs that are finished by then stay.
        SettingError: processes cannot read the data.
        WorkerFailedError: the process of a seed has failed; the others saved their states.
    """
    group = SeedGroup(
        count=n_seeds,
        first_seed=config.training.seed,
        runs=[],
        id=f"{model_entry(config.model.name).name}-{secrets.token_hex(4)}",
        workers=workers or (0 if executor == "local" else n_seeds),
    )
    if group.workers:
        _require_readable_data(config)
    with working(on_event, "Reading the data"):
        data = read_data(config, layout, on_event)
    if group.workers:
        cut = training_data(config, data, ignore)
        taught = teach(config, cut, layout, on_event)  # computed once, not in each process
        config = for_few_texts(config, texts_per_epoch(cut, taught), on_event)
    members = _Members(config, group, layout, on_event)
    return members.train_in_processes(executor) if group.workers else members.train_here(data, open_tracker)


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
    """Continue an interrupted training of one run, or with several seeds: then also the seeds that are missing, and the ensemble.

    The process of one of several seeds continues its run alone. Arguments and errors are those of `resume`; and:

    Args:
        workers: as `train_seeds` has it; by default as before.

    Raises:
        As `resume` and `train_seeds`; SettingError: workers of a training without several seeds.
    """
    store = StateStore(folder)
    group = store.record().seeds
    if group is None and workers:
        raise SettingError([f"{folder.name} is one training, without --seeds"], "--workers")
    if group is None or group_of_process():
        return resume(
            folder, layout=layout, open_tracker=open_tracker, data=data, allow_changes=allow_changes, on_event=on_event
        )  # fmt: skip
    config = store.settings()
    if workers or (executor != "local" and not group.workers):
        group = group.model_copy(update={"workers": workers or group.count})
    members = _Members(config, group, layout, on_event, allow_changes)
    members.find(folder)
    if group.workers:
        return members.train_in_processes(executor)
    if data is None:
        with working(on_event, "Reading the data"):
            data = read_data(config, layout, on_event)
    return members.train_here(data, open_tracker)


@dataclass
class _Members:
    """The runs of a training with several seeds, and how those that are not finished are trained."""

    config: TrainConfig
    group: SeedGroup
    layout: Layout
    on_event: EventHandler
    allow_changes: bool = False
    folders: dict[int, Path] = field(default_factory=dict)
    """By seed."""

    @property
    def seeds(self) -> range:
        """The seeds of the group."""
        return range(self.group.first_seed, self.group.first_seed + self.group.count)

    def find(self, *more: Path) -> None:
        """Look for the runs of the group; `more` belong to it too."""
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
        return self.config.changed("training", seed=seed)

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
            trainer(executor, self.group.workers, self.on_event) as start,
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
