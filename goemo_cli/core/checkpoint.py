"""A checkpoint: looked at once when it is opened, trusted after. Its manifest is written last."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from goemo_cli.core.errors import CheckpointNotFoundError, CorruptArtifactError, SettingError
from goemo_cli.core.files import PARTIAL_PREFIX, read_json_object, sha256_file, write_json
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import SCHEMA_VERSION, Kind
from goemo_cli.core.shapes import Document, manifest_fault, metrics_faults

if TYPE_CHECKING:  # numpy, pydantic and yaml load when settings or thresholds are first asked for
    from goemo_cli.core.documents import Manifest, Metrics
    from goemo_cli.core.settings import TrainConfig
    from goemo_cli.core.thresholds import Thresholds

MANIFEST = "manifest.json"
METRICS = "metrics.json"
THRESHOLDS = "thresholds.json"
CONFIG = "train_config.yaml"
CARD = "README.md"
_ALWAYS = (METRICS, THRESHOLDS, CONFIG, MANIFEST)


@dataclass(frozen=True)
class Checkpoint:
    """A finished run's folder: weights, settings, thresholds and metrics that belong together."""

    path: Path
    run: RunName
    manifest_json: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path) -> Self:
        """Check that a folder is a complete checkpoint; read nothing large. Its model card may be edited.

        Raises:
            CheckpointNotFoundError: no folder, or files are missing (an unfinished run has no manifest).
            CorruptArtifactError: the manifest is damaged, or a file has another size than it says.
        """
        return cls.read(path)._checked(cls.size_faults)

    @classmethod
    def read(cls, path: Path) -> Self:
        """A folder by its manifest alone; whether its files are as the manifest says was not looked at.

        Raises:
            As `open`, but for sizes.
        """
        if not path.is_dir():
            raise CheckpointNotFoundError(path)
        if missing := [name for name in _ALWAYS if not (path / name).is_file()]:
            raise CheckpointNotFoundError(path, missing)
        manifest = read_manifest(path)
        run = RunName.parse(manifest["run"])
        assert run  # read_manifest has looked
        return cls(path, run, manifest)

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in the order of the model's outputs."""
        return tuple(self.manifest_json["labels"])

    @property
    def is_half_tuned(self) -> bool:
        """Whether `goemo tune` writes it now, or was killed while it did: files that follow from thresholds do not agree."""
        return METRICS not in self.manifest_json["files"]

    @property
    def kind(self) -> Kind:
        """What sort of model lies here."""
        kind: Kind = self.manifest_json.get("kind", "transformer")
        return kind

    @cached_property
    def config(self) -> "TrainConfig":
        """The resolved settings the run was trained with."""
        return self._settings[0]

    @property
    def unknown_settings(self) -> dict[str, Any]:
        """Settings in train_config.yaml that this version does not know, nested; `config` leaves them out."""
        return self._settings[1]

    @cached_property
    def _settings(self) -> "tuple[TrainConfig, dict[str, Any]]":
        from goemo_cli.core.settings import TrainConfig

        try:
            return TrainConfig.of_run(self.path / CONFIG)
        except SettingError as error:
            raise CorruptArtifactError(self.path / CONFIG, "; ".join(error.problems)) from error

    @cached_property
    def manifest(self) -> "Manifest":
        """manifest.json as a typed document."""
        from goemo_cli.core.documents import Manifest

        return Manifest.read(self.path / MANIFEST)

    @cached_property
    def metrics(self) -> "Metrics":
        """metrics.json as a typed document."""
        from goemo_cli.core.documents import Metrics

        return Metrics.read(self.path / METRICS)

    @cached_property
    def metrics_json(self) -> dict[str, Any]:
        """metrics.json, in the form that readers rely on; looking up a key that is missing in it says so.

        Raises:
            CorruptArtifactError: a key is missing, or a value is of another kind.
        """
        path = self.path / METRICS
        metrics = read_json_object(path)
        if faults := list(metrics_faults(metrics)):
            raise CorruptArtifactError(path, ", ".join(faults[:3]) + (", ..." if faults[3:] else ""))
        return Document(metrics, path)

    @cached_property
    def thresholds(self) -> "Thresholds":
        """thresholds.json, checked against the checkpoint's labels."""
        from goemo_cli.core.thresholds import Thresholds

        return Thresholds.read(self.path / THRESHOLDS, self.labels)

    def require_readable(self) -> None:
        """Read settings, metrics and thresholds.

        Raises:
            CorruptArtifactError: one of them is damaged.
        """
        _ = self.config, self.metrics_json, self.thresholds

    def size_faults(self) -> Iterator[tuple[Path, str]]:
        """Files of the manifest that are missing or have another size: (path, what is wrong)."""
        for name, entry in self.manifest_json["files"].items():
            path = self.path / name
            if not path.is_file():
                yield path, "is named in the manifest and missing"
            elif path.stat().st_size != entry["size"]:
                yield path, f"has {path.stat().st_size} bytes, the manifest says {entry['size']}"

    def hash_faults(self) -> Iterator[tuple[Path, str]]:
        """Files whose content is not what the manifest says: (path, what is wrong)."""
        sizes = list(self.size_faults())
        yield from sizes
        faulty = {path for path, _ in sizes}
        for name, entry in self.manifest_json["files"].items():
            path = self.path / name
            if path not in faulty and sha256_file(path) != entry["sha256"]:
                yield path, "differs from the SHA-256 in the manifest"

    def require_intact(self) -> None:
        """Hash every file before its weights are used.

        Raises:
            CorruptArtifactError: a file other than the model card differs from the manifest.
        """
        self._checked(type(self).hash_faults)

    def _checked(self, faults: "Callable[[Self], Iterator[tuple[Path, str]]]") -> Self:
        """The checkpoint as its manifest is now, without faults. People edit model cards: nothing is computed from one.

        Another process may change files and manifest while we look: faults count if the manifest stays the same.
        """
        checkpoint = self
        while fault := next((one for one in faults(checkpoint) if one[0].name != CARD), None):
            again = self.read(self.path)
            if again.manifest_json == checkpoint.manifest_json:
                raise CorruptArtifactError(*fault)
            checkpoint = again
        return checkpoint


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a checkpoint folder, in the form that readers rely on.

    Raises:
        CorruptArtifactError: it is damaged.
    """
    path = folder / MANIFEST
    manifest = read_json_object(path)
    if fault := manifest_fault(manifest):
        raise CorruptArtifactError(path, fault)
    return manifest


def claim_checkpoint(
    layout: Layout, model: str, family: str, now: datetime | None = None
) -> tuple[RunName, Path]:
    """A run name that is nobody else's, claimed by creating its checkpoint folder.

    Where a run of the same model started in the same second, the next free second is taken.
    """
    run = RunName.mint(model, now)
    while True:
        folder = layout.checkpoint(run, family)
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir()
        except FileExistsError:
            run = run.next_second()
        else:
            return run, folder


def write_manifest(
    folder: Path,
    *,
    run: RunName,
    kind: Kind,
    labels: tuple[str, ...],
    parents: Mapping[str, Any],
    headline: Mapping[str, Any] | None = None,
    outputs: Mapping[str, str] = MappingProxyType({}),
    kept: Mapping[str, Any] = MappingProxyType({}),
) -> Checkpoint:
    """Hash every file of a finished checkpoint and write the manifest: from here on it counts.

    Args:
        folder: the checkpoint.
        run: its run.
        kind: what sort of model it is.
        labels: label names in output order.
        parents: what it was made from (data, base model, members).
        headline: `core.headline.headline_of` its metrics, for lists of runs; without it they open metrics.json.
        outputs: SHA-256 of the run's files outside the checkpoint, by path from the root.
        kept: entries of files that are as an earlier manifest says. They are not hashed again: a damaged one would
            get the blessing of a new hash.
    """
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST and PARTIAL_PREFIX not in str(path)
    )
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "run": str(run),
        "kind": kind,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "labels": list(labels),
        "parents": dict(parents),
        **({"headline": dict(headline)} if headline is not None else {}),
        "outputs": dict(outputs),
        "files": {
            name: kept.get(name) or _entry(path)
            for path in files
            for name in [path.relative_to(folder).as_posix()]
        },
    }
    write_json(folder / MANIFEST, manifest)
    return Checkpoint.open(folder)


def _entry(path: Path) -> dict[str, Any]:
    return {"sha256": sha256_file(path), "size": path.stat().st_size}


def add_to_manifest(checkpoint: Checkpoint, name: str) -> Checkpoint:
    """Put a file of a finished checkpoint into its manifest as it is now; everything else there stays.

    The other files are not hashed again: a damaged one would get the blessing of a new hash.

    Args:
        checkpoint: whose manifest is read anew.
        name: of the file, relative to the checkpoint.
    """
    path, now = checkpoint.path / name, Checkpoint.open(checkpoint.path)
    return _with_files(now, {**now.manifest_json["files"], name: _entry(path)})


def remove_from_manifest(checkpoint: Checkpoint, *names: str) -> Checkpoint:
    """Take files out of the manifest, so that they may change: until they are sealed again, any content is sound."""
    now = Checkpoint.open(checkpoint.path)
    files = now.manifest_json["files"]
    if not set(names) & set(files):
        return now
    return _with_files(now, {other: files[other] for other in files if other not in names})


def _with_files(checkpoint: Checkpoint, files: Mapping[str, Any]) -> Checkpoint:
    manifest = {**checkpoint.manifest_json, "files": dict(sorted(files.items()))}
    write_json(checkpoint.path / MANIFEST, manifest)
    return Checkpoint.open(checkpoint.path)
