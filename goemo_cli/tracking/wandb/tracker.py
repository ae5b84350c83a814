"""Weights & Biases as a tracker. A separate process reads the run's journal, so no call to W&B can block the training."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from goemo_cli.core.errors import StorageError
from goemo_cli.core.events import Info, Warning
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import WandbSettings
from goemo_cli.tracking.journal import journal_path
from goemo_cli.tracking.separate import SeparateTracker
from goemo_cli.tracking.wandb.process import Job, Mirror, as_error

START_SECONDS = 60.0
"""The maximum time for a required upload to start."""


@dataclass(kw_only=True, eq=False)
class WandbTracker(SeparateTracker):
    """The upload to W&B, in its process."""

    title: str = "W&B"
    target: WandbSettings
    run_id: str | None
    """W&B's id of the run."""
    required: bool
    """Whether it is an error if the upload cannot start."""
    later: str
    """`goemo sync` with its options, and with the run once it has started."""

    def start(self, run: RunName, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Start the upload process, and wait for it if it is required.

        Raises:
            AuthenticationError, RemoteError, SettingError, StorageError: it is required and cannot start.
        """
        journal = journal_path(self.journals, run)
        self.later = f"{self.later} {run}"
        if not journal.is_file():
            if self.required:
                raise StorageError(journal, "cannot be written, and the W&B upload reads it")
            self.on_event(Warning("W&B reads the journal, which is missing; this run is not uploaded"))
            return
        was_there = self.folder.exists()
        job = Job(
            journal=journal.resolve(),
            root=self.root.resolve(),
            directory=self.folder,
            target=self.target,
            follow=True,
        )
        try:
            self.process = Mirror(job)
        except OSError as error:
            if self.required:
                raise
            self.give_up(f"W&B cannot use {self.folder} ({error.strerror or error})")
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
            self.on_event(Info(f"W&B: {answer['url'] or 'offline, in ' + answer['directory']}"))
        elif answer["what"] == "failed":
            help = " (`wandb login`, or set WANDB_API_KEY)" if answer["why"] == "key" else ""
            self.give_up(answer["message"] + help)
        elif answer["what"] == "finished" and answer["missing"]:
            self.give_up(f"W&B is missing {_some(answer['missing'])}")

    def give_up(self, reason: str) -> None:
        """Warn with the command that uploads the run later, and end the process."""
        self.on_event(Warning(f"{reason}; nothing is lost: `{self.later}` uploads the run later"))
        self.stop()

    def _clear(self, was_there: bool) -> None:
        """Remove W&B's files of a run that was not started."""
        own = self.folder.glob(f"wandb/*-{self.run_id}") if was_there else (self.folder,)
        for folder in own:
            shutil.rmtree(folder, ignore_errors=True)


def _some(phrases: list[str]) -> str:
    return f"{phrases[0]} and {len(phrases) - 1} more" if len(phrases) > 1 else phrases[0]
