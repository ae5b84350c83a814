"""Weights & Biases as a tracker. A separate process reads the run's journal, so no call to W&B can block the training."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from goemo_cli.core.errors import StorageError
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import WandbSettings
from goemo_cli.tracking.journal import journal_path
from goemo_cli.tracking.separate import SeparateTracker
from goemo_cli.tracking.wandb.process import Job, Mirror, as_error

START_SECONDS = 60.0
"""The maximum time for a required upload to start."""


class WandbTracker(SeparateTracker):
    """Starts the upload process, passes on its messages, and waits for it at the end. The process reads the journal.

    Args:
        run_id: W&B's id of the run.
        journals: folder with the journal, which another tracker has begun before this one starts.
        root: the journal's paths are relative to it.
        directory: for W&B's local files.
        required: whether it is an error if the upload cannot start.
        patience: seconds without progress that the end of the run waits for W&B.
        later: `goemo sync` with its options, without the run.
        note: called with the run's address.
        warn: called once if the upload fails.
    """

    def __init__(
        self,
        target: WandbSettings,
        *,
        run_id: str,
        journals: Path,
        root: Path,
        directory: Path,
        required: bool,
        patience: float,
        later: str,
        note: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        super().__init__("W&B", journals=journals, patience=patience, note=note, warn=warn)
        self.target, self.run_id, self.required = target, run_id, required
        self.root, self.directory, self._later = root, directory, later

    def start(self, run: RunName, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Start the upload process, and wait for it if it is required.

        Raises:
            AuthenticationError, RemoteError, SettingError, StorageError: it is required and cannot start.
        """
        journal = journal_path(self.journals, run)
        self._later = f"{self._later} {run}"
        if not journal.is_file():
            if self.required:
                raise StorageError(journal, "cannot be written, and the W&B upload reads it")
            self.warn("W&B reads the journal, which is missing; this run is not uploaded")
            return
        was_there = self.directory.exists()
        job = Job(
            journal=journal.resolve(),
            root=self.root.resolve(),
            directory=self.directory,
            target=self.target,
            follow=True,
        )
        try:
            self.process = Mirror(job)
        except OSError as error:
            if self.required:
                raise
            self.give_up(f"W&B cannot use {self.directory} ({error.strerror or error})")
            return
        if self.required:
            answer = self.process.wait(START_SECONDS, self.hear, "started")
            if answer["what"] == "failed":
                self.stop()
                journal.unlink(missing_ok=True)
                self._clear(was_there)
                raise as_error(answer)
            self.hear(answer)

    @property
    def is_remote(self) -> bool:
        """Whether the run is sent to a server."""
        return self.target.mode != "offline"

    def hear(self, answer: Mapping[str, Any]) -> None:
        """Pass on a message of the process."""
        if answer["what"] == "started":
            self.note(f"W&B: {answer['url']}" if answer["url"] else f"W&B: offline, in {answer['directory']}")
        elif answer["what"] == "failed":
            help = " (`wandb login`, or set WANDB_API_KEY)" if answer["why"] == "key" else ""
            self.give_up(answer["message"] + help)
        elif answer["what"] == "finished" and answer["missing"]:
            self.give_up(f"W&B is missing {_some(answer['missing'])}")

    def give_up(self, reason: str) -> None:
        """Warn with the command that uploads the run later, and end the process."""
        self.warn(f"{reason}; nothing is lost: `{self._later}` uploads the run later")
        self.stop()

    def _clear(self, was_there: bool) -> None:
        """Remove W&B's files of a run that was not started."""
        own = self.directory.glob(f"wandb/*-{self.run_id}") if was_there else (self.directory,)
        for folder in own:
            shutil.rmtree(folder, ignore_errors=True)


def _some(phrases: list[str]) -> str:
    return f"{phrases[0]} and {len(phrases) - 1} more" if len(phrases) > 1 else phrases[0]
