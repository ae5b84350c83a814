"""Predictions of data that `goemo evaluate` scored, against their record and their run."""

from pathlib import Path

from goemo_cli.core.checkpoint import THRESHOLDS, Checkpoint
from goemo_cli.core.documents.metrics import EvaluationRecord
from goemo_cli.core.events import Advance
from goemo_cli.core.files import sha256_file
from goemo_cli.core.layout import EVALUATED, Layout
from goemo_cli.core.names import RunName
from goemo_cli.ml.metrics.scoring import score_split
from goemo_cli.services.validation.predictions import check_predictions
from goemo_cli.services.validation.report import ValidationReport
from goemo_cli.services.validation.scores import check_table, compare


def check_evaluation(
    path: Path,
    split: str,
    run: RunName,
    checkpoint: Checkpoint | None,
    layout: Layout,
    report: ValidationReport,
    advance: Advance,
) -> None:
    """Check rows, labels and scores of one evaluation.

    Labels and scores are left alone if the thresholds have changed since: the record is then named as stale.

    Args:
        split: as its name says, eval-{name}.
        run: as its name says.
        checkpoint: of the run; None if there is none.
        advance: called with the number of rows done since the last call.
    """
    name = split.removeprefix(EVALUATED)
    record_path = layout.evaluation_record(run, name)
    has_record = report.check(
        "recorded", path, holds=record_path.is_file(), otherwise=f"{record_path.name} is missing"
    )
    record = EvaluationRecord.read(record_path) if has_record else None
    is_current = (
        record is not None
        and checkpoint is not None
        and sha256_file(checkpoint.path / THRESHOLDS)
        == record.sources.get(layout.shown(checkpoint.path / THRESHOLDS))
    )
    evidence = check_predictions(
        path,
        split,
        checkpoint if is_current else None,
        report,
        record=record,
        on_progress=lambda rows: advance(rows, path.name),
    )
    if record is None or checkpoint is None or evidence is None:
        return
    scores = score_split(evidence.y_true, evidence.y_prob, checkpoint.rules, record.threshold_rule)
    compare(record_path, "scores", scores.summary, record.scores.as_json(), name, report)
    per_class = [row.as_json() for row in record.per_class]
    compare(record_path, "per_class", scores.per_class, per_class, name, report)
    check_table(layout.evaluation_table(run, name), scores.per_class, report)
