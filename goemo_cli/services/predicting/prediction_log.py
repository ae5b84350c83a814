"""Log the predictions of a `Predictor`: the statistics of each call at once, the predictions in larger parts."""

import atexit
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goemo_cli.core.documents.bulk import BatchStatistics
from goemo_cli.core.errors import GoemoError
from goemo_cli.tracking.artifacts.config import LoggerConfig
from goemo_cli.tracking.artifacts.manager import ArtifactManager

if TYPE_CHECKING:
    from goemo_cli.services.predicting.predictor import TextPredictions

PART_ROWS = 10_000
"""Maximum number of predictions in memory; then they become a version of the artifact."""


class PredictionLog:
    """A run that records predictions, on W&B or in the local store; several threads can share it.

    A failure after the start costs a warning and ends the log; it never fails a prediction.

    Args:
        tracking: settings of the log, or the name of a project.
        root: of the project, for the local store.
        facts: what predictions are made with; the settings of the run.
    """

    def __init__(
        self, tracking: LoggerConfig | str, *, root: Path | str, run: str, facts: Mapping[str, Any]
    ) -> None:
        self.manager = ArtifactManager(tracking, root=root)
        self.manager.init_run(config=facts, job_type="predict")
        atexit.register(self.close)  # before the manager's own end of the run
        self._run = run
        self._lock = threading.Lock()
        self._parts: list[TextPredictions] = []
        self._total = BatchStatistics()

    def add(self, predictions: "TextPredictions") -> None:
        """Log the statistics of one call, and keep its predictions."""
        with self._lock:
            if not len(predictions) or self.manager.run_id is None:
                return
            try:
                self.manager.log_metrics(statistics_values(predictions.statistics))
                self._parts.append(predictions)
                self._total += predictions.statistics
                if sum(map(len, self._parts)) >= PART_ROWS:
                    self._log_parts()
            except (GoemoError, OSError) as error:
                self._fail(error)

    def close(self) -> None:
        """Log the predictions that are left, and end the run; a second time does nothing."""
        with self._lock:
            atexit.unregister(self.close)
            if self.manager.run_id is None:
                return
            try:
                if self._parts:
                    self._log_parts()
                self.manager.finish_run(statistics_values(self._total) if self._total.texts else {})
            except (GoemoError, OSError) as error:
                self._fail(error)

    def _log_parts(self) -> None:
        rows = (row for part in self._parts for row in part.rows())
        about = {"run": self._run, "rows_predicted": self._total.texts}
        self.manager.log_predictions(rows, f"{self._run}-predictions", split="texts", metadata=about)
        self._parts.clear()

    def _fail(self, error: Exception) -> None:
        self.manager.warn(f"predictions are no longer logged: {error}")
        try:
            self.manager.finish_run(exit_code=1)
        except (GoemoError, OSError):
            self._parts.clear()


def statistics_values(statistics: BatchStatistics) -> dict[str, float]:
    """The numbers of some predictions by name, as they are logged."""
    numbers: dict[str, float] = {
        "predict/texts": statistics.texts,
        "predict/unlabelled": statistics.unlabelled,
        "predict/cut": statistics.cut,
        **{f"predict/share_{label}": share for label, share in statistics.label_distribution.items()},
    }
    if statistics.mean_confidence is not None:
        numbers["predict/mean_confidence"] = statistics.mean_confidence
    return numbers
