"""Trackers in processes that read the run's journal, so that no tracker can block, change or stop the training."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from goemo_cli.core.arrays import Histogram
from goemo_cli.core.events import EventHandler, Info, Warning
from goemo_cli.core.names import RunName
from goemo_cli.core.system.processes import end_group, start_apart, start_time
from goemo_cli.tracking.base import Tracker
from goemo_cli.tracking.follower import Job
from goemo_cli.tracking.journal import journal_path

FAILED_RUN_SECONDS = 15.0
"""The maximum time without progress that the end of a failed run waits for a tracker."""
ASK_SECONDS = 1.0


class JournalProcess:
    """A running process that reads a journal, and answers in JSON lines on its standard output; ends with `stop`.

    Raises:
        OSError: the process cannot start.
    """

    def __init__(self, title: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._title = title
        self._answers: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        """None if no more can come."""
        self._process = start_apart(  # Ctrl-C is for the training, which then says how the run ended
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            environment=environment,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Read answers as they come, in a thread: Windows cannot wait for a pipe."""
        assert self._process.stdout
        with self._process.stdout as lines, suppress(ValueError):  # a line that was not completed
            for line in lines:
                self._answers.put(json.loads(line))
        self._answers.put(None)

    def answers(self, seconds: float = 0.0) -> list[dict[str, Any]]:
        """New answers, after waiting at most this long for the first one; ends with `failed` if the process has died."""
        found: list[dict[str, Any]] = []
        with suppress(Empty):
            while answer := self._answers.get(timeout=0.0 if found else seconds):
                found.append(answer)
            self._answers.put(None)
            if not any(answer["what"] in ("failed", "finished") for answer in found):
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(ASK_SECONDS)
                message = (
                    f"the {self._title} upload process ended unexpectedly (status {self._process.poll()})"
                )
                return [*found, {"what": "failed", "why": "other", "message": message}]
        return found

    def wait(
        self, patience: float, hear: Callable[[Mapping[str, Any]], None], *wanted: str
    ) -> dict[str, Any]:
        """The next answer of a wanted kind or `failed`; earlier ones are passed to `hear`.

        Gives up, and answers `failed` itself, after `patience` seconds without any answer, or if the server is lost.
        While bytes are uploaded, the process answers `going on`.
        """
        heard = time.monotonic()
        while time.monotonic() - heard < patience:
            answers = self.answers(min(ASK_SECONDS, patience))
            for answer in answers:
                if answer["what"] in (*wanted, "failed"):
                    return answer
                hear(answer)
            if answers:
                heard = time.monotonic()
            elif message := self.lost():
                return _lost(message)
        return _lost(f"{self._title} made no progress for {patience:g} s")

    def lost(self) -> str | None:
        """Why an answer can no longer be expected; None while it can. Asked after each second without an answer."""
        return None

    def stop(self) -> None:
        """End the process."""
        end_group(self._process)
        self._process.wait()
        self._reader.join()


@dataclass(kw_only=True, eq=False)
class SeparateTracker(Tracker):
    """Starts the process of a tracker, passes on its messages, and waits for it at the end."""

    title: str
    journals: Path
    """Folder with the journal, which another tracker has begun before this one starts."""
    root: Path
    """The journal's paths are relative to it."""
    folder: Path
    """For local files of the tracker."""
    patience: float
    """Seconds without progress that the end of the run waits."""
    on_event: EventHandler
    """Hears the address of the run, and one warning if the tracker fails."""
    process: JournalProcess | None = field(default=None, init=False)

    def log(self, values: Mapping[str, float], *, step: int, epoch: int | None = None) -> None:
        """Pass on new messages of the process."""
        self._listen()

    def histograms(self, histograms: Mapping[str, Histogram], *, step: int) -> None:
        """Pass on new messages of the process."""
        self._listen()

    def finish(self, summary: Mapping[str, float], *, exit_code: int = 0) -> None:
        """Wait until everything is uploaded, while there is progress."""
        self._listen()
        if self.process is None:
            return
        patience = self.patience if exit_code == 0 else min(self.patience, FAILED_RUN_SECONDS)
        try:
            if exit_code == 0 and self.is_remote:
                self.on_event(Info(f"Waiting for {self.title} to receive everything"))
            self.hear(self.process.wait(patience, self.hear, "finished"))
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C or SIGTERM
                self.give_up(f"Stopped before {self.title} received everything")
            raise
        finally:
            self.stop()

    @property
    def is_remote(self) -> bool:
        """Whether the end of the run may wait for a network."""
        return False

    def hear(self, answer: Mapping[str, Any]) -> None:
        """Pass on a message of the process."""
        if answer["what"] == "started" and answer["address"]:
            self.on_event(Info(f"{self.title}: {answer['address']}"))
        elif answer["what"] == "failed":
            self.give_up(f"{self.title} is disabled for this run ({answer['message']})")

    def give_up(self, reason: str) -> None:
        """Warn, and end the process."""
        self.on_event(Warning(f"{reason}; local files are complete"))
        self.stop()

    def stop(self) -> None:
        """End the process, if it runs."""
        if self.process:
            self.process.stop()
            self.process = None

    def _listen(self) -> None:
        for answer in self.process.answers() if self.process else ():
            self.hear(answer)
            if answer["what"] == "finished":  # while another tracker was waited for
                self.stop()


@dataclass(kw_only=True, eq=False)
class FollowingTracker(SeparateTracker):
    """A registered tracker, in its process."""

    name: str
    """Under which it is registered."""
    variables: Mapping[str, str]
    """Environment variables that the settings ask for."""

    def start(self, run: RunName, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Start the process, or raise an OSError."""
        journal = journal_path(self.journals, run)
        if not journal.is_file():
            self.on_event(
                Warning(f"{self.title} reads the journal, which is missing; this run is not tracked by it")
            )
            return
        package = str(Path(__file__).resolve().parents[2])
        paths = [package, *(str(Path(entry).resolve()) for entry in sys.path)]
        job = Job(
            name=self.name,
            journal=journal.resolve(),
            root=self.root.resolve(),
            folder=self.folder.resolve(),
            process=os.getpid(),
            started=start_time(),
        )
        self.process = JournalProcess(
            self.name,
            ["-m", "goemo_cli.tracking.follower", job.model_dump_json()],
            {**os.environ, **self.variables, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))},
        )


def _lost(message: str) -> dict[str, Any]:
    return {"what": "failed", "why": "network", "message": message}
