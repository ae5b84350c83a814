"""The JSON files of a bulk prediction: its plan, the marker of each part, and the manifest."""

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from goemo_cli.core.documents.base import Document
from goemo_cli.core.documents.manifest import FileEntry
from goemo_cli.core.schema import SCHEMA_VERSION


class InputFile(Document):
    """A file with texts."""

    name: str
    """The path below the common folder of all inputs."""
    rows: int = Field(ge=0)
    size: int | None
    """In bytes; None if a server does not tell it."""
    sha256: str


class InputRows(Document):
    """Consecutive rows of an input file: from `start`, counted from 0, to the row before `stop`."""

    name: str
    sha256: str
    start: int = Field(ge=0)
    stop: int = Field(ge=0)


class BulkPlan(Document):
    """plan.json: what is predicted, and how. Each process that plans the same work writes the same bytes."""

    schema_version: int = SCHEMA_VERSION
    run: str
    model_sha256: str
    """Of the names and SHA-256 of all files of the model."""
    decision: dict[str, Any]
    """How the model is run and how labels are decided: engine, precision, thresholds."""
    reading: dict[str, Any]
    """How the inputs are read: format, encoding and text column that were asked for."""
    format: str
    formula_safe: bool
    columns: list[str] | None
    """Columns of the inputs in the parts, in their order; None for JSONL, in which each row has those of its input."""
    is_typed: bool
    """Whether all inputs are Parquet, so that their columns keep their types in Parquet."""
    rows: int = Field(ge=0)
    shards: int = Field(ge=1)
    inputs: list[InputFile]

    def shard_rows(self, shard: int) -> int:
        """The number of rows of a shard."""
        start, stop = self._bounds(shard)
        return stop - start

    def rows_of_shard(self, shard: int) -> Iterator[InputRows]:
        """The rows of a shard, file by file: an equal share of all rows in the order of the inputs."""
        start, stop = self._bounds(shard)
        first = 0
        for file in self.inputs:
            begin, end = max(start - first, 0), min(stop - first, file.rows)
            if begin < end:
                yield InputRows(name=file.name, sha256=file.sha256, start=begin, stop=end)
            first += file.rows

    def part_name(self, shard: int) -> str:
        """The file name of a shard's predictions."""
        return f"part-{shard:05}-of-{self.shards:05}.{self.format}"

    def _bounds(self, shard: int) -> tuple[int, int]:
        return shard * self.rows // self.shards, (shard + 1) * self.rows // self.shards


class BatchStatistics(Document):
    """Statistics of several predictions; two of them can be added."""

    texts: int = 0
    confidence_sum: float = 0.0
    """Of each text's highest probability."""
    unlabelled: int = 0
    """Number of texts without a predicted label."""
    cut: int = 0
    """Number of texts that exceeded the model's maximum length and were truncated."""
    label_counts: dict[str, int] = Field(default_factory=dict)

    @property
    def mean_confidence(self) -> float | None:
        """The mean of each text's highest probability; None without texts."""
        return self.confidence_sum / self.texts if self.texts else None

    @property
    def label_distribution(self) -> dict[str, float]:
        """The share of texts with each label; they need not add up to 1."""
        return {label: count / max(self.texts, 1) for label, count in self.label_counts.items()}

    def facts(self) -> dict[str, Any]:
        """For JSON documents."""
        return {
            "texts": self.texts,
            "mean_confidence": self.mean_confidence,
            "unlabelled": self.unlabelled,
            "cut": self.cut,
            "label_counts": self.label_counts,
            "label_distribution": self.label_distribution,
        }

    def __add__(self, other: "BatchStatistics") -> "BatchStatistics":
        mine, theirs = self.label_counts, other.label_counts
        return BatchStatistics(
            texts=self.texts + other.texts,
            confidence_sum=self.confidence_sum + other.confidence_sum,
            unlabelled=self.unlabelled + other.unlabelled,
            cut=self.cut + other.cut,
            label_counts={label: mine.get(label, 0) + theirs.get(label, 0) for label in mine or theirs},
        )


class BulkPart(Document):
    """The marker of a part: it is written after the part, which is complete if its marker exists."""

    schema_version: int = SCHEMA_VERSION
    shard: int = Field(ge=0)
    name: str
    rows: int = Field(ge=0)
    run: str
    model_sha256: str
    inputs: list[InputRows]
    plan_sha256: str
    file: FileEntry
    statistics: BatchStatistics
    computed_on: str
    """Engine and processor or GPU. Another kind can change the last digits of probabilities."""


class BulkManifest(Document):
    """manifest.json of a bulk prediction: written after all parts were checked."""

    schema_version: int = SCHEMA_VERSION
    run: str
    model_sha256: str
    decision: dict[str, Any]
    format: str
    rows: int
    shards: int
    inputs: list[InputFile]
    parts: dict[str, FileEntry]
    """By file name."""
    plan_sha256: str
    statistics: BatchStatistics
    computed_on: list[str]
