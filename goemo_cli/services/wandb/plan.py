"""What a run holds on W&B, and the path in the layout for each file of it."""

import re
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from goemo_cli.core.catalogue import catalogue
from goemo_cli.core.checkpoint import MANIFEST
from goemo_cli.core.documents.manifest import Manifest
from goemo_cli.core.errors import CorruptArtifactError, SettingError
from goemo_cli.core.events import EventHandler, Warning
from goemo_cli.core.layout import Layout, parse_predictions_name
from goemo_cli.core.names import RunName, family_of
from goemo_cli.tracking.artifacts.versions import check_file_names
from goemo_cli.tracking.wandb.client import RemoteArtifact, RunReference, WandbClient
from goemo_cli.tracking.wandb.http import RemoteFile, is_same

What = Literal["checkpoint", "predictions", "stats", "figures"]
WHAT: tuple[What, ...] = get_args(What)
"""What a run may hold on W&B: the choices of --what, and the first folder of file names."""
ESSENTIAL: tuple[What, ...] = ("checkpoint", "predictions", "stats")
USUAL: tuple[What, ...] = (*ESSENTIAL, "figures")
"""What is downloaded by default."""
_KIND_OF: dict[str, What] = {kind: kind for kind in WHAT}

_LEFT_OUT = frozenset({"training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"})
"""Files of other tools' checkpoints: pickles that are not needed to use the model."""
_ARTIFACT = re.compile(
    r"(?P<model>.+?)-(?P<kind>checkpoint|test-predictions|val-predictions|per-class-metrics)-(?P<id>[^/]+)"
)
_FOLDERS: dict[str, What] = {"checkpoint": "checkpoint", "per-class-metrics": "stats"}
# The older form of a file's end, month first: per_class_metrics_distilbert_12-11-2025-221314.csv.
_OLD_END = re.compile(
    r"(?P<start>.*_)(?P<model>[a-z0-9][a-z0-9.-]*)_(?P<stamp>\d{2}-\d{2}-\d{4}-\d{6})(?P<end>\.\w+)"
)
_STAMPED = re.compile(r".*_\d{8}-\d{6}\.\w+")


@dataclass(frozen=True)
class Listing:
    """The files of one run or artifact, as the server lists them, unchecked."""

    source: str
    """`ENTITY/PROJECT/ID`, or `ENTITY/PROJECT/NAME:VERSION` of an artifact."""
    files: tuple[RemoteFile, ...]
    name: str = ""
    """The run's name on W&B."""


@dataclass(frozen=True)
class PlannedFile:
    """One file and its local path."""

    what: What
    remote: RemoteFile
    target: Path
    run: RunName | None = None
    """The run, if the file belongs to a checkpoint."""
    is_shared: bool = False
    """Whether it describes several runs: an existing local one is not replaced."""

    @property
    def is_manifest(self) -> bool:
        """Whether it makes its checkpoint count."""
        return self.what == "checkpoint" and self.target.name == MANIFEST


@dataclass(frozen=True)
class Plan:
    """All files of a download."""

    files: tuple[PlannedFile, ...]
    left_out: tuple[str, ...] = ()
    """Remote names that are skipped although their kind is wanted."""

    @property
    def runs(self) -> tuple[RunName, ...]:
        """Runs with a checkpoint, sorted by name."""
        return tuple(sorted({file.run for file in self.files if file.run}))

    def of(self, what: What) -> list[PlannedFile]:
        """The files of one kind."""
        return [file for file in self.files if file.what == what]


@dataclass(frozen=True)
class ArtifactName:
    """The parts of `{model}-checkpoint-{run_id}` and the like."""

    what: What
    run_id: str

    @classmethod
    def parse(cls, name: str) -> "ArtifactName | None":
        """The parts of a W&B artifact's name without version; None if it is not a goemo artifact."""
        match = _ARTIFACT.fullmatch(name)
        if match is None:
            return None
        what: What = _FOLDERS.get(match["kind"], "predictions")
        return cls(what, match["id"])


def check_what(names: Iterable[str]) -> tuple[What, ...]:
    """The kinds given to --what, in their order, without repetitions.

    Raises:
        SettingError: an unknown kind, or none at all.
    """
    wanted = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    if unknown := [name for name in wanted if name not in WHAT]:
        raise SettingError(
            [f"--what: unknown {', '.join(map(repr, unknown))}; choose from {', '.join(WHAT)}"]
        )
    if not wanted:
        raise SettingError([f"--what is empty; choose from {', '.join(WHAT)}"])
    return tuple(_KIND_OF[name] for name in wanted)


def list_run(
    client: WandbClient,
    reference: RunReference,
    what: Collection[What],
    *,
    layout: Layout,
    on_event: EventHandler,
) -> Listing:
    """All files of a run: its Files tab, and W&B artifacts for the kinds that are missing there."""
    run = client.run(reference)
    if run.state in ("running", "pending"):
        on_event(Warning(f"{reference} is still {run.state}: some files may not be uploaded yet"))
    kinds = {file.name.partition("/")[0] for file in run.files}
    missing = [kind for kind in ESSENTIAL if kind in what and kind not in kinds]
    files = list(run.files)
    for artifact in client.artifacts_of(reference) if missing else ():
        kind = ArtifactName.parse(artifact.name)
        if kind and kind.what in missing:
            files += list_artifact(artifact, kind.what, client, layout=layout, name=run.name)
    return Listing(str(reference), tuple(files), run.name)


def list_artifact(
    artifact: RemoteArtifact, what: What, client: WandbClient, *, layout: Layout, name: str = ""
) -> list[RemoteFile]:
    """The files of a W&B artifact.

    Args:
        client: downloads the manifest if nothing else tells the run of a checkpoint.
        layout: has local copies, which save the download.
        name: the run's name on W&B, if it is known.

    Raises:
        CorruptArtifactError: the run of a checkpoint is unknown.
    """
    run = _run_of(artifact, client, layout=layout, name=name) if what == "checkpoint" else None
    return as_run_files(artifact.files, what, run)


def plan_download(
    files: Collection[RemoteFile], what: Collection[What], *, layout: Layout, where: str, name: str = ""
) -> Plan:
    """Give every wanted file its local path.

    Args:
        files: everything that the server lists; one unsafe name refuses all of them.
        where: the run or artifact, for messages.
        name: the run's name on W&B, for a checkpoint without its own folder.

    Raises:
        CorruptArtifactError: an unsafe name, two files with the same path, or a checkpoint without a run.
    """
    check_file_names((file.name for file in files), Path(where))
    planned: list[PlannedFile] = []
    left_out: list[str] = []
    for file in sorted(files, key=lambda file: file.name):
        first, _, rest = file.name.partition("/")
        kind = _KIND_OF.get(first)
        if kind is None or kind not in what or not rest:
            continue
        if kind == "checkpoint":
            found = _in_checkpoint(file, rest, layout=layout, where=where, name=name)
        else:
            found = _outside(file, kind, rest, layout)
        if found is None:
            left_out.append(file.name)
        else:
            planned.append(found)
    check_file_names((str(file.target.relative_to(layout.root)) for file in planned), Path(where))
    if len({file.target for file in planned}) != len(planned):
        raise CorruptArtifactError(Path(where), "refused: two of its files have the same path")
    return Plan(tuple(planned), tuple(left_out))


def as_run_files(files: Iterable[RemoteFile], what: What, run: str | None = None) -> list[RemoteFile]:
    """Files of a W&B artifact, named as in the Files tab of its run.

    Args:
        files: with their names in the artifact.
        run: the run's name, for a checkpoint.
    """
    folder = f"{what}/{run}/" if what == "checkpoint" and run else f"{what}/"
    return [
        file if file.name.startswith(f"{what}/") else replace(file, name=folder + file.name) for file in files
    ]


def _run_of(artifact: RemoteArtifact, client: WandbClient, *, layout: Layout, name: str) -> str | None:
    """The run of a checkpoint artifact: from its metadata, the run's name, or its manifest (a local copy if there is one)."""
    for known in (artifact.metadata.get("goemo_run"), name):
        if RunName.parse(str(known)):
            return str(known)
    manifest = next((file for file in artifact.files if file.name == MANIFEST), None)
    if manifest is None:
        return None
    for checkpoint in layout.checkpoints():
        if is_same(checkpoint / MANIFEST, manifest):
            return checkpoint.name
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, MANIFEST)
        client.fetcher().fetch(manifest, path)
        with errors_named(f"{artifact}/{MANIFEST}"):
            found = Manifest.read(path).run
    if RunName.parse(found) is None:
        raise CorruptArtifactError(
            Path(str(artifact)), f"its manifest has no valid run name, but {found[:80]!r}"
        )
    return found


@contextmanager
def errors_named(name: str) -> Iterator[None]:
    """Errors name the remote file, not its temporary copy."""
    try:
        yield
    except CorruptArtifactError as error:
        raise CorruptArtifactError(Path(name), error.reason) from error


def _in_checkpoint(
    file: RemoteFile, rest: str, *, layout: Layout, where: str, name: str
) -> PlannedFile | None:
    folder, slash, inside = rest.partition("/")
    run = RunName.parse(folder) if slash else None
    if run is None:  # a checkpoint without its own folder
        run, inside = RunName.parse(name), rest
    if run is None:
        raise CorruptArtifactError(
            Path(where), f"{file.name!r} belongs to no run: the folder below checkpoint/ is not a run name"
        )
    if inside in _LEFT_OUT:
        return None
    home = layout.find_checkpoint(run) or layout.checkpoint(run, _family(run.model))
    return PlannedFile("checkpoint", file, home / inside, run)


def _outside(file: RemoteFile, kind: What, rest: str, layout: Layout) -> PlannedFile | None:
    folder = {"predictions": layout.predictions, "stats": layout.stats, "figures": layout.figures}[kind]
    target = folder / _modern(rest)
    if kind == "predictions" and parse_predictions_name(target) is None:
        return None
    is_shared = kind == "figures" or (kind == "stats" and not _STAMPED.fullmatch(target.name))
    return PlannedFile(kind, file, target, is_shared=is_shared)


def _modern(name: str) -> str:
    """The name of a file with its run in today's form."""
    match = _OLD_END.fullmatch(name)
    run = RunName.parse(f"{match['model']}-{match['stamp']}") if match else None
    return f"{match['start']}{run.file_stem}{match['end']}" if match and run else name


def _family(model: str) -> str:
    known = catalogue().get(model)
    return known.family if known else family_of(model)
