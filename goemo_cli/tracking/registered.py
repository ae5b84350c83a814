"""Trackers by name: those of goemo, and those that other packages register as entry points of `goemo.trackers`."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

from goemo_cli.core.errors import MissingPackageError, NotFoundError, SettingError, did_you_mean

GROUP = "goemo.trackers"


@dataclass(frozen=True)
class RegisteredTracker:
    """A tracker that can be switched on by its name."""

    name: str
    title: str
    """For messages."""
    entry: EntryPoint
    extra: str | None = None
    """Of goemo, which installs the package of the same name; None for trackers of other packages."""

    @property
    def is_installed(self) -> bool:
        """Whether the package that it needs is installed; nothing is imported."""
        if self.extra is None:
            return True
        found = find_spec(self.extra)
        return found is not None and found.origin is not None  # not just a folder of that name


def _own(name: str, title: str, value: str) -> RegisteredTracker:
    return RegisteredTracker(name, title, EntryPoint(name, value, GROUP), extra=name)


TENSORBOARD = "tensorboard"
"""It writes its files in the training process, since another one would load torch again."""
_OWN = (
    _own(TENSORBOARD, "TensorBoard", "goemo_cli.tracking.tensorboard:FileTracker"),
    _own("mlflow", "MLflow", "goemo_cli.tracking.mlflow:MlflowTracker"),
    _own("trackio", "trackio", "goemo_cli.tracking.trackio:TrackioTracker"),
)


def registered_trackers() -> dict[str, RegisteredTracker]:
    """All trackers by name; a tracker of goemo comes before one of another package with its name."""
    found = {tracker.name: tracker for tracker in _OWN}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        package = f" of {entry.dist.name} {entry.dist.version}" if entry.dist else ""
        found.setdefault(
            entry.name, RegisteredTracker(entry.name, f"The tracker {entry.name}{package}", entry)
        )
    return found


def check_trackers(names: Iterable[str]) -> None:
    """Check that all names are registered.

    Raises:
        SettingError: unknown names, with the known ones.
    """
    if wanted := tuple(names):
        known = registered_trackers()
        if unknown := [_unknown(name, known) for name in wanted if name not in known]:
            raise SettingError(unknown, "logging.trackers (--tracker)")


def find_tracker(name: str) -> RegisteredTracker:
    """A tracker that can be used.

    Raises:
        NotFoundError: an unknown name.
        MissingPackageError: its package is not installed.
    """
    known = registered_trackers()
    if name not in known:
        raise NotFoundError(_unknown(name, known))
    tracker = known[name]
    if tracker.extra and not tracker.is_installed:
        raise MissingPackageError(tracker.name, tracker.extra, tracker.title)
    return tracker


def _unknown(name: str, known: Iterable[str]) -> str:
    if name == "wandb":
        return "W&B is switched on with --wandb, not with --tracker wandb"
    return f"unknown tracker {name!r}{did_you_mean(name, known)}; known are {', '.join(known)}"
