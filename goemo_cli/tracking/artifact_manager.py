"""Versioned artifacts for pipelines of one's own: on W&B, or without it in a local store; the calls are the same."""

import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, SupportsFloat, TypedDict, TypeVar, Unpack

from goemo_cli.core.errors import NotFoundError, SettingError
from goemo_cli.tracking.logger_config import LoggerConfig
from goemo_cli.tracking.media import media_facts
from goemo_cli.tracking.metadata import model_facts, size_facts, table_facts, without_secrets
from goemo_cli.tracking.mirrored_run import LineageNode, MirroredRun, Where, begin, trace
from goemo_cli.tracking.registry import FOLDER, Registry, files_of
from goemo_cli.tracking.saving import write_model, write_rows, write_splits

if TYPE_CHECKING:
    from goemo_cli.core.predictions import Predictions

_T = TypeVar("_T")
Metadata = Mapping[str, Any] | None
_WANDB_FOLDER = Path("output/wandb")


class Described(TypedDict, total=False):
    """What may be said of every artifact."""

    aliases: Iterable[str]
    """Besides `latest`, such as `best`."""
    metadata: Metadata
    """JSON values; they beat those found in the files."""
    parents: Sequence[str]
    """References of what it was made from, such as `goemotions:v0`."""


class TrackingWarning(UserWarning):
    """Something was not mirrored; what is stored locally is complete."""


@dataclass(frozen=True)
class LoggedArtifact:
    """A version of an artifact, wherever it is."""

    name: str
    version: str
    """`v0`, `v1`, ..."""
    type: str
    digest: str
    """The same for the same content: SHA-256 in the local store, W&B's own digest there."""
    size: int
    """Bytes of all files."""
    metadata: Mapping[str, Any]
    where: Where

    @property
    def reference(self) -> str:
        """`NAME:vN`."""
        return f"{self.name}:{self.version}"


class ArtifactManager:
    """One run that logs and reads artifacts.

    Without W&B (mode "local", the package missing, no key, no network) everything goes to the local store, after one
    warning. A W&B that fails later is left out from then on: what failed and all that follows is stored locally.

    The calls that make an artifact have in common what `Described` lists: `aliases`, `metadata` and `parents`. They
    raise NotFoundError where a file is missing (there are no placeholders) and SettingError without a run, or for a
    name, alias or metadata that is none.

    Args:
        config: project, name, mode and the like.
        root: of the project; the store lies at `artifacts/registry/` below it.
        warn: told what is not mirrored; by default a `TrackingWarning`.
    """

    def __init__(
        self,
        config: LoggerConfig | None = None,
        *,
        root: Path | str = Path(),
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.config = config or LoggerConfig()
        self.registry = Registry(Path(root) / FOLDER)
        self._wandb_folder = Path(root) / _WANDB_FOLDER
        self._warn = warn or (lambda message: warnings.warn(message, TrackingWarning, stacklevel=5))
        self._run: MirroredRun | None = None

    def __enter__(self) -> Self:
        if self._run is None:
            self.init_run()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._run is not None:
            self.finish_run(exit_code=1 if kind else 0)

    @property
    def run_id(self) -> str | None:
        """The id of the run, here and on W&B; None before `init_run` and after `finish_run`."""
        return self._run.run_id if self._run else None

    @property
    def where(self) -> Where:
        """Where the next artifact goes."""
        return self._run.where if self._run else "local"

    @property
    def url(self) -> str | None:
        """Where W&B shows the run; None without it."""
        return self._run.wandb.url if self._run and self._run.wandb else None

    def init_run(
        self, name: str | None = None, *, config: Metadata = None, job_type: str | None = None
    ) -> str:
        """Begin a run, or go on with `LoggerConfig.resume`; its id.

        Args:
            name: what people call it; `LoggerConfig.name`, then its id.
            config: settings beside those of `LoggerConfig.config`.
            job_type: train, evaluate, ...: how W&B groups runs.

        Raises:
            SettingError: a run is going on already.
        """
        if self._run is not None:
            raise SettingError([f"run {self.run_id} is still going on; call finish_run first"])
        settings = without_secrets({**self.config.config, **(config or {})})
        self._run = begin(
            replace(self.config, config=settings),
            name=name,
            job_type=job_type,
            registry=self.registry,
            wandb_folder=self._wandb_folder,
            warn=self._warn,
        )
        return self._run.run_id

    def finish_run(self, summary: Metadata = None, *, exit_code: int = 0) -> None:
        """End the run; with its final numbers by name, where there are some, and 0 if it did what it should.

        Raises:
            SettingError: no run.
        """
        run, self._run = self._running(), None
        run.finish(exit_code=exit_code, summary=without_secrets(summary or {}))

    def log_metrics(self, values: Mapping[str, SupportsFloat], *, step: int | None = None) -> None:
        """Record numbers by name (`val/f1_macro`), here and on W&B.

        Args:
            values: numbers of Python, numpy or torch.
            step: counts up; the next one by default.

        Raises:
            SettingError: no run, or a value that is no number.
        """
        run, numbers = self._running(), dict[str, float]()
        for name, value in values.items():
            try:
                numbers[name] = float(value)
            except (TypeError, ValueError) as error:
                raise SettingError([f"metric {name!r} is {value!r}, no number"]) from error
        run.log(numbers, step)

    def log_model_artifact(
        self,
        path: Path | str,
        name: str,
        **described: Unpack[Described],
    ) -> LoggedArtifact:
        """Version a model: a file, or a folder such as a checkpoint.

        Adds by itself: framework, parameters and number of labels as far as the files say, versions, sizes.
        """
        files = files_of(Path(path))
        return self._log(name, files, "model", model_facts(files), described)

    def log_dataset_artifact(
        self,
        path: Path | str,
        name: str,
        **described: Unpack[Described],
    ) -> LoggedArtifact:
        """Version data: a file or a folder. Adds rows and label counts of CSV and TSV files, and sizes."""
        files = files_of(Path(path))
        return self._log(name, files, "dataset", table_facts(files), described)

    def log_video_artifact(
        self,
        path: Path | str,
        name: str,
        **described: Unpack[Described],
    ) -> LoggedArtifact:
        """Version a media file; what kind it is (video, audio, image) is its type.

        Duration, width, height and format are read from the header of MP4, MOV, GIF, WebP, WAV, PNG, JPEG and
        Pillow's other formats, and what is read beats `metadata`, with a warning. Of other files nothing is said but
        what `metadata` says.

        Raises:
            CorruptArtifactError: a damaged header.
        """
        file = Path(path)
        if not file.is_file():
            raise NotFoundError(f"{file}: no such file")
        given, found = dict(described.pop("metadata", None) or {}), media_facts(file)
        for key in sorted(given.keys() & found.keys()):
            if given[key] != found[key]:
                self._warn(f"{file.name}: {key} is {found[key]!r} by its header, not {given[key]!r}")
        facts = {"format": file.suffix.lstrip(".").lower(), **given, **found}
        kind = str(facts.pop("kind", "media"))
        return self._log(name, {file.name: file}, kind, facts, described)

    def log_predictions(
        self,
        predictions: "Path | str | Sequence[Mapping[str, Any]] | Predictions",
        name: str,
        *,
        split: str = "test",
        **described: Unpack[Described],
    ) -> LoggedArtifact:
        """Version predictions of a split: a CSV file, rows as mappings with the same keys, or goemo's `Predictions`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{split}_predictions.csv"
            if isinstance(predictions, (Path, str)):
                path = Path(predictions)
            elif isinstance(predictions, Sequence):
                write_rows(path, predictions)
            else:
                from goemo_cli.core.predictions import write_predictions

                write_predictions(path, predictions)
            files = files_of(path)
            facts = table_facts(files) | {"split": split}
            return self._log(name, files, "predictions", facts, described)

    def save_model_artifact(
        self,
        model: Any,
        name: str,
        *,
        save: Callable[[Any, Path], object] | None = None,
        **described: Unpack[Described],
    ) -> LoggedArtifact:
        """Write a model that is in memory, and version it.

        A model with `save_pretrained(folder)`, or a mapping of names to torch tensors (a state dict) or to numpy arrays,
        which becomes `model.safetensors`. For any other `save` is called with the model and an empty folder: models
        are never pickled behind your back.
        """
        with tempfile.TemporaryDirectory() as folder:
            write_model(Path(folder), model, save)
            return self.log_model_artifact(folder, name, **described)

    def save_dataset_artifact(
        self,
        data: Any,
        name: str,
        **described: Unpack[Described],
    ) -> LoggedArtifact:
        """Write data that is in memory as CSV, and version it.

        Rows as mappings with the same keys, such rows by split, or a data frame of pandas.
        """
        with tempfile.TemporaryDirectory() as folder:
            write_splits(Path(folder), data)
            return self.log_dataset_artifact(folder, name, **described)

    def get_model_artifact(self, name: str, version: str = "latest", *, to: Path | str | None = None) -> Path:
        """The folder with an artifact's files: really fetched, every file verified. The run is noted as its user.

        What is there and right stays; what is not is fetched again.

        Args:
            name: of the artifact, whatever its type.
            version: `v3`, or an alias.
            to: an own folder for it; by default one below `artifacts/registry/checkouts/`.

        Raises:
            NotFoundError: no such artifact or version, neither on W&B nor in the local store.
            CorruptArtifactError: wrong bytes, or names that lead out of the folder.
            RemoteError: W&B does not answer, and the local store has no such version.
            SettingError: no run, or `to` holds other files.
        """
        return self._running().fetch(f"{name}:{version}", Path(to) if to else None)

    def load_model_artifact(
        self,
        name: str,
        version: str = "latest",
        *,
        load: Callable[[Path], _T],
        to: Path | str | None = None,
    ) -> _T:
        """What `load` makes of an artifact's folder, such as `AutoModelForSequenceClassification.from_pretrained`.

        Nothing is unpickled by goemo. Raises what `get_model_artifact` raises.
        """
        return load(self.get_model_artifact(name, version, to=to))

    def link_artifacts(self, child: str, parent: str) -> None:
        """Say that one artifact was made from another; saying it twice changes nothing.

        The local store keeps it. W&B draws lineage through runs: there this run is noted as a user of the parent too.

        Raises:
            SettingError: no run, or a circle.
            NotFoundError: no such child.
        """
        self._running().link(child, parent)

    def lineage(self, reference: str) -> LineageNode:
        """An artifact with everything that it was made from, as far back as it is known. Needs no run.

        Raises:
            NotFoundError: no such artifact.
            RemoteError: W&B does not answer.
        """
        return self._run.lineage(reference) if self._run else trace(reference, self.registry, self.registry)

    def _log(
        self,
        name: str,
        files: Mapping[str, Path],
        type: str,
        facts: Mapping[str, Any],
        described: Described,
    ) -> LoggedArtifact:
        metadata = {**facts, **size_facts(files), **(described.get("metadata") or {})}
        made, where = self._running().add(
            name,
            files,
            type=type,
            metadata=metadata,
            aliases=described.get("aliases", ()),
            parents=described.get("parents", ()),
        )
        size = sum(entry.size for entry in made.files.values())
        return LoggedArtifact(
            made.name, f"v{made.number}", made.type, made.digest, size, made.metadata, where
        )

    def _running(self) -> MirroredRun:
        if self._run is None:
            raise SettingError(["no run is going on; call init_run first"])
        return self._run
