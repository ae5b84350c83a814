"""The events of a process in a file, which another process reads while it grows."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from goemo_cli.core.events import (
    Advanced,
    EpochEnded,
    Event,
    EventHandler,
    Info,
    PhaseEnded,
    PhaseStarted,
    RunBegan,
    StoppedEarly,
    Warning,
    line_of,
)
from goemo_cli.core.files import complete_lines, open_handle
from goemo_cli.core.system.variables import EVENTS_FILE, environment

_EVERY_SECONDS = 0.5
"""Progress within a phase is written as often as this."""
_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Warning, Info, PhaseStarted, Advanced, PhaseEnded)
}


def with_event_file(on_event: EventHandler) -> EventHandler:
    """The same handler; if another process follows this one, events also go to the file that it named."""
    path = environment(EVENTS_FILE)
    if path is None:
        return on_event
    file = EventFile(Path(path))

    def handle(event: Event) -> None:
        file(event)
        on_event(event)

    return handle


class EventFile:
    """An event handler that appends events to a file, one JSON object per line.

    Args:
        path: of the file, which may have the events of an earlier process.
    """

    def __init__(self, path: Path) -> None:
        self._handle = open_handle(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._last: tuple[int, str] = (0, "")
        self._written = 0.0
        os.write(self._handle, b"\n\n")  # ends what an earlier process could not complete, then an empty line

    def __call__(self, event: Event) -> None:
        """Write an event; progress is added up and written twice a second."""
        if isinstance(event, Advanced):
            self._last = (self._last[0] + event.amount, event.detail)
            if time.monotonic() - self._written >= _EVERY_SECONDS:
                self._write_progress()
            return
        self._write_progress()
        if isinstance(event, (EpochEnded, StoppedEarly)):
            event = Info(line_of(event) or "")
        if isinstance(event, RunBegan):
            self._write({"kind": "RunBegan", "folder": str(event.folder.resolve())})
        elif type(event).__name__ in _KINDS:
            self._write({"kind": type(event).__name__, **asdict(event)})

    def _write_progress(self) -> None:
        amount, detail = self._last
        if amount:
            self._write({"kind": "Advanced", "amount": amount, "detail": detail})
            self._last, self._written = (0, ""), time.monotonic()

    def _write(self, values: dict[str, Any]) -> None:
        os.write(self._handle, json.dumps(values).encode() + b"\n")


class EventReader:
    """Reads the events of such a file as they come.

    Args:
        path: of the file, which need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0
        self._open_phases = 0

    def new_events(self) -> Iterator[Event]:
        """The events since the last call; incomplete lines are left for the next one."""
        try:
            lines = complete_lines(self._path, self._offset)
        except FileNotFoundError:
            return
        self._offset += sum(map(len, lines))
        for line in lines:
            if not line.strip():  # another process begins, after one that was killed
                yield from self._ends_of_phases()
            elif (event := _parsed(line)) is not None:
                self._open_phases += isinstance(event, PhaseStarted) - isinstance(event, PhaseEnded)
                yield event

    def remaining_events(self) -> Iterator[Event]:
        """The last events, and the ends of the phases that are still open: the process has ended."""
        yield from self.new_events()
        yield from self._ends_of_phases()

    def _ends_of_phases(self) -> Iterator[Event]:
        for _ in range(self._open_phases):
            yield PhaseEnded()
        self._open_phases = 0


def run_folder(path: Path) -> Path | None:
    """The folder of the run that began last, as an event file says; None before the first one."""
    began = [event.folder for event in EventReader(path).new_events() if isinstance(event, RunBegan)]
    return began[-1] if began else None


def _parsed(line: bytes) -> Event | None:
    """The event of a line; None for a line that a killed process did not complete."""
    try:
        values = json.loads(line)
        kind = values.pop("kind")
        if kind == "RunBegan":
            return RunBegan(Path(values["folder"]))
        event: Event = _KINDS[kind](**values)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return event
