"""Downloads in progress: fetched in parallel into a folder next to the targets, checked there, then moved."""

import errno
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from goemo_cli.core.checkpoint import CARD, CONFIG, MANIFEST, METRICS, THRESHOLDS, Checkpoint
from goemo_cli.core.documents.manifest import Manifest
from goemo_cli.core.errors import BusyError, CorruptArtifactError, GoemoError, StorageError
from goemo_cli.core.events import EventHandler, FileWritten, progress
from goemo_cli.core.files import PARTIAL_PREFIX, atomic_path, remove_if_empty, rename, sha256_file
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.system.locks import lock_file, unlock_file
from goemo_cli.ml.models.weight_safety import WEIGHTS, require_plain_settings, require_sound_weights
from goemo_cli.services.runs.summaries import require_scores
from goemo_cli.services.wandb.plan import Plan, PlannedFile, errors_named
from goemo_cli.services.wandb.records import slug_of
from goemo_cli.tracking.wandb.http import Fetcher, RemoteFile, fetch_all

_SPARE_BYTES = 1 << 24
_SETTINGS = ("config.json", "tokenizer_config.json", "generation_config.json", "processor_config.json")


@contextmanager
def open_stage(layout: Layout, source: str) -> Iterator[Path]:
    """The folder of a source's unfinished download, with the files of an earlier attempt.

    Raises:
        BusyError: another process downloads the same.
    """
    stage = layout.artifacts / f"{PARTIAL_PREFIX}download-{slug_of(source)}"
    refuse_links(stage, layout.artifacts)
    stage.mkdir(parents=True, exist_ok=True)
    try:
        handle = lock_file(stage / "lock")
    except BlockingIOError as error:
        raise BusyError(f"another goemo download of {source} is running below {layout.root}") from error
    try:
        yield stage
    finally:
        unlock_file(stage / "lock", handle)
        remove_if_empty(stage)


def staged_path(file: PlannedFile, stage: Path, layout: Layout) -> Path:
    """The path of a file until the download is complete."""
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
    """Fetch every file into the stage; complete files of an earlier attempt are kept.

    Raises:
        GoemoError: the first file that failed; everything fetched so far stays in the stage.
    """
    total = sum(file.remote.size for file in files)
    pairs = [(file.remote, staged_path(file, stage, layout)) for file in files]
    with progress(
        on_event, f"Downloading {len(files)} file{'s' * (len(files) != 1)}", total, "bytes"
    ) as advance:
        fetch_all(pairs, fetcher, renew=renew, arrived=advance)


def check_staged(
    plan: Plan, files: Sequence[PlannedFile], *, stage: Path, layout: Layout, where: str
) -> None:
    """Check all fetched files before any of them moves: safe weights, and checkpoints that match their manifests.

    Args:
        files: those that were fetched; the others are in place already.
        where: the run or artifact, for messages.

    Raises:
        CorruptArtifactError: with the name of the remote file.
    """
    fetched = {file.target for file in files}
    for file in files:
        path = staged_path(file, stage, layout)
        with errors_named(f"{where}/{file.remote.name}"):
            if path.suffix in WEIGHTS:
                require_sound_weights(path, numbers=True)
            elif file.what == "checkpoint" and path.name in _SETTINGS:
                require_plain_settings(path)

    def now(target: Path) -> Path:
        return stage / target.relative_to(layout.root) if target in fetched else target

    changed_runs = {file.run for file in files}
    for file in plan.of("checkpoint"):
        if file.is_manifest and file.run in changed_runs:
            with errors_named(f"{where}/{file.remote.name}"):
                manifest = _check_checkpoint(file, now, stage)
                _check_outputs(plan, now, manifest, layout)


def _check_checkpoint(file: PlannedFile, now: Callable[[Path], Path], stage: Path) -> Manifest:
    path = now(file.target)
    manifest = Manifest.read(path)
    if RunName.parse(manifest.run) != file.run:
        raise CorruptArtifactError(path, f"is not the manifest of {file.run}")
    home = file.target.parent
    for name, entry in manifest.files.items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise CorruptArtifactError(path, f"names a file outside the checkpoint: {name!r}")
        listed = now(home / name)
        if not listed.is_file():
            raise CorruptArtifactError(
                path, f"names {name}, which the run does not hold: its upload is not complete"
            )
        if name == CARD:
            continue  # people edit it, and nothing is computed from it
        if listed.stat().st_size != entry.size or sha256_file(listed) != entry.sha256:
            raise CorruptArtifactError(path, f"says another SHA-256 of {name} than the file has")
    _check_scores(home, now, stage, path)
    return manifest


def _check_scores(home: Path, now: Callable[[Path], Path], stage: Path, manifest: Path) -> None:
    """Read what summaries are made of, since they are rebuilt from every checkpoint below a root."""
    folder = stage / "scores"  # some of the files are staged, others in place
    folder.mkdir(exist_ok=True)
    for name in (MANIFEST, METRICS, THRESHOLDS, CONFIG):
        if now(home / name).is_file():
            shutil.copyfile(now(home / name), folder / name)
    try:
        require_scores(Checkpoint.read(folder))
    except GoemoError as error:
        raise CorruptArtifactError(manifest, f"comes with scores that cannot be read ({error})") from error


def _check_outputs(plan: Plan, now: Callable[[Path], Path], manifest: Manifest, layout: Layout) -> None:
    """Predictions and tables that come with a checkpoint must match the hashes in its manifest, if it has them."""
    for file in plan.files:
        digest = manifest.outputs.get(layout.shown(file.target))
        if digest is not None and sha256_file(now(file.target)) != digest:
            raise CorruptArtifactError(
                file.target, f"says another SHA-256 of {file.remote.name} than the file has"
            )


def move_into_place(
    files: Sequence[PlannedFile], *, stage: Path, layout: Layout, on_event: EventHandler
) -> None:
    """Move fetched files into place, manifests last: a checkpoint counts only if it is complete.

    Raises:
        StorageError, OSError: a folder cannot be written to; then nothing was moved.
    """
    for folder in {file.target.parent for file in files}:
        folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        if file.is_manifest:  # files of a new version under an old manifest would look damaged
            file.target.unlink(missing_ok=True)
    for file in sorted(files, key=lambda file: (file.what == "checkpoint", file.is_manifest)):
        with atomic_path(file.target) as partial:
            _move(staged_path(file, stage, layout), partial)
        on_event(FileWritten(file.target))


def _move(source: Path, target: Path) -> None:
    try:
        rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:  # output/ may be on another disk
            raise
        shutil.copyfile(source, target)


def refuse_links(target: Path, base: Path) -> None:
    """Refuse to write through symbolic links below a folder of the layout; the folder itself may be a link.

    Raises:
        CorruptArtifactError: the path or one of its folders is a link.
    """
    for path in (target, *target.parents):
        if path == base:
            break
        if path.is_symlink():
            raise CorruptArtifactError(
                path, "is a symbolic link; goemo download does not write through links"
            )


def require_space(folder: Path, needed: int) -> None:
    """Fail before the download if the disk is too small for it.

    Raises:
        StorageError: fewer bytes are free than needed.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        raise StorageError(folder, f"{needed:,} bytes are to be downloaded, {free:,} are free", errno.ENOSPC)
