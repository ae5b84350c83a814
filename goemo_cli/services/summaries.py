"""Tables derived from the checkpoints below a root: rebuilt whole, never edited."""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.csv_files import csv_writer
from goemo_cli.core.errors import CheckpointNotFoundError, CorruptArtifactError
from goemo_cli.core.files import write_json, write_text
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import RANKING_KEYS, RULES, SCHEMA_VERSION, SUMMARY_COLUMNS


def finished_checkpoints(layout: Layout) -> Iterator[Checkpoint]:
    """Every complete checkpoint below the root, oldest run first; unfinished and damaged ones are passed over."""
    for path in layout.checkpoints():
        try:
            checkpoint = Checkpoint.open(path)
            _ = checkpoint.metrics, checkpoint.thresholds
        except (CheckpointNotFoundError, CorruptArtifactError):
            continue  # `goemo validate` names them
        yield checkpoint


def write_metric_summary(layout: Layout) -> Path:
    """Write metric_summary.csv: one row per finished run."""
    write_text(layout.metric_summary, metric_summary(finished_checkpoints(layout)))
    return layout.metric_summary


def metric_summary(checkpoints: Iterable[Checkpoint]) -> str:
    """The content of metric_summary.csv as the checkpoints say, in their order."""
    stream = io.StringIO()
    writer = csv_writer(stream)
    writer.writerow(SUMMARY_COLUMNS)
    writer.writerows(_summary_row(checkpoint).values() for checkpoint in checkpoints)
    return stream.getvalue()


def _summary_row(checkpoint: Checkpoint) -> dict[str, Any]:
    metrics = checkpoint.metrics
    test, data = metrics["test"], metrics["data"]
    return {
        "run": metrics["run"],
        "model": metrics["model"],
        "data": data["name"],
        "train_size": data["sizes"]["train"],
        "seed": metrics["seed"],
        "best_epoch": metrics["best_epoch"],
        "threshold_rule": checkpoint.thresholds.rule,
        **{key: test[key] for key in RANKING_KEYS},
        **{f"{key}_{rule}": test[rule][key] for rule in RULES for key in ("f1_macro", "f1_micro")},
        "training_seconds": metrics["training_seconds"],
    }


def write_test_metrics(layout: Layout, model: str) -> Path | None:
    """Write test_metrics_{model}.json from the newest finished run of that model; None where there is none."""
    runs = [checkpoint for checkpoint in finished_checkpoints(layout) if checkpoint.run.model == model]
    if not runs:
        return None
    path = layout.test_metrics(model)
    write_json(path, test_metrics(max(runs, key=lambda checkpoint: checkpoint.run)))
    return path


def test_metrics(checkpoint: Checkpoint) -> dict[str, Any]:
    """The content of test_metrics_{model}.json for a run."""
    metrics = checkpoint.metrics
    return {
        "schema_version": SCHEMA_VERSION,
        "run": metrics["run"],
        "model": metrics["model"],
        "threshold_rule": checkpoint.thresholds.rule,
        **metrics["test"],
    }


test_metrics.__test__ = False  # type: ignore[attr-defined]  # metrics of the test split, no test for pytest
