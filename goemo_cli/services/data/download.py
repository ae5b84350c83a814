"""Download GoEmotions: pinned hashes, retries, complete files only."""

from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import platformdirs

from goemo_cli.core.errors import CorruptArtifactError, OfflineError, RemoteError
from goemo_cli.core.events import Advance, EventHandler, ignore, progress
from goemo_cli.core.system.variables import environment, is_offline
from goemo_cli.ml.data import goemotions

DATA_URL = "https://raw.githubusercontent.com/google-research/google-research/master/goemotions/data/"
"""The address of the published files; GOEMO_DATA_URL sets another one."""
_TIMEOUT = 20.0
"""Seconds without data from the server after which an attempt fails."""


def cache_folder() -> Path:
    """The folder of downloads: the user's cache (XDG_CACHE_HOME on Linux)."""
    return platformdirs.user_cache_path("goemo") / "goemotions"


def fetch_goemotions(
    folder: Path | None = None, *, retries: int = 2, on_event: EventHandler = ignore
) -> Path:
    """The GoEmotions files in a folder, downloaded if they are missing or damaged.

    Args:
        folder: the target; the user's cache by default.
        retries: further tries per file after a failure.

    Raises:
        RemoteError: files are missing and the network is switched off, the server cannot be reached, or refuses.
        CorruptArtifactError: the server's file is not the published one.
    """
    import pooch

    folder = folder or cache_folder()
    missing = goemotions.missing_files(folder)
    if missing and is_offline():
        raise OfflineError(
            f"{folder} does not contain {', '.join(missing)}; the network is switched off (GOEMO_OFFLINE, HF_HUB_OFFLINE)"
        )
    url = (environment("GOEMO_DATA_URL") or DATA_URL).rstrip("/") + "/"
    store = pooch.create(
        path=folder,
        base_url=url,
        registry={name: f"sha256:{digest}" for name, digest in goemotions.FILES.items()},
        retry_if_failed=retries,
    )
    pooch.get_logger().setLevel("CRITICAL")
    for name in goemotions.FILES:
        try:
            with ExitStack() as phase:
                bar = _Bar(name, on_event, phase)
                store.fetch(name, downloader=pooch.HTTPDownloader(progressbar=bar, timeout=_TIMEOUT))
        except ValueError as error:  # pooch's word for a wrong hash
            raise CorruptArtifactError(
                folder / name, f"{_shown(url)}{name} is not the published file (SHA-256 differs)"
            ) from error
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
            raise RemoteError(
                f"cannot download {name} from {_shown(url)} ({_reason(error)}); if you have the files, "
                "GOEMO_DATA_DIR=DIR names their folder"
            ) from error
    return folder


class _Bar:
    """A progress bar for pooch that emits events; its phase begins when pooch knows the size."""

    def __init__(self, name: str, on_event: EventHandler, phase: ExitStack) -> None:
        self.name, self.on_event, self.phase = name, on_event, phase
        self._total, self._done = 0, 0
        self._advance: Advance | None = None

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        self._total = total
        self._advance = self.phase.enter_context(
            progress(self.on_event, f"Downloading {self.name}", total, "bytes")
        )

    def update(self, amount: int) -> None:
        # When it closes, pooch resets the bar and fills it again; count only new bytes.
        new = min(amount, self._total - self._done)
        self._done += new
        if new > 0 and self._advance:
            self._advance(new)

    def reset(self) -> None:
        """Pooch fills the bar after this call; show nothing twice."""

    def close(self) -> None:
        self.phase.close()


def _shown(url: str) -> str:
    """The URL without a user name or password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    return f"HTTP {response.status_code}" if response is not None else type(error).__name__
