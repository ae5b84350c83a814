"""Tables derived from the checkpoints below a root: rebuilt whole, never edited."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import METRICS, THRESHOLDS, Checkpoint
from goemo_cli.core.errors import BusyError, CheckpointNotFoundError, CorruptArtifactError
from goemo_cli.core.events import EventHandler, Warning, ignore
from goemo_cli.core.files import dump_json, read_json_object, sha256_file, write_json, write_text
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import (
    EMOTION_SCORE_COLUMNS,
    MULTISEED_COLUMNS,
    RANKING_KEYS,
    RULES,
    SCHEMA_VERSION,
    SUMMARY_COLUMNS,
)
from goemo_cli.services.data.result_tables import table_text
from goemo_cli.services.runs.index import ListedRun, damage, listed_runs
from goemo_cli.services.runs.locks import held
from goemo_cli.services.training.multiseed import multiseed_rows

_WAIT_SECONDS = 60.0
"""For another process that writes the summaries, which takes a moment."""


def finished_checkpoints(layout: Layout, on_event: EventHandler = ignore) -> Iterator[Checkpoint]:
    """Every run below the root that summaries tell of, oldest first; unfinished ones are left out.

    Args:
        layout: whose runs.
        on_event: called with each event.
    """
    for one in listed_runs(layout, on_event):
        if one.is_finished:
            try:
                checkpoint = Checkpoint.open(one.path)
                require_scores(checkpoint)
            except (CheckpointNotFoundError, CorruptArtifactError, OSError) as error:
                on_event(Warning(damage(one.run, error)))
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
            raise CorruptArtifactError(checkpoint.path / METRICS, f"per_class: {missing[0]} is missing")


def write_summaries(
    layout: Layout, *, models: Collection[str], on_event: EventHandler = ignore
) -> list[Path]:
    """Bring every file that is derived from all runs up to date; the tables, and the files of some models.

    Another process that does the same is waited for. A file that tells of no run any more is removed.

    Args:
        layout: whose runs.
        models: whose test_metrics_{model}.json is returned, and removed if none of their runs is left.
        on_event: called with each event.
    """
    with ExitStack() as lock:
        with suppress(BusyError):  # it hangs; what it leaves behind is found and renewed
            lock.enter_context(held(layout.stats / "summaries", "another goemo command", wait=_WAIT_SECONDS))
        checkpoints = list(finished_checkpoints(layout, on_event))
        tables = summary_tables(layout, checkpoints)
        of_models = test_metrics_files(layout, checkpoints)
        gone = {*map(layout.test_metrics, models), *_recorded_files(layout)} - {*tables, *of_models}
        for path, content in {**tables, **of_models, **dict.fromkeys(gone)}.items():
            if content is None:
                path.unlink(missing_ok=True)
            elif not _holds(path, content):
                write_text(path, content)
        _write_record(
            layout, checkpoints, [path for path, content in {**tables, **of_models}.items() if content]
        )
    shown = [path for path, content in tables.items() if content]
    return shown + [path for path in map(layout.test_metrics, models) if path in of_models]


def are_behind(layout: Layout, checkpoints: Collection[Checkpoint]) -> bool:
    """Whether runs came, went or changed since the summaries were written, as after a killed training."""
    record = _record(layout)
    if record is None:  # of an earlier version, or there never were any
        return not layout.metric_summary.exists() and not layout.per_emotion_scores.exists()
    return record.get("sources") != _sources(layout, checkpoints)


def _holds(path: Path, content: str) -> bool:
    return path.is_file() and path.read_bytes() == content.encode("utf-8")


def _write_record(layout: Layout, checkpoints: Collection[Checkpoint], files: Iterable[Path]) -> None:
    """Written last: a kill before it leaves summaries that are known to be behind."""
    record = {
        "schema_version": SCHEMA_VERSION,
        "sources": _sources(layout, checkpoints),
        "files": {path.name: sha256_file(path) for path in files},
    }
    if record != _record(layout):
        write_json(layout.summary_record, record)


def _sources(layout: Layout, checkpoints: Iterable[Checkpoint]) -> dict[str, str]:
    """SHA-256 of what the summaries read of every run, as its manifest says; none of a file that is being rewritten."""
    return {
        layout.shown(checkpoint.path / name): entry["sha256"]
        for checkpoint in checkpoints
        for name in (METRICS, THRESHOLDS)
        if (entry := checkpoint.manifest_json["files"].get(name))
    }


def _record(layout: Layout) -> dict[str, Any] | None:
    try:
        return read_json_object(layout.summary_record)
    except FileNotFoundError:
        return None
    except (OSError, CorruptArtifactError):
        return {}


def _recorded_files(layout: Layout) -> list[Path]:
    """Files in the record that a model without runs may have left."""
    files = (_record(layout) or {}).get("files")
    names = map(str, files) if isinstance(files, dict) else ()
    return [layout.stats / name for name in names if name.startswith("test_metrics_") and "/" not in name]


def summary_tables(layout: Layout, checkpoints: Collection[Checkpoint]) -> dict[Path, str | None]:
    """The content of every table over all runs; None for one that has no rows and is not written."""
    seeds = multiseed_rows(
        ListedRun(checkpoint.path, checkpoint.run, checkpoint.manifest, "finished")
        for checkpoint in checkpoints
    )
    return {
        layout.metric_summary: table_text(SUMMARY_COLUMNS, map(_summary_row, checkpoints)),
        layout.per_emotion_scores: table_text(
            EMOTION_SCORE_COLUMNS, (row for checkpoint in checkpoints for row in _emotion_rows(checkpoint))
        ),
        layout.multiseed_summary: table_text(MULTISEED_COLUMNS, seeds) if seeds else None,
    }


def test_metrics_files(layout: Layout, checkpoints: Iterable[Checkpoint]) -> dict[Path, str]:
    """The content of test_metrics_{model}.json for the newest run of every model; the oldest runs come first."""
    newest = {checkpoint.run.model: checkpoint for checkpoint in checkpoints}
    return {layout.test_metrics(model): dump_json(test_metrics(one)) for model, one in newest.items()}


test_metrics_files.__test__ = False  # type: ignore[attr-defined]  # no test for pytest


def _emotion_rows(checkpoint: Checkpoint) -> Iterator[dict[str, Any]]:
    metrics = checkpoint.metrics_json
    for row in metrics["per_class"]:
        yield {
            "run": metrics["run"],
            "model": metrics["model"],
            "data": metrics["data"]["name"],
            "threshold_rule": checkpoint.thresholds.rule,
            **row,
        }


def _summary_row(checkpoint: Checkpoint) -> dict[str, Any]:
    metrics = checkpoint.metrics_json
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
    metrics = checkpoint.metrics_json
    return {
        "schema_version": SCHEMA_VERSION,
        "run": metrics["run"],
        "model": metrics["model"],
        "threshold_rule": checkpoint.thresholds.rule,
        **metrics["test"],
    }


test_metrics.__test__ = False  # type: ignore[attr-defined]  # metrics of the test split, no test for pytest
