"""Numbers of a run, computed again: thresholds from val predictions, metrics from test predictions."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import METRICS, THRESHOLDS, Checkpoint
from goemo_cli.core.errors import DataFileError
from goemo_cli.core.layout import Layout
from goemo_cli.core.metric_tables import read_per_class_metrics
from goemo_cli.core.predictions import Predictions, read_predictions
from goemo_cli.core.splits import Split
from goemo_cli.ml.scoring import per_class_rows, test_scores
from goemo_cli.ml.tuning import fit_thresholds
from goemo_cli.services.validation.report import ValidationReport

TOLERANCE = 1e-9
"""Largest difference of a recomputed score: rounding, not another formula."""


def check_scores(checkpoint: Checkpoint, layout: Layout, report: ValidationReport) -> None:
    """Recompute what a run says about itself from its predictions alone."""
    if val := _usable(checkpoint, layout, "val", report):
        _check_thresholds(checkpoint, val, report)
    test = _usable(checkpoint, layout, "test", report)
    if test is None:
        return
    thresholds = checkpoint.thresholds.of_rule(checkpoint.thresholds.rule)
    rows = per_class_rows(test.labels, test.y_true, test.y_prob, test.y_pred, thresholds)
    scores = test_scores(test.y_true, test.y_prob, checkpoint.thresholds)
    metrics_path = checkpoint.path / METRICS
    _compare(metrics_path, "test", scores, checkpoint.metrics["test"], report)
    _compare(metrics_path, "per_class", rows, checkpoint.metrics["per_class"], report)
    _check_table(layout.per_class_metrics(checkpoint.run), rows, report)


def _usable(
    checkpoint: Checkpoint, layout: Layout, split: Split, report: ValidationReport
) -> Predictions | None:
    """A split's predictions if they can be scored; what is wrong with a file that is there is reported elsewhere."""
    path = layout.split_predictions(checkpoint.run, split)
    if not path.is_file():
        if split == "test":
            report.problem(path, f"is missing: {checkpoint.run} is finished")
        return None
    try:
        predictions = read_predictions(path)
    except DataFileError:
        return None
    return predictions if predictions.labels == checkpoint.labels and len(predictions) else None


def _check_thresholds(checkpoint: Checkpoint, val: Predictions, report: ValidationReport) -> None:
    written = checkpoint.thresholds
    again = fit_thresholds(val.labels, val.y_true, val.y_prob, shrinkage=written.shrinkage, rule=written.rule)
    path = checkpoint.path / THRESHOLDS
    odd = [
        label
        for at, label in enumerate(val.labels)
        if abs(again.per_label[at] - written.per_label[at]) > TOLERANCE
    ]
    if abs(again.global_threshold - written.global_threshold) > TOLERANCE:
        odd.insert(0, "global")
    report.check(
        "fitted on val",
        path,
        holds=not odd,
        otherwise=f"thresholds do not follow from the val predictions: {', '.join(odd[:5])}",
    )


def _check_table(path: Path, rows: list[dict[str, Any]], report: ValidationReport) -> None:
    if not report.check("present", path, holds=path.is_file(), otherwise="is missing"):
        return
    try:
        written = read_per_class_metrics(path)
    except DataFileError as error:
        report.problem(path, error.reason)
        return
    _compare(path, "row", rows, written, report)


def _compare(path: Path, what: str, again: Any, written: Any, report: ValidationReport) -> None:
    differences = list(_differences(again, written, what))
    shown = ", ".join(differences[:4]) + (f" and {len(differences) - 4} more" if len(differences) > 4 else "")
    report.check(
        f"{what} follows from the test predictions",
        path,
        holds=not differences,
        otherwise=f"does not follow from the test predictions: {shown}",
    )


def _differences(again: Any, written: Any, place: str) -> Iterator[str]:
    if isinstance(again, dict) and isinstance(written, dict):
        for key, value in again.items():
            yield from _differences(value, written.get(key), f"{place}.{key}")
    elif isinstance(again, list) and isinstance(written, list) and len(again) == len(written):
        for at, (one, other) in enumerate(zip(again, written, strict=True)):
            name = one.get("emotion", at) if isinstance(one, dict) else at
            yield from _differences(one, other, f"{place}[{name}]")
    elif isinstance(again, float) and isinstance(written, (int, float)):
        if not math.isclose(again, written, rel_tol=0, abs_tol=TOLERANCE):
            yield f"{place} is {written}, should be {again}"
    elif again != written:
        yield f"{place} is {written!r}, should be {again!r}"
