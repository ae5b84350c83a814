"""The documents of a training that is not finished."""

from typing import Any

from pydantic import Field

from goemo_cli.core.documents.base import Document
from goemo_cli.core.documents.manifest import FileEntry
from goemo_cli.core.documents.metrics import DataFacts, EpochScores
from goemo_cli.core.schema import SCHEMA_VERSION


class TrainingPosition(Document):
    """How far a training is."""

    step: int = Field(ge=1)
    """Optimizer steps that are done."""
    epoch: int = Field(ge=1)
    """The current epoch."""
    epoch_seconds: float
    """Seconds spent on the steps of the current epoch."""
    averaged_steps: int = Field(ge=0)
    """The step up to which the moving average has moved; 0 without one."""
    best_epoch: int = Field(ge=0)
    """0 before the first epoch with a finite value."""
    best_value: float | None
    waited: int = Field(ge=0)
    """Epochs since the best one."""


class SeedGroup(Document):
    """A training with several seeds that is not finished."""

    count: int = Field(ge=2)
    """The number of seeds."""
    first_seed: int = Field(ge=0)
    runs: list[str]
    """Runs of earlier seeds, which were finished when this run began."""
    id: str = ""
    """Of the group, in the records of all its runs."""
    workers: int = Field(default=0, ge=0)
    """The number of processes that train at the same time; 0 for one run after the other in one process."""


class TrainingRecord(Document):
    """state/training.json: what a training that is not finished was started with."""

    schema_version: int = SCHEMA_VERSION
    run: str
    labels: list[str] = Field(min_length=1)
    data: DataFacts
    base_model: dict[str, Any] = Field(default_factory=dict)
    conditions: dict[str, str]
    """Versions, device and processor features that decide the last bits of the result."""
    seeds: SeedGroup | None = None
    """The group that the run belongs to."""


class SavedState(Document):
    """state.json: a saved state of a training, written after the files that it names."""

    schema_version: int = SCHEMA_VERSION
    run: str
    position: TrainingPosition
    history: list[EpochScores]
    training_seconds: float = Field(ge=0)
    journal_bytes: int = Field(ge=0)
    """Length of the run's journal at this step."""
    files: dict[str, FileEntry]
    """By their path from the folder of the state; those below `best/` are the files of the checkpoint."""
