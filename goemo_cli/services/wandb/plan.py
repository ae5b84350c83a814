"""Which remote file goes where: from names in W&B's Files tab and artifacts to places of the layout."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from goemo_cli.core.catalogue import catalogue
from goemo_cli.core.checkpoint import MANIFEST
from goemo_cli.core.errors import CorruptArtifactError, SettingError
from goemo_cli.core.layout import Layout, parse_predictions_name
from goemo_cli.core.names import RunName, family_of
from goemo_cli.tracking.artifacts.versions import check_file_names
from goemo_cli.tracking.wandb.http import RemoteFile

What = Literal["checkpoint", "predictions", "stats", "figures"]
WHAT: tuple[What, ...] = get_args(What)
"""What a run may hold remotely, as --what names it; also the first folder of its names."""
_KIND_OF: dict[str, What] = {kind: kind for kind in WHAT}

_LEFT_OUT = frozenset({"training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"})
"""Of other tools' checkpoints: not needed to use the model, and pickles of who knows what."""
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
class PlannedFile:
    """One file and its place."""

    what: What
    remote: RemoteFile
    target: Path
    run: RunName | None = None
    """Of a checkpoint's file."""
    is_shared: bool = False
    """A table of several runs: one that is here already is not replaced by another project's."""

    @property
    def is_manifest(self) -> bool:
        """Whether it makes its checkpoint count."""
        return self.what == "checkpoint" and self.target.name == MANIFEST


@dataclass(frozen=True)
class Plan:
    """All that a download means to bring."""

    files: tuple[PlannedFile, ...]
    left_out: tuple[str, ...] = ()
    """Remote names that are not brought, though they lie among those that are."""

    @property
    def runs(self) -> tuple[RunName, ...]:
        """Runs of which there is a checkpoint, in order of their names."""
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
        """The parts of a W&B artifact's name, without version; None where it is none of a goemo run."""
        match = _ARTIFACT.fullmatch(name)
        if match is None:
            return None
        what: What = _FOLDERS.get(match["kind"], "predictions")
        return cls(what, match["id"])


def check_what(names: Iterable[str]) -> tuple[What, ...]:
    """The kinds that --what names, in its order, each once.

    Raises:
        SettingError: an unknown one, or none.
    """
    wanted = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    if unknown := [name for name in wanted if name not in WHAT]:
        raise SettingError([f"--what knows no {', '.join(map(repr, unknown))}; it knows {', '.join(WHAT)}"])
    if not wanted:
        raise SettingError([f"--what names nothing; it knows {', '.join(WHAT)}"])
    return tuple(_KIND_OF[name] for name in wanted)


def plan_download(
    files: Collection[RemoteFile], what: Collection[What], *, layout: Layout, where: str, name: str = ""
) -> Plan:
    """Give every wanted file its place.

    Args:
        files: all that the server lists, wanted or not; one hostile name among them refuses them all.
        what: the kinds that are wanted.
        layout: where they go.
        where: whose they are, for messages.
        name: the run's name on W&B, for checkpoints that lie in no folder of their own.

    Raises:
        CorruptArtifactError: a name that leads elsewhere, two that go to the same place, a checkpoint of no run.
    """
    check_file_names((file.name for file in files), Path(where))
    planned: list[PlannedFile] = []
    left_out: list[str] = []
    for file in sorted(files, key=lambda one: one.name):
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
        raise CorruptArtifactError(Path(where), "refused: two of its files would go to the same place")
    return Plan(tuple(planned), tuple(left_out))


def as_run_files(files: Iterable[RemoteFile], what: What, run: str | None = None) -> list[RemoteFile]:
    """Files of a W&B artifact, named as in the Files tab of its run.

    Args:
        files: as the artifact names them.
        what: which kind the artifact holds.
        run: the run's name, for a checkpoint.
    """
    folder = f"{what}/{run}/" if what == "checkpoint" and run else f"{what}/"
    return [
        file if file.name.startswith(f"{what}/") else replace(file, name=folder + file.name) for file in files
    ]


def _in_checkpoint(
    file: RemoteFile, rest: str, *, layout: Layout, where: str, name: str
) -> PlannedFile | None:
    folder, slash, inside = rest.partition("/")
    run = RunName.parse(folder) if slash else None
    if run is None:  # a checkpoint that lies in no folder of its own
        run, inside = RunName.parse(name), rest
    if run is None:
        raise CorruptArtifactError(
            Path(where), f"{file.name!r} belongs to no run: the folder below checkpoint/ is named like no run"
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
