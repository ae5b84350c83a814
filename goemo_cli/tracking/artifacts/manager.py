"""Versioned artifacts for your own pipeline: on W&B, or without it in a local store; the calls are the same."""

import atexit
import secrets
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, TypeVar, Unpack

from goemo_cli.core.errors import (
    AuthenticationError,
    CorruptArtifactError,
    GoemoError,
    NotFoundError,
    RemoteError,
    SettingError,
)
from goemo_cli.tracking.artifacts.config import LoggerConfig
from goemo_cli.tracking.artifacts.facts import (
    LIBRARIES,
    media_facts,
    model_facts,
    size_facts,
    table_facts,
)
from goemo_cli.tracking.artifacts.lineage import LineageNode, trace
from goemo_cli.tracking.artifacts.local_runs import (
    LocalRun,
    checked_values,
    earlier_name,
    local_values,
    media_names,
)
from goemo_cli.tracking.artifacts.registry import FOLDER, Registry, check_metadata, files_of
from goemo_cli.tracking.artifacts.saving import (
    TABLE_ROWS,
    read_table,
    write_model,
    write_predicted,
    write_splits,
)
from goemo_cli.tracking.artifacts.versions import Version, parse_collection
from goemo_cli.tracking.environment import installed_versions
from goemo_cli.tracking.redaction import without_secrets

if TYPE_CHECKING:
    from goemo_cli.core.predictions import Predictions
    from goemo_cli.tracking.artifacts.saving import HasRows
    from goemo_cli.tracking.wandb.artifacts import WandbArtifacts

_T = TypeVar("_T")
Metadata = Mapping[str, Any] | None
Where = Literal["wandb", "local"]
_WANDB_FOLDER = Path("output/wandb")


class Described(TypedDict, total=False):
    """What can be added to every artifact."""

    aliases: Iterable[str]
    """Besides `latest`, such as `best`."""
    metadata: Metadata
    """JSON values; they replace those found in the files."""
    parents: Sequence[str]
    """References of what it was made from, such as `goemotions:v0`."""
    description: str | None
    """Text for readers."""
    collection: str | None
    """A registry collection to link it to, as `link_to_registry` takes it."""


class TrackingWarning(UserWarning):
    """Something did not reach W&B; the local store is complete."""


@dataclass(frozen=True)
class LoggedArtifact:
    """A version of an artifact, on W&B or in the local store."""

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
    description: str | None = None

    @property
    def reference(self) -> str:
        """`NAME:vN`."""
        return f"{self.name}:{self.version}"


class ArtifactManager:
    """One run that logs and reads artifacts.

    Without W&B (mode "local", the package missing, no key, no network) everything goes to the local store, after one
    warning. If W&B fails later, it is not used again in this run: what failed and all that follows is stored locally.

    The calls that make an artifact share the options of `Described`: `aliases`, `metadata`, `parents`, `description`
    and `collection`. They raise NotFoundError if a file is missing, and SettingError without a run, or for a name,
    alias or metadata that is not allowed.

    A run that is still open when Python exits is finished then.

    Args:
        config: project, name, mode and so on; or the name of a project.
        root: of the project; the store is in `artifacts/registry/` below it.
        warn: called with each warning; by default it becomes a `TrackingWarning`.
    """

    def __init__(
        self,
        config: LoggerConfig | str | None = None,
        *,
        root: Path | str = Path(),
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.config = LoggerConfig(project=config) if isinstance(config, str) else config or LoggerConfig()
        folder = Path(root).absolute()  # the program may change its directory before the run ends
        self.registry = Registry(folder / FOLDER)
        self._wandb_folder = folder / _WANDB_FOLDER
        self.warn = warn or (lambda message: warnings.warn(message, TrackingWarning, stacklevel=4))
        self._local: LocalRun | None = None
        self._wandb: WandbArtifacts | None = None
        self._warned_of_media = False

    def __enter__(self) -> Self:
        if self._local is None:
            self.init_run()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._local is not None:
            self.finish_run(exit_code=1 if kind else 0)

    @property
    def run_id(self) -> str | None:
        """The id of the run, here and on W&B; None before `init_run` and after `finish_run`."""
        return self._local.record.id if self._local else None

    @property
    def where(self) -> Where:
        """Where the next artifact goes. Offline that is the local store (and W&B's files, for later)."""
        return "wandb" if self._wandb and self._wandb.is_online else "local"

    @property
    def url(self) -> str | None:
        """The page of the run on W&B; None without W&B."""
        return self._wandb.url if self._wandb else None

    @property
    def lowest_step(self) -> int:
        """The lowest step that `log_metrics` accepts now; 0 without a run."""
        return self._local.lowest_step if self._local else 0

    def init_run(
        self,
        name: str | None = None,
        *,
        config: Metadata = None,
        job_type: str | None = None,
        resume: str | None = None,
    ) -> str:
        """Begin a run, or continue an earlier one; returns its id.

        Args:
            name: the run's name for people; `LoggerConfig.name` by default, else its id.
            config: settings in addition to those of `LoggerConfig.config`.
            job_type: train, evaluate, ...: how W&B groups runs.
            resume: id of a run to continue; `LoggerConfig.resume` by default.

        Raises:
            SettingError: a run is open already.
        """
        if self._local is not None:
            raise SettingError([f"run {self.run_id} is still open; call finish_run first"])
        resumed = resume or self.config.resume
        run_id = resumed or secrets.token_hex(4)
        known = earlier_name(self.registry.folder, run_id) or (None if resumed else run_id)
        settings = without_secrets({**self.config.config, **(config or {})})
        run = replace(self.config, name=name or self.config.name or known, config=settings)
        self._wandb = self._open_wandb(run, run_id, job_type)
        facts = {
            "name": run.name or run_id,
            "project": run.project,
            "entity": run.entity,
            "tags": list(run.tags),
            "notes": run.notes,
            "job_type": job_type,
            "config": settings,
            "versions": installed_versions(LIBRARIES),
            "url": self.url,
        }
        first_step = self._wandb.first_step if self._wandb else 0
        self._local = LocalRun.begin(self.registry.folder, run_id, facts, first_step=first_step)
        self._warned_of_media = False
        atexit.register(self._finish_at_exit)
        return run_id

    def finish_run(self, summary: Metadata = None, *, exit_code: int = 0) -> None:
        """End the run with its final numbers by name, if there are any, and an exit code: 0 if it succeeded.

        Raises:
            SettingError: no run is open.
        """
        run, numbers = self._running(), without_secrets(summary or {})
        self._on_wandb(lambda wandb: wandb.finish(exit_code=exit_code, summary=numbers))
        self._local, self._wandb = None, None
        atexit.unregister(self._finish_at_exit)
        run.finish(exit_code=exit_code, summary=numbers)

    def log_metrics(self, values: Mapping[str, Any], *, step: int | None = None) -> None:
        """Record numbers by name (`val/f1_macro`), here and on W&B.

        Mappings of numbers can be nested. Objects of wandb (`wandb.Histogram`, `wandb.Image`, `wandb.Table`, lists of
        them) go to W&B only: the local log says what they were and whether W&B got them, and without W&B the first
        ones cost a warning.

        Args:
            values: numbers of Python, numpy or torch, mappings of them, objects of wandb.
            step: never lower than the last one; the next one by default.

        Raises:
            SettingError: no run is open, a value of another kind, or a step that goes backwards, which W&B drops.
        """
        run, checked = self._running(), checked_values(values)
        wanted = run.next_step if step is None else step
        if wanted < run.lowest_step:
            raise SettingError(
                [f"step {wanted} is lower than {run.lowest_step}: W&B drops steps that go backwards"]
            )
        copied = checked_values(checked)  # the SDK changes nested mappings that it is given
        self._on_wandb(lambda wandb: wandb.log(copied, step=wanted))
        media = list(media_names(checked))
        if media and self._wandb is None and not self._warned_of_media:
            self._warned_of_media = True
            self.warn(f"{', '.join(media)}: without W&B, objects of wandb are not kept")
        run.log(local_values(checked, on_wandb=self._wandb is not None), wanted)

    def log_model_artifact(
        self, path: Path | str, name: str, **described: Unpack[Described]
    ) -> LoggedArtifact:
        """Version a model: a file, or a folder such as a checkpoint.

        Adds framework, parameters and number of labels as far as the files say, versions and sizes.
        """
        files = files_of(Path(path))
        return self._log(name, files, "model", model_facts(files), described)

    def log_dataset_artifact(
        self, path: Path | str, name: str, **described: Unpack[Described]
    ) -> LoggedArtifact:
        """Version data: a file or a folder. Adds rows and label counts of CSV and TSV files, shapes of .npy, and sizes."""
        files = files_of(Path(path))
        return self._log(name, files, "dataset", table_facts(files), described)

    def log_video_artifact(
        self, path: Path | str, name: str, **described: Unpack[Described]
    ) -> LoggedArtifact:
        """Version a media file; its kind (video, audio, image) becomes the type of the artifact.

        Duration, width, height and format are read from the header of MP4, MOV, GIF, WebP, WAV, PNG, JPEG and
        Pillow's other formats, and replace those in `metadata`, with a warning. For other files only `metadata` counts.

        Raises:
            CorruptArtifactError: a damaged header.
        """
        file = Path(path)
        if not file.is_file():
            raise NotFoundError(f"{file}: no such file")
        given, found = dict(described.pop("metadata", None) or {}), media_facts(file)
        for key in sorted(given.keys() & found.keys()):
            if given[key] != found[key]:
                self.warn(f"{file.name}: {key} is {found[key]!r} by its header, not {given[key]!r}")
        facts = {"format": file.suffix.lstrip(".").lower(), **given, **found}
        kind = str(facts.pop("kind", "media"))
        return self._log(name, {file.name: file}, kind, facts, described)

    def log_predictions(
        self,
        predictions: "Path | str | Iterable[Mapping[str, Any]] | Predictions | HasRows",
        name: str,
        *,
        split: str = "test",
        **described: Unpack[Described],
    ) -> LoggedArtifact:
        """Version predictions of a split; on W&B their first 10,000 rows are shown as the table `predictions/NAME` too.

        Args:
            predictions: what `Predictor.predict` returns, goemo's `Predictions`, a file, rows as mappings with the same
                keys, or a data frame of pandas.
            split: what was predicted.
            **described: see `Described`.
        """
        with tempfile.TemporaryDirectory() as folder:
            if isinstance(predictions, (Path, str)):
                path = Path(predictions)
            else:
                path = Path(folder) / f"{split}_predictions.csv"
                write_predicted(path, predictions)
            files = files_of(path)
            logged = self._log(name, files, "predictions", table_facts(files) | {"split": split}, described)
            for file in files.values():
                self._show_table(f"predictions/{name}", file)
        return logged

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
        which becomes `model.safetensors`. For any other `save` is called with the model and an empty folder: goemo
        never pickles a model.
        """
        with tempfile.TemporaryDirectory() as folder:
            write_model(Path(folder), model, save)
            return self.log_model_artifact(folder, name, **described)

    def save_dataset_artifact(self, data: Any, name: str, **described: Unpack[Described]) -> LoggedArtifact:
        """Write data that is in memory, and version it.

        Rows as mappings with the same keys or a data frame of pandas become CSV, an array of numpy or a tensor becomes
        .npy (its type and every bit are kept). A mapping of split names to any of these makes one file for each split.
        """
        with tempfile.TemporaryDirectory() as folder:
            write_splits(Path(folder), data)
            return self.log_dataset_artifact(folder, name, **described)

    def get_model_artifact(self, name: str, version: str = "latest", *, to: Path | str | None = None) -> Path:
        """The folder with an artifact's files, fetched, every file verified. The run is noted as its user.

        Files that are there and right stay; others are fetched again.

        Args:
            name: of the artifact, of any type.
            version: `v3`, or an alias.
            to: a folder for it alone; by default one below `artifacts/registry/checkouts/`.

        Raises:
            NotFoundError: no such artifact or version, neither on W&B nor in the local store.
            CorruptArtifactError: wrong bytes, or names that lead out of the folder.
            RemoteError: W&B does not answer, and the local store has no such version.
            SettingError: no run is open, or `to` holds other files.
        """
        run, reference, folder = self._running(), f"{name}:{version}", Path(to) if to else None
        if self.where == "local" or self._wandb is None:
            return self._from_store(reference, folder)
        try:
            found = self._wandb.get(reference)
            target = folder or self._checkout("wandb", found)
            self._wandb.fetch(found.reference, target)
        except (NotFoundError, RemoteError) as error:
            with suppress(NotFoundError):
                target = self._from_store(reference, folder)
                self.warn(f"{reference} comes from the local store: {error}")
                return target
            raise
        self._on_wandb(lambda wandb: wandb.use(found.reference))
        run.note("inputs", found.reference)
        return target

    def load_model_artifact(
        self,
        name: str,
        version: str = "latest",
        *,
        load: Callable[[Path], _T],
        to: Path | str | None = None,
    ) -> _T:
        """The result of `load` on an artifact's folder, such as `AutoModelForSequenceClassification.from_pretrained`.

        goemo unpickles nothing. Raises what `get_model_artifact` raises.
        """
        return load(self.get_model_artifact(name, version, to=to))

    def link_artifacts(self, child: str, parent: str) -> None:
        """Note that one artifact was made from another; a second time changes nothing.

        The local store keeps it. W&B draws lineage through runs: there this run is noted as a user of the parent too.

        Raises:
            SettingError: no run is open, or a circle.
            NotFoundError: no such child.
        """
        run = self._running()
        if self.where == "local":
            version = self.registry.link(child, parent)
            run.note("inputs", self.registry.parents(version)[-1])
            return
        made = self._on_wandb(lambda wandb: wandb.get(child))
        used = self._on_wandb(lambda wandb: wandb.use(parent)) or parent
        run.note_link(made.reference if made else child, used)
        run.note("inputs", used)

    def link_to_registry(self, reference: str, collection: str, *, aliases: Iterable[str] = ()) -> None:
        """Link an artifact to a registry collection, such as `model/emotions`, under `latest` and the given aliases.

        On W&B that is the collection `wandb-registry-model/emotions` of your organization; a name without a slash is a
        collection of the project. If W&B refuses it, a warning says so and the run continues. Without W&B the
        local store keeps the link.

        Raises:
            SettingError: no run is open, or a name or alias that is not allowed.
            NotFoundError: no such artifact.
        """
        run, target, wanted = self._running(), parse_collection(collection), tuple(aliases)
        if self.where == "local" or self._wandb is None:
            linked = self.registry.link_to_collection(reference, target, wanted)
        else:
            try:
                linked = self._wandb.link_to_collection(reference, target, wanted)
            except (AuthenticationError, RemoteError) as error:
                self.warn(f"{reference} is not linked to {collection}: {error}")
                return
        run.note_collection(linked, target)

    def lineage(self, reference: str) -> LineageNode:
        """An artifact with everything that it was made from, as far back as it is known. Needs no run.

        Raises:
            NotFoundError: no such artifact.
            RemoteError: W&B does not answer.
        """
        source = self._wandb if self.where == "wandb" and self._wandb else self.registry
        return trace(reference, source, self.registry)

    def _log(
        self,
        name: str,
        files: Mapping[str, Path],
        type: str,
        facts: Mapping[str, Any],
        described: Described,
    ) -> LoggedArtifact:
        """Version files on W&B, or if that does not work in the store; note what the run read and made."""
        run = self._running()
        collection = described.get("collection")
        if collection is not None:
            parse_collection(collection)  # a wrong name is an error before the upload
        about: dict[str, Any] = {
            "type": type,
            "metadata": {**facts, **size_facts(files), **(described.get("metadata") or {})},
            "aliases": tuple(described.get("aliases", ())),
            "parents": described.get("parents", ()),
            "description": described.get("description"),
        }
        check_metadata(about["metadata"])
        made = self._on_wandb(lambda wandb: wandb.add(name, files, **about))
        where: Where = "wandb" if made else "local"
        if made is None:
            made = self.registry.add(name, files, run=self.run_id, **about)
        for parent in made.parents:
            run.note("inputs", parent)
        run.note("outputs", made.reference)
        if collection is not None:
            self.link_to_registry(made.reference, collection, aliases=about["aliases"])
        size = sum(entry.size for entry in made.files.values())
        return LoggedArtifact(
            made.name, made.version, made.type, made.digest, size, made.metadata, where, made.description
        )

    def _show_table(self, key: str, file: Path) -> None:
        """Log the first rows of a CSV or TSV file as a W&B table, at the current step."""
        if self._wandb and (table := read_table(file, TABLE_ROWS)):
            step = self.lowest_step
            self._on_wandb(lambda wandb: wandb.log_table(key, *table, step=step))

    def _from_store(self, reference: str, to: Path | None) -> Path:
        version = self.registry.get(reference)
        folder = to or self._checkout("local", version)
        self.registry.fetch(version.reference, folder)
        self._running().note("inputs", version.reference)
        return folder

    def _checkout(self, where: Where, version: Version) -> Path:
        """The folder for a version's files if the caller names none."""
        return self.registry.folder / "checkouts" / where / version.name / version.version

    def _running(self) -> LocalRun:
        if self._local is None:
            raise SettingError(["no run is open; call init_run first"])
        return self._local

    def _on_wandb(self, call: "Callable[[WandbArtifacts], _T]") -> _T | None:
        """The result of a call to W&B; None without W&B.

        After a failure W&B is not used again in this run. Mistakes of the caller are raised; a SettingError with a cause
        is not one of them, but an error of the SDK, such as a run that something else has finished.
        """
        if self._wandb is None:
            return None
        try:
            return call(self._wandb)
        except (NotFoundError, CorruptArtifactError):
            raise
        except (GoemoError, OSError) as error:
            if isinstance(error, SettingError) and error.__cause__ is None:
                raise
            self.warn(f"{error}; from here on everything goes to the local store")
            self._wandb = None
            return None

    def _open_wandb(self, config: LoggerConfig, run_id: str, job: str | None) -> "WandbArtifacts | None":
        if config.mode == "local":
            return None
        from goemo_cli.tracking.wandb.artifacts import WandbArtifacts

        try:
            return WandbArtifacts(
                config, run_id=run_id, online=config.mode == "online", directory=self._wandb_folder, job=job
            )
        except (GoemoError, OSError) as error:
            self.warn(f"{error}; artifacts go to the local store")
            return None

    def _finish_at_exit(self) -> None:
        """Python exits and the run is open: it failed if the program ended by an exception."""
        self.finish_run(exit_code=1 if hasattr(sys, "last_value") else 0)
