"""What a derived file says of its sources, and what became of them. These are facts: callers word them.

Derived files are figures, summaries and tables of statistics, comparisons, reports, and files that a run writes outside
its checkpoint. Each records the SHA-256 of its sources by path from the root.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from PIL import Image

from goemo_cli.core.csv_files import by_column, open_csv
from goemo_cli.core.errors import CorruptArtifactError, DataFileError
from goemo_cli.core.files import read_json_object, sha256_file
from goemo_cli.core.schema import SOURCES_KEY

PICTURES = (".png", ".svg", ".pdf")
_COMPARED = (("a_source", "a_sha256"), ("b_source", "b_sha256"))
_SEAL = re.compile(rb"<!-- goemo-sha256 ([0-9a-f]{64}) -->\n\Z")
_RECORD = re.compile(f"<!-- {SOURCES_KEY} (\\{{.*?\\}}) -->".encode())

SourceState = Literal["current", "changed", "gone", "outside", "unrecorded"]
"""current: as recorded. outside: its path leaves the root, so it was not read. unrecorded: no digest to compare with."""


class FilesNow:
    """The SHA-256 of files as they are now; each file is hashed once.

    Args:
        root: recorded paths are relative to it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._hashes: dict[Path, str] = {}

    def sha256(self, path: Path) -> str:
        """SHA-256 of a file."""
        if path not in self._hashes:
            self._hashes[path] = sha256_file(path)
        return self._hashes[path]

    def state_of(self, path: Path, digest: Any) -> SourceState:
        """What became of a file.

        Args:
            digest: its recorded SHA-256; None if none was recorded.
        """
        if not path.is_file():
            return "gone"
        if digest is None:
            return "unrecorded"
        return "current" if self.sha256(path) == digest else "changed"

    def states(self, sources: Mapping[str, Any]) -> Iterator[tuple[str, SourceState]]:
        """(name, state) of each recorded source; a path that leaves the root is not read."""
        for name, digest in sources.items():
            yield name, self.state_of(self.root / name, digest) if is_inside(name) else "outside"


def is_inside(name: str) -> bool:
    """Whether a recorded path stays below the root."""
    return not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts


@dataclass(frozen=True)
class FigureRecord:
    """What a figure was drawn from, as its picture and the JSON file next to its table say."""

    sources: Mapping[str, str]
    """SHA-256 of artifacts by path from the root."""
    data: Mapping[str, str]
    """SHA-256 of the splits of the data set that were drawn."""
    runs: tuple[str, ...]
    files: Mapping[str, str]
    """SHA-256 of the picture and its table by path from output/figures."""


def read_figure_record(picture: Path) -> FigureRecord | None:
    """What a picture and its record say; None if the record is missing. A PNG names its sources itself.

    Raises:
        CorruptArtifactError: the picture or its record is damaged.
    """
    path = _record_of(picture)
    record = read_json_object(path) if path.is_file() else {}
    own = _sources_in(picture)
    sources, files, data = (_mapping(path, record, key) for key in ("sources", "files", "data"))
    runs = record.get("runs")
    if not record:
        return None
    return FigureRecord(own or sources, data, tuple(map(str, runs)) if isinstance(runs, list) else (), files)


def figure_origin(picture: Path) -> FigureRecord:
    """What a picture and its record say, read separately; a part that cannot be read is empty."""
    record: dict[str, Any] = {}
    with suppress(OSError, CorruptArtifactError):  # `goemo validate` names a damaged one
        record = read_json_object(_record_of(picture))
    own: Mapping[str, Any] = {}
    with suppress(OSError, RecursionError, CorruptArtifactError):
        own = _sources_in(picture)
    runs = record.get("runs")
    return FigureRecord(
        sources=_texts(own) or _texts(record.get("sources")),
        data=_texts(record.get("data")),
        runs=tuple(map(str, runs)) if isinstance(runs, list) else (),
        files=_texts(record.get("files")),
    )


def sources_in_text(text: str) -> dict[str, Any]:
    """The sources in the text that a PNG carries.

    Raises:
        ValueError: not a JSON object.
    """
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"{SOURCES_KEY} is not an object")
    return value


def summary_sources(path: Path) -> dict[str, Any] | None:
    """The sources that a summary of statistics names; None if it names none.

    Raises:
        CorruptArtifactError: not a JSON object.
    """
    sources = read_json_object(path).get("sources")
    return sources if isinstance(sources, dict) else None


def comparison_sources(path: Path) -> list[tuple[str, str]]:
    """(name, SHA-256) of each file that significance_tests.csv was computed from, once each.

    Raises:
        DataFileError: a column is missing, or a row has another number of fields.
    """
    found: dict[tuple[str, str], None] = {}
    with open_csv(path) as (header, rows):
        if missing := [name for pair in _COMPARED for name in pair if name not in header]:
            raise DataFileError(path, f"column {missing[0]!r} is missing", 1)
        for _, row in by_column(path, header, rows):
            found.update(dict.fromkeys((row[name], row[digest]) for name, digest in _COMPARED))
    return list(found)


def sources_comment(sources: Mapping[str, str]) -> str:
    """An HTML comment that names the files, for pages and for Markdown."""
    record = json.dumps(dict(sorted(sources.items()))).replace("--", "-\\u002d").replace(">", "\\u003e")
    return f"<!-- {SOURCES_KEY} {record} -->"


def sealed(text: str) -> str:
    """A report with its SHA-256 as a comment at the end."""
    return f"{text}<!-- goemo-sha256 {hashlib.sha256(text.encode('utf-8')).hexdigest()} -->\n"


def is_report_as_sealed(path: Path) -> bool:
    """Whether a report ends with the SHA-256 of all that is above it."""
    data = path.read_bytes()
    found = _SEAL.search(data)
    return found is not None and hashlib.sha256(data[: found.start()]).hexdigest().encode() == found[1]


def report_sources(path: Path) -> dict[str, str]:
    """SHA-256 of the files that a report was made from, by path from the root.

    Raises:
        CorruptArtifactError: no report of goemo.
    """
    found = _RECORD.search(path.read_bytes())
    try:
        record = json.loads(found[1]) if found else None
    except ValueError as error:
        raise CorruptArtifactError(path, f"{SOURCES_KEY} is not valid JSON ({error})") from error
    if not isinstance(record, dict):
        raise CorruptArtifactError(path, "does not say which files it was made from")
    return record


def _record_of(picture: Path) -> Path:
    return picture.parent / "data" / f"{picture.stem}.json"


def _sources_in(picture: Path) -> dict[str, Any]:
    """The sources in a PNG; empty for other formats, and for a figure of the data set alone.

    Raises:
        CorruptArtifactError: not a PNG, or another text than goemo writes.
    """
    if picture.suffix != ".png":
        return {}
    try:
        with Image.open(picture) as image:
            text = image.info.get(SOURCES_KEY)
        return {} if text is None else sources_in_text(text)
    except (OSError, SyntaxError, TypeError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # of the disk; Pillow's own errors about a damaged picture have no number
        raise CorruptArtifactError(picture, f"is damaged ({error})") from error


def _mapping(path: Path, record: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = record.get(key, {})
    if not isinstance(value, dict):
        raise CorruptArtifactError(path, f"{key} is not an object")
    return value


def _texts(value: Any) -> dict[str, str]:
    return {str(name): str(digest) for name, digest in value.items()} if isinstance(value, dict) else {}
