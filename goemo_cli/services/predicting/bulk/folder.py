"""The folder of a bulk prediction: its parts, and what goemo records about them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from goemo_cli.core.documents.bulk import BulkPart, BulkPlan
from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import sha256_file

PART_PREFIX = "part-"


@dataclass(frozen=True)
class BulkFolder:
    """A folder with a plan. Readers of tables ignore its records, since the name of their folder begins with `_`."""

    path: Path

    @property
    def records(self) -> Path:
        """The plan, the markers of the parts, and the manifest."""
        return self.path / "_goemo"

    @property
    def plan_file(self) -> Path:
        """What is predicted."""
        return self.records / "plan.json"

    @property
    def manifest(self) -> Path:
        """Written when all parts are complete."""
        return self.records / "manifest.json"

    @cached_property
    def plan(self) -> BulkPlan:
        """The plan of this folder."""
        return BulkPlan.read(self.plan_file)

    @cached_property
    def plan_sha256(self) -> str:
        """SHA-256 of the plan, by which parts name it."""
        return sha256_file(self.plan_file)

    def part(self, shard: int) -> Path:
        """The predictions of a shard."""
        return self.path / self.plan.part_name(shard)

    def marker(self, shard: int) -> Path:
        """The record that a part is complete."""
        return self.records / f"{self.part(shard).stem}.json"

    def complete_part(self, shard: int) -> BulkPart | None:
        """The marker of a shard whose part is complete; None if it has to be computed."""
        try:
            found = BulkPart.read(self.marker(shard))
            is_there = self.part(shard).stat().st_size == found.file.size
        except (FileNotFoundError, CorruptArtifactError):
            return None
        return found if is_there and found.plan_sha256 == self.plan_sha256 else None

    def missing(self) -> list[int]:
        """The shards that have to be computed."""
        return [shard for shard in range(self.plan.shards) if self.complete_part(shard) is None]

    def strange_parts(self) -> Iterator[Path]:
        """Files that readers would take for parts of this prediction."""
        known = {self.plan.part_name(shard) for shard in range(self.plan.shards)}
        yield from (path for path in sorted(self.path.glob(f"{PART_PREFIX}*")) if path.name not in known)
