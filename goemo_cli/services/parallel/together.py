"""Runs a number of trainings, some at a time, to the end of all, and shows the progress of each."""

import time
from collections import deque
from collections.abc import Iterable, Sequence

from goemo_cli.core.events import (
    Advanced,
    Event,
    EventHandler,
    FromProcess,
    Info,
    PhaseEnded,
    PhaseStarted,
    RunBegan,
    Warning,
)
from goemo_cli.core.system.stopping import stop_request
from goemo_cli.services.parallel.executors import Trainer
from goemo_cli.services.parallel.task import Task
from goemo_cli.services.parallel.training_process import Training, stop

POLL_SECONDS = 0.2


class TaskFailed(Exception):  # noqa: N818  # caught by the caller, which says what it means for its runs
    """The process of a task has failed, and the others have been stopped.

    Args:
        code: its exit code, negative for a signal.
    """

    def __init__(self, task: Task, code: int) -> None:
        self.task, self.code = task, code
        super().__init__(f"{task.name}: {task.failure(code)}")


def train_together(tasks: Sequence[Task], trainer: Trainer, on_event: EventHandler) -> None:
    """Run trainings in their order, `trainer.workers` at a time.

    Args:
        tasks: that were begun.

    Raises:
        TaskFailed: one has failed; the others saved their states.
        StopSignal: a signal asked to stop; all saved their states.
    """
    waiting, active = deque(tasks), list[Training]()
    shown = _Shown(on_event)
    with stop_request():
        try:
            while waiting or active:
                while waiting and len(active) < trainer.workers:
                    active.append(trainer.start(waiting.popleft()))
                time.sleep(POLL_SECONDS)
                for one in list(active):
                    code = one.poll()
                    shown.show(one.task.name, one.new_events())
                    if code is not None:
                        active.remove(one)
                    if code:
                        raise TaskFailed(one.task, code)
        finally:
            stop(active)


def show_bars(training: Training, on_event: EventHandler) -> None:
    """Pass on the phases of a training since the last call, without its messages."""
    for event in training.new_events():
        if isinstance(event, (PhaseStarted, Advanced, PhaseEnded)):
            on_event(FromProcess(training.task.name, event))


class _Shown:
    """Passes the events of several trainings on; a message that several of them have is shown once."""

    def __init__(self, on_event: EventHandler) -> None:
        self._on_event = on_event
        self._messages: set[Event] = set()

    def show(self, name: str, events: Iterable[Event]) -> None:
        """Pass the events of one training on."""
        for event in events:
            if isinstance(event, RunBegan) or event in self._messages:
                continue
            if isinstance(event, (Info, Warning)):
                self._messages.add(event)
            self._on_event(FromProcess(name, event))
