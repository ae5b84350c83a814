"""Predictions files, each read once: columns, cells, rows against the recorded split, labels against thresholds."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goemo_cli.core.arrays import BoolArray, FloatArray, IntArray, SplitDigest
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.metrics import EvaluationRecord
from goemo_cli.core.errors import DataFileError
from goemo_cli.core.layout import EVALUATED
from goemo_cli.core.predictions import Predictions, iter_predictions
from goemo_cli.core.schema import PROBABILITY_PREFIX
from goemo_cli.core.thresholds import SELECTION_THRESHOLD, decide
from goemo_cli.services.validation.report import CellProblems, ValidationReport, reason_of

TYPICAL_ROW_BYTES = 350
"""Of a predictions file with 28 labels: how many rows a file of unknown length may have."""
LONGEST_FIELD = 2**24
"""Characters. A quote that is never closed would otherwise turn the rest of the file into one text in memory."""


@dataclass(frozen=True)
class Sample:
    """Rows of a file whose texts were kept."""

    rows: IntArray
    """Counted from 0, ascending, (n_sampled,)."""
    texts: list[str]


@dataclass(frozen=True)
class Evidence:
    """What scores are computed from, of a file whose columns, cells and row count are as promised.

    Attributes:
        labels: label names in column order.
        y_true: gold labels, bool, (n_examples, n_labels).
        y_prob: probabilities, float32, (n_examples, n_labels).
        sample: some of its texts, if requested.
    """

    path: Path
    labels: tuple[str, ...]
    y_true: BoolArray
    y_prob: FloatArray
    sample: Sample


def expected_rows(
    path: Path, split: str, checkpoint: Checkpoint | None, record: EvaluationRecord | None = None
) -> int:
    """How many rows a file should have, by the record of its evaluation or by its run; else a guess from its size."""
    if record is not None:
        return record.data.rows
    if checkpoint is None or checkpoint.is_unscored or split.startswith(EVALUATED):
        return max(1, path.stat().st_size // TYPICAL_ROW_BYTES)
    return checkpoint.metrics.data.sizes.of(_split_of(split))


def check_predictions(
    path: Path,
    split: str,
    checkpoint: Checkpoint | None,
    report: ValidationReport,
    *,
    record: EvaluationRecord | None = None,
    sampled: int = 0,
    on_progress: Callable[[int], None] = lambda rows: None,
) -> Evidence | None:
    """Check one file in one pass; against its run if that is finished. Memory does not grow with its texts.

    Args:
        split: as its name says: test, val, train, val_epoch{N} or eval-{name}.
        checkpoint: of the run in its name; None if there is none.
        record: of the evaluation that wrote the file; None of a split of the run.
        sampled: rows whose texts are kept, drawn by a fixed seed.
        on_progress: called with the number of rows done since the last call.

    Returns:
        What scores are computed from; None if the file cannot be scored, or no score follows from it.
    """
    cells = CellProblems()
    reading = _Reading(path, split, checkpoint, sampled, record)
    report.checks.append(("columns and cells", path))
    try:
        for chunk in iter_predictions(path, on_problem=cells, longest_field=LONGEST_FIELD):
            reading.add(chunk)
            on_progress(len(chunk))
    except DataFileError as error:
        cells.report_to(report, path)
        report.problem(path, reason_of(error))
        return None
    cells.report_to(report, path)
    report.check("rows", path, holds=reading.rows > 0, otherwise="holds no rows")
    if checkpoint is None:
        return None
    same_labels = report.check(
        "label order",
        path,
        holds=reading.labels == checkpoint.labels,
        otherwise=_column_fault(reading.labels, checkpoint),
    )
    has_recorded = record is not None or not checkpoint.is_unscored
    whole = has_recorded and _check_rows(reading, checkpoint, report)
    if cells.total or not same_labels:
        return None
    _check_decisions(reading, report)
    return reading.evidence() if whole else None


def _column_fault(labels: tuple[str, ...], checkpoint: Checkpoint) -> str:
    fault = f"its columns are not the labels of {checkpoint.run} in their order"
    missing = [PROBABILITY_PREFIX + label for label in checkpoint.labels if label not in labels]
    others = [PROBABILITY_PREFIX + label for label in labels if label not in checkpoint.labels]
    if missing:
        fault += f": missing {', '.join(missing)}"
    return f"{fault}{';' if missing else ':'} not of the run {', '.join(others)}" if others else fault


class _Reading:
    """What one pass over a file gathers: counts and a digest, and of val and test the arrays."""

    def __init__(
        self,
        path: Path,
        split: str,
        checkpoint: Checkpoint | None,
        sampled: int,
        record: EvaluationRecord | None = None,
    ) -> None:
        self.path, self.split = path, split
        self.labels: tuple[str, ...] = ()
        self.rows = self.wrong_rows = self.first_wrong = 0
        self.digest = SplitDigest()
        self._checkpoint, self.record = checkpoint, record
        rows = expected_rows(path, split, checkpoint, record) if checkpoint else 0
        self._expected = _credible(rows, path, checkpoint) if checkpoint else 0
        self._kept: tuple[BoolArray, FloatArray] | None = None
        count = min(sampled, self._expected)
        self._sampled: IntArray = np.zeros(0, dtype=np.int64)
        if count:
            self._sampled = np.sort(np.random.default_rng(0).choice(self._expected, count, replace=False))
        self._texts: list[str] = []

    def add(self, chunk: Predictions) -> None:
        """Take the next rows."""
        self.labels = chunk.labels
        start, self.rows = self.rows, self.rows + len(chunk)
        self.digest.update(chunk.texts, chunk.y_true)
        if self._checkpoint is None or chunk.labels != self._checkpoint.labels:
            return
        wrong = (self._decide(chunk.y_prob) != chunk.y_pred).any(axis=1)
        if wrong.any():
            self.first_wrong = self.first_wrong or start + int(wrong.argmax()) + 1
            self.wrong_rows += int(wrong.sum())
        here = (self._sampled >= start) & (self._sampled < self.rows)
        self._texts.extend(chunk.texts[row - start] for row in self._sampled[here].tolist())
        self._keep(start, chunk)

    def _decide(self, y_prob: FloatArray) -> BoolArray:
        """An epoch's labels follow from the selection threshold, others from the run's rule."""
        if self._checkpoint is None:
            return decide(y_prob, SELECTION_THRESHOLD)
        rules = self._checkpoint.rules
        if "_epoch" in self.split:
            return rules.of_epochs()(y_prob)
        return rules.decide(y_prob, self.record.threshold_rule if self.record else None)

    def _keep(self, start: int, chunk: Predictions) -> None:
        if not (self.record or self.split in ("val", "test")) or self.rows > self._expected:
            return
        if self._kept is None:
            shape = (self._expected, len(self.labels))
            self._kept = np.empty(shape, np.bool_), np.empty(shape, np.float32)
        y_true, y_prob = self._kept
        y_true[start : self.rows], y_prob[start : self.rows] = chunk.y_true, chunk.y_prob

    def evidence(self) -> Evidence | None:
        """The arrays; None of files that no score follows from."""
        if self._kept is None or not self.rows:
            return None
        return Evidence(self.path, self.labels, *self._kept, Sample(self._sampled, self._texts))


def _check_rows(reading: _Reading, checkpoint: Checkpoint, report: ValidationReport) -> bool:
    """Whether there are as many rows as the run recorded; also checks that they are the same."""
    if reading.record is None:
        split, data = _split_of(reading.split), checkpoint.metrics.data
        size, digest = data.sizes.of(split), data.split_sha256.of(split)
        what, who = f"the {split} split", "the run"
    else:
        size, digest = reading.record.data.rows, reading.record.data.sha256
        what, who = "the evaluated data", "the evaluation"
    if not report.check(
        "row count",
        reading.path,
        holds=reading.rows == size,
        otherwise=f"has {reading.rows} rows, {what} {size}",
    ):
        return False
    report.check(
        "texts, gold labels and order",
        reading.path,
        holds=reading.digest.hexdigest() == digest,
        otherwise=f"texts, gold labels or their order are not those of {what} that {who} recorded",
    )
    return True


def _check_decisions(reading: _Reading, report: ValidationReport) -> None:
    report.check(
        "pred_labels from probabilities and thresholds",
        reading.path,
        holds=not reading.wrong_rows,
        otherwise=f"pred_labels of {reading.wrong_rows} rows do not follow from probabilities and thresholds "
        f"(first in row {reading.first_wrong})",
    )


def _credible(rows: int, path: Path, checkpoint: Checkpoint) -> int:
    """The recorded number of rows, or 0 if the file is too small for that number."""
    return rows if rows * 2 * len(checkpoint.labels) <= path.stat().st_size else 0


def _split_of(split: str) -> str:
    return split.partition("_")[0]
