"""A model repository of the Hugging Face Hub: its files with their digests, and its errors in goemo's words."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from goemo_cli.core.errors import (
    GoemoError,
    HubAuthenticationError,
    NotFoundError,
    OfflineError,
    RemoteError,
    SettingError,
)
from goemo_cli.core.system.variables import environment, is_offline
from goemo_cli.tracking.wandb.http import RemoteFile

if TYPE_CHECKING:  # the client takes half a second to import
    from huggingface_hub import HfApi

_HTTP_PACKAGES = ("httpx", "httpcore", "httpx2", "httpcore2", "requests", "urllib3")
_SECONDS = 30.0


@dataclass(frozen=True)
class Snapshot:
    """The files of a repository at one commit."""

    commit: str | None
    """None for a repository without commits."""
    is_private: bool
    files: dict[str, RemoteFile]
    """By name."""


@dataclass(frozen=True)
class HubRepository:
    """A model repository; nothing is requested before it is needed.

    Args:
        name: `owner/name`.
    """

    name: str

    @cached_property
    def api(self) -> "HfApi":
        """The client; its token is that of HF_TOKEN or `hf auth login`."""
        from huggingface_hub import HfApi
        from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]  # it is documented

        disable_progress_bars()
        return HfApi(endpoint=environment("HF_ENDPOINT"), library_name="goemo")

    @property
    def url(self) -> str:
        """The address of its page."""
        return f"{self.api.endpoint}/{self.name}"

    def snapshot(self, revision: str | None = None) -> Snapshot | None:
        """The files of a branch, tag or commit; None if the repository is missing, or cannot be seen.

        Raises:
            NotFoundError: the repository has no such revision.
            GoemoError: as `hub_errors`.
        """
        from huggingface_hub.errors import RepositoryNotFoundError

        with hub_errors(self.name):
            try:
                info = self.api.model_info(
                    self.name, revision=revision, files_metadata=True, timeout=_SECONDS
                )
            except RepositoryNotFoundError:
                return None
        files = {file.rfilename: self._remote(file, info.sha) for file in info.siblings or ()}
        return Snapshot(info.sha, bool(info.private), files)

    def _remote(self, file: Any, commit: str | None) -> RemoteFile:
        """A file with the digest that the Hub knows: SHA-256 of a large one, git's of another."""
        address = f"{self.url}/resolve/{commit}/{file.rfilename}"
        if file.lfs is not None:
            return RemoteFile(
                file.rfilename, file.lfs.size, _base64(file.lfs.sha256), address, algorithm="sha256"
            )
        return RemoteFile(file.rfilename, file.size, _base64(file.blob_id), address, algorithm="git")


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()


@contextmanager
def hub_errors(name: str) -> Iterator[None]:
    """Turn errors of the client into goemo's.

    Args:
        name: of the repository, for messages.

    Raises:
        SettingError: not the name of a repository.
        NotFoundError: no such revision or file.
        HubAuthenticationError: the token is missing, wrong, or not permitted to do this.
        OfflineError: the user switched the network off.
        RemoteError: the network or the server failed.
    """
    from huggingface_hub import errors

    if is_offline():
        raise OfflineError(f"{name} is on the Hub, and the network is switched off")
    try:
        yield
    except (GoemoError, errors.RepositoryNotFoundError):
        raise
    except errors.HFValidationError as error:
        raise SettingError([f"{name!r} is not the name of a Hub repository, such as owner/name"]) from error
    except errors.LocalTokenNotFoundError as error:
        raise HubAuthenticationError(f"{name}: the Hub needs a token") from error
    except (errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        raise NotFoundError(f"{name}: {str(error).splitlines()[-1]}") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise HubAuthenticationError(f"{name}: the Hub refuses the token (HTTP {status})") from error
        raise RemoteError(f"{name}: the Hub answered {str(error).splitlines()[0]}") from error
    except Exception as error:
        # The client of the network has changed before, and its errors have no common base.
        cause = error.__cause__ if type(error) is RuntimeError and error.__cause__ else error  # of an upload
        is_network = isinstance(cause, (ConnectionError, TimeoutError, errors.HfHubHTTPError))
        if not is_network and type(cause).__module__.partition(".")[0] not in _HTTP_PACKAGES:
            raise
        raise RemoteError(f"{name}: the Hub cannot be reached ({type(cause).__name__})") from error
