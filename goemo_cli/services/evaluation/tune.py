"""`goemo tune`: thresholds fitted again on val, for a run or for a predictions file; test is refused."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from goemo_cli.core.arrays import DoubleArray
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.metrics import SplitScores
from goemo_cli.core.errors import DataError, SettingError
from goemo_cli.core.events import EventHandler, FileWritten, Warning, ignore
from goemo_cli.core.files import sha256_file, write_sealed_json
from goemo_cli.core.layout import Layout, parse_predictions_name
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.schema import RULES, SCHEMA_VERSION, SWEEP_COLUMNS, THRESHOLD_COLUMNS
from goemo_cli.core.settings import ThresholdSettings, TrainConfig
from goemo_cli.core.thresholds import NO_THRESHOLDS, Thresholds, decide
from goemo_cli.ml.metrics.guarantees import fewest_rows
from goemo_cli.ml.metrics.rule_choice import fit_by_rule
from goemo_cli.ml.metrics.scoring import count, rule_scores
from goemo_cli.ml.metrics.thresholds import below_floor, fit_thresholds
from goemo_cli.services.data.checks import macro_doubt
from goemo_cli.services.data.result_tables import write_table
from goemo_cli.services.runs.index import listed_runs
from goemo_cli.services.runs.locks import held
from goemo_cli.services.runs.run_predictions import read_recorded, read_rows
from goemo_cli.services.training.evaluate import evaluate, fit_events
from goemo_cli.services.training.write_run import rewrite_run

SWEEP: DoubleArray = np.round(np.arange(0.05, 0.951, 0.01), 2)
"""The thresholds of the sweep, one for all labels."""


@dataclass(frozen=True)
class TuneResult:
    """What was fitted, and what it gives on val."""

    thresholds: Thresholds
    before: dict[str, float] | None
    """Scores of val by the labels as they were, `RULE_KEYS`; None for a file that belongs to no run."""
    after: dict[str, float]
    """By the new ones. Fitted on the same rows: a little too good."""
    test: SplitScores | None
    """The new test scores; None for a predictions file."""
    below_floor: dict[str, float | None]
    """What misses the floor on val, see `ml.tuning.below_floor`."""
    written: tuple[Path, ...]


def tune_run(
    checkpoint: Checkpoint, settings: ThresholdSettings, *, layout: Layout, on_event: EventHandler = ignore
) -> TuneResult:
    """Fit a run's thresholds again, and write everything anew that follows from them. Needs no model.

    Args:
        checkpoint: the run; its thresholds.json, metrics.json, settings, card and manifest are written anew.
        settings: objective, rule and options.

    Raises:
        NotFoundError: no val or test predictions of the run.
        DataError: predictions of other rows than the run recorded, or val is too small for the guarantee.
        BusyError: another process changes the run.
        SettingError: the run is single-label and has no thresholds.
    """
    with held(checkpoint.path, "goemo tune"):
        return _tuned(Checkpoint.open(checkpoint.path), settings, layout, on_event)


def _tuned(
    checkpoint: Checkpoint, settings: ThresholdSettings, layout: Layout, on_event: EventHandler
) -> TuneResult:
    if checkpoint.rules.is_single_label:
        raise SettingError([f"{NO_THRESHOLDS}, so there is nothing to tune"], str(checkpoint.run))
    val, test = (read_recorded(checkpoint, split, layout) for split in ("val", "test"))
    _require_enough(val, settings)
    config = checkpoint.config.model_copy(update={"thresholds": settings})
    evaluation = evaluate(val, test, config)
    assert isinstance(evaluation.rules, Thresholds)  # multi-label, as was checked
    tuned = rewrite_run(checkpoint, config, evaluation, layout=layout, on_event=on_event)
    for split, predictions in (("val", val), ("test", test)):
        _warn_of_averages(predictions, split, on_event)
    return TuneResult(
        thresholds=evaluation.rules,
        before=rule_scores(val.y_true, val.y_pred),
        after=rule_scores(val.y_true, evaluation.val.y_pred),
        test=tuned.metrics.test,
        below_floor=below_floor(evaluation.rules, val.y_true, evaluation.val.y_pred),
        written=_write_sweep(
            evaluation.rules,
            val,
            layout.split_predictions(checkpoint.run, "val"),
            str(checkpoint.run),
            layout,
            on_event,
        ),
    )


def tune_predictions(
    path: Path, settings: ThresholdSettings, *, layout: Layout, on_event: EventHandler = ignore
) -> TuneResult:
    """Fit thresholds on a file of val predictions and write the sweep; no run is changed.

    Raises:
        NotFoundError: no such file.
        DataError: it is, by its name or by its rows, a test split, or it is too small for the guarantee.
    """
    val = read_rows(path)
    _refuse_test_by_name(path)
    _refuse_test_by_rows(path, val, layout, on_event)
    _require_enough(val, settings)
    thresholds = fit_by_rule(val.labels, val.y_true, val.y_prob, settings)
    labelled = replace(val, y_pred=thresholds.decide(val.y_prob))
    for event in fit_events(thresholds, labelled):
        on_event(event)
    _warn_of_averages(val, path.name, on_event)
    return TuneResult(
        thresholds=thresholds,
        before=None,
        after=rule_scores(val.y_true, labelled.y_pred),
        test=None,
        below_floor=below_floor(thresholds, val.y_true, labelled.y_pred),
        written=_write_sweep(thresholds, val, path, None, layout, on_event),
    )


def _require_enough(val: Predictions, settings: ThresholdSettings) -> None:
    """Refuse a guarantee that val is too small for: of each text, or of every single label.

    Raises:
        DataError: too few rows.
    """
    if settings.objective != "recall_guarantee" or settings.floor is None:
        return
    needed = fewest_rows(settings.floor)
    n_rows = int(val.y_true.any(axis=1).sum())
    most = n_rows if settings.rule == "global" else int(val.y_true.sum(axis=0).max(initial=0))
    if most < needed:
        has = (
            f"{n_rows} texts with labels"
            if settings.rule == "global"
            else f"at most {most} texts with the same label"
        )
        raise DataError(f"val has {has}; a guaranteed recall of {settings.floor:g} needs at least {needed}")


def _warn_of_averages(predictions: Predictions, where: str, on_event: EventHandler) -> None:
    if doubt := macro_doubt(predictions.labels, predictions.y_true, where):
        on_event(Warning(doubt))


def _refuse_test_by_name(path: Path) -> None:
    named = parse_predictions_name(path)
    if named and not named[0].startswith("val"):
        raise DataError(
            f"{path}: holds the {named[0]} split; thresholds fitted on anything but val tell nothing about new texts"
        )


def _refuse_test_by_rows(
    path: Path, predictions: Predictions, layout: Layout, on_event: EventHandler
) -> None:
    """A test split under another name is one all the same."""
    digest = predictions.sha256()
    runs = [one for one in listed_runs(layout) if one.is_finished]
    for one in runs:
        if digest == one.headline.test_sha256:
            raise DataError(
                f"{path}: these rows are the test split of {one.run}; thresholds are fitted on val only"
            )
    if digest not in {one.headline.val_sha256 for one in runs}:
        on_event(
            Warning(
                f"{path}: no run below {layout.root} has these rows as val; be sure that they are no test split"
            )
        )


def _write_sweep(
    thresholds: Thresholds,
    val: Predictions,
    source: Path,
    run: str | None,
    layout: Layout,
    on_event: EventHandler,
) -> tuple[Path, ...]:
    named = parse_predictions_name(source)
    stem = named[1].file_stem if named else source.stem
    folder = layout.threshold_sweep
    sweep, table, summary = (
        folder / f"threshold_sweep_{stem}.csv",
        folder / f"per_class_thresholds_{stem}.csv",
        folder / f"threshold_summary_{stem}.json",
    )
    write_table(sweep, SWEEP_COLUMNS, (_sweep_row(float(threshold), val) for threshold in SWEEP))
    write_table(table, THRESHOLD_COLUMNS, _threshold_rows(thresholds, val))
    write_sealed_json(
        summary,
        {
            "schema_version": SCHEMA_VERSION,
            "run": run,
            "split": "val",
            "sources": {layout.shown(source): sha256_file(source)},
            "files": {path.name: sha256_file(path) for path in (sweep, table)},
            "settings": thresholds.settings.model_dump(),
            "global": thresholds.global_threshold,
            "global_ci": list(thresholds.global_ci),
            "val": {
                rule: rule_scores(val.y_true, thresholds.decide(val.y_prob, rule))
                for rule in dict.fromkeys((*RULES, thresholds.rule))
            },
        },
    )
    for path in (sweep, table, summary):
        on_event(FileWritten(path))
    return sweep, table, summary


def _sweep_row(threshold: float, val: Predictions) -> list[float]:
    y_pred = decide(val.y_prob, threshold)
    scores = rule_scores(val.y_true, y_pred)
    scores |= {
        "threshold": threshold,
        "coverage": float(y_pred.any(axis=1).mean()),
        "labels_per_comment": float(y_pred.sum(axis=1).mean()),
    }
    return [scores[column] for column in SWEEP_COLUMNS]


def _threshold_rows(thresholds: Thresholds, val: Predictions) -> list[list[Any]]:
    """One row per label by `THRESHOLD_COLUMNS`; its own best is what it would have without shrinkage."""
    alone = thresholds.settings.model_copy(update={"shrinkage": 0.0})
    own = fit_thresholds(val.labels, val.y_true, val.y_prob, alone, resamples=0).per_label
    intervals = thresholds.per_label_ci
    f1 = [count(val.y_true, decide(val.y_prob, t)).f1 for t in (thresholds.per_label, own, 0.5, 0.3)]
    return [
        [
            label,
            thresholds.n_positives[at],
            float(thresholds.per_label[at]),
            *(("", "") if intervals is None else (float(intervals[0, at]), float(intervals[1, at]))),
            float(own[at]),
            *(float(scores[at]) for scores in f1),
        ]
        for at, label in enumerate(thresholds.labels)
    ]


def changed_settings(
    current: ThresholdSettings, changes: dict[str, Any], *, source: str = "command line"
) -> ThresholdSettings:
    """Threshold settings with some of them changed; another objective forgets the floor and beta of the old one.

    Args:
        current: the settings of a run.
        changes: names with their new values.
        source: what errors call the changes.

    Raises:
        SettingError: values that do not fit, or do not fit together.
    """
    values = current.model_dump()
    if changes.get("objective", current.objective) != current.objective:
        values |= {"floor": None, "beta": 1.0}
    return TrainConfig.from_layers((source, {"thresholds": {**values, **changes}})).thresholds
