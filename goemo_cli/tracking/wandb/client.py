"""The W&B client: runs, artifacts and their files, as the server lists them."""

import math
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeGuard
from urllib.parse import unquote, urlsplit

from goemo_cli.core.errors import (
    CorruptArtifactError,
    NotFoundError,
    OfflineError,
    RemoteError,
    SettingError,
)
from goemo_cli.core.schema import LOWER_IS_BETTER, check_val_metric
from goemo_cli.core.settings import DEFAULT_PROJECT
from goemo_cli.core.system.variables import is_switched_on, wandb_environment
from goemo_cli.tracking.wandb.http import Algorithm, Fetcher, Limits, RemoteFile
from goemo_cli.tracking.wandb.sdk import asked, load_wandb, reached_server

# W&B refuses these in names of projects and runs.
_NAME = re.compile(r"[^\s/\\#?%:\x00-\x1f\x7f]{1,128}")
_TIMEOUT = 20
"""Seconds for one question to the server."""
_LOWER_IS_BETTER = LOWER_IS_BETTER | {"loss"}


@dataclass(frozen=True)
class RunReference:
    """A W&B run; project and entity may be open."""

    run_id: str
    project: str | None = None
    entity: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.entity, self.project, self.run_id) if part)

    @classmethod
    def parse(cls, text: str, *, entity: str | None = None, project: str | None = None) -> Self:
        """`id`, `project/id`, `entity/project/id` or the URL of a run.

        Args:
            entity: used if the text names none.
            project: used if the text names none.

        Raises:
            SettingError: another form, or a name that W&B does not allow.
        """
        parts = _parts_of_url(text) if "://" in text else text.strip().split("/")
        if not 1 <= len(parts) <= 3:
            raise SettingError(
                [f"{text!r} is not a W&B run: write ID, PROJECT/ID, ENTITY/PROJECT/ID or the run's URL"]
            )
        names = [entity, project, None][: 3 - len(parts)] + list(parts)
        for name in names:
            check_remote_name(name)
        owner, folder, run_id = names
        return cls(str(run_id), folder or None, owner or None)


@dataclass(frozen=True)
class RemoteRun:
    """A run on the server, at the time of the request."""

    reference: RunReference
    """With project and entity."""
    name: str
    """What the project page shows."""
    state: str
    """finished, running, crashed, failed ..."""
    files: tuple[RemoteFile, ...]
    """The Files tab."""


@dataclass(frozen=True)
class RemoteArtifact:
    """One version of a W&B artifact."""

    name: str
    """Without version."""
    version: str
    entity: str
    project: str
    type: str
    files: tuple[RemoteFile, ...]
    """Named as in the artifact."""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.name}:{self.version}"


@dataclass(frozen=True)
class BestRemoteRun:
    """The run with the best score of a project."""

    reference: RunReference
    score: float
    among: int
    """Number of runs with the score."""


class WandbClient:
    """A W&B server, accessed through the SDK with the API key that the SDK finds.

    Args:
        timeout: seconds for one question.
        base_url: address of the server; None: WANDB_BASE_URL, else W&B's own.

    Raises:
        MissingPackageError: wandb is not installed, or too old.
        AuthenticationError: no key, or one that the server refuses.
        RemoteError: the server cannot be reached.
    """

    def __init__(self, *, timeout: int = _TIMEOUT, base_url: str | None = None) -> None:
        wandb = load_wandb("asking W&B")
        reached_server(base_url)
        where = {"base_url": base_url} if base_url else {}
        # "Not found" is about the server here, not about a run.
        self.api = asked(
            lambda: wandb.Api(overrides=where, timeout=timeout), "your account", may_be_missing=False
        )
        self._timeout = timeout
        self.base_url = str(self.api.settings["base_url"])
        self._files: dict[str, Callable[[], RemoteFile]] = {}

    def fetcher(self, limits: Limits | None = None, **options: Any) -> Fetcher:
        """Downloads files that this server lists."""
        return Fetcher(self.base_url, self.api.api_key, limits=limits, **options)

    def complete(self, reference: RunReference) -> RunReference:
        """The reference with project and entity: its own, else those of the environment, else the defaults."""
        project = wandb_environment().get("project", DEFAULT_PROJECT)
        return RunReference(
            reference.run_id,
            reference.project or project,
            reference.entity or self.api.settings["entity"] or self._default_entity(),
        )

    def sdk_run(self, reference: RunReference) -> Any:
        """A run as the SDK describes it.

        Raises:
            NotFoundError, AuthenticationError, RemoteError: as for `run`.
        """
        with _tidied(reference):
            return asked(lambda: self.api.run(str(reference)), f"the run {reference}")

    def run(self, reference: RunReference) -> RemoteRun:
        """A run and its Files tab.

        Raises:
            NotFoundError: no such run, for this key.
            AuthenticationError, RemoteError: as they say.
        """
        with _tidied(reference):
            run = self.sdk_run(reference)
            found = asked(lambda: list(run.files()), str(reference))
            declared = asked(lambda: len(run.files()), str(reference))
            if len(found) != declared:
                raise RemoteError(
                    f"{reference}: the server lists {len(found)} of {declared} files; try again"
                )
            return RemoteRun(
                reference,
                str(run.name or run.id),
                str(run.state),
                tuple(self._file(file, run) for file in found),
            )

    def artifacts_of(self, reference: RunReference) -> list[RemoteArtifact]:
        """The newest version of every W&B artifact that a run logged.

        Raises:
            NotFoundError, AuthenticationError, RemoteError, CorruptArtifactError: as they say.
        """
        with _tidied(reference):
            run = self.sdk_run(reference)
            logged = asked(lambda: list(run.logged_artifacts()), str(reference))
        return [self._artifact(artifact) for _, artifact in sorted(newest(logged).items())]

    def artifact(self, name: str) -> RemoteArtifact:
        """A version of a W&B artifact.

        Args:
            name: `ENTITY/PROJECT/NAME:VERSION`, a version or an alias.

        Raises:
            NotFoundError, AuthenticationError, RemoteError, CorruptArtifactError: as they say.
        """
        return self._artifact(asked(lambda: self.api.artifact(name), f"the W&B artifact {name}"))

    def best(self, entity: str, project: str, metric: str) -> BestRemoteRun:
        """The finished run of a project with the best score at its best epoch.

        Args:
            metric: `val/...`; of a loss the lowest is the best.

        Raises:
            SettingError: a metric of the test split, or none at all.
            NotFoundError: no such project, or no finished run with the score.
        """
        check_val_metric(metric)
        where = f"{entity}/{project}"
        runs = asked(lambda: list(self.api.runs(where, filters={"state": "finished"}, lazy=False)), where)
        scored: list[tuple[float, str]] = []
        for run in runs:
            with _tidied(RunReference(str(run.id), project, entity)):
                value = asked(partial(_score, run, metric), where)
            if value is not None and run.state == "finished":
                scored.append((value, str(run.id)))
        if not scored:
            raise NotFoundError(f"no finished run of {where} on W&B has a {metric}")
        choose = min if metric.rpartition("/")[2] in _LOWER_IS_BETTER else max
        score, run_id = choose(scored, key=lambda pair: pair[0])
        return BestRemoteRun(RunReference(run_id, project, entity), score, len(scored))

    def renewed(self, file: RemoteFile) -> RemoteFile:
        """The file with a new URL, for one that expired; the content must be the same.

        Raises:
            RemoteError: it has disappeared from the list.
        """
        new = self._files[file.url]() if file.url in self._files else file
        if (new.size, new.digest) != (file.size, file.digest):
            raise RemoteError(f"{file.name} changed on the server meanwhile; try again")
        return new

    def _default_entity(self) -> str:
        entity = asked(lambda: self.api.default_entity, "your account", may_be_missing=False)
        if not entity:
            raise SettingError(["your W&B account has no default entity: give --wandb-entity"])
        return str(entity)

    def _file(self, file: Any, run: Any) -> RemoteFile:
        # The server's own attributes: the SDK turns an unknown size into 0.
        found = RemoteFile(str(file.name), int(file.size), file.md5 or None, _url_of(file))

        def again() -> RemoteFile:
            listed = asked(lambda: list(run.files(names=[found.name])), found.name)
            if len(listed) != 1:
                raise RemoteError(f"{found.name} has disappeared from the server's list; try again")
            return self._file(listed[0], run)

        self._files[found.url] = again
        return found

    def files_of(self, artifact: Any) -> list[RemoteFile]:
        """The files of one version of an artifact of the SDK, by its manifest.

        Raises:
            CorruptArtifactError: a reference to a file that is stored elsewhere.
            NotFoundError: the manifest names a file that the server does not have.
        """
        name = _full_name(artifact)
        entries = self.entries_of(artifact)
        urls = self._urls(artifact, name)
        if lost := next((path for path in entries if path not in urls), None):
            raise NotFoundError(f"{name} names {lost!r} in its manifest, but the server has no such file")
        files = [
            RemoteFile(path, int(entry.size or 0), str(entry.digest), urls[path], algorithm_of(entry))
            for path, entry in entries.items()
        ]
        for file in files:
            self._files[file.url] = partial(self._again, artifact, name, file)
        return files

    def entries_of(self, artifact: Any) -> dict[str, Any]:
        """The entries of an artifact's manifest by file name.

        Raises:
            CorruptArtifactError: a reference to a file that is stored elsewhere.
        """
        name = _full_name(artifact)
        entries = asked(lambda: dict(artifact.manifest.entries), name, seconds=self._timeout)
        if ref := next(((path, entry.ref) for path, entry in entries.items() if entry.ref is not None), None):
            reason = f"refused: {ref[0]!r} is a reference to {str(ref[1])[:80]!r}, not a file"
            raise CorruptArtifactError(Path(name), reason)
        return {str(path): entry for path, entry in entries.items()}

    def _artifact(self, artifact: Any) -> RemoteArtifact:
        return RemoteArtifact(
            str(artifact.name.partition(":")[0]),
            str(artifact.version),
            artifact.entity,
            artifact.project,
            artifact.type,
            tuple(self.files_of(artifact)),
            dict(artifact.metadata or {}),
        )

    def _again(self, artifact: Any, whole: str, file: RemoteFile) -> RemoteFile:
        url = self._urls(artifact, whole).get(file.name, file.url)
        return RemoteFile(file.name, file.size, file.digest, url, file.algorithm)

    @staticmethod
    def _urls(artifact: Any, whole: str) -> dict[str, str]:
        return asked(lambda: {str(file.name): _url_of(file) for file in artifact.files(per_page=500)}, whole)


def open_client(subject: str, *, base_url: str | None = None) -> WandbClient:
    """A client for a command that asks W&B for a subject.

    Raises:
        RemoteError: the user switched the network off (GOEMO_OFFLINE).
        GoemoError: as `WandbClient`.
    """
    if is_switched_on("GOEMO_OFFLINE"):
        raise OfflineError(
            f"the network is switched off (GOEMO_OFFLINE), so W&B cannot be asked for {subject}"
        )
    return WandbClient(base_url=base_url)


def check_remote_name(name: str | None) -> None:
    """Refuse invalid names of entities, projects and runs; None passes.

    Raises:
        SettingError: with the name.
    """
    if name is not None and (not _NAME.fullmatch(name) or name in (".", "..")):
        raise SettingError([f"{name!r} is not a valid name of a W&B entity, project or run"])


def _parts_of_url(text: str) -> list[str]:
    """Entity, project and id of `https://host/ENTITY/PROJECT/runs/ID...`."""
    parts = [unquote(part) for part in urlsplit(text.strip()).path.split("/") if part]
    if len(parts) < 4 or parts[2] != "runs":
        raise SettingError([f"{text!r} is not the URL of a W&B run: it ends in /ENTITY/PROJECT/runs/ID"])
    return [parts[0], parts[1], parts[3]]


def algorithm_of(entry: Any) -> Algorithm:
    """How the digest of a manifest's entry was computed; `alg` is the SDK's key."""
    return "xxh128" if entry.extra.get("alg") == "XXH128" else "md5"


def _full_name(artifact: Any) -> str:
    return f"{artifact.entity}/{artifact.project}/{artifact.name}"


def _score(run: Any, metric: str) -> float | None:
    """The score of the epoch whose weights were kept; the last score if the best epoch is unknown."""
    summary = dict(run.summary_metrics)
    best_epoch = summary.get("best_epoch")
    if best_epoch is not None:
        for row in run.scan_history(keys=["epoch", metric]):
            if row.get("epoch") == best_epoch and _is_number(row.get(metric)):
                return float(row[metric])
    value = summary.get(metric)
    return float(value) if _is_number(value) else None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _url_of(file: Any) -> str:
    return str(getattr(file, "direct_url", None) or file.url)


def newest(artifacts: Iterable[Any]) -> dict[str, Any]:
    """The newest version of each artifact of the SDK, by its name without version."""
    by_version = sorted(artifacts, key=lambda artifact: _number(str(artifact.version)))
    return {str(artifact.name).partition(":")[0]: artifact for artifact in by_version}


def _number(version: str) -> int:
    return int(version[1:]) if version[1:].isdecimal() else -1


@contextmanager
def _tidied(reference: RunReference) -> Iterator[None]:
    """Removes the empty folders that the SDK makes for every run that is requested."""
    from wandb import env

    above = Path(env.get_dir(tempfile.gettempdir()))
    try:
        yield
    finally:
        folder = above.joinpath(*str(reference).split("/"))
        for empty in (folder, *folder.parents[:2]):
            with suppress(OSError):
                empty.rmdir()
