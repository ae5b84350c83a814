"""Tables derived from the checkpoints below a root: rebuilt whole, never edited."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import METRICS, Checkpoint
from goemo_cli.core.csv_files import csv_text
from goemo_cli.core.errors import CheckpointNotFoundError, CorruptArtifactError
from goemo_cli.core.events import Listener, Warned, ignore
from goemo_cli.core.files import write_json, write_text
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import (
    EMOTION_SCORE_COLUMNS,
    MULTISEED_COLUMNS,
    RANKING_KEYS,
    RULES,
    SCHEMA_VERSION,
    SUMMARY_COLUMNS,
)
from goemo_cli.services.multiseed import multiseed_rows
from goemo_cli.services.runs.index import damage, listed_runs


def finished_checkpoints(layout: Layout, listen: Listener = ignore) -> Iterator[Checkpoint]:
    """Every run below the root that summaries tell of, oldest first; unfinished ones are left out.

    Args:
        layout: whose runs.
        listen: told of each damaged run, which is left out too.
    """
    for one in listed_runs(layout, listen):
        if one.is_finished:
            try:
                checkpoint = Checkpoint.open(one.path)
                require_scores(checkpoint)
            except (CheckpointNotFoundError, CorruptArtifactError, OSError) as error:
                listen(Warned(damage(one.run, error)))
            else:
                yield checkpoint


def require_scores(checkpoint: Checkpoint) -> None:
    """Check that metrics.json and thresholds.json hold what summaries are made of.

    Raises:
        CorruptArtifactError: scores are missing.
    """
    _summary_row(checkpoint)
    for row in _emotion_rows(checkpoint):
        if missing := [column for column in EMOTION_SCORE_COLUMNS if column not in row]:
            raise CorruptArtifactError(checkpoint.path / METRICS, f"per_class lacks {missing[0]}")


def write_summaries(layout: Layout, *, models: Collection[str], listen: Listener = ignore) -> list[Path]:
    """Rebuild every table over all runs, and test_metrics_{model}.json of some models; the paths written.

    A model of which no finished run is left loses its file, as does a table without rows.
    """
    checkpoints = list(finished_checkpoints(layout, listen))
    written = []
    for path, content in summary_tables(layout, checkpoints).items():
        if content is None:
            path.unlink(missing_ok=True)
        else:
            write_text(path, content)
            written.append(path)
    newest = {checkpoint.run.model: checkpoint for checkpoint in checkpoints}  # the oldest come first
    for model in models:
        if model in newest:
            write_json(layout.test_metrics(model), test_metrics(newest[model]))
            written.append(layout.test_metrics(model))
        else:
            layout.test_metrics(model).unlink(missing_ok=True)
    return written


def summary_tables(layout: Layout, checkpoints: Collection[Checkpoint]) -> dict[Path, str | None]:
    """The content of every table over all runs; None for one that has no rows and is not written."""
    seeds = multiseed_rows(listed_runs(layout))
    return {
        layout.metric_summary: csv_text(SUMMARY_COLUMNS, map(_summary_row, checkpoints)),
        layout.per_emotion_scores: csv_text(
            EMOTION_SCORE_COLUMNS, (row for checkpoint in checkpoints for row in _emotion_rows(checkpoint))
        ),
        layout.multiseed_summary: csv_text(MULTISEED_COLUMNS, seeds) if seeds else None,
    }


def _emotion_rows(checkpoint: Checkpoint) -> Iterator[dict[str, Any]]:
    metrics = checkpoint.metrics
    for row in metrics["per_class"]:
        yield {
            "run": metrics["run"],
            "model": metrics["model"],
            "data": metrics["data"]["name"],
            "threshold_rule": checkpoint.thresholds.rule,
            **row,
        }


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
