"""`goemo download --hub`: a run from a model repository of the Hugging Face Hub, with the checks of other downloads."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from goemo_cli.core.checkpoint import CARD, MANIFEST
from goemo_cli.core.documents.manifest import Manifest
from goemo_cli.core.errors import CorruptArtifactError, NotFoundError, SettingError
from goemo_cli.core.events import EventHandler, ignore, progress
from goemo_cli.core.files import rename
from goemo_cli.core.hints import command_line
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.services.hub.repository import HubRepository, hub_errors
from goemo_cli.services.wandb.download import DownloadResult, install
from goemo_cli.services.wandb.plan import Listing, PlannedFile, What, as_run_files, errors_named
from goemo_cli.services.wandb.transfer import staged_path
from goemo_cli.tracking.wandb.http import RemoteFile, is_same


def fetch_run(
    reference: str, *, layout: Layout, overwrite: bool = False, on_event: EventHandler = ignore
) -> DownloadResult:
    """Download a run that `goemo push` uploaded; files that its manifest does not name are left out.

    Args:
        reference: `owner/name`, or `owner/name@REVISION` with a branch, tag or commit.
        layout: the destination.
        overwrite: replace a sound local checkpoint of another version that was never downloaded.
        on_event: called with each event.

    Raises:
        SettingError: not the name of a repository.
        NotFoundError: no such repository or revision, or it is not a run of goemo.
        CorruptArtifactError: a file is damaged or unsafe; nothing was moved.
        BusyError: the local checkpoint is another version, or another process downloads the run.
        GoemoError: as `hub_errors`.
    """
    name, at, revision = reference.partition("@")
    if not name or (at and not revision):
        raise SettingError([f"{reference!r} is not a repository with a revision, such as owner/name@main"])
    repository = HubRepository(name)
    there = repository.snapshot(revision or None)
    if there is None:
        raise NotFoundError(f"{repository.url} does not exist, or is private: hf auth login")
    if MANIFEST not in there.files:
        instead = command_line("goemo import", name)
        raise NotFoundError(f"{repository.url} is not a run of goemo, it has no {MANIFEST}: {instead}")
    source = f"{name}@{there.commit}"
    manifest = _manifest(repository, there.files[MANIFEST], there.commit, source)
    if RunName.parse(manifest.run) is None:
        raise CorruptArtifactError(
            Path(f"{source}/{MANIFEST}"), f"has no valid run name, but {manifest.run[:80]!r}"
        )
    wanted = {*manifest.files, MANIFEST, CARD}
    files = [file for path, file in there.files.items() if path in wanted]

    def fetch(changed: Sequence[PlannedFile], stage: Path) -> None:
        _fetch_files(repository, there.commit, changed, stage, layout=layout, on_event=on_event)

    listing = Listing(source, tuple(as_run_files(files, "checkpoint", manifest.run)))
    what: tuple[What, ...] = ("checkpoint",)
    return install(listing, fetch, what, layout=layout, overwrite=overwrite, on_event=on_event)


def _manifest(repository: HubRepository, file: RemoteFile, commit: str | None, source: str) -> Manifest:
    with tempfile.TemporaryDirectory() as folder:
        path = _downloaded(repository, commit, file, Path(folder))
        with errors_named(f"{source}/{MANIFEST}"):
            return Manifest.read(path)


def _fetch_files(
    repository: HubRepository,
    commit: str | None,
    files: Sequence[PlannedFile],
    stage: Path,
    *,
    layout: Layout,
    on_event: EventHandler,
) -> None:
    """Fetch every file into the stage; complete files of an earlier attempt are kept."""
    total = sum(file.remote.size for file in files)
    with progress(on_event, f"Downloading {len(files)} files", total, "bytes") as advance:
        for file in files:
            target = staged_path(file, stage, layout)
            if not is_same(target, file.remote):
                inside = file.remote.name.split("/", 2)[2]  # checkpoint/RUN/...
                path = _downloaded(repository, commit, replace(file.remote, name=inside), stage / "hub")
                target.parent.mkdir(parents=True, exist_ok=True)
                rename(path, target)  # also if a partial file is there
            advance(file.remote.size)


def _downloaded(repository: HubRepository, commit: str | None, file: RemoteFile, folder: Path) -> Path:
    """A file in a folder.

    Raises:
        CorruptArtifactError: it is not what the Hub lists.
    """
    with hub_errors(repository.name):
        path = Path(
            repository.api.hf_hub_download(repository.name, file.name, revision=commit, local_dir=folder)
        )
    if not is_same(path, file):
        path.unlink(missing_ok=True)
        raise CorruptArtifactError(
            Path(f"{repository.name}/{file.name}"),
            f"does not have the size and digest that the Hub lists ({file.algorithm})",
        )
    return path
