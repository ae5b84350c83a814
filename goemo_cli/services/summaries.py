"""Tables derived from the checkpoints below a root: rebuilt whole, never edited."""

import io
from collections.abc import Collection, Iterable, Iterator
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


def write_summaries(layout: Layout, *, models: Collection[str]) -> list[Path]:
    """Rebuild metric_summary.csv, and test_metrics_{model}.json of some models, in one walk; the paths written.

    A model of which no finished run is left loses its file.
    """
    newest: dict[str, Checkpoint] = {}

    def walked() -> Iterator[Checkpoint]:
        for checkpoint in finished_checkpoints(layout):
            newest[checkpoint.run.model] = checkpoint  # the oldest come first
            yield checkpoint

    write_text(layout.metric_summary, metric_summary(walked()))
    for model in models:
        if model in newest:
            write_json(layout.test_metrics(model), test_metrics(newest[model]))
        else:
            layout.test_metrics(model).unlink(missing_ok=True)
    return [layout.metric_summary, *(layout.test_metrics(model) for model in models if model in newest)]


def metric_summary(checkpoints: Iterable[Checkpoint]) -> str:
    """The content of metric_summary.csv as the checkpoints say, in their order."""
    stream = io.StringIO()
    writer = csv_writer(stream)
    writer.writerow(SUMMARY_COLUMNS)
    for checkpoint in checkpoints:
        row = _summary_row(checkpoint)
        writer.writerow([row[column] for column in SUMMARY_COLUMNS])
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
        **{key: test.get(key) for key in RANKING_KEYS},
        **{f"{key}_{rule}": test[rule][key] for rule in RULES for key in ("f1_macro", "f1_micro")},
        "training_seconds": metrics["training_seconds"],
    }


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
