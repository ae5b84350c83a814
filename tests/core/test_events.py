"""Progress events, and numbers in text: rounded, but not to 0 if they are not 0."""

import pytest

from goemo_cli.core.events import Advanced, Event, PhaseEnded, PhaseStarted, decimal, progress, span


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


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.0000"),
        (0.52346, "0.5235"),
        (1.0, "1.0000"),
        (0.0004, "0.0004"),
        (2e-5, "2e-05"),
        (-1.26e-7, "-1.3e-07"),
    ],
)
def test_a_small_number_is_not_shown_as_zero(value: float, shown: str) -> None:
    assert decimal(value) == shown


def test_places_and_signs() -> None:
    assert [decimal(value, 3, sign="+") for value in (0.1, -0.03, 0.0002, 0.0)] == [
        "+0.100",
        "-0.030",
        "+0.0002",
        "+0.000",
    ]
    assert span(0.0, 0.00019) == "0.000–0.00019"
