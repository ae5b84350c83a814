"""The local journal of a run: one JSON line for everything a mirror is told, so that any mirror can be told again.

Lines are appended, each by one write, to a file that only ever grows; a line that a crash tore is not read. Whoever
writes holds a lock that the kernel releases when the process ends, however it ends.
"""

import base64
import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from goemo_cli.core.errors import BusyError, CorruptArtifactError, NotFoundError
from goemo_cli.core.events import Histogram
from goemo_cli.core.files import path_from_root
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.tracking.base import Artifact, Picture, Table, Tracker

Record = Mapping[str, Any]
"""A line: `kind` and what belongs to it."""


def journal_path(folder: Path, run: RunName) -> Path:
    """Where the journal of a run lies in a folder of journals."""
    return folder / f"{run}.jsonl"


class JournalTracker(Tracker):
    """Writes the journal.

    Args:
        folder: of all journals.
        root: files below it are recorded relative to it, so that a moved project stays readable.
        mirror_id: what a W&B run of this journal is or will be called.
    """

    def __init__(self, folder: Path, *, root: Path, mirror_id: str) -> None:
        self.folder, self.root, self.mirror_id = folder, root.absolute(), mirror_id
        self._handle: int | None = None

    def start(self, run: RunName, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Create the file; an OSError if that cannot be. A file of that name is of a run that is gone: names are claimed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = journal_path(self.folder, run)
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
        fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._write(
            "start",
            schema_version=SCHEMA_VERSION,
            run=str(run),
            mirror_id=self.mirror_id,
            settings=settings,
            facts=facts,
        )

    def log(self, values: Mapping[str, float], *, step: int, epoch: int | None = None) -> None:
        """Write numbers."""
        self._write("log", step=step, epoch=epoch, values=values)

    def event(self, name: str, values: Mapping[str, float]) -> None:
        """Write an event."""
        self._write("event", name=name, values=values)

    def table(self, table: Table, *, step: int) -> None:
        """Write a table, rows and all."""
        rows = [list(row) for row in table.rows]
        self._write("table", step=step, name=table.name, columns=table.columns, rows=rows, chart=table.chart)

    def picture(self, picture: Picture, *, step: int) -> None:
        """Write an image, its PNG in base64."""
        png = base64.b64encode(picture.png).decode("ascii")
        self._write("picture", step=step, name=picture.name, png=png)

    def histograms(self, histograms: Mapping[str, Histogram], *, step: int) -> None:
        """Write counts and edges."""
        self._write("histograms", step=step, values={name: asdict(one) for name, one in histograms.items()})

    def write(self, name: str, text: str) -> None:
        """Write a piece of a text."""
        self._write("text", name=name, text=text)

    def save(self, path: Path, *, name: str) -> None:
        """Write where a file lies."""
        self._write("file", name=name, path=self._shown(path))

    def artifact(self, artifact: Artifact) -> None:
        """Write where the files of an artifact lie."""
        self._write(
            "artifact",
            name=artifact.name,
            type=artifact.type,
            files={name: self._shown(path) for name, path in artifact.files.items()},
            texts=artifact.texts,
            metadata=artifact.metadata,
            aliases=artifact.aliases,
            is_input=artifact.is_input,
        )

    def finish(self, summary: Mapping[str, float], *, exit_code: int = 0) -> None:
        """Write the last line and let go of the file."""
        if self._handle is None:
            return
        try:
            self._write("finish", summary=summary, exit_code=exit_code)
            os.fsync(self._handle)
        finally:
            self._close()

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _write(self, kind: str, **values: Any) -> None:
        if self._handle is None:
            return
        text = json.dumps({"kind": kind, **values}, ensure_ascii=False, allow_nan=False, default=_plain)
        line = (text + "\n").encode("utf-8", "surrogatepass")
        try:
            if os.write(self._handle, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))
        except OSError:
            self._close()  # whoever completes the run later must be able to hold the file
            raise

    def _shown(self, path: Path) -> str:
        return path_from_root(path, self.root)


@dataclass(frozen=True)
class Journal:
    """A journal as it was read."""

    path: Path
    run: RunName
    mirror_id: str
    settings: Mapping[str, Any]
    facts: Mapping[str, Any]
    records: tuple[Record, ...]
    """All lines but the first."""

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end, good or bad."""
        return bool(self.records) and self.records[-1]["kind"] == "finish"

    @property
    def summary(self) -> Mapping[str, float]:
        """The final numbers; empty where the run did not come to its end."""
        return self.records[-1]["summary"] if self.is_finished else {}

    @property
    def last_step(self) -> int:
        """The last step with numbers; -1 if there are none."""
        return max((record["step"] for record in self.records if "step" in record), default=-1)

    def files(self, root: Path) -> dict[str, Path]:
        """Mirrored files by the name they have there."""
        return {one["name"]: root / one["path"] for one in self.records if one["kind"] == "file"}

    @property
    def texts(self) -> dict[str, str]:
        """Whole texts by the name they have in the mirror."""
        found: dict[str, str] = {}
        for one in self.records:
            if one["kind"] == "text":
                found[one["name"]] = found.get(one["name"], "") + one["text"]
        return found

    def artifacts(self, root: Path) -> list[Artifact]:
        """Mirrored artifacts in their order."""
        return [artifact_of(one, root) for one in self.records if one["kind"] == "artifact"]


def read_journal(path: Path) -> Journal:
    """A journal from its file; a torn last line is left out.

    Raises:
        NotFoundError: there is no such file.
        CorruptArtifactError: a line is not what a journal holds.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no journal; only runs of `goemo train` have one")
    records = [parse_line(path, line) for line in complete_lines(path)]
    start: Record = records[0] if records else {}
    run = RunName.parse(str(start.get("run")))
    if start.get("kind") != "start" or run is None or not isinstance(start.get("mirror_id"), str):
        raise CorruptArtifactError(path, "does not begin as a journal begins")
    return Journal(path, run, start["mirror_id"], start["settings"], start["facts"], tuple(records[1:]))


def complete_lines(path: Path, start: int = 0) -> list[bytes]:
    """The whole lines from a byte position on, with their line ends."""
    with path.open("rb") as stream:
        stream.seek(start)
        lines = stream.read().splitlines(keepends=True)
    return lines if not lines or lines[-1].endswith(b"\n") else lines[:-1]


def parse_line(path: Path, line: bytes) -> Record:
    """One record.

    Raises:
        CorruptArtifactError: the line holds none.
    """
    try:
        record = json.loads(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise CorruptArtifactError(path, f"has a line that is not JSON ({error})") from error
    if not isinstance(record, dict) or not _KEYS.get(str(record.get("kind")), {""}) <= set(record):
        raise CorruptArtifactError(path, "has a line that belongs to no journal")
    return record


_KEYS = {
    "start": {"run", "mirror_id", "settings", "facts"},
    "log": {"step", "epoch", "values"},
    "event": {"name", "values"},
    "table": {"step", "name", "columns", "rows", "chart"},
    "picture": {"step", "name", "png"},
    "histograms": {"step", "values"},
    "text": {"name", "text"},
    "file": {"name", "path"},
    "artifact": {"name", "type", "files", "texts", "metadata", "aliases", "is_input"},
    "finish": {"summary", "exit_code"},
}


def tell(tracker: Tracker, record: Record, *, root: Path) -> None:
    """Tell a tracker what a record says.

    Args:
        tracker: told by the call that the record was made of.
        record: as `parse_line` gives it.
        root: what the record's paths are relative to.
    """
    kind = record["kind"]
    if kind == "start":
        run = RunName.parse(record["run"])
        if run is not None:
            tracker.start(run, record["settings"], record["facts"])
    elif kind == "log":
        tracker.log(record["values"], step=record["step"], epoch=record["epoch"])
    elif kind == "event":
        tracker.event(record["name"], record["values"])
    elif kind == "table":
        table = Table(record["name"], tuple(record["columns"]), record["rows"], record["chart"])
        tracker.table(table, step=record["step"])
    elif kind == "picture":
        tracker.picture(Picture(record["name"], base64.b64decode(record["png"])), step=record["step"])
    elif kind == "histograms":
        found = {name: Histogram(**one) for name, one in record["values"].items()}
        tracker.histograms(found, step=record["step"])
    elif kind == "text":
        tracker.write(record["name"], record["text"])
    elif kind == "file":
        tracker.save(root / record["path"], name=record["name"])
    elif kind == "artifact":
        tracker.artifact(artifact_of(record, root))
    else:
        tracker.finish(record["summary"], exit_code=record["exit_code"])


def artifact_of(record: Record, root: Path) -> Artifact:
    """The artifact that a record of that kind describes."""
    return Artifact(
        name=record["name"],
        type=record["type"],
        files={name: root / path for name, path in record["files"].items()},
        texts=record["texts"],
        metadata=record["metadata"],
        aliases=tuple(record["aliases"]),
        is_input=record["is_input"],
    )


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a journal, so that nobody else writes or mirrors it meanwhile.

    Raises:
        BusyError: its run is still going, or somebody mirrors it.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(
                f"{path.stem} is still being trained or mirrored; try again when it is done"
            ) from error
        yield
    finally:
        os.close(handle)


def _plain(value: Any) -> Any:
    """Numbers of numpy, and paths."""
    return value.item() if hasattr(value, "item") else str(value)
