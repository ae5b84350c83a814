"""Tables derived from all runs below a root: rebuilt whole, never edited."""

import statistics
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
    ARGMAX,
    EMOTION_SCORE_COLUMNS,
    MULTISEED_COLUMNS,
    RANKING_KEYS,
    RULES,
    SCHEMA_VERSION,
    SCORE_KEYS,
    SUMMARY_COLUMNS,
)
from goemo_cli.services.data.result_tables import table_text
from goemo_cli.services.runs.index import ListedRun, damage, listed_runs
from goemo_cli.services.runs.locks import held

_WAIT_SECONDS = 60.0
"""Maximum wait for another process that writes the summaries."""


def finished_checkpoints(layout: Layout, on_event: EventHandler = ignore) -> Iterator[Checkpoint]:
    """Every finished run with scores below the root, oldest first; damaged ones are left out with a warning."""
    for listed in listed_runs(layout, on_event):
        if listed.is_finished and not (listed.manifest and listed.manifest.is_unscored):
            try:
                checkpoint = Checkpoint.open(listed.path)
                require_scores(checkpoint)
            except (CheckpointNotFoundError, CorruptArtifactError, OSError) as error:
                on_event(Warning(damage(listed.run, error)))
            else:
                yield checkpoint


def require_scores(checkpoint: Checkpoint) -> None:
    """Read thresholds.json and, if the run has scores, metrics.json: the sources of the summaries.

    Raises:
        CorruptArtifactError: one of them is damaged, or scores are missing.
    """
    _ = checkpoint.is_unscored or checkpoint.metrics, checkpoint.rules


def write_summaries(
    layout: Layout, *, models: Collection[str], on_event: EventHandler = ignore
) -> list[Path]:
    """Bring every file that is derived from all runs up to date. A file without runs is removed.

    This waits for another process that does the same.

    Args:
        models: whose test_metrics_{model}.json is returned, and removed if none of their runs is left.
    """
    with ExitStack() as lock:
        with suppress(BusyError):  # the other process hangs; outdated summaries are renewed later
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
    """Whether runs were added, removed or changed since the summaries were written."""
    record = _record(layout)
    if record is None:  # summaries of an earlier version, or none
        return not layout.metric_summary.exists() and not layout.per_emotion_scores.exists()
    return record.get("sources") != _sources(layout, checkpoints)


def _holds(path: Path, content: str) -> bool:
    return path.is_file() and path.read_bytes() == content.encode("utf-8")


def _write_record(layout: Layout, checkpoints: Collection[Checkpoint], files: Iterable[Path]) -> None:
    """Written last: if the process is killed before, the summaries count as outdated."""
    record = {
        "schema_version": SCHEMA_VERSION,
        "sources": _sources(layout, checkpoints),
        "files": {path.name: sha256_file(path) for path in files},
    }
    if record != _record(layout):
        write_json(layout.summary_record, record)


def _sources(layout: Layout, checkpoints: Iterable[Checkpoint]) -> dict[str, str]:
    """SHA-256 of each file that the summaries read, from the manifests; a file that is being rewritten has none."""
    return {
        layout.shown(checkpoint.path / name): entry.sha256
        for checkpoint in checkpoints
        for name in (METRICS, THRESHOLDS)
        if (entry := checkpoint.manifest.files.get(name))
    }


def _record(layout: Layout) -> dict[str, Any] | None:
    try:
        return read_json_object(layout.summary_record)
    except FileNotFoundError:
        return None
    except (OSError, CorruptArtifactError):
        return {}


def _recorded_files(layout: Layout) -> list[Path]:
    """Files of models in the record; some may have no runs any more."""
    files = (_record(layout) or {}).get("files")
    names = map(str, files) if isinstance(files, dict) else ()
    return [layout.stats / name for name in names if name.startswith("test_metrics_") and "/" not in name]


def summary_tables(layout: Layout, checkpoints: Collection[Checkpoint]) -> dict[Path, str | None]:
    """The content of every table over all runs; None for a table without rows, which is not written."""
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
    return {layout.test_metrics(model): dump_json(test_metrics(run)) for model, run in newest.items()}


test_metrics_files.__test__ = False  # type: ignore[attr-defined]  # not a test for pytest


def _emotion_rows(checkpoint: Checkpoint) -> Iterator[dict[str, Any]]:
    metrics = checkpoint.metrics
    for row in metrics.per_class:
        yield {
            "run": metrics.run,
            "model": metrics.model,
            "data": metrics.data.name,
            "threshold_rule": checkpoint.rules.rule,
            **row.as_json(),
        }


def _summary_row(checkpoint: Checkpoint) -> dict[str, Any]:
    metrics = checkpoint.metrics
    test = metrics.test
    return {
        "run": metrics.run,
        "model": metrics.model,
        "data": metrics.data.name,
        "train_size": metrics.data.sizes.train,
        "seed": metrics.seed,
        "best_epoch": metrics.best_epoch,
        "threshold_rule": checkpoint.rules.rule,
        **{key: test.value(key) for key in RANKING_KEYS},
        **{
            f"{key}_{rule}": test.rule(rule).value(key) if rule in test.rules else None
            for rule in (*RULES, ARGMAX)
            for key in ("f1_macro", "f1_micro")
        },
        "training_seconds": metrics.training_seconds,
        "jaccard_samples": metrics.test_rule.jaccard_samples,
    }


def test_metrics(checkpoint: Checkpoint) -> dict[str, Any]:
    """The content of test_metrics_{model}.json for a run."""
    metrics = checkpoint.metrics
    return {
        "schema_version": SCHEMA_VERSION,
        "run": metrics.run,
        "model": metrics.model,
        "threshold_rule": checkpoint.rules.rule,
        **metrics.test.as_json(),
    }


test_metrics.__test__ = False  # type: ignore[attr-defined]  # metrics of the test split, not a test for pytest


def multiseed_rows(runs: Iterable[ListedRun]) -> list[dict[str, Any]]:
    """Mean, spread and ensemble of every score of every group, by `MULTISEED_COLUMNS`.

    A group is an ensemble and its members; a group with missing members is left out. Scores follow each run's own
    threshold rule; sd is that of the sample (n - 1).
    """
    by_name = {str(run.run): run for run in runs if run.is_finished}
    rows = []
    for run in by_name.values():
        names = run.manifest.parents.members if run.manifest else []
        members = [by_name[name] for name in names if name in by_name]
        if len(names) >= 2 and len(members) == len(names):
            rows += [
                row
                for split in ("val", "test")
                for key in SCORE_KEYS
                if (row := _spread(run, members, f"{split}/{key}"))
            ]
    return rows


def _spread(ensemble: ListedRun, members: list[ListedRun], metric: str) -> dict[str, Any] | None:
    values = [value for member in members if (value := member.score(metric)) is not None]
    if len(values) < len(members):
        return None  # undefined for a member, for example because labels have no positives
    return {
        "group": str(ensemble.run),
        "metric": metric,
        "n_seeds": len(values),
        "mean": statistics.fmean(values),
        "sd": statistics.stdev(values),
        "min": min(values),
        "max": max(values),
        "ensemble": ensemble.score(metric),
    }
