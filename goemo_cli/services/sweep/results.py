"""What a sweep has found: its trials as rows, the best of them, the tables that are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from goemo_cli.core.errors import NotFoundError
from goemo_cli.core.events import EventHandler, FileWritten, ignore
from goemo_cli.core.files import write_text
from goemo_cli.core.hints import command_line
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import TrainConfig
from goemo_cli.services.data.result_tables import write_table
from goemo_cli.services.sweep import study as kept
from goemo_cli.services.sweep.database import database_errors
from goemo_cli.services.sweep.objectives import Objective, Objectives, objectives_of
from goemo_cli.services.sweep.sweep_file import parse_sweep
from goemo_cli.services.training.settings import resolve_settings

State = Literal["finished", "pruned", "failed", "running", "waiting"]
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
_FACTS = ("trial", "state", "run", "seconds", "duplicate_of", "reason")


@dataclass(frozen=True)
class TrialRow:
    """One trial."""

    number: int
    state: State
    settings: Mapping[str, Any]
    """What the sweep searches, by dotted names."""
    fixed: Mapping[str, Any]
    """What it does not search."""
    values: Mapping[str, float]
    """Of the objectives; empty unless finished."""
    scores: Mapping[str, float]
    """What the values were made from: the parts of combined_score."""
    run: str | None
    seconds: float | None
    reason: str | None
    duplicate_of: int | None
    """The trial with the same settings whose result this one has."""

    @property
    def is_over(self) -> bool:
        """Whether it will not change any more."""
        return self.state in ("finished", "pruned", "failed")

    def shown_values(self) -> str:
        """The objectives for a line of text; the state if there are none."""
        return ", ".join(f"{name} {value:.4g}" for name, value in self.values.items()) or self.state


@dataclass(frozen=True)
class SweepResult:
    """The present state of a sweep."""

    name: str
    folder: Path
    objectives: tuple[Objective, ...]
    trials: tuple[TrialRow, ...]
    """By number; without those that were begun again as another one."""
    front: tuple[TrialRow, ...]
    """Finished trials that no other one beats in every objective; with one objective the best alone."""
    best: TrialRow | None
    """With several objectives the one of the front that is best by the first."""

    @property
    def searched(self) -> list[str]:
        """The settings that differ between trials, by the file's order."""
        return list(dict.fromkeys(name for one in self.trials for name in one.settings))

    def count(self, state: State) -> int:
        """How many trials are in a state."""
        return sum(one.state == state for one in self.trials)

    def require_best(self) -> TrialRow:
        """The best trial.

        Raises:
            NotFoundError: none has finished.
        """
        if self.best is None:
            raise NotFoundError(f"no trial of sweep {self.name} has finished")
        return self.best

    def ranked(self) -> list[TrialRow]:
        """Finished trials first, the best by the first objective on top; then the others by number."""
        first = self.objectives[0]
        return sorted(
            self.trials,
            key=lambda one: (not one.values, first.cost(one.values.get(first.name, 0.0)), one.number),
        )

    def columns(self) -> list[str]:
        """Of `rows`."""
        parts = [name for one in self.trials for name in one.scores if name not in one.values]
        return list(
            dict.fromkeys(
                [*_FACTS[:2], *(one.name for one in self.objectives), *parts, *self.searched, *_FACTS[2:]]
            )
        )

    def rows(self) -> list[dict[str, Any]]:
        """One mapping per trial by number, by `columns`; None for empty cells."""
        return [
            dict.fromkeys(self.columns())
            | {"trial": one.number, "state": one.state, "run": one.run, "seconds": one.seconds}
            | {"duplicate_of": one.duplicate_of, "reason": one.reason}
            | {**one.scores, **one.values, **one.settings}
            for one in self.trials
        ]


def open_sweep(name: str, *, layout: Layout, storage: str | None = None) -> tuple[SweepResult, optuna.Study]:
    """The present state of a sweep, and its study.

    Raises:
        NotFoundError: there is none of that name.
    """
    with database_errors(storage):
        study = kept.load_study(name, layout=layout, storage=storage)
        file = parse_sweep(study.user_attrs[kept.CONTENT], source=name, name=name)
        return result_of(study, objectives_of(file), name, layout), study


def result_of(study: optuna.Study, aims: Objectives, name: str, layout: Layout) -> SweepResult:
    """A sweep as its study has it now."""
    trials = tuple(_row(one, aims) for one in kept.counted(study))
    numbers = {one.number for one in study.best_trials} if any(one.values for one in trials) else set()
    front = tuple(one for one in trials if one.number in numbers and one.duplicate_of is None)
    first = aims.objectives[0]
    best = min(front, key=lambda one: (first.cost(one.values[first.name]), one.number), default=None)
    return SweepResult(name, layout.sweeps / name, aims.objectives, trials, front, best)


def importances(study: optuna.Study, result: SweepResult) -> dict[str, dict[str, float]]:
    """By objective: the share of the variance of its values that each setting explains (fANOVA, Hutter et al. 2014).

    Empty for objectives of which too little is known: fewer than four different finished trials.
    """
    found: dict[str, dict[str, float]] = {}
    finished = [one for one in result.trials if one.values and one.duplicate_of is None]
    for at, aim in enumerate(result.objectives):
        if len(finished) < 4 or len({one.values[aim.name] for one in finished}) < 2:
            continue
        found[aim.name] = optuna.importance.get_param_importances(
            study,
            evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0),
            target=lambda trial, at=at: trial.values[at],
        )
    return found


def write_tables(result: SweepResult, *, layout: Layout, on_event: EventHandler = ignore) -> None:
    """Write trials.csv, and best.yaml if a trial has finished."""
    table = result.folder / "trials.csv"
    write_table(table, result.columns(), result.rows())
    on_event(FileWritten(table))
    if result.best:
        path = result.folder / "best.yaml"
        write_text(path, best_text(result, result.best, layout))
        on_event(FileWritten(path))


def trial_config(settings: Mapping[str, Any], *, layout: Layout, tags: Sequence[str] = ()) -> TrainConfig:
    """The resolved settings of a trial, as `goemo train` would have them.

    Args:
        settings: dotted names with their values.
        layout: whose runs `model.name` may refer to.
        tags: added to those that W&B's mirror would show; they name the sweep and the trial.
    """
    config = resolve_settings(None, settings, layout=layout)
    if not tags:
        return config
    wandb = config.logging.wandb.model_copy(update={"tags": [*config.logging.wandb.tags, *tags]})
    return config.changed("logging", wandb=wandb)


def best_text(result: SweepResult, best: TrialRow, layout: Layout) -> str:
    """The settings of a trial as a config file for `goemo train`."""
    config = trial_config({**best.fixed, **best.settings}, layout=layout)
    return (
        f"# Trial {best.number} of sweep {result.name}: {best.shown_values()} (run {best.run}).\n"
        f"#   {command_line('goemo train --config', result.folder / 'best.yaml')}\n{config.to_yaml()}"
    )


def _row(trial: FrozenTrial, aims: Objectives) -> TrialRow:
    kept_of = trial.user_attrs
    settings = kept_of.get(kept.SETTINGS, {})
    values = trial.values if trial.state == TrialState.COMPLETE else None
    return TrialRow(
        number=trial.number,
        state=_STATES[trial.state],
        settings={name: value for name, value in settings.items() if name in trial.params},
        fixed={name: value for name, value in settings.items() if name not in trial.params},
        values=dict(zip((one.name for one in aims.objectives), values or (), strict=False)),
        scores=kept_of.get(kept.SCORES, {}),
        run=kept_of.get(kept.RUN),
        seconds=kept_of.get(kept.SECONDS),
        reason=kept_of.get(kept.REASON),
        duplicate_of=kept_of.get(kept.DUPLICATE_OF),
    )
