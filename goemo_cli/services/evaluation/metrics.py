"""`goemo export-metrics`: the scores of each label of a checkpoint or a predictions file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from goemo_cli.core.arrays import BoolArray
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import CheckpointNotFoundError, CorruptArtifactError
from goemo_cli.core.events import EventHandler, FileWritten, Warning, ignore
from goemo_cli.core.layout import Layout, parse_predictions_name
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.thresholds import Decision
from goemo_cli.ml.metrics.scoring import per_class_rows
from goemo_cli.services.data.checks import macro_doubt
from goemo_cli.services.data.result_tables import decimal
from goemo_cli.services.evaluation.per_class_metrics import write_per_class_metrics
from goemo_cli.services.runs.run_predictions import read_rows, run_behind


@dataclass(frozen=True)
class ExportedMetrics:
    """What was written, and its headline."""

    path: Path
    rows: tuple[Mapping[str, Any], ...]
    f1_macro: float
    """Over all labels, those without support included: their F1 is 0, as with scikit-learn."""

    @property
    def labels_without_support(self) -> tuple[str, ...]:
        """Labels that no row has."""
        return tuple(row["emotion"] for row in self.rows if not row["support"])


def metrics_of_checkpoint(
    checkpoint: Checkpoint,
    *,
    layout: Layout,
    output: Path | None = None,
    threshold: float | None = None,
    rule: str | None = None,
    data_dir: Path | None = None,
    device: str = "auto",
    on_event: EventHandler = ignore,
) -> ExportedMetrics:
    """Score the test split with a checkpoint's weights and write the metrics of each label."""
    # Here and not above: a predictions file is scored without loading torch.
    from goemo_cli.ml.models.classifier import load_classifier
    from goemo_cli.services.data.find import checkpoint_data
    from goemo_cli.services.evaluation.export import predicted
    from goemo_cli.services.predicting.label_rule import pick_decision

    data = checkpoint_data(checkpoint, layout, data_dir=data_dir, splits=("test",), on_event=on_event)
    decision = pick_decision(checkpoint, threshold=threshold, rule=rule, on_event=on_event)
    predictions = predicted(load_classifier(checkpoint, device=device), data, "test", on_event)
    labelled = replace(predictions, y_pred=decision(predictions.y_prob))
    target = output or layout.per_class_metrics(checkpoint.run)
    return _write(target, labelled, decision, "test", on_event)


def metrics_of_predictions(
    path: Path,
    *,
    layout: Layout,
    output: Path | None = None,
    threshold: float | None = None,
    on_event: EventHandler = ignore,
) -> ExportedMetrics:
    """Score a predictions file by its own `pred_labels`, or at a threshold; no model is needed.

    The `threshold` column is filled from the run's checkpoint where that is below the root and explains every
    `pred_labels`; otherwise it stays empty.

    Raises:
        NotFoundError: no such file.
        DataFileError: not a predictions file, or no rows.
    """
    predictions = read_rows(path)
    if threshold is None:
        decision = _decision_behind(path, predictions, layout, on_event)
    else:
        decision = Decision.fixed(threshold, len(predictions.labels))
        predictions = replace(predictions, y_pred=decision(predictions.y_prob))
    return _write(_target(path, layout, output), predictions, decision, path.name, on_event)


def _decision_behind(
    path: Path, predictions: Predictions, layout: Layout, on_event: EventHandler
) -> Decision | None:
    """The checkpoint's own decision, if the file's labels follow from it."""
    try:
        checkpoint = run_behind(path, layout)
        if checkpoint is None:
            return None
        decision = checkpoint.rules.decision()
    except CheckpointNotFoundError:
        return None
    except (CorruptArtifactError, OSError) as error:
        on_event(Warning(f"{error}; the thresholds of the run stay unknown"))
        return None
    if checkpoint.labels == predictions.labels and (decision(predictions.y_prob) == predictions.y_pred).all():
        return decision
    on_event(
        Warning(
            f"{path.name}: pred_labels do not follow the thresholds of {checkpoint.run}; they are scored as they are"
        )
    )
    return None


def _target(path: Path, layout: Layout, output: Path | None) -> Path:
    if output:
        return output
    named = parse_predictions_name(path)
    return (
        layout.per_class_metrics(named[1])
        if named and named[0] == "test"
        else layout.stats / f"per_class_metrics_{path.stem}.csv"
    )


def _write(
    path: Path, predictions: Predictions, decision: Decision | None, where: str, on_event: EventHandler
) -> ExportedMetrics:
    rows = per_class_rows(
        predictions.labels, predictions.y_true, predictions.y_prob, predictions.y_pred, decision
    )
    write_per_class_metrics(path, rows)
    on_event(FileWritten(path))
    if doubt := doubt_of_macro_f1(rows, predictions.y_true, where):
        on_event(Warning(doubt))
    return ExportedMetrics(path, tuple(rows), sum(row["f1_score"] for row in rows) / len(rows))


def doubt_of_macro_f1(rows: Sequence[Mapping[str, Any]], y_true: BoolArray, where: str) -> str | None:
    """A sentence about labels without support, with the macro-F1 of the others; None if all have some.

    Args:
        rows: per-class metrics.
        y_true: gold labels, bool, (n_examples, n_labels).
        where: a split, or a file.
    """
    doubt = macro_doubt([row["emotion"] for row in rows], y_true, where)
    supported = [row["f1_score"] for row in rows if row["support"]]
    if doubt and supported:
        return f"{doubt}; macro-F1 of the others is {decimal(sum(supported) / len(supported))}"
    return doubt
