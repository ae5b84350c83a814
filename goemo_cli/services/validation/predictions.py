"""Predictions files: columns, cells, rows against the recorded split, labels against thresholds."""

from pathlib import Path

import numpy as np

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import DataFileError
from goemo_cli.core.predictions import Predictions, iter_predictions
from goemo_cli.core.thresholds import SELECTION_THRESHOLD, decide
from goemo_cli.ml.data import LabelledTexts
from goemo_cli.services.validation.report import CellProblems, ValidationReport


def check_predictions(
    path: Path, split: str, checkpoint: Checkpoint | None, report: ValidationReport
) -> None:
    """Check one file; against its run where that is finished.

    Args:
        path: the file.
        split: as its name says: test, val, train or val_epoch{N}.
        checkpoint: of the run in its name; None where there is none.
        report: told what was checked and found.
    """
    cells = CellProblems()
    report.checks.append(("columns and cells", path))
    try:
        predictions = Predictions.joined(list(iter_predictions(path, on_problem=cells)))
    except DataFileError as error:
        report.problem(path, error.reason)
        return
    cells.report_to(report, path)
    report.check("rows", path, holds=len(predictions) > 0, otherwise="holds no rows")
    if checkpoint is None:
        report.warn(path, "belongs to no finished run")
        return
    report.check(
        "label order",
        path,
        holds=predictions.labels == checkpoint.labels,
        otherwise=f"its columns are not the labels of {checkpoint.run} in their order",
    )
    _check_rows(path, split.partition("_")[0], predictions, checkpoint, report)
    if cells.total == 0 and predictions.labels == checkpoint.labels:
        _check_decisions(path, split, predictions, checkpoint, report)


def _check_rows(
    path: Path, split: str, predictions: Predictions, checkpoint: Checkpoint, report: ValidationReport
) -> None:
    data = checkpoint.metrics["data"]
    size = data["sizes"][split]
    if report.check(
        "row count",
        path,
        holds=len(predictions) == size,
        otherwise=f"has {len(predictions)} rows, the {split} split {size}",
    ):
        digest = LabelledTexts(predictions.texts, predictions.y_true).sha256()
        report.check(
            "texts, gold labels and order",
            path,
            holds=digest == data["split_sha256"][split],
            otherwise=f"texts, gold labels or their order are not those of the {split} split that the run recorded",
        )


def _check_decisions(
    path: Path, split: str, predictions: Predictions, checkpoint: Checkpoint, report: ValidationReport
) -> None:
    """pred_labels follow from the probabilities: an epoch's at the selection threshold, others by the run's rule."""
    thresholds = checkpoint.thresholds.of_rule(checkpoint.thresholds.rule)
    if "_epoch" in split:
        thresholds = np.full(len(predictions.labels), SELECTION_THRESHOLD)
    wrong = (decide(predictions.y_prob, thresholds) != predictions.y_pred).any(axis=1)
    first = f" (first in row {int(wrong.argmax()) + 1})" if wrong.any() else ""
    report.check(
        "pred_labels from probabilities and thresholds",
        path,
        holds=not wrong.any(),
        otherwise=f"pred_labels of {int(wrong.sum())} rows do not follow from probabilities and thresholds{first}",
    )
