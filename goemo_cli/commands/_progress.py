"""Draws events: a bar per phase on stderr, a line per epoch, warnings as they come."""

from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from goemo_cli.commands._console import Console, plain
from goemo_cli.core.events import (
    Advanced,
    EpochEnded,
    Event,
    Info,
    PhaseEnded,
    PhaseStarted,
    StoppedEarly,
    Warning,
    line_of,
)


class Screen:
    """A listener that shows what happens; use as a context manager around the service call."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            _Rate(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}"),
            console=console.talk,
            transient=True,
            disable=console.quiet or console.as_json or not console.talk.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, PhaseStarted):
            self._end()
            self._task = self._progress.add_task(
                plain(event.name), total=event.total, detail="", unit=event.unit
            )
        elif isinstance(event, Advanced) and self._task is not None:
            self._progress.update(self._task, advance=event.amount, detail=plain(event.detail))
        elif isinstance(event, PhaseEnded):
            self._end()
        elif isinstance(event, Warning):
            self.console.warn(event.message)
        elif isinstance(event, Info):
            self.console.note(event.message)
        elif isinstance(event, (EpochEnded, StoppedEarly)):
            self.console.note(line_of(event) or "")

    def _end(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


class _Rate(ProgressColumn):
    """Comments (or bytes, labels) per second."""

    def render(self, task: Task) -> Text:
        if not task.speed:
            return Text("")
        return Text(f"{task.speed:,.0f} {task.fields['unit']}/s", style="dim")
