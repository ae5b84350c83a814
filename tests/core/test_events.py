"""Progress events."""

import pytest

from goemo_cli.core.events import (
    Advanced,
    Event,
    PhaseEnded,
    PhaseStarted,
    duration,
    line_of,
    progress,
    working,
)


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


def test_work_of_unknown_length_has_no_line_in_a_log() -> None:
    events: list[Event] = []

    with working(events.append, "Loading"):
        pass

    assert events == [PhaseStarted("Loading", None), PhaseEnded()]
    assert [line_of(event) for event in events] == [None, None]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (2198, "36 min 38 s"), (7500, "2 h 05 min")]
)
def test_durations_are_for_people(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
