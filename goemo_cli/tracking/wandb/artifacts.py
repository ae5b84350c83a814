"""W&B for the artifact library: a run with metrics and artifacts, each file verified. Imports wandb late."""

import inspect
import os
import shutil
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

from goemo_cli.core.errors import AuthenticationError, CorruptArtifactError, NotFoundError
from goemo_cli.core.files import remove_if_empty, sha256_file, staged_files
from goemo_cli.tracking.artifacts.config import LoggerConfig
from goemo_cli.tracking.artifacts.registry import require_own_folder
from goemo_cli.tracking.artifacts.versions import (
    LATEST,
    StoredFile,
    Version,
    check_alias,
    check_file_names,
    check_name,
    parse_reference,
)
from goemo_cli.tracking.wandb.client import WandbClient
from goemo_cli.tracking.wandb.http import fetch_all, is_same
from goemo_cli.tracking.wandb.sdk import (
    NO_PROGRAM,
    asked,
    link_into,
    load_wandb,
    neutral_folder,
    reached_server,
    run_settings,
    translated,
)

_OWN = "goemo"
"""Key of the metadata that goemo adds: SHA-256 of every file, and parents."""
_INIT_SECONDS = 30
ANSWER_SECONDS = 30
"""For one question to the server."""
_SLOWEST = 250_000
"""Bytes per second below which an upload counts as dead."""


class WandbArtifacts:
    """One W&B run, and the artifacts of its project.

    Raises:
        MissingPackageError: wandb is not installed, is too old, or cannot be imported.
        AuthenticationError: no key, or a refused one.
        RemoteError: W&B cannot be reached.
    """

    def __init__(
        self, config: LoggerConfig, *, run_id: str, online: bool, directory: Path, job: str | None
    ) -> None:
        self.is_online, self._base_url = online, config.base_url
        self._scratch: Path | None = None
        self._wandb = load_wandb("tracking on W&B")
        try:
            self._run = self._opened(config, run_id, directory, job)
        except BaseException:
            self._clear()
            remove_if_empty(directory)
            raise

    def _opened(self, config: LoggerConfig, run_id: str, directory: Path, job: str | None) -> Any:
        with translated("W&B", may_be_missing=False), _environment(NO_PROGRAM):
            if self.is_online:
                reached_server(config.base_url)
                _require_key(self._wandb, config.base_url)
                self._scratch = neutral_folder()
                weakref.finalize(
                    self, shutil.rmtree, self._scratch, ignore_errors=True
                )  # without `finish` too
            directory.mkdir(parents=True, exist_ok=True)
            return self._wandb.init(
                project=config.project,
                entity=config.entity,
                id=run_id,
                name=config.name,
                group=config.group,
                tags=list(config.tags) or None,
                notes=config.notes,
                config=dict(config.config),
                job_type=job,
                mode="online" if self.is_online else "offline",
                resume="allow",
                dir=str(directory.resolve()),
                settings=run_settings(
                    **({"base_url": config.base_url} if config.base_url else {}),
                    init_timeout=_INIT_SECONDS,
                    finish_timeout=_INIT_SECONDS,
                    reinit="create_new",  # else the SDK returns a run that is open in this process already
                ),
            )

    @property
    def url(self) -> str | None:
        """Where the run is shown; None offline."""
        return str(self._run.url) if self.is_online else None

    @property
    def first_step(self) -> int:
        """The lowest step that W&B accepts of this run: 0, or for a resumed run the one after its last."""
        return int(self._run.starting_step)

    def log(self, values: Mapping[str, Any], *, step: int) -> None:
        """Log numbers and media of a step."""
        with translated("W&B", may_be_missing=False), self._staging():
            self._run.log(dict(values), step=step)

    def log_table(
        self, key: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, step: int
    ) -> None:
        """Log rows as a table."""
        self.log({key: self._wandb.Table(columns=list(columns), data=[list(row) for row in rows])}, step=step)

    def link_to_collection(self, reference: str, target: str, aliases: Sequence[str]) -> str:
        """Link a version to a registry collection, or to one of the project; its reference.

        Raises:
            SettingError: an alias that is not allowed.
            NotFoundError: no such artifact.
            AuthenticationError, RemoteError: W&B refuses it, or does not answer.
        """
        wanted = [check_alias(alias) for alias in aliases]
        artifact = self._artifact(reference)
        linked = self._version(artifact).reference
        asked(
            lambda: self._run.link_artifact(artifact, target, aliases=wanted),
            linked,
            may_be_missing=False,
            seconds=ANSWER_SECONDS,
        )
        return linked

    def add(
        self,
        name: str,
        files: Mapping[str, Path],
        *,
        type: str,
        metadata: Mapping[str, Any],
        aliases: Iterable[str],
        parents: Sequence[str],
        description: str | None = None,
    ) -> Version | None:
        """Upload files as a version and wait until it is there; offline it is stored for a later upload, and None is returned.

        Raises:
            SettingError: an invalid name.
            RemoteError: it did not arrive.
        """
        check_name(name)
        check_file_names(files)
        wanted = [LATEST, *(check_alias(alias) for alias in aliases)]
        stored = {
            inside: StoredFile(sha256=sha256_file(path), size=path.stat().st_size)
            for inside, path in sorted(files.items())
        }
        used = tuple(self.use(parent) for parent in parents) if self.is_online else tuple(parents)
        own = {
            "files": {inside: {"sha256": file.sha256, "size": file.size} for inside, file in stored.items()},
            "parents": list(used),
        }
        with translated(name, may_be_missing=False):
            artifact = self._wandb.Artifact(
                name, type=type, description=description, metadata={**metadata, _OWN: own}
            )
            for inside, path in sorted(files.items()):
                if self._scratch:
                    link = link_into(self._scratch / "links", path)
                    artifact.add_file(str(link), name=inside, policy="immutable", skip_cache=True)
                else:
                    artifact.add_file(str(path.resolve()), name=inside)
            logged = self._run.log_artifact(artifact, aliases=list(dict.fromkeys(wanted)))
            if not self.is_online:
                return None
            logged.wait(timeout=ANSWER_SECONDS + sum(file.size for file in stored.values()) // _SLOWEST)
        return self._version(logged)

    def get(self, reference: str) -> Version:
        """The version of a reference in the run's project.

        Raises:
            NotFoundError: no such artifact, version or alias.
            RemoteError: no answer.
        """
        return self._version(self._artifact(reference))

    def parents(self, version: Version) -> tuple[str, ...]:
        """What a version was made from, as it says itself."""
        return version.parents

    def use(self, reference: str) -> str:
        """Note that this run used an artifact: W&B draws what the run logs as made from it.

        Returns:
            The reference with its version; unchanged if W&B does not know it.

        Raises:
            RemoteError: no answer.
        """
        name, version = parse_reference(reference)
        try:
            used = asked(
                lambda: self._run.use_artifact(f"{name}:{version}"), reference, seconds=ANSWER_SECONDS
            )
        except NotFoundError:
            return reference
        return f"{name}:{used.version}"

    def fetch(self, reference: str, folder: Path) -> Version:
        """Download a version into a folder: staged, each file verified, then moved. What is right there stays.

        Raises:
            NotFoundError, RemoteError: as `get`.
            CorruptArtifactError: bytes that are not those logged, even at the second try, or hostile names.
            SettingError: the folder holds other files.
        """
        artifact = self._artifact(reference)
        version = self._version(artifact)
        require_own_folder(folder, version.files)
        there = {file.name: file for file in self._source.files_of(artifact)}
        missing = [
            name
            for name, entry in version.files.items()
            if not is_same(folder / name, there[name]) or not _has_sha256(folder / name, entry)
        ]
        if not missing:
            return version
        # Not the SDK's download: it keeps wrong bytes in its cache and returns them again, and its skip_cache makes
        # later downloads of the same process write files with the content of others.
        with staged_files(folder) as stage:
            try:
                fetch_all(
                    [(there[name], stage / name) for name in missing],
                    self._source.fetcher(),
                    renew=self._source.renewed,
                )
            except CorruptArtifactError as error:
                raise CorruptArtifactError(
                    folder / error.path, f"{error.reason} ({version.reference})"
                ) from error
            if wrong := next(
                (name for name in missing if not _has_sha256(stage / name, version.files[name])), None
            ):
                raise CorruptArtifactError(
                    folder / wrong, f"does not have the logged SHA-256 ({version.reference})"
                )
        return version

    def finish(self, *, exit_code: int, summary: Mapping[str, Any]) -> None:
        """Close the run; a server that is gone is waited for at most 30 s."""
        with translated("W&B", may_be_missing=False):
            self._run.summary.update(dict(summary))
            self._run.finish(exit_code=exit_code)
        self._clear()

    def _clear(self) -> None:
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _staging(self) -> AbstractContextManager[None]:
        """Online, the SDK stages tables in a neutral folder, since it uploads the path."""
        return _environment({"WANDB_DATA_DIR": str(self._scratch)}) if self._scratch else nullcontext()

    @cached_property
    def _source(self) -> WandbClient:
        return WandbClient(timeout=ANSWER_SECONDS, base_url=self._base_url)

    def _artifact(self, reference: str) -> Any:
        name, version = parse_reference(reference)
        path = f"{self._run.entity}/{self._run.project}/{name}:{version}"
        return asked(lambda: self._source.api.artifact(path), reference, seconds=ANSWER_SECONDS)

    def _version(self, artifact: Any) -> Version:
        """An artifact of W&B as the local store would describe it; SHA-256 is empty if it was logged without.

        Raises:
            CorruptArtifactError: file names that lead out of a folder, or references to files elsewhere.
        """
        name = str(artifact.name).partition(":")[0]
        entries = self._source.entries_of(artifact)
        check_file_names(entries, Path(name))
        metadata = dict(artifact.metadata)
        own = metadata.pop(_OWN, None)
        own = own if isinstance(own, dict) else {}
        hashes, parents = own.get("files"), own.get("parents")
        found = {
            "name": name,
            "version": str(artifact.version),
            "type": str(artifact.type),
            "digest": str(artifact.digest),
            "created": str(artifact.created_at),
            "parents": [str(parent) for parent in parents] if isinstance(parents, list) else [],
            "description": artifact.description,
            "metadata": metadata,
            "files": {
                path: {"sha256": _hash_in(hashes, path), "size": int(entry.size or 0)}
                for path, entry in entries.items()
            },
        }
        return Version.checked(found, Path(name))


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that the SDK reads during one call."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _require_key(wandb: Any, base_url: str | None) -> None:
    """No key is an error, never a question on the terminal."""
    asks = "prompt" not in inspect.signature(wandb.login).parameters
    if not os.environ.get("WANDB_API_KEY") and not asks and not wandb.login(prompt=False, host=base_url):
        raise AuthenticationError("W&B: no API key is configured; set WANDB_API_KEY or run wandb login")


def _hash_in(hashes: Any, path: str) -> str:
    entry = hashes.get(path) if isinstance(hashes, dict) else None
    return str(entry.get("sha256", "")) if isinstance(entry, dict) else ""


def _has_sha256(path: Path, entry: StoredFile) -> bool:
    return not entry.sha256 or sha256_file(path) == entry.sha256
