"""trackio as a tracker: one trackio run per run, in a database on the local disk or a Space. Imports trackio late."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goemo_cli.core.names import RunName
from goemo_cli.core.settings import DEFAULT_PROJECT
from goemo_cli.core.system.variables import environment
from goemo_cli.tracking.base import Tracker, TrackerContext

_OWN = ("step", "timestamp")
"""What trackio adds to the numbers of a line."""


class TrackioTracker(Tracker):
    """Logs settings and facts as the configuration of a run, and numbers over optimizer steps.

    The folder of databases is TRACKIO_DIR, else the tracker's folder. trackio calls a run by its name, so a resumed run is
    continued: each number gets each step once, if the database is on this machine.
    """

    def __init__(self, context: TrackerContext) -> None:
        self._context = context
        self._known: set[tuple[str, int]] = set()
        """Names and steps of numbers that trackio has."""
        self._run: Any = None
        self._step = 0

    def start(self, run: RunName, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Open the trackio run, new or known."""
        folder = Path(environment("TRACKIO_DIR") or self._context.folder)
        os.environ["TRACKIO_DIR"] = str(folder)  # which trackio reads when it is imported
        import trackio
        from trackio.sqlite_storage import SQLiteStorage

        self._known = {
            (name, line["step"])
            for line in SQLiteStorage.get_logs(DEFAULT_PROJECT, str(run))
            for name in line
            if name not in _OWN
        }
        self._run = trackio.init(
            project=DEFAULT_PROJECT,
            name=str(run),
            config={**settings, "goemo": {**facts, "id": self._context.run_id}},
            resume="allow",
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )
        self.address = f"run {run} in {folder}"

    def log(self, values: Mapping[str, float], *, step: int, epoch: int | None = None) -> None:
        """Log numbers over optimizer steps, those of an epoch with its number."""
        self._step = max(self._step, step)
        self._log({**values, **({} if epoch is None else {"epoch": epoch})}, step)

    def event(self, name: str, values: Mapping[str, float]) -> None:
        """Log an event's numbers as `name/key`."""
        self._log({f"{name}/{key}": value for key, value in values.items()}, self._step)

    def finish(self, summary: Mapping[str, float], *, exit_code: int = 0) -> None:
        """Log the final numbers and the exit code, and wait until all is written."""
        self._log({**summary, "exit_code": exit_code}, self._step)
        self._run.finish()

    def _log(self, values: Mapping[str, float | None], step: int) -> None:
        new = {
            name: float(value)
            for name, value in values.items()
            if value is not None and math.isfinite(value) and (name, step) not in self._known
        }
        if new:
            self._run.log(new, step=step)
        self._known |= {(name, step) for name in new}
