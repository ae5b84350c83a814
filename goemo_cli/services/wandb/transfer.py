"""Downloads on their way: fetched in parallel into a folder beside the targets, checked there, then moved."""

import errno
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from goemo_cli.core.checkpoint import METRICS, THRESHOLDS, Checkpoint
from goemo_cli.core.errors import BusyError, CorruptArtifactError, GoemoError, StorageError
from goemo_cli.core.events import Advanced, EventHandler, FileWritten, PhaseEnded, PhaseStarted
from goemo_cli.core.files import PARTIAL_PREFIX, atomic_path, read_json_object, sha256_file
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.shapes import manifest_fault
from goemo_cli.ml.models.weight_safety import WEIGHTS, require_plain_settings, require_sound_weights
from goemo_cli.services.training.summaries import require_scores
from goemo_cli.services.wandb.plan import Plan, PlannedFile
from goemo_cli.services.wandb.records import slug_of
from goemo_cli.tracking.wandb.http import Fetcher, RemoteFile, fetch_all

_SPARE_BYTES = 1 << 24
_SETTINGS = ("config.json", "tokenizer_config.json", "generation_config.json", "processor_config.json")


@contextmanager
def open_stage(layout: Layout, source: str) -> Iterator[Path]:
    """The folder of a source's unfinished download; what an earlier try left is there.

    Raises:
        BusyError: another process downloads the same.
    """
    stage = layout.artifacts / f"{PARTIAL_PREFIX}download-{slug_of(source)}"
    refuse_links(stage, layout.artifacts)
    stage.mkdir(parents=True, exist_ok=True)
    lock = FileLock(stage / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise BusyError(f"another goemo download of {source} is going on below {layout.root}") from error
    try:
        yield stage
    finally:
        lock.release()


def staged_path(file: PlannedFile, stage: Path, layout: Layout) -> Path:
    """Where a file waits until all of them are there."""
    return stage / file.target.relative_to(layout.root)


def fetch_files(
    files: Sequence[PlannedFile],
    fetcher: Fetcher,
    *,
    stage: Path,
    layout: Layout,
    renew: Callable[[RemoteFile], RemoteFile],
    on_event: EventHandler,
) -> None:
    """Bring every file into the stage; those that an earlier try brought are kept.

    Raises:
        GoemoError: the first file that failed; what came of the others stays in the stage.
    """
    total = sum(file.remote.size for file in files)
    on_event(PhaseStarted(f"Downloading {len(files)} file{'s' * (len(files) != 1)}", total, "bytes"))
    try:
        pairs = [(file.remote, staged_path(file, stage, layout)) for file in files]
        fetch_all(pairs, fetcher, renew=renew, arrived=lambda amount: on_event(Advanced(amount)))
    finally:
        on_event(PhaseEnded())


def check_staged(
    plan: Plan, files: Sequence[PlannedFile], *, stage: Path, layout: Layout, where: str
) -> None:
    """Look into what came before any of it moves: plain weights, checkpoints as their own manifests say.

    Args:
        plan: all that belongs to the download.
        files: those of it that were fetched; the others are in place already.
        stage: where they are.
        layout: where they go.
        where: whose they are, for messages.

    Raises:
        CorruptArtifactError: with the name of the remote file.
    """
    fetched = {file.target for file in files}
    for file in files:
        path = staged_path(file, stage, layout)
        with _named(f"{where}/{file.remote.name}"):
            if path.suffix in WEIGHTS:
                require_sound_weights(path, numbers=True)
            elif file.what == "checkpoint" and path.name in _SETTINGS:
                require_plain_settings(path)

    def now(target: Path) -> Path:
        return stage / target.relative_to(layout.root) if target in fetched else target

    for file in plan.of("checkpoint"):
        if file.is_manifest and any(one.run == file.run for one in files):
            with _named(f"{where}/{file.remote.name}"):
                _check_checkpoint(file, now, stage)
                _check_outputs(plan, now, read_json_object(now(file.target)), layout)


def _check_checkpoint(file: PlannedFile, now: Callable[[Path], Path], stage: Path) -> None:
    path = now(file.target)
    manifest = read_json_object(path)
    if fault := manifest_fault(manifest):
        raise CorruptArtifactError(path, fault)
    run = RunName.parse(manifest["run"])
    if run is None or run != file.run:
        raise CorruptArtifactError(path, f"is no manifest of {file.run}")
    home = file.target.parent
    for name, entry in manifest["files"].items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise CorruptArtifactError(path, f"names a file outside the checkpoint: {name!r}")
        listed = now(home / name)
        if not listed.is_file():
            raise CorruptArtifactError(
                path, f"names {name}, which the run does not hold: its upload is not complete"
            )
        if listed.stat().st_size != entry.get("size") or sha256_file(listed) != entry.get("sha256"):
            raise CorruptArtifactError(path, f"says another SHA-256 of {name} than the file has")
    _check_scores(Checkpoint(_apart(home, now, stage), run, manifest), path)


def _check_outputs(
    plan: Plan, now: Callable[[Path], Path], manifest: Mapping[str, Any], layout: Layout
) -> None:
    """Predictions and tables that come with a checkpoint are those that its manifest knows, where it does."""
    outputs = manifest.get("outputs", {})
    for file in plan.files:
        digest = outputs.get(layout.shown(file.target)) if isinstance(outputs, dict) else None
        if digest is not None and sha256_file(now(file.target)) != digest:
            raise CorruptArtifactError(
                file.target, f"says another SHA-256 of {file.remote.name} than the file has"
            )


def _apart(home: Path, now: Callable[[Path], Path], stage: Path) -> Path:
    """A folder with what summaries read of a checkpoint, some of which is staged and some in place."""
    folder = stage / "scores"
    folder.mkdir(exist_ok=True)
    for name in (METRICS, THRESHOLDS):
        shutil.copyfile(now(home / name), folder / name)
    return folder


def _check_scores(checkpoint: Checkpoint, path: Path) -> None:
    """Summaries are rebuilt from every checkpoint below a root."""
    try:
        require_scores(checkpoint)
    except GoemoError as error:
        raise CorruptArtifactError(path, f"comes with scores that cannot be read ({error})") from error


def move_into_place(
    files: Sequence[PlannedFile], *, stage: Path, layout: Layout, on_event: EventHandler
) -> None:
    """Move what was fetched to where it belongs; manifests last, so that a checkpoint counts when it is whole.

    Raises:
        StorageError, OSError: a folder that cannot be written to; nothing has moved then.
    """
    for folder in {file.target.parent for file in files}:
        folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        if file.is_manifest:  # half of a new version under the old one would be taken for damage
            file.target.unlink(missing_ok=True)
    for file in sorted(files, key=lambda one: (one.what == "checkpoint", one.is_manifest)):
        with atomic_path(file.target) as partial:
            _move(staged_path(file, stage, layout), partial)
        on_event(FileWritten(file.target))


def _move(source: Path, target: Path) -> None:
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:  # output/ may lie on another disk
            raise
        shutil.copyfile(source, target)


def refuse_links(target: Path, base: Path) -> None:
    """Refuse to write through symbolic links below a folder of the layout; the folder itself may be one.

    Raises:
        CorruptArtifactError: a link on the way, or in the file's place.
    """
    for path in (target, *target.parents):
        if path == base:
            break
        if path.is_symlink():
            raise CorruptArtifactError(path, "is a symbolic link; goemo download writes through none")


def require_space(folder: Path, needed: int) -> None:
    """Fail before the download where it cannot end well.

    Raises:
        StorageError: less than so many bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        raise StorageError(folder, f"{needed:,} bytes are to be downloaded, {free:,} are free")


@contextmanager
def _named(name: str) -> Iterator[Any]:
    """Errors speak of the remote file, not of its copy in the stage."""
    try:
        yield
    except CorruptArtifactError as error:
        raise CorruptArtifactError(Path(name), error.reason) from error
