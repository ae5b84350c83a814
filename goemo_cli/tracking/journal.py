"""The local journal of a run: one JSON line for every call of a tracker, so that a run can be sent to a tracker later.

Lines are appended, each by one write, to a file that only grows; an incomplete last line is skipped. The writer holds a
lock that the kernel releases when the process ends, however it ends.
"""

import base64
import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, InstanceOf, TypeAdapter, ValidationError

from goemo_cli.core.arrays import Histogram
from goemo_cli.core.documents.base import Document, faults
from goemo_cli.core.errors import BusyError, CorruptArtifactError, NotFoundError
from goemo_cli.core.files import complete_lines, flush_handle, open_handle, path_from_root
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.core.system.locks import lock
from goemo_cli.tracking.base import Artifact, Chart, Picture, Table, Tracker

Numbers = dict[str, int | float | None]
Text = InstanceOf[str]
"""May contain the surrogates of bytes that are not UTF-8, which pydantic's own check of texts refuses."""


class StartLine(Document):
    """The first line: the run and its settings."""

    kind: Literal["start"]
    run: str
    mirror_id: str
    settings: dict[str, Any]
    facts: dict[str, Any]

    def send(self, tracker: Tracker, root: Path) -> None:
        """Start a tracker."""
        if run := RunName.parse(self.run):
            tracker.start(run, self.settings, self.facts)


class LogLine(Document):
    """Numbers of a step or an epoch."""

    kind: Literal["log"]
    step: int
    epoch: int | None
    values: dict[str, int | float]

    def send(self, tracker: Tracker, root: Path) -> None:
        """Log the numbers."""
        tracker.log(self.values, step=self.step, epoch=self.epoch)


class EventLine(Document):
    """Something that happened, with its numbers."""

    kind: Literal["event"]
    name: str
    values: Numbers

    def send(self, tracker: Tracker, root: Path) -> None:
        """Log the event."""
        tracker.event(self.name, self.values)  # type: ignore[arg-type]


class TableLine(Document):
    """A table with its rows."""

    kind: Literal["table"]
    step: int
    name: str
    columns: list[str]
    rows: list[list[Any]]
    chart: Chart | None

    def send(self, tracker: Tracker, root: Path) -> None:
        """Show the table."""
        tracker.table(Table(self.name, tuple(self.columns), self.rows, self.chart), step=self.step)


class PictureLine(Document):
    """An image."""

    kind: Literal["picture"]
    step: int
    name: str
    png: str
    """Base64."""

    def send(self, tracker: Tracker, root: Path) -> None:
        """Show the image."""
        tracker.picture(Picture(self.name, base64.b64decode(self.png)), step=self.step)


class HistogramsLine(Document):
    """Distributions by name: the fields of `Histogram`."""

    kind: Literal["histograms"]
    step: int
    values: dict[str, dict[str, Any]]

    def send(self, tracker: Tracker, root: Path) -> None:
        """Show the distributions."""
        histograms = {name: Histogram(**fields) for name, fields in self.values.items()}
        tracker.histograms(histograms, step=self.step)


class TextLine(Document):
    """A piece of a text."""

    kind: Literal["text"]
    name: str
    text: Text

    def send(self, tracker: Tracker, root: Path) -> None:
        """Append to the text."""
        tracker.write(self.name, self.text)


class FileLine(Document):
    """A file, by its path from the root."""

    kind: Literal["file"]
    name: str
    path: Text

    def send(self, tracker: Tracker, root: Path) -> None:
        """Copy the file."""
        tracker.save(root / self.path, name=self.name)


class ArtifactLine(Document):
    """An artifact, with the paths of its files from the root."""

    kind: Literal["artifact"]
    name: str
    type: str
    files: dict[str, Text]
    texts: dict[str, Text]
    metadata: dict[str, Any]
    aliases: list[str]
    is_input: bool

    def artifact(self, root: Path) -> Artifact:
        """The artifact below a root."""
        return Artifact(
            name=self.name,
            type=self.type,
            files={name: root / path for name, path in self.files.items()},
            texts=self.texts,
            metadata=self.metadata,
            aliases=tuple(self.aliases),
            is_input=self.is_input,
        )

    def send(self, tracker: Tracker, root: Path) -> None:
        """Copy the artifact."""
        tracker.artifact(self.artifact(root))


class FinishLine(Document):
    """The last line: the final numbers."""

    kind: Literal["finish"]
    summary: Numbers
    exit_code: int

    def send(self, tracker: Tracker, root: Path) -> None:
        """Finish the tracker."""
        tracker.finish(self.summary, exit_code=self.exit_code)  # type: ignore[arg-type]


Line = (
    StartLine
    | LogLine
    | EventLine
    | TableLine
    | PictureLine
    | HistogramsLine
    | TextLine
    | FileLine
    | ArtifactLine
    | FinishLine
)
_LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


def journal_path(folder: Path, run: RunName) -> Path:
    """The path of a run's journal in a folder of journals."""
    return folder / f"{run}.jsonl"


class JournalTracker(Tracker):
    """Writes the journal.

    Args:
        folder: for all journals.
        root: files below it are recorded relative to it, so that a moved project stays readable.
        mirror_id: the id of the W&B run, which may be created later.
        kept_bytes: the length of the beginning of an existing journal that a resumed run keeps.
    """

    def __init__(self, folder: Path, *, root: Path, mirror_id: str, kept_bytes: int = 0) -> None:
        self.folder, self.root, self.mirror_id = folder, root.absolute(), mirror_id
        self._kept_bytes = kept_bytes
        self._handle: int | None = None

    def start(self, run: RunName, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Open the file, or raise an OSError. What follows the kept bytes is removed.

        Without kept bytes an existing file is from a removed run, since each run claims its name.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = journal_path(self.folder, run)
        anew = 0 if self._kept_bytes else os.O_TRUNC
        self._handle = open_handle(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | anew)
        lock(self._handle)
        if self._kept_bytes:
            os.ftruncate(self._handle, self._kept_bytes)
            return
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
        """Write a table with its rows."""
        rows = [list(row) for row in table.rows]
        self._write("table", step=step, name=table.name, columns=table.columns, rows=rows, chart=table.chart)

    def picture(self, picture: Picture, *, step: int) -> None:
        """Write an image, its PNG in base64."""
        png = base64.b64encode(picture.png).decode("ascii")
        self._write("picture", step=step, name=picture.name, png=png)

    def histograms(self, histograms: Mapping[str, Histogram], *, step: int) -> None:
        """Write counts and edges."""
        self._write(
            "histograms",
            step=step,
            values={name: asdict(histogram) for name, histogram in histograms.items()},
        )

    def write(self, name: str, text: str) -> None:
        """Write a piece of a text."""
        self._write("text", name=name, text=text)

    def save(self, path: Path, *, name: str) -> None:
        """Write the path of a file."""
        self._write("file", name=name, path=self._shown(path))

    def artifact(self, artifact: Artifact) -> None:
        """Write the paths of an artifact's files."""
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
        """Write the last line and release the file."""
        if self._handle is None:
            return
        try:
            self._write("finish", summary=summary, exit_code=exit_code)
            flush_handle(self._handle)
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
            self._close()  # so that `goemo sync` can hold the file
            raise

    def _shown(self, path: Path) -> str:
        return path_from_root(path, self.root)


@dataclass(frozen=True)
class Journal:
    """The content of a journal."""

    path: Path
    run: RunName
    mirror_id: str
    settings: Mapping[str, Any]
    facts: Mapping[str, Any]
    lines: tuple[Line, ...]
    """All lines after the first."""

    @property
    def is_finished(self) -> bool:
        """Whether the run ended and recorded it, as finished or failed."""
        return bool(self.lines) and isinstance(self.lines[-1], FinishLine)

    @property
    def summary(self) -> Numbers:
        """The final numbers; empty if the run did not record its end."""
        last = self.lines[-1] if self.lines else None
        return last.summary if isinstance(last, FinishLine) else {}

    @property
    def last_step(self) -> int:
        """The last step with numbers; -1 if there is none."""
        stepped = (LogLine, TableLine, PictureLine, HistogramsLine)
        return max((line.step for line in self.lines if isinstance(line, stepped)), default=-1)

    def files(self, root: Path) -> dict[str, Path]:
        """Copied files by their name in the tracker."""
        return {line.name: root / line.path for line in self.lines if isinstance(line, FileLine)}

    @property
    def texts(self) -> dict[str, str]:
        """Complete texts by their name in the tracker."""
        found: dict[str, str] = {}
        for line in self.lines:
            if isinstance(line, TextLine):
                found[line.name] = found.get(line.name, "") + line.text
        return found

    def artifacts(self, root: Path) -> list[Artifact]:
        """Artifacts in their order."""
        return [line.artifact(root) for line in self.lines if isinstance(line, ArtifactLine)]


def read_journal(path: Path, length: int | None = None) -> Journal:
    """Read a journal without an incomplete last line.

    Args:
        length: read only this number of bytes.

    Raises:
        NotFoundError: the file is missing.
        CorruptArtifactError: a line is not a journal line.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no journal; only runs of `goemo train` have one")
    lines = [parse_line(path, line) for line in complete_lines(path, length=length)]
    start = lines[0] if lines else None
    run = RunName.parse(start.run) if isinstance(start, StartLine) else None
    if not isinstance(start, StartLine) or run is None:
        raise CorruptArtifactError(path, "does not begin as a journal begins")
    return Journal(path, run, start.mirror_id, start.settings, start.facts, tuple(lines[1:]))


def parse_line(path: Path, line: bytes) -> Line:
    """One line of a journal.

    Raises:
        CorruptArtifactError: it is not a journal line.
    """
    try:
        return _LINE.validate_python(json.loads(line.decode("utf-8", "surrogatepass")))
    except ValidationError as error:
        raise CorruptArtifactError(
            path, f"has a line that is not a journal line ({faults(error)[0]})"
        ) from error
    except (ValueError, RecursionError) as error:
        raise CorruptArtifactError(path, f"has a line that is not JSON ({error})") from error


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a journal, so that no other process writes or uploads it.

    Raises:
        BusyError: its run is still in training, or is being uploaded.
    """
    # An exclusive lock on NFS needs a file that is open for writing.
    handle = open_handle(path, os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY)
    try:
        try:
            lock(handle)
        except BlockingIOError as error:
            raise BusyError(
                f"{path.stem} is still being trained or uploaded; try again when it is done"
            ) from error
        yield
    finally:
        os.close(handle)


def _plain(value: Any) -> Any:
    """A number of numpy or a path as JSON."""
    return value.item() if hasattr(value, "item") else str(value)
