"""Weights & Biases as a tracker. A separate process reads the run's journal, so no call to W&B can block the training."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from goemo_cli.core.arrays import Histogram
from goemo_cli.core.errors import StorageError
from goemo_cli.core.names import RunName
from goemo_cli.tracking.base import Tracker
from goemo_cli.tracking.journal import journal_path
from goemo_cli.tracking.wandb.process import Job, Mirror, WandbTarget, as_error

START_SECONDS = 60.0
"""The maximum time for a required upload to start."""
FAILED_RUN_SECONDS = 15.0
"""The maximum time without progress that the end of a failed run waits for W&B."""


class WandbTracker(Tracker):
    """Starts the upload process, passes on its messages, and waits for it at the end. The process reads the journal.

    Args:
        target: project, entity and so on.
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
        target: WandbTarget,
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
        self.target, self.run_id, self.required, self.patience = target, run_id, required, patience
        self.journals, self.root, self.directory = journals, root, directory
        self._later, self._note, self._warn = later, note, warn
        self._mirror: Mirror | None = None

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
            self._warn("W&B reads the journal, which is missing; this run is not uploaded")
            return
        was_there = self.directory.exists()
        job = Job(journal.resolve(), self.root.resolve(), self.directory, self.target, follow=True)
        try:
            self._mirror = Mirror(job)
        except OSError as error:
            if self.required:
                raise
            self._give_up(f"W&B cannot use {self.directory} ({error.strerror or error})")
            return
        if self.required:
            answer = self._mirror.wait(START_SECONDS, self._hear, "started")
            if answer["what"] == "failed":
                self._stop()
                journal.unlink(missing_ok=True)
                self._clear(was_there)
                raise as_error(answer)
            self._hear(answer)

    def log(self, values: Mapping[str, float], *, step: int, epoch: int | None = None) -> None:
        """Pass on new messages of the upload process."""
        self._listen()

    def histograms(self, histograms: Mapping[str, Histogram], *, step: int) -> None:
        """Pass on new messages of the upload process."""
        self._listen()

    def finish(self, summary: Mapping[str, float], *, exit_code: int = 0) -> None:
        """Wait until everything is uploaded, while there is progress."""
        self._listen()
        if self._mirror is None:
            return
        patience = self.patience if exit_code == 0 else min(self.patience, FAILED_RUN_SECONDS)
        try:
            if exit_code == 0 and self.target.mode != "offline":
                self._note("Waiting for W&B to receive everything")
            self._hear(self._mirror.wait(patience, self._hear, "finished"))
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C or SIGTERM
                self._give_up("Stopped before W&B received everything")
            raise
        finally:
            self._stop()

    def _listen(self) -> None:
        for answer in self._mirror.answers() if self._mirror else ():
            self._hear(answer)

    def _hear(self, answer: Mapping[str, Any]) -> None:
        if answer["what"] == "started":
            self._note(
                f"W&B: {answer['url']}" if answer["url"] else f"W&B: offline, in {answer['directory']}"
            )
        elif answer["what"] == "failed":
            help = " (`wandb login`, or set WANDB_API_KEY)" if answer["why"] == "key" else ""
            self._give_up(answer["message"] + help)
        elif answer["what"] == "finished" and answer["missing"]:
            self._give_up(f"W&B is missing {_some(answer['missing'])}")

    def _give_up(self, reason: str) -> None:
        self._warn(f"{reason}; nothing is lost: `{self._later}` uploads the run later")
        self._stop()

    def _clear(self, was_there: bool) -> None:
        """Remove W&B's files of a run that was not started."""
        own = self.directory.glob(f"wandb/*-{self.run_id}") if was_there else (self.directory,)
        for folder in own:
            shutil.rmtree(folder, ignore_errors=True)

    def _stop(self) -> None:
        if self._mirror:
            self._mirror.stop()
            self._mirror = None


def _some(phrases: list[str]) -> str:
    return f"{phrases[0]} and {len(phrases) - 1} more" if len(phrases) > 1 else phrases[0]
