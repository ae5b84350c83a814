"""What arrived: runs, W&B artifacts and their files, in memory. Knows neither HTTP nor GraphQL."""

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

HISTORY, SUMMARY, EVENTS, CONSOLE = (
    "wandb-history.jsonl",
    "wandb-summary.json",
    "wandb-events.jsonl",
    "output.log",
)


def md5(data: bytes) -> str:
    """The digest as W&B writes it: MD5 in base64."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def xxh128(data: bytes) -> str:
    """The digest of an artifact's file if the SDK was asked for XXH128, in base64."""
    import xxhash

    return base64.b64encode(xxhash.xxh3_128(data).digest()).decode()


def now() -> str:
    """The time as W&B writes it: UTC, to the microsecond."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(eq=False, repr=False)
class Run:
    """One run, as its last request left it."""

    entity: str
    project: str
    id: str
    number: int
    """1 for the first run of the server; W&B's own id is made of it."""
    name: str = ""
    """What people see; W&B calls it displayName."""
    notes: str | None = None
    description: str | None = None
    tags: list[str] = field(default_factory=list)
    group: str | None = None
    job_type: str | None = None
    commit: str | None = None
    host: str | None = None
    program: str | None = None
    state: str = "running"
    exit_code: int | None = None
    raw_config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    """File stream name -> lines at their offsets, as they came."""
    files: dict[str, bytes] = field(default_factory=dict)
    declared: dict[str, dict[str, Any]] = field(default_factory=dict)
    """File name -> what to claim of it instead of the truth: `sizeBytes`, `md5`, `url`, `directUrl`."""
    logged: list["Version"] = field(default_factory=list)
    used: list["Version"] = field(default_factory=list)
    created_at: str = field(default_factory=now)
    heartbeat_at: str = field(default_factory=now)

    def __repr__(self) -> str:
        return f"<Run {self.path} ({self.state})>"

    @property
    def path(self) -> str:
        """entity/project/id."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def node(self) -> str:
        """W&B's own id."""
        return base64.b64encode(f"Run:v1:{self.id}:{self.project}:{self.entity}".encode()).decode()

    @property
    def config(self) -> dict[str, Any]:
        """The settings as they were given to `wandb.init`, without W&B's own."""
        return {
            name: entry["value"] if isinstance(entry, dict) and "value" in entry else entry
            for name, entry in self.raw_config.items()
            if name != "_wandb"
        }

    @property
    def history(self) -> list[dict[str, Any]]:
        """The logged rows in order of `_step`; of a step that came twice, the later one."""
        rows = [json.loads(line) for line in self.lines.get(HISTORY, []) if line]
        by_step = {row.get("_step", at): row for at, row in enumerate(rows)}
        return [by_step[step] for step in sorted(by_step)]

    @property
    def events(self) -> list[dict[str, Any]]:
        """System metrics, in the order they came."""
        return [json.loads(line) for line in self.lines.get(EVENTS, []) if line]


@dataclass(eq=False, repr=False)
class Version:
    """One version of a W&B artifact; without an index until it is committed."""

    number: int
    collection: "Collection"
    digest: str
    blobs: dict[str, bytes]
    """The server's stored contents by digest, shared by all versions."""
    digest_algorithm: str = "MANIFEST_MD5"
    description: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    index: int | None = None
    state: str = "PENDING"
    tags: list[str] = field(default_factory=list)
    ttl: int | None = None
    history_step: int | None = None
    logged_by: Run | None = None
    used_by: list[Run] = field(default_factory=list)
    wanted_aliases: list[str] = field(default_factory=list)
    """Aliases to move here when it is committed."""
    expected: dict[str, str] = field(default_factory=dict)
    """File name -> digest that its upload must have."""
    manifest: dict[str, Any] = field(default_factory=dict)
    """The manifest as it arrived; what a test changes here is what the SDK downloads."""
    manifest_digest: str = ""
    """The digest that the upload of the manifest must have."""
    created_at: str = field(default_factory=now)

    def __repr__(self) -> str:
        return f"<Version {self.collection.path}:v{self.index} ({self.state})>"

    @property
    def name(self) -> str:
        """As `roberta-large-checkpoint-a71b9ddo:v0`."""
        return f"{self.collection.name}:v{self.index}"

    @property
    def id(self) -> str:
        """W&B's own id."""
        return base64.b64encode(f"Artifact:{self.number}".encode()).decode()

    @property
    def entries(self) -> dict[str, dict[str, Any]]:
        """File name -> digest, size and more, from the manifest."""
        return self.manifest.get("contents") or {}

    @property
    def files(self) -> dict[str, bytes]:
        """File name -> contents, without references and what never arrived."""
        return {
            name: self.blobs[entry["digest"]]
            for name, entry in self.entries.items()
            if "ref" not in entry and entry["digest"] in self.blobs
        }

    @property
    def manifest_bytes(self) -> bytes | None:
        """The manifest as it is downloaded; None before it arrived."""
        return json.dumps(self.manifest).encode() if self.manifest else None

    @property
    def computed_digest(self) -> str:
        """The digest of a version, which follows from the names and digests of its files."""
        lines = "".join(f"{name}:{entry['digest']}\n" for name, entry in sorted(self.entries.items()))
        return hashlib.md5(f"wandb-artifact-manifest-v1\n{lines}".encode(), usedforsecurity=False).hexdigest()

    @property
    def aliases(self) -> list[str]:
        """Its aliases in its own collection, sorted, without `v0` and the like."""
        return sorted(name for name, version in self.collection.aliases.items() if version is self)


@dataclass(eq=False)
class Collection:
    """All versions of a name: those logged under it (ArtifactSequence) or linked to it (ArtifactPortfolio)."""

    entity: str
    project: str
    name: str
    type: str
    number: int
    kind: str = "ArtifactSequence"
    versions: list[Version] = field(default_factory=list)
    """The committed ones; v0 is the first."""
    aliases: dict[str, Version] = field(default_factory=dict)
    description: str | None = None
    tags: list[str] = field(default_factory=list)
    created_at: str = field(default_factory=now)

    @property
    def id(self) -> str:
        """W&B's own id."""
        return base64.b64encode(f"{self.kind}:{self.number}".encode()).decode()

    @property
    def path(self) -> str:
        """entity/project/name."""
        return f"{self.entity}/{self.project}/{self.name}"

    def find(self, alias: str) -> Version | None:
        """The version with this alias, index (`v3`) or digest."""
        if alias in self.aliases:
            return self.aliases[alias]
        for index, version in enumerate(self.versions):
            if version.state == "COMMITTED" and alias in (f"v{index}", version.digest):
                return version
        return None

    def add(self, version: Version, aliases: list[str]) -> None:
        """Append the version unless it is there, and move `latest` and the aliases to it."""
        if version not in self.versions:
            self.versions.append(version)
            self.aliases["latest"] = version
        self.aliases.update(dict.fromkeys(aliases, version))


@dataclass
class Store:
    """Everything a server knows; outlives `stop` and `start`."""

    runs: dict[str, Run] = field(default_factory=dict)
    collections: dict[str, Collection] = field(default_factory=dict)
    artifacts: dict[str, Version] = field(default_factory=dict)
    """By W&B's own id, committed or not."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    projects: dict[tuple[str, str], int] = field(default_factory=dict)
    """(entity, project) -> its number."""
    clients: dict[str, str] = field(default_factory=dict)
    """The id an SDK gave an artifact before it was logged -> W&B's own id."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def run(self, entity: str, project: str, id: str) -> Run:
        """The run, made if it is not there, with its project."""
        self.project(entity, project)
        path = f"{entity}/{project}/{id}"
        if path not in self.runs:
            self.runs[path] = Run(entity, project, id, number=len(self.runs) + 1, name=id)
        return self.runs[path]

    def project(self, entity: str, project: str) -> int:
        """The project's number; the project is made if it is not there."""
        return self.projects.setdefault((entity, project), len(self.projects) + 1)

    def collection(self, entity: str, project: str, name: str, type: str, kind: str) -> Collection:
        """The collection, made if it is not there, with its project."""
        self.project(entity, project)
        made = Collection(entity, project, name, type, next(self.numbers), kind)
        return self.collections.setdefault(made.path, made)

    def version(self, collection: Collection, digest: str, **fields: Any) -> Version:
        """A new version of the collection, not yet committed."""
        made = Version(next(self.numbers), collection, digest, self.blobs, **fields)
        self.artifacts[made.id] = made
        return made

    def commit(self, version: Version) -> None:
        """Number the version and move its aliases to it."""
        version.collection.add(version, version.wanted_aliases)
        version.index = version.collection.versions.index(version)
        version.state = "COMMITTED"
        if version.logged_by and version not in version.logged_by.logged:
            version.logged_by.logged.append(version)

    def use(self, run: Run, version: Version) -> None:
        """Make the version an input of the run."""
        if version not in run.used:
            run.used.append(version)
            version.used_by.append(run)


def manifest_of(files: Mapping[str, bytes], algorithm: str = "MD5") -> dict[str, Any]:
    """A manifest as the SDK writes it, over these contents; `algorithm` is MD5 or XXH128."""
    digest, extra = (md5, {}) if algorithm == "MD5" else (xxh128, {"extra": {"alg": algorithm}})
    return {
        "version": 1,
        "storagePolicy": "wandb-storage-policy-v1",
        "storagePolicyConfig": {"storageLayout": "V2"},
        "contents": {
            name: {"digest": digest(data), "size": len(data), **extra} for name, data in files.items()
        },
    }
