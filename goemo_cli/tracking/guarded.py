"""Several trackers as one that cannot hurt a run: whichever fails is warned of once and left out from then on."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from goemo_cli.core.names import RunName
from goemo_cli.tracking.base import Tracker


class GuardedTrackers:
    """Passes every call on to each tracker that still works.

    Args:
        trackers: by the name that a warning shows.
        warn: told once per tracker that fails.
    """

    def __init__(self, trackers: Mapping[str, Tracker], warn: Callable[[str], None]) -> None:
        self._trackers = dict(trackers)
        self._warn = warn

    @property
    def run_id(self) -> str | None:
        """The first id that any of them has."""
        return next((tracker.run_id for tracker in self._trackers.values() if tracker.run_id), None)

    def start(self, run: RunName, settings: Mapping[str, Any]) -> None:
        """Begin everywhere."""
        self._each(lambda tracker: tracker.start(run, settings))

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Record everywhere."""
        self._each(lambda tracker: tracker.log(values, step=step))

    def save(self, path: Path) -> None:
        """Mirror a file everywhere."""
        self._each(lambda tracker: tracker.save(path))

    def finish(self, summary: Mapping[str, float]) -> None:
        """Close everywhere."""
        self._each(lambda tracker: tracker.finish(summary))

    @property
    def names(self) -> Sequence[str]:
        """Those that still work."""
        return list(self._trackers)

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                call(tracker)
            except Exception as error:  # a mirror may fail in any way; the run goes on
                del self._trackers[name]
                first_line = (str(error).strip().splitlines() or [""])[0]
                self._warn(
                    f"{name} stopped mirroring this run ({type(error).__name__}: {first_line}); local files are complete"
                )
