"""MLflow as a tracker: one MLflow run per run, on a server or in a database on the local disk. Imports mlflow late."""

import json
import os
import posixpath
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from goemo_cli.core.files import path_from_root
from goemo_cli.core.layering import flat
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import DEFAULT_PROJECT
from goemo_cli.core.system.locks import lock_file, unlock_file
from goemo_cli.core.system.variables import environment
from goemo_cli.tracking.base import Tracker, TrackerContext
from goemo_cli.tracking.redaction import without_places, without_secrets

_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""Variables of MLflow with other defaults here: no usage statistics, and a server that is gone is given up in seconds."""
_ID = "goemo.id"
_REFUSED = re.compile(r"[^\w/.\- :]")
"""Characters that MLflow refuses in names."""
_LONGEST_NAME, _LONGEST_PARAM, _LONGEST_TAG = 250, 6000, 8000
_LOCK_SECONDS = 600.0
"""The maximum time that another process may take to create the database."""
_STOPPED = (130, 143)
"""Exit codes of Ctrl-C and SIGTERM."""


class MlflowTracker(Tracker):
    """Logs settings as parameters, facts and paths of files as tags, and numbers as metrics.

    The server or database is MLFLOW_TRACKING_URI, else `mlflow.db` in the tracker's folder; the experiment is
    MLFLOW_EXPERIMENT_NAME, else `goemo`. A run that MLflow knows by its id is continued: each metric gets each step once.
    """

    def __init__(self, context: TrackerContext) -> None:
        self._context = context
        self._client: Any = None
        self._known: dict[str, set[int]] = defaultdict(set)
        """Steps by metric that MLflow has."""
        self._files: dict[str, str] = {}
        self._step = 0

    def start(self, run: RunName, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Open the MLflow run, new or known."""
        for name, value in _DEFAULTS.items():
            os.environ.setdefault(name, value)
        import mlflow

        folder, given = self._context.folder, environment("MLFLOW_TRACKING_URI")
        uri = given or f"sqlite:///{folder / 'mlflow.db'}"
        artifacts = None if given else (folder / "artifacts").as_uri()
        with nullcontext() if given else _alone_in(folder):
            self._client = mlflow.MlflowClient(tracking_uri=uri)
            experiment = self._experiment(environment("MLFLOW_EXPERIMENT_NAME") or DEFAULT_PROJECT, artifacts)
        found = self._client.search_runs(
            [experiment], f"tags.`{_ID}` = '{self._context.run_id}'", max_results=1
        )
        opened = found[0] if found else self._client.create_run(experiment, run_name=str(run))
        self.run_id = opened.info.run_id
        self._continue(opened)
        self._log_parameters(_texts(settings), opened.data.params)
        tags = {_ID: self._context.run_id, "goemo.run": str(run)}
        tags |= {f"goemo.{name}": value for name, value in _texts(facts).items() if value != "null"}
        self._log_tags(tags)
        where = Path(uri.removeprefix("sqlite:///")) if not given else without_secrets({"uri": uri})["uri"]
        self.address = f"run {self.run_id} in {where}"

    def log(self, values: Mapping[str, float], *, step: int, epoch: int | None = None) -> None:
        """Log numbers of an epoch over epochs, other numbers over optimizer steps."""
        self._step = max(self._step, step)
        self._log_metrics(values, step if epoch is None else epoch)

    def event(self, name: str, values: Mapping[str, float]) -> None:
        """Log an event's numbers as metrics `name/key`."""
        self._log_metrics({f"{name}/{key}": value for key, value in values.items()}, self._step)

    def save(self, path: Path, *, name: str) -> None:
        """Note the file's path in the project."""
        self._files[f"files/{name}"] = str(without_places(path_from_root(path, self._context.root)))

    def finish(self, summary: Mapping[str, float], *, exit_code: int = 0) -> None:
        """Log the final numbers and the paths of files, and close the run as finished, failed or killed."""
        self._log_metrics(summary, self._step)
        self._log_tags(self._files)
        status = "KILLED" if exit_code in _STOPPED else "FAILED" if exit_code else "FINISHED"
        self._client.set_terminated(self.run_id, status)

    def _experiment(self, name: str, artifacts: str | None) -> str:
        from mlflow.exceptions import MlflowException

        if not (found := self._client.get_experiment_by_name(name)):
            try:
                return str(self._client.create_experiment(name, artifacts))
            except MlflowException:  # another run has just created it, or the server refuses
                if not (found := self._client.get_experiment_by_name(name)):
                    raise
        return str(found.experiment_id)

    def _continue(self, opened: Any) -> None:
        if opened.info.status != "RUNNING":
            self._client.update_run(self.run_id, status="RUNNING")
        for name in opened.data.metrics:
            history = self._client.get_metric_history(self.run_id, name)
            self._known[name] = {metric.step for metric in history}

    def _log_metrics(self, values: Mapping[str, float | None], step: int) -> None:
        from mlflow.entities import Metric

        named = {_name(name): value for name, value in values.items() if value is not None}
        new = {name: value for name, value in named.items() if step not in self._known[name]}
        now = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now, step) for name, value in new.items()]
        self._client.log_batch(self.run_id, metrics=metrics)
        for name in new:
            self._known[name].add(step)

    def _log_parameters(self, values: Mapping[str, str], known: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        named = {_name(name): value for name, value in values.items()}
        params = [Param(name, value[:_LONGEST_PARAM]) for name, value in named.items() if name not in known]
        self._client.log_batch(self.run_id, params=params)

    def _log_tags(self, values: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(_name(name), value[:_LONGEST_TAG]) for name, value in values.items()]
        self._client.log_batch(self.run_id, tags=tags)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the lock of the local database: MLflow fails if two processes create it at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mlflow.db.lock"
    handle = lock_file(path, wait=_LOCK_SECONDS)
    try:
        yield
    finally:
        unlock_file(path, handle)


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Dotted names with their values as texts: other types as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, default=str)
        for name, value in flat(values).items()
    }


def _name(name: str) -> str:
    """A name that MLflow accepts: another character becomes its code (`a&b`: `a_26_b`)."""
    allowed = _REFUSED.sub(lambda found: f"_{ord(found[0]):x}_", name)
    return posixpath.normpath(allowed)[:_LONGEST_NAME]
