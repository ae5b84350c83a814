"""A checkpoint: looked at once when it is opened, trusted after. Its manifest is written last."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from goemo_cli.core.documents.manifest import Export, FileEntry, Headline, Manifest, Parents
from goemo_cli.core.documents.metrics import Metrics
from goemo_cli.core.errors import CheckpointNotFoundError, CorruptArtifactError, NoScoresError, SettingError
from goemo_cli.core.files import PARTIAL_PREFIX, sha256_file
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import SCHEMA_VERSION, Kind

if TYPE_CHECKING:  # numpy and yaml load when settings or thresholds are first used
    from goemo_cli.core.settings import TrainConfig
    from goemo_cli.core.thresholds import LabelRules, Thresholds

MANIFEST = "manifest.json"
METRICS = "metrics.json"
THRESHOLDS = "thresholds.json"
CONFIG = "train_config.yaml"
CARD = "README.md"
CALIBRATION = "calibration.json"
_OTHER_CONTENT = "differs from the SHA-256 in the manifest"
STATE = "state"
"""Folder of the saved states of a training; a finished run has none."""
TRAINING_RECORD = "training.json"
"""In that folder: what a training was started with. With it a run can be resumed."""
_STATE_NAME = re.compile(r"step-(\d{8,})")
_ALWAYS = (METRICS, THRESHOLDS, CONFIG, MANIFEST)


@dataclass(frozen=True)
class Checkpoint:
    """A finished run's folder: weights, settings, thresholds and metrics that belong together."""

    path: Path
    run: RunName
    manifest: Manifest

    @classmethod
    def open(cls, path: Path) -> Self:
        """Check that a folder is a complete checkpoint; read nothing large. Its model card may be edited.

        Raises:
            CheckpointNotFoundError: no folder, or files are missing (an unfinished run has no manifest).
            CorruptArtifactError: the manifest is damaged, a file has another size than it says, or a finished run has
                lost a file.
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
        missing = [name for name in _ALWAYS if not (path / name).is_file()]
        if MANIFEST in missing:
            raise CheckpointNotFoundError(path, missing)
        try:
            manifest = Manifest.read(path / MANIFEST)
        except CorruptArtifactError:
            if not missing:
                raise
            raise CheckpointNotFoundError(path, missing) from None  # the manifest of another tool
        if missing and not (missing == [METRICS] and manifest.is_unscored):
            others = f", as are {', '.join(missing[1:])}" if missing[1:] else ""
            raise CorruptArtifactError(path / missing[0], f"is missing{others}")
        return cls(path, manifest.run_name, manifest)

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in the order of the model's outputs."""
        return tuple(self.manifest.labels)

    @property
    def is_half_tuned(self) -> bool:
        """Whether `goemo tune` writes it now, or was killed while it did: files that follow from thresholds do not agree."""
        return METRICS not in self.manifest.files and not self.is_unscored

    @property
    def is_unscored(self) -> bool:
        """Whether it was imported without data: it has no metrics.json, and its thresholds are 0.5."""
        return self.manifest.is_unscored

    @property
    def kind(self) -> Kind:
        """The kind of model."""
        return self.manifest.kind

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
    def metrics(self) -> Metrics:
        """metrics.json.

        Raises:
            NoScoresError: the run was imported without data.
            CorruptArtifactError: a value is missing or has the wrong type.
        """
        if self.is_unscored:
            raise NoScoresError(str(self.run))
        return Metrics.read(self.path / METRICS)

    @cached_property
    def rules(self) -> "LabelRules":
        """thresholds.json, checked against the checkpoint's labels: how probabilities become labels."""
        from goemo_cli.core.thresholds import LabelRules

        return LabelRules.read(self.path / THRESHOLDS, self.labels)

    @property
    def thresholds(self) -> "Thresholds":
        """The thresholds in thresholds.json.

        Raises:
            SettingError: the run is single-label and has none.
        """
        from goemo_cli.core.thresholds import NO_THRESHOLDS, Thresholds

        if not isinstance(self.rules, Thresholds):
            raise SettingError([NO_THRESHOLDS], str(self.run))
        return self.rules

    def members(self) -> "list[Checkpoint]":
        """The runs whose mean an ensemble is, which are next to it; none for other runs.

        Raises:
            As `open`.
        """
        folder = self.path.resolve().parent
        return [Checkpoint.open(folder / run) for run in self.manifest.parents.members]

    def require_readable(self) -> None:
        """Read settings, thresholds and, if the run has scores, metrics.

        Raises:
            CorruptArtifactError: one of them is damaged.
        """
        _ = self.config, self.rules, self.is_unscored or self.metrics

    def size_faults(self) -> Iterator[tuple[Path, str]]:
        """Files of the manifest that are missing or have another size: (path, what is wrong)."""
        for name, entry in self.manifest.files.items():
            path = self.path / name
            if not path.is_file():
                yield path, "is named in the manifest and missing"
            elif path.stat().st_size != entry.size:
                yield path, f"has {path.stat().st_size} bytes, the manifest says {entry.size}"

    def hash_faults(self, sha256: "Callable[[Path], str]" = sha256_file) -> Iterator[tuple[Path, str]]:
        """Files whose content is not what the manifest says: (path, what is wrong).

        Args:
            sha256: of a file, for a caller that hashes some of the files for another reason too.
        """
        sizes = list(self.size_faults())
        yield from sizes
        faulty = {path for path, _ in sizes}
        for name, entry in self.manifest.files.items():
            path = self.path / name
            if path not in faulty and sha256(path) != entry.sha256:
                yield path, _OTHER_CONTENT

    def intact_file(self, name: str) -> Path:
        """A file of the checkpoint whose content is what the manifest says.

        Args:
            name: one of `manifest.files`.

        Raises:
            CorruptArtifactError: its content differs.
        """
        path = self.path / name
        if sha256_file(path) != self.manifest.files[name].sha256:
            raise CorruptArtifactError(path, _OTHER_CONTENT)
        return path

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
            if again.manifest == checkpoint.manifest:
                raise CorruptArtifactError(*fault)
            checkpoint = again
        return checkpoint


def state_folder(checkpoint: Path, step: int) -> Path:
    """The folder of the state that a training had after a step."""
    return checkpoint / STATE / f"step-{step:08d}"


def saved_steps(checkpoint: Path) -> list[int]:
    """The steps of the complete saved states of a training, the newest first.

    Raises:
        OSError: the folder cannot be read. States that cannot be seen must not be taken for missing ones.
    """
    try:
        names = os.listdir(checkpoint / STATE)  # noqa: PTH208  # Path.glob hides errors
    except (FileNotFoundError, NotADirectoryError):
        return []
    steps = [
        int(match[1])
        for name in names
        if (match := _STATE_NAME.fullmatch(name)) and (checkpoint / STATE / name / "state.json").is_file()
    ]
    return sorted(steps, reverse=True)


def readable_steps(checkpoint: Path) -> list[int]:
    """As `saved_steps`; none if they cannot be read now."""
    try:
        return saved_steps(checkpoint)
    except OSError:
        return []


def claim_checkpoint(
    layout: Layout, model: str, family: str, now: datetime | None = None
) -> tuple[RunName, Path]:
    """A run name that no other run has, claimed by creating its checkpoint folder.

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
    parents: Parents | Mapping[str, Any],
    headline: Headline | None = None,
    is_imported: bool = False,
    export: Export | None = None,
    outputs: Mapping[str, str] = MappingProxyType({}),
    kept: Mapping[str, FileEntry] = MappingProxyType({}),
    created: str | None = None,
) -> Checkpoint:
    """Hash every file of a finished checkpoint and write the manifest, which makes it a finished run.

    Args:
        labels: label names in output order.
        parents: what it was made from (data, base model, members).
        headline: of its metrics, for lists of runs; without it they open metrics.json.
        is_imported: whether the weights are those of another tool.
        export: how the model was exported; None for a run.
        outputs: SHA-256 of the run's files outside the checkpoint, by path from the root.
        kept: entries of files that did not change since an earlier manifest. They are not hashed again, since a new
            hash would hide damage.
        created: of an earlier manifest of the run; by default now.
    """
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.name != MANIFEST
        and PARTIAL_PREFIX not in str(path.relative_to(folder))
        and path.relative_to(folder).parts[0] != STATE
    )
    names = {path.relative_to(folder).as_posix(): path for path in files}
    given: dict[str, Any] = {} if headline is None else {"headline": headline}
    if is_imported:
        given["origin"] = "imported"
    if export is not None:
        given["export"] = export
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        run=str(run),
        kind=kind,
        created=created or datetime.now(UTC).isoformat(timespec="microseconds"),
        labels=list(labels),
        parents=parents if isinstance(parents, Parents) else Parents.model_validate(dict(parents)),
        outputs=dict(outputs),
        files={name: kept.get(name) or FileEntry.of(path) for name, path in names.items()},
        **given,
    )
    manifest.write(folder / MANIFEST)
    return Checkpoint.open(folder)


def add_to_manifest(checkpoint: Checkpoint, name: str) -> Checkpoint:
    """Add a file of a finished checkpoint to its manifest, or renew its entry; other entries stay.

    The other files are not hashed again, since a new hash would hide damage.

    Args:
        checkpoint: its manifest is read again first.
        name: of the file, relative to the checkpoint.
    """
    path, now = checkpoint.path / name, Checkpoint.open(checkpoint.path)
    return _with_files(now, {**now.manifest.files, name: FileEntry.of(path)})


def remove_from_manifest(checkpoint: Checkpoint, *names: str) -> Checkpoint:
    """Remove files from the manifest, so that they may change until they are added again."""
    now = Checkpoint.open(checkpoint.path)
    files = now.manifest.files
    if not set(names) & set(files):
        return now
    return _with_files(now, {other: files[other] for other in files if other not in names})


def _with_files(checkpoint: Checkpoint, files: Mapping[str, FileEntry]) -> Checkpoint:
    checkpoint.manifest.model_copy(update={"files": dict(sorted(files.items()))}).write(
        checkpoint.path / MANIFEST
    )
    return Checkpoint.open(checkpoint.path)
