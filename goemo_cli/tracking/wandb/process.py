"""Starts, follows and ends the process that uploads a journal to W&B. Does not import wandb."""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from goemo_cli.core.errors import (
    AuthenticationError,
    GoemoError,
    NotFoundError,
    RemoteError,
    SettingError,
    StorageError,
)
from goemo_cli.core.files import remove_if_empty
from goemo_cli.core.settings import WandbSettings
from goemo_cli.core.system.processes import start_time
from goemo_cli.tracking.separate import ASK_SECONDS, JournalProcess
from goemo_cli.tracking.wandb.sdk import NO_PROGRAM, neutral_folder, reachable

LOST_SECONDS = 6.0
"""The maximum time that a server may be silent before the upload is given up."""
_DATA = "data"
"""Folder of W&B's own data below that of its run files."""


class Job(BaseModel):
    """What to upload, and to which run; as JSON the argument of the process, without secrets."""

    journal: Path
    root: Path
    """What the journal's paths are relative to."""
    directory: Path
    """For W&B's own local files."""
    target: WandbSettings
    """Where the run goes; None leaves it to W&B's own settings and environment."""
    follow: bool
    """Wait for more lines until the run is finished; otherwise the journal is complete, and only what is missing is sent."""
    scratch: Path | None = None
    """For what W&B stages while it uploads; removed at the end."""
    process: int = 0
    """Id of the training process."""
    started: float = 0.0
    """When that process started, in seconds since 1970."""
    answers: int = 1
    """The file descriptor to answer on."""


def as_error(failed: Mapping[str, Any]) -> GoemoError:
    """The error for a `failed` answer."""
    why, message = failed["why"], failed["message"]
    if why == "setting":
        return SettingError([message], "W&B")
    if why == "disk":
        return StorageError(Path(failed["directory"]), message)
    kinds: dict[str, type[GoemoError]] = {"key": AuthenticationError, "gone": NotFoundError}
    return kinds.get(why, RemoteError)(message)


_SHARED_SERVICE = "WANDB_SERVICE"
"""The SDK's service of this process. The upload uses another one, which a dead server or run cannot block."""


class Mirror(JournalProcess):
    """The running process; ends with `stop`, or when this process ends."""

    def __init__(self, job: Job) -> None:
        self._directory = job.directory
        self._scratch = None if job.target.mode == "offline" else neutral_folder()
        self._server: str | None = None
        self._alive = time.monotonic()
        package = str(Path(__file__).resolve().parents[2])
        inherited = os.environ.get("PYTHONPATH")
        try:
            job.directory.mkdir(parents=True, exist_ok=True)
            data = {"WANDB_DATA_DIR": str((job.directory / _DATA).resolve())}
            server = {"WANDB_BASE_URL": job.target.base_url} if job.target.base_url else {}
            local = data if os.access(job.directory, os.W_OK) else {}
            staging = {"WANDB_DATA_DIR": str(self._scratch)} if self._scratch else {}
            now = {"process": os.getpid(), "started": start_time(), "scratch": self._scratch}
            super().__init__(
                "W&B",
                ["-m", "goemo_cli.tracking.wandb.mirror", job.model_copy(update=now).model_dump_json()],
                {
                    "WANDB_ERROR_REPORTING": "false",  # it sends tracebacks with paths
                    **local,
                    **{name: value for name, value in os.environ.items() if name != _SHARED_SERVICE},
                    **staging,
                    **server,
                    **NO_PROGRAM,
                    "PYTHONPATH": os.pathsep.join(filter(None, (package, inherited))),
                },
            )
        except BaseException:
            self._clear()
            raise

    def answers(self, seconds: float = 0.0) -> list[dict[str, Any]]:
        """As `JournalProcess`; notes the server, and that it was there."""
        found = super().answers(seconds)
        self._server = next(
            (answer["server"] for answer in found if answer["what"] == "started"), self._server
        )
        if found:
            self._alive = time.monotonic()
        return found

    def wait(
        self, patience: float, hear: Callable[[Mapping[str, Any]], None], *wanted: str
    ) -> dict[str, Any]:
        """As `JournalProcess`; the server is asked from now on."""
        self._alive = time.monotonic()
        return super().wait(patience, hear, *wanted)

    def lost(self) -> str | None:
        """Why waiting is given up if the server has not answered for `LOST_SECONDS`."""
        if self._server is None or reachable(self._server, ASK_SECONDS):
            self._alive = time.monotonic()
        elif time.monotonic() - self._alive > LOST_SECONDS:
            return f"W&B no longer answers at {self._server}"
        return None

    def stop(self) -> None:
        """End the process, close the pipes, and remove what it staged."""
        super().stop()
        self._clear()

    def _clear(self) -> None:
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)
        if self._server is None:  # nothing was started, so the folders of `__init__` may still be empty
            remove_if_empty(self._directory / _DATA, self._directory)
