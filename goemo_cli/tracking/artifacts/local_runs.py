"""Runs of a pipeline in the local store: settings, logged values, artifacts used and made."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from goemo_cli.core.documents.base import Document
from goemo_cli.core.errors import CorruptArtifactError, SettingError
from goemo_cli.core.files import open_handle
from goemo_cli.core.schema import SCHEMA_VERSION

RUN, METRICS = "run.json", "metrics.jsonl"
_OWN = ("step", "time")
"""What a line of metrics.jsonl has besides the values."""


class RunRecord(Document):
    """run.json of a run; it changes while the run is open."""

    model_config = ConfigDict(frozen=False)

    name: str | None = None
    project: str | None = None
    entity: str | None = None
    tags: list[str] = Field(default_factory=list)
    notes: str | None = None
    job_type: str | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    url: str | None = None
    schema_version: int = SCHEMA_VERSION
    id: str
    state: str
    """running, finished or failed."""
    started: str
    inputs: list[str] = Field(default_factory=list)
    """References of artifacts that the run used."""
    outputs: list[str] = Field(default_factory=list)
    """References of artifacts that the run made."""
    links: list[list[str]] = Field(default_factory=list)
    """Artifact and parent, as `link_artifacts` linked them on W&B."""
    collections: list[list[str]] = Field(default_factory=list)
    """Artifact and registry collection."""
    exit_code: int | None = None
    finished: str | None = None
    summary: dict[str, Any] = Field(default_factory=dict)


@dataclass
class LocalRun:
    """One run: `runs/{id}/run.json` and, a line per call, `metrics.jsonl`."""

    folder: Path
    record: RunRecord
    lowest_step: int = 0
    """The lowest step that can be logged now: the last one again, or after a resume the one after it."""
    next_step: int = 0

    @classmethod
    def begin(
        cls, registry: Path, run_id: str, facts: Mapping[str, Any], *, first_step: int = 0
    ) -> "LocalRun":
        """Open the run of an id. An earlier run of this id is continued: its settings, summary and artifacts stay.

        Args:
            facts: what to write of it; None keeps what an earlier record says.
            first_step: the lowest step that W&B accepts.

        Raises:
            CorruptArtifactError: an earlier record is damaged.
        """
        folder = registry / "runs" / run_id
        earlier = RunRecord.read(folder / RUN) if (folder / RUN).is_file() else None
        known: dict[str, Any] = earlier.model_dump(exclude_unset=True) if earlier else {}
        record = RunRecord.model_validate(
            {
                **known,
                **{key: value for key, value in facts.items() if value is not None or key not in known},
                "schema_version": SCHEMA_VERSION,
                "id": run_id,
                "state": "running",
                "started": (earlier and earlier.started) or _now(),
                "config": {**(earlier.config if earlier else {}), **facts.get("config", {})},
                **{
                    name: getattr(earlier, name, []) for name in ("inputs", "outputs", "links", "collections")
                },
            }
        )
        _drop_cut_line(folder / METRICS)
        steps = [int(line.get("step", -1)) for line in read_metrics(folder / METRICS)]
        step = max(max(steps, default=-1) + 1, first_step)
        run = cls(folder, record, lowest_step=step, next_step=step)
        run.write()
        return run

    def write(self) -> None:
        """Write the record atomically."""
        self.record.write(self.folder / RUN)

    def note(self, what: Literal["inputs", "outputs"], reference: str) -> None:
        """Add an artifact to those that the run used or made; once."""
        self._add(getattr(self.record, what), reference)

    def note_link(self, child: str, parent: str) -> None:
        """Add a link between artifacts on W&B; once."""
        self._add(self.record.links, [child, parent])

    def note_collection(self, reference: str, collection: str) -> None:
        """Add a link to a registry collection; once."""
        self._add(self.record.collections, [reference, collection])

    def _add(self, entries: list[Any], entry: object) -> None:
        if entry not in entries:
            entries.append(entry)
            self.write()

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Append JSON values by one write."""
        line = json.dumps({**values, "step": step, "time": _now()}, allow_nan=False) + "\n"
        handle = open_handle(self.folder / METRICS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)
        self.lowest_step, self.next_step = step, step + 1

    def finish(self, *, exit_code: int, summary: Mapping[str, Any]) -> None:
        """Write how it ended; a summary is added to that of an earlier part of the run."""
        self.record.state = "finished" if exit_code == 0 else "failed"
        self.record.exit_code, self.record.finished = exit_code, _now()
        self.record.summary = {**self.record.summary, **summary}
        self.write()


def earlier_name(registry: Path, run_id: str) -> str | None:
    """The name that the store has of a run; None for an unknown run.

    Raises:
        CorruptArtifactError: its record is damaged.
    """
    path = registry / "runs" / run_id / RUN
    return RunRecord.read(path).name if path.is_file() else None


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a run's numbers, without a last line that a crash cut.

    Raises:
        CorruptArtifactError: another line is not a JSON object.
    """
    if not path.is_file():
        return []
    with path.open("rb") as stream:
        lines = stream.read().split(b"\n")[:-1]
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorruptArtifactError(path, f"line {number} is not JSON ({error})") from error
        if not isinstance(value, dict):
            raise CorruptArtifactError(path, f"line {number} is not a JSON object")
        found.append(value)
    return found


def linked_parents(registry: Path, child: str) -> list[str]:
    """The parents that runs in a store linked an artifact of W&B to, the oldest link of a run first."""
    found: dict[str, None] = {}
    for path in sorted(registry.glob(f"runs/*/{RUN}")):
        found |= {parent: None for linked, parent in RunRecord.read(path).links if linked == child}
    return list(found)


def checked_values(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Numbers of Python, numpy or torch as floats; mappings inside likewise; objects of wandb, or lists of them, as given.

    Raises:
        SettingError: any other value, with its name; or a name that the log itself uses.
    """
    if not above and (taken := [name for name in _OWN if name in values]):
        raise SettingError([f"metric {taken[0]!r}: the log itself uses this name; choose another"])
    found: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping):
            found[str(name)] = checked_values(value, f"{path}.")
        else:
            found[str(name)] = value if is_media(value) else _number(path, value)
    return found


def is_media(value: Any) -> bool:
    """Whether W&B has to draw it: `wandb.Histogram`, `wandb.Image`, `wandb.Table`, ..., or a list of these."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(is_media(entry) for entry in value)
    return type(value).__module__.partition(".")[0] == "wandb"


def media_names(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The names of the objects that W&B has to draw, `val.chart` for one inside `val`."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from media_names(value, f"{above}{name}.")
        elif is_media(value):
            yield f"{above}{name}"


def local_values(values: Mapping[str, Any], *, on_wandb: bool) -> dict[str, Any]:
    """Checked values as JSON: a number that is not finite is null; of media only the type, and whether W&B got it."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found[name] = local_values(value, on_wandb=on_wandb)
        elif is_media(value):
            found[name] = {"type": _type_name(value), "on_wandb": on_wandb}
        else:
            found[name] = value if math.isfinite(value) else None
    return found


def _drop_cut_line(path: Path) -> None:
    """Remove a last line that a crash cut, so that the next line is not appended to it."""
    if path.is_file():
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            os.truncate(path, content.rfind(b"\n") + 1)


def _number(name: str, value: Any) -> float:
    if not isinstance(value, (str, bytes)):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    raise SettingError(
        [
            f"metric {name!r} is {value!r}: not a number, a mapping of numbers, or an object such as wandb.Image"
        ]
    )


def _type_name(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"{len(value)} x {_type_name(value[0])}"
    return f"wandb.{type(value).__name__}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
