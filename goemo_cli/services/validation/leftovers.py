"""What belongs to no finished run: files of killed writes, and tables and predictions whose run is gone."""

import re
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from goemo_cli.core.files import PARTIAL_PREFIX, STILL_WRITTEN_SECONDS, partial_paths, remove
from goemo_cli.core.layout import Layout, parse_predictions_name
from goemo_cli.core.names import RunName
from goemo_cli.services.validation.report import Repair, ValidationReport

_STAMPED = re.compile(r".*_\d{8}-\d{6}")
_TEST_METRICS = re.compile(r"test_metrics_(?P<model>.+)\.json")


def check_leftovers(layout: Layout, runs: Collection[RunName], report: ValidationReport) -> None:
    """Warn about leftovers.

    Args:
        runs: every run whose manifest is there, sound or not.
    """
    for path in _orphans(layout, runs):
        report.warn(path, "belongs to no finished run")
    for base in (layout.root / "artifacts", layout.root / "output"):
        for path in sorted(partial_paths(base)):
            _check_partial(path, report)


def _orphans(layout: Layout, runs: Collection[RunName]) -> list[Path]:
    stems = tuple(f"_{run.file_stem}" for run in runs)
    models = {run.model for run in runs}
    found = []
    for path in sorted(layout.predictions.glob("*.csv")):
        named = parse_predictions_name(path)
        if named and named[1] not in runs and not path.name.startswith(PARTIAL_PREFIX):
            found.append(path)
    for path in sorted(layout.stats.rglob("*.*")):
        named_model = _TEST_METRICS.fullmatch(path.name)
        stray = named_model and named_model["model"] not in models
        if stray or (_STAMPED.fullmatch(path.stem) and not path.stem.endswith(stems)):
            found.append(path)
    return found


def _check_partial(path: Path, report: ValidationReport) -> None:
    with report.guard(path), suppress(FileNotFoundError):  # its writer has finished
        touched = max(one.lstat().st_mtime for one in (path, *path.rglob("*")))
        if time.time() - touched < STILL_WRITTEN_SECONDS:
            report.warn(path, "half written: by a run that is still going, or was killed a moment ago")
            return
        report.warn(path, "left behind by a run that was killed; `goemo validate --fix` removes it")
        report.repairs.append(Repair(path, "removed", lambda: remove(path)))
