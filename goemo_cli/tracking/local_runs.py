"""Runs of a pipeline of one's own in the local store: what they are, their numbers, what they read and made."""

import json
import math
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


@dataclass
class LocalRun:
    """One run: `runs/{id}/run.json` and, a line per call, `metrics.jsonl`."""

    folder: Path
    record: dict[str, Any]
    last_step: int = -1
    """The highest step with numbers; -1 where there are none."""

    @classmethod
    def begin(cls, registry: Path, run_id: str, facts: Mapping[str, Any]) -> "LocalRun":
        """Open the run of an id, which may have begun earlier.

        Raises:
            CorruptArtifactError: an earlier record is damaged.
        """
        folder = registry / "runs" / run_id
        earlier = read_json_object(folder / RUN) if (folder / RUN).is_file() else {}
        record: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "id": run_id,
            "state": "running",
            "started": earlier.get("started") or _now(),
            "inputs": [],
            "outputs": [],
            "links": [],
            **{key: earlier[key] for key in ("inputs", "outputs", "links", "summary") if key in earlier},
            **facts,
        }
        steps = [int(line.get("step", -1)) for line in read_metrics(folder / METRICS)]
        run = cls(folder, record, max(steps, default=-1))
        run.write()
        return run

    def write(self) -> None:
        """Write the record, whole or not at all."""
        write_json(self.folder / RUN, self.record)

    def note(self, direction: str, reference: str) -> None:
        """Add an artifact to `inputs` or `outputs`."""
        if reference not in self.record[direction]:
            self.record[direction].append(reference)
            self.write()

    def link(self, child: str, parent: str) -> None:
        """Keep that one artifact of W&B was made from another."""
        if [child, parent] not in self.record["links"]:
            self.record["links"].append([child, parent])
            self.write()

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Append numbers by one write; one that is not finite is null, as JSON has no other word for it."""
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        line = json.dumps({"step": step, "time": _now(), **finite}, allow_nan=False) + "\n"
        handle = os.open(self.folder / METRICS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)
        self.last_step = max(self.last_step, step)

    def finish(self, *, exit_code: int, summary: Mapping[str, Any]) -> None:
        """Write how it ended."""
        state = "finished" if exit_code == 0 else "failed"
        self.record |= {"state": state, "exit_code": exit_code, "finished": _now(), "summary": dict(summary)}
        self.write()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a run's numbers; the last one is left out where a crash tore it.

    Raises:
        CorruptArtifactError: another line is no JSON object.
    """
    if not path.is_file():
        return []
    with path.open("rb") as stream:
        lines = stream.read().split(b"\n")[:-1]
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise CorruptArtifactError(path, f"line {number} is not JSON ({error})") from error
        if not isinstance(value, dict):
            raise CorruptArtifactError(path, f"line {number} is no JSON object")
        found.append(value)
    return found


def linked_parents(registry: Path, child: str) -> list[str]:
    """What any run below a store linked an artifact of W&B to, oldest link first within a run."""
    found: dict[str, None] = {}
    for path in sorted(registry.glob(f"runs/*/{RUN}")):
        links = read_json_object(path).get("links")
        for link in links if isinstance(links, list) else []:
            if isinstance(link, list) and link[:1] == [child] and len(link) == 2:
                found[str(link[1])] = None
    return list(found)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
