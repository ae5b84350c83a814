"""A local store of artifacts by content: names, versions, aliases, parents. No account, no network, no database.

```
objects/ab/abcdef...            a file's bytes, named by their SHA-256, stored once
artifacts/NAME/v0.json          one version: its files, metadata, parents; written once, never changed
artifacts/NAME/aliases/best     which version an alias means now
artifacts/NAME/links/v0-....json  parents that were named later
collections/REGISTRY/NAME/best    which artifact an alias of a registry collection means now
```
"""

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import Field

from goemo_cli.core.documents.base import Document
from goemo_cli.core.errors import (
    BusyError,
    CorruptArtifactError,
    NotFoundError,
    SettingError,
    StorageError,
    did_you_mean,
)
from goemo_cli.core.files import (
    PARTIAL_PREFIX,
    atomic_path,
    dump_json,
    name_again,
    name_file,
    sha256_file,
    staged_files,
)
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.tracking.artifacts.versions import (
    LATEST,
    StoredFile,
    Version,
    check_alias,
    check_file_names,
    check_name,
    digest_of,
    parse_reference,
    read_version,
)

FOLDER = Path("artifacts/registry")
"""The place of the store below a project root."""
_VERSION = re.compile(r"v(0|[1-9]\d{0,8})")


class _Alias(Document):
    """Which version an alias means."""

    version: str = Field(pattern=f"^{_VERSION.pattern}$")


class _Link(Document):
    """A parent that was named later."""

    schema_version: int = SCHEMA_VERSION
    parent: str


class _CollectionAlias(Document):
    """Which version an alias of a registry collection means."""

    artifact: str


class Registry:
    """Artifacts below one folder. Several processes may write at once.

    Nothing is created by opening it or asking it.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """Every artifact that has a version, sorted."""
        return sorted(path.parent.name for path in self.folder.glob("artifacts/*/v0.json"))

    def add(
        self,
        name: str,
        files: Mapping[str, Path],
        *,
        type: str,
        metadata: Mapping[str, Any] | None = None,
        aliases: Iterable[str] = (),
        parents: Sequence[str] = (),
        run: str | None = None,
        description: str | None = None,
    ) -> Version:
        """Store files as a version; `latest` and the given aliases mean it from now on.

        Content that is stored under this name already makes no new version: its version gets the aliases, and
        parents that it did not have.

        Args:
            files: the current path of each file, by its path inside the artifact.
            type: what it is: model, dataset, predictions.
            metadata: JSON values; kept from the first time that this content is stored.
            aliases: besides `latest`.
            parents: what it was made from.
            run: which run logs it.
            description: text for readers; kept from the first time too.

        Raises:
            SettingError: a name, alias or file name that is not allowed, or metadata that JSON cannot hold.
            NotFoundError: a file is missing.
            BusyError: a file changed while it was stored.
        """
        check_name(name)
        wanted = [check_alias(alias) for alias in dict.fromkeys([LATEST, *aliases])]
        check_metadata(metadata or {})
        check_file_names(files)
        stored = {inside: self._store(path) for inside, path in sorted(files.items())}
        version = self._claim(
            name, stored, type, dict(metadata or {}), tuple(dict.fromkeys(parents)), run, description
        )
        for parent in parents:
            self.link(version.reference, parent)
        for alias in wanted:
            _Alias(version=version.version).write(self._artifact(name) / "aliases" / alias)
        return version

    def get(self, reference: str) -> Version:
        """The version of a reference: `NAME`, `NAME:v3`, `NAME:latest`, `NAME:best`.

        Raises:
            NotFoundError: no such artifact, version or alias.
            CorruptArtifactError: what is stored about it is damaged.
        """
        name, wanted = parse_reference(reference)
        numbers = self._numbers(name)
        if not numbers:
            raise NotFoundError(f"no artifact {name!r} in {self.folder}{did_you_mean(name, self.names())}")
        number = int(wanted[1:]) if _VERSION.fullmatch(wanted) else self._aliased(name, wanted, numbers)
        if number not in numbers:
            raise NotFoundError(f"{name} has no version v{number}; it has v0 to v{max(numbers)}")
        return self._read(name, number)

    def versions(self, name: str) -> list[Version]:
        """Every version of an artifact, the oldest first; empty for an unknown name."""
        return [self._read(check_name(name), number) for number in self._numbers(name)]

    def aliases(self, name: str) -> dict[str, str]:
        """The version (`v3`) of every alias."""
        folder = self._artifact(check_name(name)) / "aliases"
        paths = sorted(path for path in folder.glob("*") if not path.name.startswith(PARTIAL_PREFIX))
        return {path.name: _Alias.read(path).version for path in paths}

    def parents(self, version: Version) -> tuple[str, ...]:
        """What a version was made from: as it was logged, and as it was linked later."""
        found = dict.fromkeys(version.parents)
        folder = self._artifact(version.name) / "links"
        for path in sorted(folder.glob(f"v{version.number}-*.json")):
            found[_Link.read(path).parent] = None
        return tuple(found)

    def link(self, child: str, parent: str) -> Version:
        """Say that one artifact was made from another; saying it twice changes nothing. The child's version.

        A parent without a known version, such as one on W&B, is kept as it is written.

        Raises:
            SettingError: an artifact would be made from itself.
            NotFoundError: no such child.
        """
        version = self.get(child)
        resolved = self._resolved(parent)
        if resolved == version.reference:
            raise SettingError([f"{resolved} cannot be made from itself"])
        if resolved not in self.parents(version):
            if version.reference in self._ancestors(resolved):
                raise SettingError(
                    [f"{resolved} is made from {version.reference}: not the other way round too"]
                )
            key = sha256(resolved.encode()).hexdigest()[:12]
            path = self._artifact(version.name) / "links" / f"v{version.number}-{key}.json"
            _Link(schema_version=SCHEMA_VERSION, parent=resolved).write(path)
        return version

    def link_to_collection(self, reference: str, target: str, aliases: Iterable[str] = ()) -> str:
        """Link a version to a collection, under `latest` and the given aliases; its reference.

        Args:
            reference: of an artifact here.
            target: as `parse_collection` gives it.
            aliases: besides `latest`.

        Raises:
            SettingError: an alias that is not allowed.
            NotFoundError: no such artifact.
        """
        wanted = [check_alias(alias) for alias in dict.fromkeys([LATEST, *aliases])]
        linked = self.get(reference).reference
        for alias in wanted:
            _CollectionAlias(artifact=linked).write(self.folder / "collections" / target / alias)
        return linked

    def collection(self, target: str) -> dict[str, str]:
        """The artifact (`net:v3`) of every alias of a collection."""
        folder = self.folder / "collections" / target
        paths = [path for path in sorted(folder.glob("*")) if not path.name.startswith(PARTIAL_PREFIX)]
        return {path.name: _CollectionAlias.read(path).artifact for path in paths}

    def fetch(self, reference: str, folder: Path) -> Version:
        """Copy a version into a folder, each file verified; those that are right there already stay.

        Raises:
            NotFoundError: no such version, or a file that the store has lost.
            CorruptArtifactError: a file is not what was stored, or a name leads out of the folder.
            SettingError: the folder contains other files, which would seem to belong to the artifact.
        """
        version = self.get(reference)
        require_own_folder(folder, version.files)
        missing = [name for name, entry in version.files.items() if not _is_in_place(folder / name, entry)]
        with staged_files(folder) as stage:
            for name in missing:
                self._copy_out(version.files[name], stage / name)
        return version

    def _store(self, path: Path) -> StoredFile:
        if not path.is_file():
            raise NotFoundError(f"{path}: no such file")
        entry = StoredFile(sha256=sha256_file(path), size=path.stat().st_size)
        target = self._object(entry.sha256)
        if not _is_in_place(target, entry):  # a damaged copy is replaced
            with atomic_path(target) as partial:
                shutil.copyfile(path, partial)
                if sha256_file(partial) != entry.sha256:
                    raise BusyError(f"{path} changed while it was stored; store it when it is complete")
        return entry

    def _claim(
        self,
        name: str,
        files: Mapping[str, StoredFile],
        type: str,
        metadata: Mapping[str, Any],
        parents: tuple[str, ...],
        run: str | None,
        description: str | None,
    ) -> Version:
        """The version that has this content, or a new one; of two writers one gets the number, the other looks again."""
        digest, known, resolved = (
            digest_of(files),
            set[int](),
            tuple(self._resolved(parent) for parent in parents),
        )
        while True:
            numbers = self._numbers(name)
            for number in [number for number in numbers if number not in known]:
                there = self._read(name, number)
                if (there.digest, there.type) == (digest, type):
                    return there
            known |= set(numbers)
            version = Version(
                schema_version=SCHEMA_VERSION,
                name=name,
                version=f"v{max(numbers, default=-1) + 1}",
                type=type,
                digest=digest,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                run=run,
                parents=resolved,
                description=description,
                metadata=dict(metadata),
                files=dict(files),
            )
            if _create(self._artifact(name) / f"{version.version}.json", version):
                return version

    def _copy_out(self, entry: StoredFile, target: Path) -> None:
        source = self._object(entry.sha256)
        if not source.is_file():
            raise NotFoundError(f"{source} is missing: the store has lost a file")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        if not _is_in_place(target, entry):
            raise CorruptArtifactError(source, "is not what was stored; log the artifact again to repair it")

    def _aliased(self, name: str, alias: str, numbers: Sequence[int]) -> int:
        path = self._artifact(name) / "aliases" / check_alias(alias)
        if path.is_file():
            return int(_Alias.read(path).version[1:])
        if alias == LATEST:  # a writer was killed between its version and the alias
            return max(numbers)
        known = [*self.aliases(name), f"v{max(numbers)}"]
        raise NotFoundError(f"{name} has no alias {alias!r}{did_you_mean(alias, known)}")

    def _numbers(self, name: str) -> list[int]:
        found = [_VERSION.fullmatch(path.stem) for path in self._artifact(name).glob("v*.json")]
        return sorted(int(match[1]) for match in found if match)

    def _resolved(self, reference: str) -> str:
        """A reference of this store with its version; any other as it is."""
        try:
            return self.get(reference).reference
        except (NotFoundError, SettingError):
            return reference

    def _ancestors(self, reference: str) -> Iterator[str]:
        waiting, seen = [reference], {reference}
        while waiting:
            try:
                version = self.get(waiting.pop())
            except (NotFoundError, SettingError):
                continue
            for parent in self.parents(version):
                if parent not in seen:
                    seen.add(parent)
                    waiting.append(parent)
                    yield parent

    def _read(self, name: str, number: int) -> Version:
        return read_version(self._artifact(name) / f"v{number}.json", name, number)

    def _artifact(self, name: str) -> Path:
        return self.folder / "artifacts" / name

    def _object(self, digest: str) -> Path:
        return self.folder / "objects" / digest[:2] / digest


def files_of(path: Path) -> dict[str, Path]:
    """The files of a file or folder by their path inside it; what killed writes left behind is passed over.

    Raises:
        NotFoundError: nothing there, or an empty folder.
        SettingError: a link: what it points to may be outside.
    """
    if path.is_file():
        return {path.name: path}
    if not path.is_dir():
        raise NotFoundError(f"{path}: no such file or folder")
    found = [inner for inner in sorted(path.rglob("*")) if PARTIAL_PREFIX not in str(inner.relative_to(path))]
    if links := [inner for inner in found if inner.is_symlink()]:
        raise SettingError([f"{links[0]} is a link; store the files themselves"])
    files = {inner.relative_to(path).as_posix(): inner for inner in found if inner.is_file()}
    if not files:
        raise NotFoundError(f"{path}: an empty folder")
    return files


def require_own_folder(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder into which files of an artifact must not go.

    Raises:
        SettingError: it contains other files, or is a file.
        CorruptArtifactError: a link inside it leads elsewhere.
    """
    if folder.exists() and not folder.is_dir():
        raise SettingError([f"{folder} is not a folder"])
    own = set(names)
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise CorruptArtifactError(path, "is a link; nothing is written through it")
        if path.is_file() and inside not in own and PARTIAL_PREFIX not in inside:
            raise SettingError([f"{folder} holds other files ({inside}); choose an empty folder"])


def _is_in_place(path: Path, entry: StoredFile) -> bool:
    return path.is_file() and path.stat().st_size == entry.size and sha256_file(path) == entry.sha256


def _create(path: Path, record: Version) -> bool:
    """Write a new file, complete from its first moment; False if it exists, since another process was faster."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=PARTIAL_PREFIX, dir=path.parent))
    try:
        record.write(stage / path.name)
        name_again(stage / path.name, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.filename2 is None:
            name_file(error, path)
            raise
        raise StorageError(
            path, f"cannot be claimed: this file system has no hard links ({error.strerror})"
        ) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return True


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """Refuse metadata that JSON cannot hold.

    Raises:
        SettingError: with the reason.
    """
    try:
        dump_json(dict(metadata))
    except (TypeError, ValueError) as error:
        raise SettingError([f"metadata must be JSON values without NaN ({error})"]) from error
