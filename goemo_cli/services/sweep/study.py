"""The study of a sweep: Optuna's record of its trials, shared by workers and machines, and which of them have died."""

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from goemo_cli.core.errors import NotFoundError, SettingError
from goemo_cli.core.layout import Layout
from goemo_cli.core.system.processes import lives
from goemo_cli.services.sweep.database import open_database
from goemo_cli.services.sweep.objectives import Objectives
from goemo_cli.services.sweep.pruning import Hyperband
from goemo_cli.services.sweep.sweep_file import SweepFile
from goemo_cli.services.sweep.translation import choice

optuna.logging.set_verbosity(optuna.logging.WARNING)

# What goemo stores about a trial in addition to Optuna's record.
SETTINGS, RUN, SCORES, REASON, WORKER, HEARTBEAT, DUPLICATE_OF, SECONDS, REPEATS = (
    "settings", "run", "scores", "reason", "worker", "heartbeat", "duplicate_of", "seconds", "repeats",
)  # fmt: skip
CONTENT, READY = "file", "ready"
"""Of the study: the sweep file as it was read; that everything is in place for workers."""

HEARTBEAT_SECONDS = 60.0
SILENT_SECONDS = 600.0
"""A trial on another machine is taken over after this time without a heartbeat."""
_MOST_GRID_TRIALS = 10_000
_READY_SECONDS = 60.0


def open_study(
    file: SweepFile, aims: Objectives, *, layout: Layout, storage: str | None = None
) -> optuna.Study:
    """The study of a sweep, created if it does not exist.

    Args:
        layout: by default the study is a journal below `layout.sweeps`, with the lock that is safe on shared folders
            of any age (Optuna's JournalFileSymlinkLock).
        storage: a database instead, by its URL.

    Raises:
        SettingError: the sweep was begun with another file, its grid is too large, or the storage cannot be used.
    """
    _check_grid_size(file)
    if storage is None:
        (layout.sweeps / file.name).mkdir(parents=True, exist_ok=True)
    kept = _storage(layout.sweeps / file.name, storage)
    with suppress(optuna.exceptions.DuplicatedStudyError):
        optuna.create_study(
            storage=kept, study_name=file.name, directions=[one.goal for one in aims.objectives]
        ).set_user_attr(CONTENT, dict(file.content))
    study = optuna.load_study(
        storage=kept, study_name=file.name, sampler=_sampler(file), pruner=_pruner(file, aims)
    )
    _prepare(study, file)
    _check_same_file(study, file)
    return study


def load_study(name: str, *, layout: Layout, storage: str | None = None) -> optuna.Study:
    """The study of a sweep that exists.

    Raises:
        NotFoundError: there is none of that name.
    """
    known = sorted(path.parent.name for path in layout.sweeps.glob(f"*/{_JOURNAL}"))
    if storage is None and name not in known:
        more = f"; there are {', '.join(known)}" if known else ""
        raise NotFoundError(f"no sweep {name!r} in {layout.sweeps}{more}")
    try:
        return optuna.load_study(storage=_storage(layout.sweeps / name, storage), study_name=name)
    except KeyError as error:
        raise NotFoundError(f"no sweep {name!r} in that storage") from error


def counted(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count, by number; not those that were begun again as another one."""
    trials = study.get_trials(deepcopy=False)
    begun_again = {one.user_attrs.get(REPEATS) for one in trials}
    return [one for one in trials if one.number not in begun_again]


def worker() -> dict[str, Any]:
    """Who runs a trial: the machine and this process."""
    return {"host": socket.gethostname(), "pid": os.getpid()}


def abandoned(study: optuna.Study) -> Iterator[FrozenTrial]:
    """Running trials whose sweep process is gone: of this machine and dead, or silent for ten minutes."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        started = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        silent = time.time() - max(trial.user_attrs.get(HEARTBEAT, 0.0), started)
        by = trial.user_attrs.get(WORKER) or {}
        if silent > SILENT_SECONDS or (by.get("host") == socket.gethostname() and not lives(by["pid"])):
            yield trial


def give_back(study: optuna.Study, trial: FrozenTrial | optuna.Trial) -> bool:
    """End a trial that was interrupted from outside, and let its settings be tried again.

    Returns:
        Whether it was still running: another worker may have been faster.
    """
    if not finish(study, trial.number, state=TrialState.FAIL):
        return False
    study.enqueue_trial(dict(trial.params), user_attrs={REPEATS: trial.number})
    return True


def finish(
    study: optuna.Study,
    number: int,
    *,
    values: Sequence[float] | None = None,
    state: TrialState | None = None,
) -> bool:
    """Record how a trial ended; False if another worker that considered it dead has recorded that already."""
    try:
        study.tell(number, values, state)
    except (ValueError, RuntimeError):
        return False
    return True


def _storage(folder: Path, url: str | None) -> BaseStorage:
    return JournalStorage(JournalFileBackend(str(folder / _JOURNAL))) if url is None else open_database(url)


_JOURNAL = "study.journal"


def _sampler(file: SweepFile) -> optuna.samplers.BaseSampler:
    if file.method == "bayes":
        return optuna.samplers.TPESampler(constant_liar=True)  # parallel trials keep away from each other
    if file.method == "custom":
        return optuna.samplers.NSGAIISampler(population_size=20)
    return optuna.samplers.RandomSampler()  # a grid's trials are all enqueued; nothing is sampled


def _pruner(file: SweepFile, aims: Objectives) -> optuna.pruners.BasePruner:
    if file.early_terminate is None:
        return optuna.pruners.NopPruner()
    return Hyperband(file.early_terminate, aims.objectives[0].goal)


def _check_grid_size(file: SweepFile) -> None:
    if file.method == "grid" and (size := file.grid_size) > _MOST_GRID_TRIALS:
        raise SettingError(
            [
                f"the grid has {size:,} trials, more than {_MOST_GRID_TRIALS:,}; fewer values, or `method: random`"
            ],
            file.source,
        )


def _grid(file: SweepFile) -> Iterator[dict[str, Any]]:
    searched = [one for one in file.parameters if not one.is_constant]
    for values in product(*(one.grid() or () for one in searched)):
        yield {one.name: choice(value) for one, value in zip(searched, values, strict=True)}


def _prepare(study: optuna.Study, file: SweepFile) -> None:
    """Add the trials of a new grid. A second process waits meanwhile, and adds them itself if the first one died."""
    if study.user_attrs.get(READY):
        return
    if len(study.get_trials(deepcopy=False)):
        deadline = time.monotonic() + _READY_SECONDS
        while not study.user_attrs.get(READY) and time.monotonic() < deadline:
            time.sleep(0.2)
    if file.method == "grid" and not study.user_attrs.get(READY):
        for values in _grid(file):
            study.enqueue_trial(values, skip_if_exists=True)
    study.set_user_attr(READY, True)


def _check_same_file(study: optuna.Study, file: SweepFile) -> None:
    before: Mapping[str, Any] = study.user_attrs.get(CONTENT) or {}
    if changed := file.differences(before):
        raise SettingError(
            [
                f"sweep {file.name!r} was begun with a file that differs in {', '.join(changed)}; "
                "--name NEW begins another sweep, and sweep.yaml in its folder continues the old one"
            ],
            file.source,
        )
