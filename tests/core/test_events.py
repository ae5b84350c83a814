"""Progress events."""

import pytest

from goemo_cli.core.events import Advanced, Event, PhaseEnded, PhaseStarted, progress


def test_progress_reports_start_advances_and_end() -> None:
    events: list[Event] = []

    with progress(events.append, "Scoring test", 3, "rows") as advance:
        advance(1)
        advance(2, "almost")

    assert events == [
        PhaseStarted("Scoring test", 3, "rows"),
        Advanced(1),
        Advanced(2, "almost"),
        PhaseEnded(),
    ]


def test_progress_ends_after_an_exception() -> None:
    events: list[Event] = []

    with pytest.raises(ValueError, match="broken"), progress(events.append, "Scoring test", 3):
        raise ValueError("broken")

    assert events == [PhaseStarted("Scoring test", 3), PhaseEnded()]
