"""Records of downloads, one per W&B run or artifact: a complete download needs no network again."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from goemo_cli.core.documents.base import Document
from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.tracking.wandb.client import RunReference
from goemo_cli.tracking.wandb.http import Algorithm, RemoteFile, is_same


class RecordedFile(Document):
    """A downloaded file, as the server listed it."""

    remote: str
    size: int
    digest: str | None = None
    algorithm: Algorithm = "md5"

    @classmethod
    def of(cls, file: RemoteFile) -> "RecordedFile":
        """The record of a file."""
        return cls(remote=file.name, size=file.size, digest=file.digest, algorithm=file.algorithm)

    def is_at(self, path: Path) -> bool:
        """Whether the local file is still as downloaded."""
        return is_same(path, RemoteFile(self.remote, self.size, self.digest, "", self.algorithm))


class DownloadRecord(Document):
    """All files that were downloaded from one run or artifact."""

    schema_version: int = SCHEMA_VERSION
    source: str
    """`ENTITY/PROJECT/ID`, or `ENTITY/PROJECT/NAME:VERSION` of an artifact."""
    downloaded: str
    """The time, in UTC."""
    what: list[str]
    files: dict[str, RecordedFile]
    """By path from the root."""

    @property
    def run(self) -> RunReference | None:
        """The W&B run; None for an artifact."""
        parts = self.source.split("/")
        is_run = len(parts) == 3 and ":" not in parts[2]
        return RunReference(parts[2], parts[1], parts[0]) if is_run else None

    def is_of(self, reference: RunReference) -> bool:
        """Whether the files are from this run; a part that the reference leaves open matches any."""
        run = self.run
        return run is not None and all(
            wanted in (None, actual)
            for wanted, actual in (
                (reference.entity, run.entity),
                (reference.project, run.project),
                (reference.run_id, run.run_id),
            )
        )

    def changed(self, layout: Layout, what: Iterable[str]) -> list[str]:
        """Paths of files of these kinds that are missing or differ from the download."""
        folders = tuple(f"{kind}/" for kind in what)
        return [
            path
            for path, file in self.files.items()
            if file.remote.startswith(folders) and not file.is_at(layout.root / path)
        ]


def read_records(layout: Layout) -> Iterator[DownloadRecord]:
    """Every record below the root. An unreadable one is skipped: it only costs a request."""
    for path in sorted(layout.downloads.glob("*.json")):
        try:
            yield DownloadRecord.read(path)
        except (OSError, CorruptArtifactError):
            continue


def write_record(
    layout: Layout, source: str, *, what: Iterable[str], files: Iterable[tuple[Path, RemoteFile]]
) -> None:
    """Record a download. The files of an earlier one from the same source stay recorded if they still exist."""
    older = next((record for record in read_records(layout) if record.source == source), None)
    kept = {
        path: file for path, file in (older.files if older else {}).items() if (layout.root / path).is_file()
    }
    new = {layout.shown(path): RecordedFile.of(file) for path, file in files}
    record = DownloadRecord(
        schema_version=SCHEMA_VERSION,
        source=source,
        downloaded=datetime.now(UTC).isoformat(timespec="seconds"),
        what=sorted({*(older.what if older else ()), *what}),
        files=dict(sorted((kept | new).items())),
    )
    record.write(layout.downloads / f"{slug_of(source)}.json")


def slug_of(source: str) -> str:
    """A source as part of a file name: readable and unique."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", source)[-80:]
    return f"{readable}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"
