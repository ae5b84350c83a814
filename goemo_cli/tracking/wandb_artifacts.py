"""W&B for pipelines of one's own: a run with metrics, artifacts up and down, each file verified. Imports wandb."""

import inspect
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import wandb
from wandb.sdk.artifacts.artifact_file_cache import get_artifact_file_cache

from goemo_cli.core.errors import (
    AuthenticationError,
    CorruptArtifactError,
    NotFoundError,
    RemoteError,
    SettingError,
)
from goemo_cli.core.files import sha256_file, staged_files
from goemo_cli.tracking.artifact_names import (
    LATEST,
    check_alias,
    check_file_names,
    check_name,
    parse_reference,
)
from goemo_cli.tracking.logger_config import LoggerConfig
from goemo_cli.tracking.registry import require_own_folder
from goemo_cli.tracking.versions import StoredFile, Version
from goemo_cli.tracking.wandb_sdk import reached_server, run_settings, translated

_T = TypeVar("_T")
_OWN = "goemo"
"""Key of the metadata that goemo adds: SHA-256 of every file, and parents."""
_INIT_SECONDS = 30
_ANSWER_SECONDS = 30.0
"""For one question to the server; nothing in the SDK ends a silent connection."""
_SLOWEST = 250_000
"""Bytes per second below which a transfer counts as dead."""


class WandbArtifacts:
    """One W&B run, and the artifacts of its project.

    Raises:
        AuthenticationError: no key, or a refused one.
        RemoteError: W&B cannot be had.
    """

    def __init__(
        self, config: LoggerConfig, *, run_id: str, online: bool, directory: Path, job: str | None
    ) -> None:
        self.is_online = online
        directory.mkdir(parents=True, exist_ok=True)
        with translated("W&B", may_be_missing=False):
            if online:
                reached_server()
                _require_key()
            self._run = wandb.init(
                project=config.project,
                entity=config.entity,
                id=run_id,
                name=config.name,
                tags=list(config.tags) or None,
                notes=config.notes,
                config=dict(config.config),
                job_type=job,
                mode="online" if online else "offline",
                resume="allow",
                dir=str(directory.resolve()),
                settings=run_settings(init_timeout=_INIT_SECONDS, finish_timeout=_INIT_SECONDS),
            )

    @property
    def url(self) -> str | None:
        """Where the run is shown; None offline."""
        return str(self._run.url) if self.is_online else None

    def log(self, values: Mapping[str, Any], *, step: int) -> None:
        """Log numbers of a step."""
        with translated("W&B", may_be_missing=False):
            self._run.log(dict(values), step=step)

    def add(
        self,
        name: str,
        files: Mapping[str, Path],
        *,
        type: str,
        metadata: Mapping[str, Any],
        aliases: Iterable[str],
        parents: Sequence[str],
    ) -> Version | None:
        """Upload files as a version and wait until it is there; offline it is only put down for later, hence None.

        Raises:
            SettingError: a name that is none.
            RemoteError: it did not arrive.
        """
        check_name(name)
        check_file_names(files)
        wanted = [LATEST, *(check_alias(alias) for alias in aliases)]
        stored = {
            inside: StoredFile(sha256_file(path), path.stat().st_size)
            for inside, path in sorted(files.items())
        }
        used = tuple(self.use(parent) for parent in parents) if self.is_online else tuple(parents)
        own = {
            "files": {inside: {"sha256": one.sha256, "size": one.size} for inside, one in stored.items()},
            "parents": list(used),
        }
        with translated(name, may_be_missing=False):
            artifact = wandb.Artifact(name, type=type, metadata={**metadata, _OWN: own})
            for inside, path in sorted(files.items()):
                artifact.add_file(str(path.resolve()), name=inside)
            logged = self._run.log_artifact(artifact, aliases=list(dict.fromkeys(wanted)))
            if not self.is_online:
                return None
            logged.wait(timeout=int(_seconds_for(stored.values())))
        return _version(logged)

    def get(self, reference: str) -> Version:
        """The version of a reference in the run's project.

        Raises:
            NotFoundError: no such artifact, version or alias.
            RemoteError: no answer.
        """
        return _version(self._artifact(reference))

    def parents(self, version: Version) -> tuple[str, ...]:
        """What a version was made from, as it says itself."""
        return version.parents

    def use(self, reference: str) -> str:
        """Note that this run used an artifact: W&B draws what the run logs as made from it.

        Returns:
            The reference with its version; as it was where W&B does not know it.

        Raises:
            RemoteError: no answer.
        """
        name, version = parse_reference(reference)
        try:
            used = _within(_ANSWER_SECONDS, lambda: self._run.use_artifact(f"{name}:{version}"), reference)
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
        version = _version(artifact)
        require_own_folder(folder, version.files)
        if not _faults(artifact, version, folder):
            return version
        for _ in range(2):
            artifact, faults = self._artifact(version.reference), []
            with staged_files(folder) as stage:
                _download(artifact, version, stage)
                if faults := _faults(artifact, version, stage):
                    _forget(artifact, faults)  # the SDK would hand out the same wrong bytes again
                for path in [one for one in stage.rglob("*") if one.is_file()]:
                    if faults or path.relative_to(stage).as_posix() not in version.files:
                        path.unlink()  # all of it moves, or nothing
            if not faults:
                return version
        raise CorruptArtifactError(
            folder / faults[0], f"came from W&B other than it was logged ({version.reference})"
        )

    def finish(self, *, exit_code: int, summary: Mapping[str, Any]) -> None:
        """Close the run; a server that is gone is waited for at most 30 s."""
        with translated("W&B", may_be_missing=False):
            self._run.summary.update(dict(summary))
            self._run.finish(exit_code=exit_code)

    def _artifact(self, reference: str) -> Any:
        name, version = parse_reference(reference)
        path = f"{self._run.entity}/{self._run.project}/{name}:{version}"
        return _within(
            _ANSWER_SECONDS, lambda: wandb.Api(timeout=int(_ANSWER_SECONDS)).artifact(path), reference
        )


def _require_key() -> None:
    """No key is an error, never a question on the terminal."""
    asks = "prompt" not in inspect.signature(wandb.login).parameters
    if not os.environ.get("WANDB_API_KEY") and not asks and not wandb.login(prompt=False):
        raise AuthenticationError("W&B: no API key is configured; set WANDB_API_KEY or run wandb login")


def _version(artifact: Any) -> Version:
    """An artifact of W&B as the local store would describe it; SHA-256 is empty where whoever logged it gave none.

    Raises:
        CorruptArtifactError: file names that lead out of a folder, or references to files elsewhere.
    """
    name = str(artifact.name).partition(":")[0]
    with translated(name):
        entries = artifact.manifest.entries
    metadata = dict(artifact.metadata)
    own = metadata.pop(_OWN, None)
    own = own if isinstance(own, dict) else {}
    hashes, parents = own.get("files"), own.get("parents")
    try:
        check_file_names(entries)
    except SettingError as error:
        raise CorruptArtifactError(Path(name), "; ".join(error.problems)) from error
    if references := [path for path, entry in entries.items() if entry.ref is not None]:
        raise CorruptArtifactError(
            Path(name), f"refers to a file elsewhere ({references[0]}); it is not fetched"
        )
    return Version(
        name=name,
        number=int(str(artifact.version).removeprefix("v")),
        type=str(artifact.type),
        digest=str(artifact.digest),
        files={
            path: StoredFile(_hash_in(hashes, path), int(entry.size or 0)) for path, entry in entries.items()
        },
        metadata=metadata,
        parents=tuple(str(one) for one in parents) if isinstance(parents, list) else (),
        created=str(artifact.created_at),
        run=None,
    )


def _hash_in(hashes: Any, path: str) -> str:
    entry = hashes.get(path) if isinstance(hashes, dict) else None
    return str(entry.get("sha256", "")) if isinstance(entry, dict) else ""


def _faults(artifact: Any, version: Version, folder: Path) -> list[str]:
    """Files that are missing in a folder or not as they were logged: by size, W&B's digest, and SHA-256 where known."""
    return [
        name
        for name, entry in version.files.items()
        if not (folder / name).is_file()
        or (folder / name).stat().st_size != entry.size
        or not _has_digest(artifact.manifest.entries[name], folder / name)
        or (entry.sha256 and sha256_file(folder / name) != entry.sha256)
    ]


def _has_digest(entry: Any, path: Path) -> bool:
    from wandb.sdk.lib import hashutil

    algorithm = str(getattr(entry, "extra", {}).get("digestAlgorithm", "")).lower()
    digest = hashutil.xxh128_file_b64 if "xxh128" in algorithm else hashutil.md5_file_b64
    return bool(digest(str(path)) == entry.digest)


def _forget(artifact: Any, names: Sequence[str]) -> None:
    cache = get_artifact_file_cache()
    for name in names:
        entry = artifact.manifest.entries[name]
        path, _, _ = cache.check_digest_obj_path(entry.digest, entry.size or 0)
        Path(path).unlink(missing_ok=True)


def _download(artifact: Any, version: Version, folder: Path) -> None:
    seconds = _seconds_for(version.files.values())
    _within(
        seconds, lambda: artifact.download(root=str(folder.resolve())), f"download of {version.reference}"
    )


def _seconds_for(files: Iterable[StoredFile]) -> float:
    return _ANSWER_SECONDS + sum(one.size for one in files) / _SLOWEST


def _within(seconds: float, call: Callable[[], _T], what: str) -> _T:
    """The result of a call that gets so long and no longer; a silent server leaves a thread behind, not a hang."""
    results: list[_T] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:  # handed on to whoever waits
            failures.append(error)

    thread = threading.Thread(target=work, daemon=True, name=f"goemo: {what}")
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise RemoteError(f"{what}: W&B did not answer within {seconds:.0f} s")
    with translated(what):
        if failures:
            raise failures[0]
    return results[0]
