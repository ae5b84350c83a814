"""A training as a separate `goemo train` process, so that trainings are isolated from each other."""

import contextlib
import os
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

from goemo_cli.core.events import Event, RunBegan
from goemo_cli.core.files import complete_lines, open_handle
from goemo_cli.core.layout import Layout
from goemo_cli.core.system.processes import ask_to_end, start_apart
from goemo_cli.core.system.variables import GPUS, environment_with
from goemo_cli.services.parallel.event_file import EventReader
from goemo_cli.services.parallel.task import EVENTS, LOG, RESULT, Task
from goemo_cli.tracking.journal import LogLine, parse_line

END_SECONDS = 120.0
"""The time to finish a step and to save its state."""


class Training(ABC):
    """A training that has been started, wherever it runs."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._reader = EventReader(task.folder / EVENTS)
        self._journal: Path | None = None

    @abstractmethod
    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""

    @abstractmethod
    def ask_to_stop(self) -> None:
        """Let it save its state and end."""

    @abstractmethod
    def end(self) -> None:
        """End it at once, and wait until it has ended."""

    def new_events(self) -> Iterator[Event]:
        """Its events since the last call; after its end, the phases that were open end too."""
        is_over = self.poll() is not None
        for event in self._reader.remaining_events() if is_over else self._reader.new_events():
            if isinstance(event, RunBegan):
                self._journal = Layout(self.task.root).journals / f"{event.folder.name}.jsonl"
            yield event

    def epochs(self, key: str) -> dict[int, float]:
        """A number of the epochs in the events so far, by epoch, from the run's journal."""
        if self._journal is None or not self._journal.is_file():
            return {}
        lines = [parse_line(self._journal, line) for line in complete_lines(self._journal)]
        return {
            line.epoch: line.values[key]
            for line in lines
            if isinstance(line, LogLine) and line.epoch and key in line.values
        }


def stop(trainings: Iterable[Training]) -> None:
    """End trainings gently, all at the same time; those that do not end within two minutes, at once."""
    left = list(trainings)
    for one in left:
        with contextlib.suppress(OSError):
            one.ask_to_stop()
    deadline = time.monotonic() + END_SECONDS
    try:
        while (left := [one for one in left if one.poll() is None]) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        for one in left:
            one.end()


class TrainingProcess(Training):
    """A training in a process on this machine.

    Args:
        gpu: the name of the only GPU that it uses, as `visible_gpus` has it; None leaves the choice to it.
        directory: the folder to run in; by default that of this process.
    """

    def __init__(self, task: Task, *, gpu: str | None = None, directory: Path | None = None) -> None:
        super().__init__(task)
        self.gpu = gpu
        devices = {} if gpu is None else {GPUS: gpu}
        with _written(task.folder / RESULT) as result, _written(task.folder / LOG, os.O_APPEND) as log:
            self._process = start_apart(  # Ctrl-C goes to the parent, which stops all
                task.command(), environment=environment_with(task.variables() | devices), ends_with_parent=True,
                stdin=subprocess.DEVNULL, stdout=result, stderr=log, cwd=directory,
            )  # fmt: skip

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Send the signal that asks to end."""
        ask_to_end(self._process)

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def _written(path: Path, how: int = os.O_TRUNC) -> Iterator[int]:
    """A file that a process writes as it goes."""
    handle = open_handle(path, os.O_WRONLY | os.O_CREAT | how)
    try:
        yield handle
    finally:
        os.close(handle)
