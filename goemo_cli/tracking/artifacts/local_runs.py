"""Runs of a pipeline in the local store: settings, numbers, artifacts read and made."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import read_json_object, write_json
from goemo_cli.core.schema import SCHEMA_VERSION

RUN, METRICS = "run.json", "metrics.jsonl"
_LISTS = ("inputs", "outputs", "links", "collections")


@dataclass
class LocalRun:
    """One run: `runs/{id}/run.json` and, a line per call, `metrics.jsonl`."""

    folder: Path
    record: dict[str, Any]
    lowest_step: int = 0
    """The lowest step that can be logged now: the last one again, or after a resume the one after it."""
    next_step: int = 0

    @classmethod
    def begin(
        cls, registry: Path, run_id: str, facts: Mapping[str, Any], *, first_step: int = 0
    ) -> "LocalRun":
        """Open the run of an id. An earlier run of this id is continued: its settings, summary and artifacts stay.

        Args:
            registry: folder of the store.
            run_id: its id.
            facts: what to write of it; None keeps what an earlier record says.
            first_step: the lowest step that W&B accepts.

        Raises:
            CorruptArtifactError: an earlier record is damaged.
        """
        folder = registry / "runs" / run_id
        earlier = read_json_object(folder / RUN) if (folder / RUN).is_file() else {}
        record: dict[str, Any] = {
            **earlier,
            **{key: value for key, value in facts.items() if value is not None or key not in earlier},
            "schema_version": SCHEMA_VERSION,
            "id": run_id,
            "state": "running",
            "started": earlier.get("started") or _now(),
            "config": {**earlier.get("config", {}), **facts.get("config", {})},
            **{key: earlier.get(key, []) for key in _LISTS},
        }
        _drop_cut_line(folder / METRICS)
        steps = [int(line.get("step", -1)) for line in read_metrics(folder / METRICS)]
        step = max(max(steps, default=-1) + 1, first_step)
        run = cls(folder, record, lowest_step=step, next_step=step)
        run.write()
        return run

    def write(self) -> None:
        """Write the record, whole or not at all."""
        write_json(self.folder / RUN, self.record)

    def note(self, what: str, entry: object) -> None:
        """Add an artifact to `inputs` or `outputs`, or an entry to another list of the record; once."""
        if entry not in self.record[what]:
            self.record[what].append(entry)
            self.write()

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Append JSON values by one write."""
        line = json.dumps({**values, "step": step, "time": _now()}, allow_nan=False) + "\n"
        handle = os.open(self.folder / METRICS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)
        self.lowest_step, self.next_step = step, step + 1

    def finish(self, *, exit_code: int, summary: Mapping[str, Any]) -> None:
        """Write how it ended; a summary is added to that of an earlier part of the run."""
        state = "finished" if exit_code == 0 else "failed"
        numbers = {**self.record.get("summary", {}), **summary}
        self.record |= {"state": state, "exit_code": exit_code, "finished": _now(), "summary": numbers}
        self.write()


def earlier_name(registry: Path, run_id: str) -> str | None:
    """The name that the store has of a run; None for an unknown run.

    Raises:
        CorruptArtifactError: its record is damaged.
    """
    path = registry / "runs" / run_id / RUN
    name = read_json_object(path).get("name") if path.is_file() else None
    return name if isinstance(name, str) else None


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
        links = read_json_object(path).get("links")
        for link in links if isinstance(links, list) else []:
            if isinstance(link, list) and link[:1] == [child] and len(link) == 2:
                found[str(link[1])] = None
    return list(found)


def _drop_cut_line(path: Path) -> None:
    """Remove a last line that a crash cut, so that the next line is not appended to it."""
    if path.is_file():
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            os.truncate(path, content.rfind(b"\n") + 1)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
