"""Draws events: a bar per phase on stderr, a line per epoch, warnings as they come."""

from collections import defaultdict
from collections.abc import Sequence
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
    FromProcess,
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
        self._tasks: dict[str, list[TaskID]] = defaultdict(list)
        """The phases that are open by process, the innermost last; only that one is shown. This process has no name."""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, FromProcess):
            self._show(event.event, event.name)
        else:
            self._show(event, "")

    def _show(self, event: Event, process: str) -> None:
        open_phases, prefix = self._tasks[process], f"{process}: " if process else ""
        if isinstance(event, PhaseStarted):
            self._show_innermost(open_phases, visible=False)
            name = plain(f"{prefix}{event.name}")
            open_phases.append(self._progress.add_task(name, total=event.total, detail="", unit=event.unit))
        elif isinstance(event, Advanced) and open_phases:
            self._progress.update(open_phases[-1], advance=event.amount, detail=plain(event.detail))
        elif isinstance(event, PhaseEnded) and open_phases:
            self._progress.remove_task(open_phases.pop())
            self._show_innermost(open_phases, visible=True)
        elif isinstance(event, Warning):
            self.console.warn(f"{prefix}{event.message}")
        elif isinstance(event, (Info, EpochEnded, StoppedEarly)):
            self.console.note(f"{prefix}{line_of(event)}")

    def _show_innermost(self, tasks: Sequence[TaskID], *, visible: bool) -> None:
        for task in tasks[-1:]:
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
