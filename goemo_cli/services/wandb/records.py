"""What came from where: one record per W&B run or artifact, so that a complete download needs no network again."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import read_json_object, write_json
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.tracking.wandb.client import RunReference
from goemo_cli.tracking.wandb.http import RemoteFile, is_same


@dataclass(frozen=True)
class DownloadRecord:
    """One record."""

    source: str
    """`ENTITY/PROJECT/ID`, or `ENTITY/PROJECT/NAME:VERSION` of an artifact."""
    downloaded: str
    """When, in UTC."""
    what: tuple[str, ...]
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By path from the root: `remote` name, `size`, `digest`, `algorithm`."""

    def is_of(self, reference: RunReference) -> bool:
        """Whether it is of this run, as far as the reference says which."""
        parts = self.source.split("/")
        wanted = (reference.entity, reference.project, reference.run_id)
        return len(parts) == 3 and all(
            want is None or want == have for want, have in zip(wanted, parts, strict=True)
        )

    def changed(self, layout: Layout, what: Iterable[str]) -> list[str]:
        """Paths whose files are no longer as they came, of these kinds."""
        folders = tuple(f"{kind}/" for kind in what)
        return [
            path
            for path, entry in self.files.items()
            if str(entry.get("remote", "")).startswith(folders)
            and not is_same(layout.root / path, _file(entry))
        ]


def read_records(layout: Layout) -> Iterator[DownloadRecord]:
    """Every record below the root; one that cannot be read is passed over, it only costs a request."""
    for path in sorted(layout.downloads.glob("*.json")):
        try:
            value = read_json_object(path)
            yield DownloadRecord(
                str(value["source"]), str(value["downloaded"]), tuple(value["what"]), dict(value["files"])
            )
        except (OSError, CorruptArtifactError, KeyError, TypeError, ValueError):
            continue


def write_record(
    layout: Layout, source: str, *, what: Iterable[str], files: Iterable[tuple[Path, RemoteFile]]
) -> None:
    """Put a download on record, beside what an earlier one of the same source brought."""
    older = next((one for one in read_records(layout) if one.source == source), None)
    kept = {
        path: entry
        for path, entry in (older.files if older else {}).items()
        if (layout.root / path).is_file()
    }
    new = {
        layout.shown(path): {
            "remote": file.name, "size": file.size, "digest": file.digest, "algorithm": file.algorithm
        }
        for path, file in files
    }  # fmt: skip
    write_json(
        layout.downloads / f"{slug_of(source)}.json",
        {
            "schema_version": SCHEMA_VERSION,
            "source": source,
            "downloaded": datetime.now(UTC).isoformat(timespec="seconds"),
            "what": sorted({*(older.what if older else ()), *what}),
            "files": dict(sorted((kept | new).items())),
        },
    )


def slug_of(source: str) -> str:
    """A source as part of a file name: readable, and another one for every source."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", source)[-80:]
    return f"{readable}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"


def _file(entry: Mapping[str, Any]) -> RemoteFile:
    digest = entry.get("digest")
    return RemoteFile(
        str(entry.get("remote")),
        int(entry.get("size", -1)),
        None if digest is None else str(digest),
        "",
        "xxh128" if entry.get("algorithm") == "xxh128" else "md5",
    )
