"""Pinned runs, which are never removed: one small file below artifacts/models/."""

from goemo_cli.core.documents.runs import Pins
from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.events import EventHandler, Warning, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import SCHEMA_VERSION


def pinned_runs(layout: Layout) -> tuple[str, ...]:
    """Names of the pinned runs, in the order in which they were pinned; also of runs that no longer exist.

    Raises:
        CorruptArtifactError: the file is damaged. It is then unknown which runs are pinned, so nothing may be removed.
    """
    try:
        return tuple(Pins.read(layout.pins).pinned)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise CorruptArtifactError(layout.pins, f"cannot be read ({error.strerror})") from error


def pinned_or_none(layout: Layout, on_event: EventHandler = ignore) -> frozenset[str]:
    """The pinned runs for lists that must not fail; none if the file is damaged, which is a warning."""
    try:
        return frozenset(pinned_runs(layout))
    except CorruptArtifactError as error:
        on_event(Warning(f"{error}; pins are not shown"))
        return frozenset()


def pin(run: str, *, layout: Layout) -> bool:
    """Pin a run; whether it was not pinned before."""
    names = pinned_runs(layout)
    if run in names:
        return False
    _write(layout, (*names, run))
    return True


def unpin(run: str, *, layout: Layout) -> bool:
    """Remove a pin; whether there was one."""
    names = pinned_runs(layout)
    if run not in names:
        return False
    _write(layout, tuple(name for name in names if name != run))
    return True


def _write(layout: Layout, names: tuple[str, ...]) -> None:
    Pins(schema_version=SCHEMA_VERSION, pinned=list(names)).write(layout.pins)
