"""Versions of artifacts: their names and references, which are the same here and on W&B, and their records on disk."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import Field, Strict

from goemo_cli.core.documents.base import Document
from goemo_cli.core.errors import CorruptArtifactError, SettingError
from goemo_cli.core.files import PARTIAL_PREFIX
from goemo_cli.core.schema import SCHEMA_VERSION

LATEST = "latest"
"""The alias of what was logged last."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_REGISTRY = "wandb-registry-"
"""What W&B puts before the name of a registry."""
_VERSION = re.compile(r"v\d+")
_CONTROLS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_LONGEST_PART = 255
_LONGEST_NAME = 1_000


class StoredFile(Document):
    """A file of a version. Its hash becomes a path in the store, so its form is checked; W&B may not know the hash."""

    sha256: str = Field(pattern=r"^([0-9a-f]{64})?$")
    size: int = Field(ge=0)
    """Bytes."""


class Version(Document):
    """One version of an artifact, and its JSON file in the store; it never changes."""

    schema_version: int = SCHEMA_VERSION
    name: str
    version: str = Field(pattern=r"^v\d+$")
    type: str
    digest: str
    """SHA-256 over names, sizes and hashes of all files: the same content has the same digest."""
    created: str
    run: str | None = None
    """The run that logged it first."""
    parents: Annotated[tuple[str, ...], Strict(False)]
    """References such as `goemotions:v0`, of this store or of another."""
    description: str | None = None
    """Text for readers."""
    metadata: dict[str, Any]
    files: dict[str, StoredFile]
    """By path inside the artifact."""

    @property
    def number(self) -> int:
        """3 for `v3`."""
        return int(self.version[1:])

    @property
    def reference(self) -> str:
        """`NAME:vN`."""
        return f"{self.name}:{self.version}"


def digest_of(files: Mapping[str, StoredFile]) -> str:
    """SHA-256 over names, sizes and hashes of all files."""
    lines = (f"{entry.sha256} {entry.size} {name}\n" for name, entry in sorted(files.items()))
    return sha256("".join(lines).encode()).hexdigest()


def read_version(path: Path, name: str, number: int) -> Version:
    """A version from its file, which is checked completely: it may have been copied from anywhere.

    Raises:
        CorruptArtifactError: it is not a record of this version, or names files outside.
    """
    version = Version.read(path)
    if (version.name, version.version) != (name, f"v{number}"):
        raise CorruptArtifactError(path, "is not a record of this version")
    check_file_names(version.files, path)
    if not version.files or not all(file.sha256 for file in version.files.values()):
        raise CorruptArtifactError(path, "names no file, or a file without its SHA-256")
    if version.digest != digest_of(version.files):
        raise CorruptArtifactError(path, "its digest is not that of its files")
    return version


def check_name(name: str) -> str:
    """The name, if it is one.

    Raises:
        SettingError: anything that could be a path, or is longer than 128 characters.
    """
    if not _NAME.fullmatch(name):
        raise SettingError(
            [f"artifact name {name!r}: letters, digits, '.', '_' and '-', beginning with a letter or digit"]
        )
    return name


def check_alias(alias: str) -> str:
    """The alias, if it is one.

    Raises:
        SettingError: no name, or one that looks like a version.
    """
    if not _NAME.fullmatch(alias) or _VERSION.fullmatch(alias):
        raise SettingError([f"alias {alias!r}: letters, digits, '.', '_' and '-'; v0, v1, ... are versions"])
    return alias


def parse_reference(reference: str) -> tuple[str, str]:
    """Name and version or alias of `NAME` (latest), `NAME:v3`, `NAME:best`.

    Raises:
        SettingError: none of these.
    """
    name, colon, version = reference.partition(":")
    if colon and not _NAME.fullmatch(version):
        raise SettingError([f"{reference!r}: write NAME, NAME:v3 or NAME:ALIAS"])
    return check_name(name), version if colon else LATEST


def parse_collection(collection: str) -> str:
    """The path that W&B has for a registry collection: `wandb-registry-REGISTRY/NAME`, or `NAME` in the project.

    Args:
        collection: `REGISTRY/NAME`, also with W&B's prefix, or `NAME`.

    Raises:
        SettingError: none of these.
    """
    registry, slash, name = collection.rpartition("/")
    registry = registry.removeprefix(_REGISTRY)
    if not _NAME.fullmatch(name) or (slash and not _NAME.fullmatch(registry)):
        raise SettingError(
            [f"collection {collection!r}: write REGISTRY/NAME, such as model/emotions, or NAME"]
        )
    return f"{_REGISTRY}{registry}/{name}" if slash else name


def check_file_names(names: Iterable[str], source: Path | None = None) -> None:
    """Refuse names that lead out of a folder, or that are the same on some file systems.

    Args:
        names: of the files of one folder, relative, with `/`.
        source: which run, artifact or record they come from, for the message; None if the caller chose them.

    Raises:
        CorruptArtifactError: with the first such name, if the names come from `source`.
        SettingError: the same if the caller chose them; also if the list is empty.
    """
    names = list(names)
    reason = _first_fault(names)
    if reason and source is not None:
        raise CorruptArtifactError(source, f"refused: {reason}")
    if reason or (source is None and not names):
        raise SettingError([reason or "an artifact needs at least one file"])


def _first_fault(names: Sequence[str]) -> str | None:
    known: dict[str, str] = {}
    for name in names:
        if reason := _fault(name):
            return f"the file name {name!r} {reason}"
        if (other := known.setdefault(_folded(name), name)) != name:
            return f"the file names {other!r} and {name!r} differ only by case"
    for name in known.values():
        for parent in PurePosixPath(name).parents:
            if (file := known.get(_folded(str(parent)))) is not None:
                return f"{file!r} is both a file and a folder"
    return None


def _fault(name: str) -> str | None:
    parts = name.split("/")
    if not name or "" in parts:
        return "is empty in part, or absolute"
    if {".", ".."} & set(parts):
        return "leads elsewhere"
    if "\\" in name or _CONTROLS.search(name) or ":" in parts[0]:
        return "has a backslash, a colon or a control character"
    if len(name) > _LONGEST_NAME or any(len(part.encode()) > _LONGEST_PART for part in parts):
        return "is too long"
    if any(part.startswith(PARTIAL_PREFIX) for part in parts):
        return "is reserved by goemo for unfinished files"
    return None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
