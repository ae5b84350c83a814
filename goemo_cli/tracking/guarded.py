"""Several trackers as one. A tracker that fails is disabled after one warning; the run continues."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from goemo_cli.core.arrays import Histogram
from goemo_cli.core.errors import GoemoError
from goemo_cli.core.names import RunName
from goemo_cli.tracking.base import Artifact, Picture, Table, Tracker


class GuardedTrackers(Tracker):
    """Passes every call on to each tracker that still works.

    Args:
        trackers: by the name that a warning shows; called in this order.
        warn: called once for each tracker that fails.
    """

    def __init__(self, trackers: Mapping[str, Tracker], warn: Callable[[str], None]) -> None:
        self._trackers = dict(trackers)
        self._warn = warn
        self.run_id = next((tracker.run_id for tracker in trackers.values() if tracker.run_id), None)
        """The first id among the trackers. It stays if that tracker fails, since the upload can be completed later."""

    def start(self, run: RunName, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Start each tracker. A GoemoError here means that a required tracker is unavailable: then none starts."""
        try:
            self._each(lambda tracker: tracker.start(run, settings, facts), reraise=GoemoError)
        except GoemoError:
            self.finish({}, exit_code=1)
            raise

    def log(self, values: Mapping[str, float], *, step: int, epoch: int | None = None) -> None:
        """Record in each tracker."""
        self._each(lambda tracker: tracker.log(values, step=step, epoch=epoch))

    def event(self, name: str, values: Mapping[str, float]) -> None:
        """Record in each tracker."""
        self._each(lambda tracker: tracker.event(name, values))

    def table(self, table: Table, *, step: int) -> None:
        """Show in each tracker."""
        self._each(lambda tracker: tracker.table(table, step=step))

    def picture(self, picture: Picture, *, step: int) -> None:
        """Show in each tracker."""
        self._each(lambda tracker: tracker.picture(picture, step=step))

    def histograms(self, histograms: Mapping[str, Histogram], *, step: int) -> None:
        """Show in each tracker."""
        self._each(lambda tracker: tracker.histograms(histograms, step=step))

    def write(self, name: str, text: str) -> None:
        """Append to a text in each tracker."""
        self._each(lambda tracker: tracker.write(name, text))

    def save(self, path: Path, *, name: str) -> None:
        """Copy a file to each tracker."""
        self._each(lambda tracker: tracker.save(path, name=name))

    def artifact(self, artifact: Artifact) -> None:
        """Copy an artifact to each tracker."""
        self._each(lambda tracker: tracker.artifact(artifact))

    def finish(self, summary: Mapping[str, float], *, exit_code: int = 0) -> None:
        """Close each tracker."""
        self._each(lambda tracker: tracker.finish(summary, exit_code=exit_code))

    @property
    def names(self) -> Sequence[str]:
        """The trackers that still work."""
        return list(self._trackers)

    def _each(self, call: Callable[[Tracker], None], reraise: type[Exception] | tuple[()] = ()) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                call(tracker)
            except reraise:
                raise
            except Exception as error:  # a tracker may fail in any way; the run continues
                del self._trackers[name]
                first_line = (str(error).strip().splitlines() or [""])[0]
                self._warn(
                    f"{name} is disabled for this run ({type(error).__name__}: {first_line}); local files are complete"
                )
