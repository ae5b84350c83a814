"""manifest.json: the files of a finished run, and the facts that lists of runs show."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from goemo_cli.core.documents.base import Document, ExcludedRows, Fraction, Interval
from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import sha256_file
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import SCHEMA_VERSION, SCORE_KEYS, ExportFormat, ExportPrecision, Kind

if TYPE_CHECKING:
    from goemo_cli.core.documents.metrics import Metrics


class FileEntry(Document):
    """A file as a manifest names it."""

    sha256: str
    size: int = Field(ge=0)

    @classmethod
    def of(cls, path: Path) -> Self:
        """The entry of a file as it is now."""
        return cls(sha256=sha256_file(path), size=path.stat().st_size)

    def require(self, path: Path) -> None:
        """Hash a file.

        Raises:
            CorruptArtifactError: it is missing, or differs from this entry.
        """
        if not path.is_file():
            raise CorruptArtifactError(path, "is missing")
        if path.stat().st_size != self.size:
            raise CorruptArtifactError(path, f"has {path.stat().st_size} bytes instead of {self.size}")
        if sha256_file(path) != self.sha256:
            raise CorruptArtifactError(path, "has another SHA-256 than was recorded")


class Headline(Document):
    """The facts of metrics.json that a list of runs shows, kept in the manifest so that listing opens one file.

    A fact that an older run does not have is None.
    """

    data: str | None = None
    train_size: int | None = None
    val_sha256: str | None = None
    test_sha256: str | None = None
    seed: int | None = None
    best_epoch: int | None = None
    epochs: int | None = None
    threshold_rule: str | None = None
    training_seconds: float | None = None
    val: dict[str, float | None] = Field(default_factory=dict)
    test: dict[str, float | None] = Field(default_factory=dict)

    def scores(self, split: str) -> dict[str, float | None]:
        """The scores of val or test, by name; none for another name."""
        return {"val": self.val, "test": self.test}.get(split, {})

    @classmethod
    def of(cls, metrics: "Metrics") -> Self:
        """The headline of a run; F1, precision and recall are by the run's own threshold rule."""
        data = metrics.data
        return cls(
            data=data.name,
            train_size=data.sizes.train,
            val_sha256=data.split_sha256.val,
            test_sha256=data.split_sha256.test,
            seed=metrics.seed,
            best_epoch=metrics.best_epoch,
            epochs=len(metrics.history),
            threshold_rule=metrics.threshold_rule,
            training_seconds=metrics.training_seconds,
            val=metrics.val.by_key(metrics.threshold_rule),
            test=metrics.test.by_key(metrics.threshold_rule),
        )

    def is_of(self, metrics: "Metrics") -> bool:
        """Whether it is the headline of a run; a score that an earlier version did not know counts as None."""
        whole = {name: dict.fromkeys(SCORE_KEYS) | self.scores(name) for name in ("val", "test")}
        return self.model_copy(update=whole) == Headline.of(metrics)


class Parents(Document):
    """What a run was made from."""

    data: str | None = None
    """SHA-256 of the data set."""
    base_model: dict[str, Any] = Field(default_factory=dict)
    members: list[str] = Field(default_factory=list)
    """Names of the runs of an ensemble."""
    teacher: str | None = None
    """Name of the run whose probabilities were learned."""
    excluded: ExcludedRows | None = None
    """The rows of the data set that were left out of train."""


class ExportComparison(Document):
    """An exported model compared with its run, on test and by the threshold rule of the run."""

    rows: int
    f1_macro_of_run: Fraction
    f1_macro: Fraction
    difference: float
    """The exported model's macro-F1 minus the run's."""
    difference_ci: Interval
    """By the paired bootstrap."""
    changed_labels: int
    """Cells of test (rows times labels) that the two decide differently."""


class Export(Document):
    """How an exported model was made, and how it differs from its run."""

    format: ExportFormat
    precision: ExportPrecision
    opset: int
    max_length: int = Field(ge=1)
    """Tokens per text; longer texts are cut."""
    pad_token_id: int
    truncation_side: Literal["left", "right"]
    reduce_range: bool | None = None
    """int8: weights have 7 bits, so that sums of products fit into 16 bits on processors without VNNI."""
    processor: str
    versions: dict[str, str]
    sources: dict[str, str]
    """SHA-256 of the files of the run that it was made from, by path from the root."""
    largest_logit_difference: float = Field(ge=0)
    """To torch in fp32, over texts of val."""
    checked_texts: int
    test: ExportComparison | None = None
    """None if the run was imported without data."""


class Manifest(Document):
    """manifest.json: written last, it makes a folder a finished run."""

    schema_version: int = SCHEMA_VERSION
    run: str
    kind: Kind = "transformer"
    created: str | None = None
    labels: list[str] = Field(min_length=1)
    parents: Parents
    headline: Headline | None = None
    origin: Literal["trained", "imported"] = "trained"
    """imported: `goemo import` copied the weights of another tool."""
    export: Export | None = None
    """Only of a folder that `goemo export-model` wrote."""
    outputs: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of the run's files outside the checkpoint, by path from the root."""
    files: dict[str, FileEntry]

    @field_validator("run")
    @classmethod
    def _is_run_name(cls, run: str) -> str:
        if RunName.parse(run) is None:
            raise ValueError(f"is {run!r}, which is not the name of a run")
        return run

    @model_validator(mode="after")
    def _ensemble_has_members(self) -> Self:
        if self.kind == "ensemble" and not self.parents.members:
            raise ValueError("parents.members is empty; an ensemble needs members")
        return self

    @property
    def is_unscored(self) -> bool:
        """Whether the run was imported without data, so that it has no scores."""
        return self.origin == "imported" and self.parents.data is None

    @property
    def run_name(self) -> RunName:
        """The run, parsed."""
        run = RunName.parse(self.run)
        assert run  # checked when the manifest was read
        return run
