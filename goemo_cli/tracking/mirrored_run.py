"""One run and where its artifacts go: W&B while it works, the local store otherwise. The manager's inner part."""

import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from goemo_cli.core.errors import CorruptArtifactError, GoemoError, NotFoundError, RemoteError, SettingError
from goemo_cli.tracking.local_runs import LocalRun, linked_parents
from goemo_cli.tracking.logger_config import LoggerConfig, Mode
from goemo_cli.tracking.metadata import software
from goemo_cli.tracking.registry import Registry
from goemo_cli.tracking.versions import Version

if TYPE_CHECKING:
    from goemo_cli.tracking.wandb_artifacts import WandbArtifacts

_T = TypeVar("_T")
Where = Literal["wandb", "local"]


@dataclass(frozen=True)
class LineageNode:
    """An artifact and what it was made from."""

    reference: str
    type: str | None
    """None where only the reference is known."""
    digest: str | None
    parents: tuple["LineageNode", ...] = ()

    def lines(self, indent: str = "") -> list[str]:
        """The tree as text, the artifact first, what it was made from indented below."""
        about = f"  {self.type}  {self.digest[:12]}" if self.type and self.digest else "  not here"
        below = [line for parent in self.parents for line in parent.lines(f"{indent}  ")]
        return [f"{indent}{self.reference}{about}", *below]


class MirroredRun:
    """A run that goes on. W&B may fail at any time; it is then warned of and left out, and nothing is lost.

    Args:
        registry: the local store.
        wandb: None without W&B.
        local: the run's record in the store.
        warn: told what is not mirrored.
    """

    def __init__(
        self, registry: Registry, wandb: "WandbArtifacts | None", local: LocalRun, warn: Callable[[str], None]
    ) -> None:
        self.registry, self.wandb, self.local, self._warn = registry, wandb, local, warn

    @property
    def run_id(self) -> str:
        """Its id, the same here and on W&B."""
        return str(self.local.record["id"])

    @property
    def where(self) -> Where:
        """Where the next artifact goes. Offline that is the local store, and W&B's files for later too."""
        return "wandb" if self.wandb and self.wandb.is_online else "local"

    def log(self, numbers: Mapping[str, float], step: int | None) -> None:
        """Record numbers of a step; of the next one by default."""
        at = self.local.last_step + 1 if step is None else step
        self.local.log(numbers, at)
        self._mirrored(lambda mirror: mirror.log(numbers, step=at))

    def add(
        self,
        name: str,
        files: Mapping[str, Path],
        *,
        type: str,
        metadata: Mapping[str, Any],
        aliases: Iterable[str],
        parents: Sequence[str],
    ) -> tuple[Version, Where]:
        """Version files, and note what the run read and made."""
        wanted = tuple(aliases)
        made = self._mirrored(
            lambda mirror: mirror.add(
                name, files, type=type, metadata=metadata, aliases=wanted, parents=parents
            )
        )
        where: Where = "wandb" if made else "local"
        if made is None:
            made = self.registry.add(
                name, files, type=type, metadata=metadata, aliases=wanted, parents=parents, run=self.run_id
            )
        for parent in made.parents:
            self.local.note("inputs", parent)
        self.local.note("outputs", made.reference)
        return made, where

    def fetch(self, reference: str, to: Path | None) -> Path:
        """The folder with a version's files, verified; from the local store where W&B has or says nothing."""
        if self.where == "local" or self.wandb is None:
            return self._from_store(reference, to)
        try:
            version = self.wandb.get(reference)
            folder = to or checkout(self.registry, "wandb", version)
            self.wandb.fetch(version.reference, folder)
        except (NotFoundError, RemoteError) as error:
            with suppress(NotFoundError):
                folder = self._from_store(reference, to)
                self._warn(f"{reference} is the one of the local store: {error}")
                return folder
            raise
        self._mirrored(lambda mirror: mirror.use(version.reference))
        self.local.note("inputs", version.reference)
        return folder

    def link(self, child: str, parent: str) -> None:
        """Note that one artifact was made from another."""
        if self.where == "local":
            version = self.registry.link(child, parent)
            self.local.note("inputs", self.registry.parents(version)[-1])
            return
        version_there = self._mirrored(lambda mirror: mirror.get(child))
        used = self._mirrored(lambda mirror: mirror.use(parent)) or parent
        self.local.link(version_there.reference if version_there else child, used)
        self.local.note("inputs", used)

    def lineage(self, reference: str) -> LineageNode:
        """An artifact with what it was made from."""
        return trace(
            reference, self.wandb if self.where == "wandb" and self.wandb else self.registry, self.registry
        )

    def finish(self, *, exit_code: int, summary: Mapping[str, Any]) -> None:
        """End the run, here and there."""
        self._mirrored(lambda mirror: mirror.finish(exit_code=exit_code, summary=summary))
        self.local.finish(exit_code=exit_code, summary=summary)

    def _from_store(self, reference: str, to: Path | None) -> Path:
        version = self.registry.get(reference)
        folder = to or checkout(self.registry, "local", version)
        self.registry.fetch(version.reference, folder)
        self.local.note("inputs", version.reference)
        return folder

    def _mirrored(self, call: "Callable[[WandbArtifacts], _T]") -> _T | None:
        """The result of a call to W&B; one that fails is the last, after a warning. What the user got wrong is raised."""
        if self.wandb is None:
            return None
        try:
            return call(self.wandb)
        except (SettingError, NotFoundError, CorruptArtifactError):
            raise
        except (GoemoError, OSError) as error:
            self._warn(f"{error}; from here on everything goes to the local store")
            self.wandb = None
            return None


def begin(
    config: LoggerConfig,
    *,
    name: str | None,
    job_type: str | None,
    registry: Registry,
    wandb_folder: Path,
    warn: Callable[[str], None],
) -> MirroredRun:
    """Begin a run, or go on with one; its settings are already without secrets."""
    run_id = config.resume or secrets.token_hex(4)
    shown = name or config.name or run_id
    mirror = _begin_wandb(config, run_id, shown, job_type, wandb_folder, warn)
    facts = {
        "name": shown,
        "project": config.project,
        "entity": config.entity,
        "tags": list(config.tags),
        "notes": config.notes,
        "job_type": job_type,
        "config": dict(config.config),
        "versions": software(),
        "url": mirror.url if mirror else None,
    }
    return MirroredRun(registry, mirror, LocalRun.begin(registry.folder, run_id, facts), warn)


def checkout(registry: Registry, where: Where, version: Version) -> Path:
    """Where a version's files go if nobody says so."""
    return registry.folder / "checkouts" / where / version.name / f"v{version.number}"


def trace(
    reference: str,
    source: "Registry | WandbArtifacts",
    registry: Registry,
    above: frozenset[str] = frozenset(),
) -> LineageNode:
    """An artifact with what it was made from, as far back as `source` and the links in the store know.

    Raises:
        NotFoundError: no such artifact; deeper down it is a node without type.
        RemoteError: W&B does not answer.
    """
    try:
        version = source.get(reference)
    except (NotFoundError, SettingError):
        if not above:
            raise
        return LineageNode(reference, None, None)
    here = above | {version.reference}
    known = dict.fromkeys([*source.parents(version), *linked_parents(registry.folder, version.reference)])
    parents = tuple(trace(one, source, registry, here) for one in known if one not in here)
    return LineageNode(version.reference, version.type, version.digest, parents)


def _begin_wandb(
    config: LoggerConfig,
    run_id: str,
    name: str,
    job_type: str | None,
    folder: Path,
    warn: Callable[[str], None],
) -> "WandbArtifacts | None":
    mode = config.mode or _mode_of_environment()
    if mode == "local":
        return None
    from goemo_cli.tracking.wandb_artifacts import WandbArtifacts

    try:
        return WandbArtifacts(
            replace(config, name=name), run_id=run_id, online=mode == "online", directory=folder, job=job_type
        )
    except (GoemoError, OSError) as error:
        warn(f"{error}; artifacts go to the local store")
        return None


def _mode_of_environment() -> Mode:
    """WANDB_MODE as wandb itself reads it; what it calls disabled sends and writes nothing."""
    known: dict[str, Mode] = {"offline": "offline", "dryrun": "offline", "disabled": "local"}
    return known.get(os.environ.get("WANDB_MODE", "").lower(), "online")
