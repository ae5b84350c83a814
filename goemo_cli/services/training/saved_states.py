"""The saved states of a training: each is written whole and checked before it is used; the two newest are kept."""

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from goemo_cli.core.checkpoint import CONFIG, saved_steps, state_folder
from goemo_cli.core.checkpoint import STATE as FOLDER
from goemo_cli.core.checkpoint import TRAINING_RECORD as RECORD
from goemo_cli.core.documents.manifest import FileEntry
from goemo_cli.core.documents.metrics import DataFacts, EpochScores
from goemo_cli.core.documents.training import SavedState, SeedGroup, TrainingRecord
from goemo_cli.core.errors import DAMAGE, CorruptArtifactError, NotFoundError, SettingError
from goemo_cli.core.events import EventHandler, Warning
from goemo_cli.core.files import (
    atomic_folder,
    atomic_path,
    library_writes,
    partial_paths,
    remove,
    write_text,
)
from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.system.stopping import StopRequest
from goemo_cli.ml.training.loop import Step
from goemo_cli.ml.training.state import TrainingState
from goemo_cli.tracking.environment import versions

if TYPE_CHECKING:
    from goemo_cli.services.training.build import Run

SETTINGS, STATE = CONFIG, "state.json"
TENSORS, BEST = "training.safetensors", "best"
KEPT = 2
"""Number of states; an older one is removed after a newer one is complete."""
_STEPS = "steps"
_PACKAGES = ("goemo", "torch", "transformers", "tokenizers", "numpy")


class StateStore:
    """The states of one run: `state/training.json` and `state/step-{step}/`."""

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.folder = checkpoint / FOLDER

    def begin(self, record: TrainingRecord, config: TrainConfig) -> None:
        """Record what a training starts with; the run can be resumed from now on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / SETTINGS, config.to_yaml())
        record.write(self.folder / RECORD)

    def settings(self) -> TrainConfig:
        """The settings of the training.

        Raises:
            CorruptArtifactError: they are damaged, or another version wrote settings that this one does not know.
        """
        path = self.folder / SETTINGS
        try:
            config, unknown = TrainConfig.of_run(path)
        except (SettingError, FileNotFoundError) as error:
            raise CorruptArtifactError(path, f"is damaged ({error})") from error
        if unknown:
            raise CorruptArtifactError(path, f"has settings that this version does not know: {unknown}")
        return config

    def record(self) -> TrainingRecord:
        """What the training was started with.

        Raises:
            NotFoundError: the run has no saved state.
            CorruptArtifactError: the record is damaged.
        """
        if not (self.folder / RECORD).is_file():
            raise NotFoundError(f"{self.checkpoint} has no saved training: it cannot be resumed")
        return TrainingRecord.read(self.folder / RECORD)

    def save(
        self,
        state: TrainingState,
        *,
        history: Sequence[EpochScores],
        training_seconds: float,
        journal_bytes: int,
    ) -> None:
        """Write a state, with a copy of the checkpoint's files, which are those of the best epoch.

        Args:
            training_seconds: duration of the training so far.
            journal_bytes: length of the run's journal.

        Raises:
            OSError, StorageError: the disk refused; older states stay.
        """
        target = state_folder(self.checkpoint, state.position.step)
        if (target / STATE).is_file():
            return
        shutil.rmtree(target, ignore_errors=True)  # left by a removal that was interrupted
        with atomic_folder(target) as stage:
            with library_writes(stage):
                save_file(_tensors(state), stage / TENSORS)
            for path in sorted(self.checkpoint.iterdir()) if state.position.best_epoch else ():
                if path.is_file():
                    _copy(path, stage / BEST / path.name)
            files = {path.relative_to(stage).as_posix(): path for path in stage.rglob("*") if path.is_file()}
            SavedState(
                run=self.checkpoint.name,
                position=state.position,
                history=list(history),
                training_seconds=training_seconds,
                journal_bytes=journal_bytes,
                files={name: FileEntry.of(path) for name, path in sorted(files.items())},
            ).write(stage / STATE)
        for step in saved_steps(self.checkpoint)[KEPT:]:
            self._remove(step)

    def newest(self, on_event: EventHandler) -> tuple[SavedState, TrainingState] | None:
        """The newest state whose files are intact; None before the first one was saved.

        Damaged states are named in a warning. They are removed if an older one is intact, so that their steps are
        saved again.

        Raises:
            CorruptArtifactError: every state is damaged.
        """
        damaged: dict[int, Exception] = {}
        for step in saved_steps(self.checkpoint):
            try:
                found = self._read(step)
            except DAMAGE as error:
                damaged[step] = error
                on_event(Warning(f"{error}; the state before it is used"))
            else:
                for later in damaged:
                    self._remove(later)
                return found
        if damaged:
            raise CorruptArtifactError(self.folder, f"has no intact state ({[*damaged.values()][-1]})")
        return None

    def remove_unfinished(self) -> None:
        """Remove what a killed process was writing, which the next state would copy; the caller holds the run."""
        for path in list(partial_paths(self.checkpoint)):
            with suppress(OSError):
                remove(path)

    def restore_best(self, saved: SavedState) -> None:
        """Put the files of the best epoch back into the checkpoint."""
        for name in saved.files:
            path = state_folder(self.checkpoint, saved.position.step) / name
            if path.parent.name == BEST:
                with atomic_path(self.checkpoint / path.name) as partial:
                    shutil.copyfile(path, partial)

    def remove_states(self) -> None:
        """Remove all states; the record stays."""
        for step in saved_steps(self.checkpoint):
            self._remove(step)

    def remove(self) -> None:
        """Remove all states, then the record."""
        self.remove_states()
        (self.folder / RECORD).unlink(
            missing_ok=True
        )  # without it the run is not resumed, whatever else stays
        shutil.rmtree(self.folder, ignore_errors=True)

    def _remove(self, step: int) -> None:
        folder = state_folder(self.checkpoint, step)
        (folder / STATE).unlink(missing_ok=True)  # first: without it the state does not count
        shutil.rmtree(folder, ignore_errors=True)

    def _read(self, step: int) -> tuple[SavedState, TrainingState]:
        folder = state_folder(self.checkpoint, step)
        saved = SavedState.read(folder / STATE)
        for name, entry in saved.files.items():
            entry.require(folder / name)
        try:
            return saved, _state(saved, load_file(folder / TENSORS))
        except (KeyError, ValueError, OSError, SafetensorError) as error:
            raise CorruptArtifactError(folder / TENSORS, f"is not a state of a training ({error})") from error


def training_record(run: "Run", group: SeedGroup | None = None) -> TrainingRecord:
    """What a training starts with, and what decides the last bits of its result."""
    return TrainingRecord(
        run=str(run.name),
        labels=list(run.data.labels),
        data=DataFacts.model_validate(dict(run.data_facts)),
        base_model=dict(run.base),
        conditions={
            "device": run.device.type,
            "precision": run.precision,
            "processes": str(run.ranks.count),
            "threads": str(torch.get_num_threads()),
            "processor features": torch.backends.cpu.get_cpu_capability(),
            **({"SHA-256 of the teacher's probabilities": run.taught.lesson.sha256} if run.taught else {}),
            **{f"version of {name}": version for name, version in versions().items() if name in _PACKAGES},
        },
        seeds=group,
    )


def changes(then: TrainingRecord, now: TrainingRecord) -> list[str]:
    """What differs between two records and may change the result, each with its old and its new value."""
    pairs: list[tuple[str, object, object]] = [
        (f"SHA-256 of the data, {split}", then.data.split_sha256.of(split), now.data.split_sha256.of(split))
        for split in ("train", "val", "test")
    ]
    pairs += [
        ("labels", ", ".join(then.labels), ", ".join(now.labels)),
        ("base model", then.base_model.get("sha256"), now.base_model.get("sha256")),
    ]
    pairs += [
        (name, then.conditions.get(name), now.conditions.get(name))
        for name in sorted(then.conditions.keys() | now.conditions.keys())
    ]
    return [f"{name} was {old}, is {new}" for name, old, new in pairs if old != new]


class StateSaver:
    """Saves the states of a run when they are due, and ends the training when a signal asks for it.

    Args:
        stop: whether a signal has asked to stop.
    """

    def __init__(self, run: "Run", journal: Path, stop: StopRequest) -> None:
        self.run, self.journal, self.stop = run, journal, stop
        self.store = StateStore(run.folder)
        self.minutes = run.config.training.save_every_minutes
        self._saved_at = time.monotonic()

    def after(self, step: Step) -> None:
        """Save the state after a step if it is due: after some minutes, at the end of an epoch, or before a stop.

        Val is scored after the last step of an epoch. A signal may interrupt that, since the state is saved.

        Raises:
            StopSignal: a signal asked to stop.
        """
        self.run.require_folder()
        now = time.monotonic()
        self.stop.is_deferred = bool(self.minutes)  # a signal while the state is written leaves it complete
        is_due = self.stop.is_made or step.is_last or now - self._saved_at >= 60 * self.minutes
        if self.minutes and is_due:
            length = self.journal.stat().st_size if self.journal.is_file() else 0
            self.store.save(
                step.state(),
                history=self.run.history,
                training_seconds=self.run.seconds,
                journal_bytes=length,
            )
            self._saved_at = time.monotonic()
        self.stop.check()
        self.stop.is_deferred = bool(self.minutes) and not step.is_last


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    parts = {"weights": state.weights, "optimizer": state.optimizer, "average": state.average}
    named = {f"{part}/{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}
    return {name: tensor.detach().contiguous() for name, tensor in named.items()} | {
        _STEPS: torch.from_numpy(state.steps)
    }


def _state(saved: SavedState, tensors: Mapping[str, Tensor]) -> TrainingState:
    parts: dict[str, dict[str, Tensor]] = {"weights": {}, "optimizer": {}, "average": {}}
    for name, tensor in tensors.items():
        part, _, inner = name.partition("/")
        if inner:
            parts[part][inner] = tensor
    return TrainingState(saved.position, **parts, steps=tensors[_STEPS].numpy().astype(np.float64))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)
