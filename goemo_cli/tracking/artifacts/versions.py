"""One version of an artifact: what it is, and its record on disk."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.tracking.artifacts.names import check_file_names

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StoredFile:
    """A file of a version."""

    sha256: str
    size: int
    """Bytes."""


@dataclass(frozen=True)
class Version:
    """One version of an artifact: what it holds never changes."""

    name: str
    number: int
    type: str
    digest: str
    """SHA-256 over names, sizes and hashes of all files: the same content has the same digest."""
    files: Mapping[str, StoredFile]
    """By path inside the artifact."""
    metadata: Mapping[str, Any]
    parents: tuple[str, ...]
    """What it was made from: references such as `goemotions:v0`, of this store or of another."""
    created: str
    run: str | None
    """The run that logged it first."""
    description: str | None = None
    """Text for readers."""

    @property
    def reference(self) -> str:
        """`NAME:vN`."""
        return f"{self.name}:v{self.number}"


def digest_of(files: Mapping[str, StoredFile]) -> str:
    """SHA-256 over names, sizes and hashes of all files."""
    lines = (f"{entry.sha256} {entry.size} {name}\n" for name, entry in sorted(files.items()))
    return sha256("".join(lines).encode()).hexdigest()


def record_of(version: Version) -> dict[str, Any]:
    """What is written down of a version."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": version.name,
        "version": f"v{version.number}",
        "type": version.type,
        "digest": version.digest,
        "created": version.created,
        "run": version.run,
        "parents": list(version.parents),
        "description": version.description,
        "metadata": dict(version.metadata),
        "files": {
            name: {"sha256": entry.sha256, "size": entry.size} for name, entry in version.files.items()
        },
    }


def version_of(path: Path, name: str, number: int, record: Mapping[str, Any]) -> Version:
    """A version from its record, every part of it checked: it may have been copied from anywhere.

    Raises:
        CorruptArtifactError: it is not a record of this version, or names files outside.
    """
    files, metadata, parents = (record.get(key) for key in ("files", "metadata", "parents"))
    sound = (
        (record.get("name"), record.get("version")) == (name, f"v{number}")
        and isinstance(record.get("type"), str)
        and isinstance(files, dict)
        and bool(files)
        and all(_is_entry(entry) for entry in files.values())
        and isinstance(metadata, dict)
        and isinstance(parents, list)
        and all(isinstance(parent, str) for parent in parents)
    )
    if not sound:
        raise CorruptArtifactError(path, "is not a record of this version")
    check_file_names(files or {}, path)
    stored = {inside: StoredFile(entry["sha256"], entry["size"]) for inside, entry in (files or {}).items()}
    if record.get("digest") != digest_of(stored):
        raise CorruptArtifactError(path, "its digest is not that of its files")
    run, description = record.get("run"), record.get("description")
    return Version(
        name, number, str(record["type"]), digest_of(stored), stored, metadata or {}, tuple(parents or ()),
        str(record.get("created")), run if isinstance(run, str) else None,
        description if isinstance(description, str) else None,
    )  # fmt: skip


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("sha256"), str)
        and bool(_DIGEST.fullmatch(entry["sha256"]))
        and isinstance(entry.get("size"), int)
        and entry["size"] >= 0
    )
