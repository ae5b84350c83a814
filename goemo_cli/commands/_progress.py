"""Draws events: a bar per phase on stderr, a line per epoch, warnings as they come."""

from types import TracebackType
from typing import Self

from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
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
            SpinnerColumn(),
            TextColumn("{task.description}"),
            _IfCounted(BarColumn(bar_width=_BAR_WIDTH)),
            _IfCounted(TextColumn("{task.percentage:>3.0f}%")),
            _Rate(),
            _Time(),
            TextColumn("{task.fields[detail]}"),
            console=console.talk,
            transient=True,
            disable=console.quiet or console.as_json or not console.talk.is_terminal,
        )
        self._tasks: list[TaskID] = []
        """The phases that are open, the innermost last; only that one is shown."""

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
            self._show_innermost(visible=False)
            self._tasks.append(
                self._progress.add_task(plain(event.name), total=event.total, detail="", unit=event.unit)
            )
        elif isinstance(event, Advanced) and self._tasks:
            self._progress.update(self._tasks[-1], advance=event.amount, detail=plain(event.detail))
        elif isinstance(event, PhaseEnded):
            self._end()
        elif isinstance(event, Warning):
            self.console.warn(event.message)
        elif isinstance(event, Info):
            self.console.note(event.message)
        elif isinstance(event, (EpochEnded, StoppedEarly)):
            self.console.note(line_of(event) or "")

    def _end(self) -> None:
        if self._tasks:
            self._progress.remove_task(self._tasks.pop())
            self._show_innermost(visible=True)

    def _show_innermost(self, *, visible: bool) -> None:
        for task in self._tasks[-1:]:
            self._progress.update(task, visible=visible)


_BAR_WIDTH = 20


class _IfCounted(ProgressColumn):
    """Another column, empty for work of unknown length."""

    def __init__(self, column: ProgressColumn) -> None:
        super().__init__()
        self._column = column

    def render(self, task: Task) -> RenderableType:
        return Text("") if task.total is None else self._column.render(task)


class _Time(ProgressColumn):
    """The remaining time; for work of unknown length the time so far."""

    def __init__(self) -> None:
        super().__init__()
        self._remaining, self._elapsed = TimeRemainingColumn(compact=True), TimeElapsedColumn()

    def render(self, task: Task) -> Text:
        return (self._elapsed if task.total is None else self._remaining).render(task)


class _Rate(ProgressColumn):
    """Comments (or bytes, labels) per second."""

    def render(self, task: Task) -> Text:
        if task.total is None or not task.speed:
            return Text("")
        return Text(f"{task.speed:,.0f} {task.fields['unit']}/s", style="dim")
