"""`goemo push`: the files of a run to a model repository of the Hugging Face Hub, as one commit, if anything changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from goemo_cli.core.checkpoint import CARD, CONFIG, MANIFEST, Checkpoint
from goemo_cli.core.documents.manifest import Manifest
from goemo_cli.core.errors import BusyError, HubAuthenticationError, SettingError
from goemo_cli.core.events import EventHandler, Info, Warning, ignore, working
from goemo_cli.services.hub.repository import HubRepository, Snapshot, hub_errors
from goemo_cli.services.wandb.plan import errors_named
from goemo_cli.tracking.wandb.http import is_same

_ALLOWED = frozenset({".json", ".txt", ".yaml", ".md", ".safetensors", ".model", ".jinja"})
_ALLOWED_PICKLE = "pytorch_model"
"""Beginning of the names of weights that are pickled, which is what users of `training.weights: bin` need."""


@dataclass(frozen=True)
class Pushed:
    """What a push did, or would do."""

    url: str
    """Of the repository."""
    is_private: bool
    is_new: bool
    """Whether the repository was created."""
    uploaded: tuple[str, ...]
    """Files that are new or had changed."""
    removed: tuple[str, ...]
    """Files of the run that was there before, which this one does not have."""
    unchanged: int
    n_bytes: int
    """Of the uploaded files."""
    commit: str | None
    """The commit with these files; None for a dry run."""


def push_run(
    checkpoint: Checkpoint,
    name: str,
    *,
    is_public: bool | None = None,
    is_dry: bool = False,
    on_event: EventHandler = ignore,
) -> Pushed:
    """Upload the files that the manifest of a run names, and the manifest.

    Other files of its folder stay here. If the repository has the same files, nothing is committed.

    Args:
        checkpoint: of a run; all its files are hashed first.
        name: `owner/name` of the repository, which is created if it is missing.
        is_public: whether all can see it. None: a new repository is private, and another stays as it is.
        is_dry: find out what would happen, and change nothing.
        on_event: called with each event.

    Raises:
        CorruptArtifactError: a file differs from the manifest.
        SettingError: an ensemble, a file of a kind that does not belong to a model, or not the name of a repository.
        BusyError: the repository has files of the same names that are not a run of goemo.
        GoemoError: as `hub_errors`.
    """
    files = pushed_files(checkpoint)
    checkpoint.require_intact()
    repository = HubRepository(name)
    _warn_of_folders(checkpoint, on_event)
    with working(on_event, f"Comparing with {name}"):
        there = repository.snapshot()
    known = there.files if there else {}
    changed = {
        path: file for path, file in files.items() if path not in known or not is_same(file, known[path])
    }
    earlier = _earlier_files(repository, there, files)
    if changed and there and earlier is None:
        raise BusyError(
            f"{repository.url} has {next(path for path in files if path in known)}, and is not a run of goemo: "
            "push to another repository"
        )
    removed = tuple(sorted((earlier or set()) - set(files)))
    is_private = not is_public if is_public is not None or there is None else there.is_private
    commit = there.commit if there else None
    if not is_dry:
        commit = _upload(repository, there, changed, removed, is_private, str(checkpoint.run), on_event)
    return Pushed(
        url=repository.url,
        is_private=is_private,
        is_new=there is None,
        uploaded=tuple(changed),
        removed=removed,
        unchanged=len(files) - len(changed),
        n_bytes=sum(file.stat().st_size for file in changed.values()),
        commit=None if is_dry else commit,
    )


def pushed_files(checkpoint: Checkpoint) -> dict[str, Path]:
    """The files of a run that belong on the Hub, by name, the manifest included.

    Raises:
        SettingError: an ensemble, whose members have the weights, or a file that is not allowed.
    """
    if checkpoint.kind == "ensemble":
        members = ", ".join(checkpoint.manifest.parents.members)
        raise SettingError([f"{checkpoint.run} is an ensemble without weights; push its members: {members}"])
    names = sorted({*checkpoint.manifest.files, MANIFEST})
    if refused := [name for name in names if not _is_allowed(name)]:
        raise SettingError(
            [f"{checkpoint.path}: {refused[0]} is not a file of a model; remove it and run goemo validate"]
        )
    return {name: checkpoint.path / name for name in names}


def _is_allowed(name: str) -> bool:
    path = PurePosixPath(name)
    is_pickle = path.suffix == ".bin" and path.name.startswith(_ALLOWED_PICKLE)
    return (path.suffix in _ALLOWED or is_pickle) and ".." not in path.parts


def _warn_of_folders(checkpoint: Checkpoint, on_event: EventHandler) -> None:
    """Settings may name folders of this machine, with the name of its user."""
    if str(Path.home()) in (checkpoint.path / CONFIG).read_text(encoding="utf-8"):
        on_event(Warning(f"{CONFIG} names a folder below {Path.home()}, which readers of the repository see"))


def _earlier_files(
    repository: HubRepository, there: Snapshot | None, files: Mapping[str, Path]
) -> set[str] | None:
    """Names of the files of the run that the repository has; None if there are files in the way and no run."""
    known = there.files if there else {}
    if MANIFEST not in known:
        in_the_way = set(files) & set(known) - {CARD}
        return None if in_the_way else set()
    with hub_errors(repository.name):
        assert there is not None
        path = repository.api.hf_hub_download(repository.name, MANIFEST, revision=there.commit)
    with errors_named(f"{repository.name}/{MANIFEST}"):
        return set(Manifest.read(Path(path)).files) & set(known)


def _upload(
    repository: HubRepository,
    there: Snapshot | None,
    changed: Mapping[str, Path],
    removed: tuple[str, ...],
    is_private: bool,
    run: str,
    on_event: EventHandler,
) -> str | None:
    """Create the repository and the commit that are missing; the newest commit."""
    from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, errors

    visibility = "private" if is_private else "public"
    api, name = repository.api, repository.name
    commit = there.commit if there else None
    with hub_errors(name):
        if there is None:
            api.create_repo(name, private=is_private)
            on_event(Info(f"Created {repository.url}, {visibility}"))
        elif there.is_private != is_private:
            api.update_repo_settings(name, private=is_private)
            on_event(Info(f"{repository.url} is {visibility} now"))
        if not changed and not removed:
            return commit
        operations: list[CommitOperationAdd | CommitOperationCopy | CommitOperationDelete] = [
            *(CommitOperationAdd(path_in_repo=path, path_or_fileobj=file) for path, file in changed.items()),
            *(CommitOperationDelete(path_in_repo=path) for path in removed),
        ]
        try:
            with working(on_event, f"Uploading {len(changed)} files"):
                made = api.create_commit(
                    name, operations, commit_message=f"goemo: {run}", parent_commit=commit
                )
        except errors.RepositoryNotFoundError as error:
            raise HubAuthenticationError(f"{name}: the token may not write to it") from error
    return made.oid
