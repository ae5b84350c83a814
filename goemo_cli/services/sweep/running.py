"""Runs a sweep: asks the study for settings, keeps some trainings going, records what comes of each."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.errors import GoemoError, TrainingFailedError, TrainingStoppedError
from goemo_cli.core.events import EventHandler, Info, Warning, duration, ignore
from goemo_cli.core.files import write_text
from goemo_cli.core.layering import dump_yaml
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import Executor
from goemo_cli.core.system.stopping import StopSignal, stop_request
from goemo_cli.services.parallel.event_file import run_folder
from goemo_cli.services.parallel.executors import Trainer, trainer
from goemo_cli.services.parallel.task import EVENTS, LOG, Task, finished_run
from goemo_cli.services.parallel.together import show_bars
from goemo_cli.services.parallel.training_process import Training, stop
from goemo_cli.services.runs.references import open_run
from goemo_cli.services.sweep import study as kept
from goemo_cli.services.sweep.database import database_errors
from goemo_cli.services.sweep.objectives import EPOCH_KEYS, Objectives, objectives_of, scores_of
from goemo_cli.services.sweep.plan import total_trials
from goemo_cli.services.sweep.results import (
    SweepResult,
    importances,
    result_of,
    trial_config,
    write_tables,
)
from goemo_cli.services.sweep.sweep_file import SweepFile
from goemo_cli.services.sweep.translation import suggest

_POLL_SECONDS = 0.3
MAX_INITIAL_FAILURES = 3


def sweep(
    config: SweepFile,
    *,
    layout: Layout,
    trials: int | None = None,
    count: int | None = None,
    workers: int = 1,
    executor: Executor = "local",
    storage: str | None = None,
    on_event: EventHandler = ignore,
) -> SweepResult:
    """Search for settings. An existing sweep is continued, also while other processes work on it.

    Args:
        config: what is searched, from `core.sweep_file`.
        trials: of the whole sweep; by default the file's `run_cap`, a grid's size, or 20.
        count: maximum number of trials in this call.
        workers: trainings at a time; each computes with its share of the cores, or OMP_NUM_THREADS if that is set.
        storage: URL of a database that holds the study; by default a journal in the sweep's folder.

    Raises:
        SettingError, NotFoundError: a file, a parameter or a storage that makes no sense; nothing has run then.
        TrainingFailedError: the first three trials all failed.
        RemoteError: the database or the Ray cluster does not answer.
        TrainingStoppedError: a signal asked to stop; the trainings saved their states.
    """
    aims = objectives_of(config)
    _check_models(config)
    with database_errors(storage):
        study = kept.open_study(config, aims, layout=layout, storage=storage)
        write_text(layout.sweeps / config.name / "sweep.yaml", dump_yaml(dict(config.content)))
        try:
            with trainer(executor, workers, on_event) as start, stop_request():
                _Agent(
                    config, aims, study, layout, total_trials(config, trials), count, start, on_event
                ).work()
        except StopSignal as error:
            message = f"sweep {config.name} stopped; the same command continues it"
            raise TrainingStoppedError(message, error.number, None) from error
        finally:
            shutil.rmtree(shared_folder(layout, config), ignore_errors=True)
            result = result_of(study, aims, config.name, layout)
            write_tables(result, layout=layout, on_event=on_event)
        from goemo_cli.services.sweep.figures import draw_sweep  # matplotlib loads when it is needed

        draw_sweep(result, importances(study, result), on_event=on_event)
    return result


def shared_folder(layout: Layout, config: SweepFile) -> Path:
    """The folder for what the trainings of a sweep share; it is removed when the sweep ends."""
    return layout.sweeps / config.name / "shared"


@dataclass
class _Active:
    """A trial whose training goes on."""

    trial: optuna.Trial
    process: Training
    started: float
    heartbeat: float


class _Agent:
    """One process that works on a sweep."""

    def __init__(
        self, config: SweepFile, aims: Objectives, study: optuna.Study, layout: Layout, total: int, count: int | None,
        trainer: Trainer, on_event: EventHandler,
    ) -> None:  # fmt: skip
        self.config, self.aims, self.study, self.layout = config, aims, study, layout
        self.total, self.left, self.trainer, self.on_event = total, count, trainer, on_event
        self.active: list[_Active] = []
        self.duplicates: list[tuple[optuna.Trial, dict[str, Any], int]] = []
        """Trials with the settings of one that still runs: (trial, settings, number of the other)."""
        self.failures = 0
        self._looked = 0.0

    def work(self) -> None:
        """Go on until there is nothing more to do; leave nothing behind that runs."""
        try:
            while True:
                self._take_over_abandoned()
                while len(self.active) + len(self.duplicates) < self.trainer.workers and self._is_more():
                    self._begin(self.study.ask())
                if not self.active and not self.duplicates:
                    if self.left == 0 or not self._take_over_abandoned(at_once=True):
                        return
                    continue
                time.sleep(_POLL_SECONDS)
                self._look_after()
        except BaseException:
            self._stop()
            raise

    # What comes next

    def _is_more(self) -> bool:
        if self.left == 0 or self._is_target_reached():
            return False
        trials = kept.counted(self.study)
        waiting = any(one.state == TrialState.WAITING for one in trials)
        begun = sum(one.state != TrialState.WAITING for one in trials)
        return begun < self.total and (waiting or self.config.method != "grid")

    def _is_target_reached(self) -> bool:
        aim = self.aims.objectives[0]
        if aim.target is None or len(self.aims.objectives) > 1:
            return False
        found = [one.value for one in kept.counted(self.study) if one.state == TrialState.COMPLETE]
        return any(value is not None and not aim.is_better(aim.target, value) for value in found)

    def _begin(self, trial: optuna.Trial) -> None:
        """Start a trial, or take over what is known of its settings."""
        if self.left is not None:
            self.left -= 1
        for key, value in (kept.WORKER, kept.worker()), (kept.HEARTBEAT, time.time()):
            trial.set_user_attr(key, value)
        settings = {one.name: suggest(trial, one) for one in self.config.parameters}
        trial.set_user_attr(kept.SETTINGS, settings)
        earlier = self._earlier_trial(trial.number, settings)
        if earlier and earlier.state == TrialState.RUNNING:
            self.duplicates.append((trial, settings, earlier.number))
        elif earlier:
            self._copy(trial, earlier)
        else:
            self._train(trial, settings)

    def _earlier_trial(self, number: int, settings: Mapping[str, Any]) -> FrozenTrial | None:
        """An earlier trial with the same settings that has a result or is about to have one."""
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
        for one in self.study.get_trials(deepcopy=False, states=states):
            if one.number < number and one.user_attrs.get(kept.SETTINGS) == settings:
                return one
        return None

    def _train(self, trial: optuna.Trial, settings: Mapping[str, Any]) -> None:
        tag = self._tag(trial.number)
        try:
            given = {**self.config.wandb, **settings}
            config = trial_config(given, layout=self.layout, tags=[f"sweep-{self.config.name}", tag])
        except GoemoError as error:  # settings that fit each alone, but not together
            self._fail(trial, str(error))
            return
        earlier = self._repeated(trial)
        left = next((run for number in earlier if (run := finished_run(self._folder(number)))), None)
        if left is not None:  # it had finished before it could be recorded
            self._conclude(trial, left)
            return
        begun = [run_folder(self._folder(number) / EVENTS) for number in earlier]
        task = Task(
            f"trial {trial.number}",
            self._folder(trial.number),
            root=self.layout.root,
            shared=shared_folder(self.layout, self.config),
            threads=self.trainer.threads,
            continued=next((run for run in begun if run), None),
            allow_changes=True,
        )
        task.begin(config)
        self.active.append(_Active(trial, self.trainer.start(task), time.monotonic(), time.monotonic()))

    def _repeated(self, trial: optuna.Trial) -> list[int]:
        """The numbers of the abandoned trials with these settings, the newest first."""
        trials = self.study.get_trials(deepcopy=False)
        found: list[int] = []
        before = trial.user_attrs.get(kept.REPEATS)
        while before is not None:
            found.append(before)
            before = trials[before].user_attrs.get(kept.REPEATS)
        return found

    def _tag(self, number: int) -> str:
        """A tag that only the run of this trial has."""
        return f"{self.config.name}-trial-{number}"

    def _folder(self, number: int) -> Path:
        return self.layout.sweeps / self.config.name / "trials" / f"{number:04d}"

    # While they run

    def _look_after(self) -> None:
        for one in list(self.active):
            code = one.process.poll()
            show_bars(one.process, self.on_event)
            is_due = time.monotonic() - one.heartbeat > kept.HEARTBEAT_SECONDS
            if (code is not None or is_due) and not self._is_ours(one.trial):
                self._leave(one)
            elif code is not None:
                self.active.remove(one)
                one.trial.set_user_attr(kept.SECONDS, round(time.monotonic() - one.started, 1))
                self._record(one, code)
            elif self.config.early_terminate and self._falls_behind(one):
                self.active.remove(one)
                self._end(one)
                self._prune(one)
            elif is_due:
                one.heartbeat = time.monotonic()
                one.trial.set_user_attr(kept.HEARTBEAT, time.time())
        for entry in list(self.duplicates):
            self._look_after_duplicate(*entry)

    def _is_ours(self, trial: optuna.Trial) -> bool:
        """Whether the trial is still ours; other workers take it over if this machine was asleep."""
        return bool(self.study.get_trials(deepcopy=False)[trial.number].state == TrialState.RUNNING)

    def _leave(self, one: _Active) -> None:
        self.active.remove(one)
        self._end(one)
        self.on_event(Warning(f"Trial {one.trial.number} was taken over by another worker meanwhile"))

    def _look_after_duplicate(self, trial: optuna.Trial, settings: dict[str, Any], number: int) -> None:
        earlier = self.study.get_trials(deepcopy=False)[number]
        if earlier.state == TrialState.RUNNING:
            return
        self.duplicates.remove((trial, settings, number))
        if earlier.state == TrialState.FAIL:
            self._train(trial, settings)
        else:
            self._copy(trial, earlier)

    def _falls_behind(self, one: _Active) -> bool:
        known = one.process.epochs(EPOCH_KEYS[self.aims.objectives[0].name])
        recorded = self.study.get_trials(deepcopy=False)[one.trial.number]
        if recorded.state != TrialState.RUNNING:
            return False
        new = [epoch for epoch in sorted(known) if epoch not in recorded.intermediate_values]
        for epoch in new:
            one.trial.report(known[epoch], epoch)
        return bool(new) and one.trial.should_prune()

    # What comes of them

    def _end(self, one: _Active) -> None:
        stop([one.process])
        show_bars(one.process, self.on_event)

    def _record(self, one: _Active, code: int) -> None:
        run = finished_run(one.process.task.folder)
        if code != 0 or run is None:
            self._fail(one.trial, one.process.task.failure(code))
        else:
            self._conclude(one.trial, run)

    def _conclude(self, trial: optuna.Trial, run: str) -> None:
        try:
            scores = scores_of(open_run(run, self.layout), self.aims.needed, self.layout)
        except GoemoError as error:
            self._fail(trial, str(error))
            return
        trial.set_user_attr(kept.RUN, run)
        trial.set_user_attr(kept.SCORES, scores)
        self._tell(trial, values=self.aims.values(scores))

    def _copy(self, trial: optuna.Trial, earlier: FrozenTrial) -> None:
        for key in (kept.RUN, kept.SCORES):
            if key in earlier.user_attrs:
                trial.set_user_attr(key, earlier.user_attrs[key])
        trial.set_user_attr(kept.DUPLICATE_OF, earlier.number)
        for epoch, value in earlier.intermediate_values.items():
            trial.report(value, epoch)
        self._tell(
            trial,
            values=earlier.values if earlier.state == TrialState.COMPLETE else None,
            state=earlier.state,
        )

    def _fail(self, trial: optuna.Trial, why: str) -> None:
        trial.set_user_attr(kept.REASON, why)
        self._tell(trial, state=TrialState.FAIL)
        self.on_event(Warning(f"Trial {trial.number} failed: {why}"))
        self.failures += 1
        if self.failures >= MAX_INITIAL_FAILURES and not any(
            one.state in (TrialState.COMPLETE, TrialState.PRUNED) for one in kept.counted(self.study)
        ):
            raise TrainingFailedError(
                f"the first {self.failures} trials failed, the last one with: {why} "
                f"(all of what it said: {self._folder(trial.number) / LOG})"
            )

    def _prune(self, one: _Active) -> None:
        one.trial.set_user_attr(kept.SECONDS, round(time.monotonic() - one.started, 1))
        one.trial.set_user_attr(kept.REASON, "fell behind")
        self._tell(one.trial, state=TrialState.PRUNED)

    def _tell(self, trial: optuna.Trial, *, values: Any = None, state: TrialState | None = None) -> None:
        if kept.finish(self.study, trial.number, values=values, state=state):
            if state != TrialState.FAIL:
                self.on_event(Info(self._progress(trial.number)))
        else:
            self.on_event(Warning(f"Trial {trial.number} was taken over by another worker meanwhile"))

    def _progress(self, number: int) -> str:
        result = result_of(self.study, self.aims, self.config.name, self.layout)
        own = next(one for one in result.trials if one.number == number)
        over = sum(one.is_over for one in result.trials)
        spans = [one.seconds for one in result.trials if one.seconds]
        at_a_time = max(self.trainer.workers, result.count("running") + 1)  # other workers' trials too
        left = max(0, self.total - over) * (sum(spans) / len(spans) if spans else 0) / at_a_time
        best = f"; best {result.best.shown_values()} (trial {result.best.number})" if result.best else ""
        eta = f"; about {duration(left)} left" if left else ""
        return f"{over}/{self.total}  trial {number}: {own.shown_values()}{best}{eta}"

    # Workers that died

    def _take_over_abandoned(self, *, at_once: bool = False) -> bool:
        """Give back what dead workers left, now and then or at once; whether there was anything."""
        if self._looked and not at_once and time.monotonic() - self._looked < kept.HEARTBEAT_SECONDS:
            return False
        self._looked = time.monotonic()
        found = [one.number for one in kept.abandoned(self.study) if kept.give_back(self.study, one)]
        for number in found:
            self.on_event(
                Info(f"Trial {number} was left behind by a worker that is gone; its settings are tried again")
            )
        return bool(found)

    def _stop(self) -> None:
        """End every training and give its settings back."""
        if self.active:
            self.on_event(Info("Trainings are ended; the same command goes on with their settings"))
        stop([one.process for one in self.active])
        for trial in [*(one.trial for one in self.active), *(trial for trial, *_ in self.duplicates)]:
            kept.give_back(self.study, trial)


def _check_models(config: SweepFile) -> None:
    for one in config.parameters:
        if one.name == "model.name":
            for value in one.values:
                model_entry(str(value))
