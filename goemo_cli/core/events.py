"""Events that services emit while they work, and their lines in a log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # pydantic loads only if a document is used
    from goemo_cli.core.documents.metrics import EpochScores


@dataclass(frozen=True)
class Warning:
    """Something the user should know, though the work goes on."""

    message: str


class GoemoWarning(UserWarning):
    """A `Warning` as a warning of Python, for callers of the Python API."""


@dataclass(frozen=True)
class Info:
    """A fact worth a line: which data, which weights, which device."""

    message: str


@dataclass(frozen=True)
class PhaseStarted:
    """A piece of work begins; `Advanced` follows if its length is known."""

    name: str
    total: int | None
    unit: str = "comments"


@dataclass(frozen=True)
class Advanced:
    """Progress within the current phase, in its unit, since the last such event."""

    amount: int
    detail: str = ""


@dataclass(frozen=True)
class PhaseEnded:
    """The current phase is over."""


@dataclass(frozen=True)
class EpochEnded:
    """An epoch is over, and val was scored."""

    scores: "EpochScores"
    epochs: int
    """The number of epochs of the training, unless it stops early."""
    is_best: bool


@dataclass(frozen=True)
class StoppedEarly:
    """Training ended before its last epoch because val no longer improved."""

    epoch: int
    best_epoch: int
    best_value: float


@dataclass(frozen=True)
class FileWritten:
    """A file of the layout is in place."""

    path: Path


@dataclass(frozen=True)
class RunBegan:
    """A run is trained from now on, in its folder."""

    folder: Path


@dataclass(frozen=True)
class FromProcess:
    """An event of another process; several work at the same time, each with its own phases."""

    name: str
    """Of the process, such as `seed 43`."""
    event: "Event"


Event = (
    Warning
    | Info
    | PhaseStarted
    | Advanced
    | PhaseEnded
    | EpochEnded
    | StoppedEarly
    | FileWritten
    | RunBegan
    | FromProcess
)
EventHandler = Callable[[Event], None]


def line_of(event: Event) -> str | None:
    """An event as a line of a log, without a time; None if the event is not a line by itself."""
    if isinstance(event, Warning):
        return f"Warning: {event.message}"
    if isinstance(event, Info):
        return event.message
    if isinstance(event, PhaseStarted):
        return event.name if event.total is not None else None
    if isinstance(event, EpochEnded):
        scores = event.scores
        return (
            f"Epoch {scores.epoch}/{event.epochs}  loss {scores.train_loss:.4f} val {scores.val_loss:.4f}  "
            f"F1 macro {scores.val_f1_macro:.3f} micro {scores.val_f1_micro:.3f}  "
            f"{duration(scores.epoch_seconds)}{' *' if event.is_best else ''}"
        )
    if isinstance(event, StoppedEarly):
        return f"Stopped after epoch {event.epoch}: epoch {event.best_epoch} stays the best ({event.best_value:.4f})"
    if isinstance(event, FromProcess):
        line = line_of(event.event)
        return line and f"{event.name}: {line}"
    return None


def duration(seconds: float) -> str:
    """A duration for people: `7 s`, `36 min 38 s`, `2 h 05 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def ignore(event: Event) -> None:
    """An event handler that does nothing."""


class Advance(Protocol):
    """Reports progress within a phase: an amount in the phase's unit, and a detail to show next to the bar."""

    def __call__(self, amount: int, detail: str = "", /) -> None:
        """Report the amount done since the last call."""
        ...


@contextmanager
def progress(on_event: EventHandler, name: str, total: int, unit: str = "comments") -> Iterator[Advance]:
    """Show the progress of a piece of work of known length; it ends with the block, also after an exception.

    Args:
        name: of the work, as the progress bar shows it.
        total: length of the work in its unit.
        unit: what is counted.
    """

    def advance(amount: int, detail: str = "", /) -> None:
        on_event(Advanced(amount, detail))

    on_event(PhaseStarted(name, total, unit))
    try:
        yield advance
    finally:
        on_event(PhaseEnded())


@contextmanager
def working(on_event: EventHandler, name: str) -> Iterator[None]:
    """Show that a piece of work of unknown length goes on; it ends with the block, also after an exception.

    Args:
        name: of the work, as the screen shows it.
    """
    on_event(PhaseStarted(name, None))
    try:
        yield
    finally:
        on_event(PhaseEnded())
