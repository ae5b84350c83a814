"""`goemo calibrate`: fit a calibrator on a run's val predictions, measure it, and keep it in the checkpoint."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from goemo_cli.core.checkpoint import CALIBRATION, Checkpoint, add_to_manifest, remove_from_manifest
from goemo_cli.core.errors import DataFileError, SettingError, known_name
from goemo_cli.core.events import EventHandler, FileWritten, Warning, ignore
from goemo_cli.core.files import sha256_file, write_sealed_json
from goemo_cli.core.labels import Split
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.schema import SCHEMA_VERSION, CalibrationMethod
from goemo_cli.ml.data.splits import FOLDS
from goemo_cli.ml.metrics.calibration import BINS, FEW_POSITIVES, Assessment, Measures, assess
from goemo_cli.ml.metrics.calibrator import (
    METHODS,
    Calibrator,
    Fit,
    cross_fitted,
    fit_calibrator,
    fit_shared_temperature,
)
from goemo_cli.services.data.result_tables import write_table
from goemo_cli.services.runs.locks import held
from goemo_cli.services.runs.run_predictions import export_command, read_recorded

MEASURES = ("brier", "log_loss", "ece", "ece_debiased")
STATES = ("before", "after")

CALIBRATION_COLUMNS = (
    "emotion", "intercept", "slope", "kept_because", "n_positives_val", "n_positives_test", "few_positives",
    *(f"{measure}_{split}_{state}" for split in ("val", "test") for state in STATES for measure in MEASURES),
    "brier_test_base_rate", "ece_test_base_rate",
)  # fmt: skip
"""One row per label in label order. `after` on val is cross-fitted. Empty if there are no test predictions."""

RELIABILITY_COLUMNS = ("split", "state", "emotion", "bin", "count", "mean_predicted", "observed_share")
"""One row per bin, counted from 1, lowest probabilities first; an empty `emotion` means all cells."""


@dataclass(frozen=True)
class Measured:
    """A calibrator and the calibration of the probabilities before and after it."""

    calibrator: Calibrator
    assessments: Mapping[str, tuple[Assessment, Assessment]]
    """By split, val and test: before and after. After is cross-fitted on val; test is missing without predictions."""
    base_rate: Assessment | None
    """On test: every label forecast at its share in val, for every comment."""

    @cached_property
    def few_positives(self) -> tuple[str, ...]:
        """Labels with fewer than `FEW_POSITIVES` gold positives in one of the splits."""
        return tuple(
            label
            for at, label in enumerate(self.calibrator.labels)
            if any(pair[0].per_label[at].n_positives < FEW_POSITIVES for pair in self.assessments.values())
        )


def overall_of(found: Measured) -> dict[str, dict[str, dict[str, float]]]:
    """Measures over all cells, and the mean of the labels' ECE: by split, then before, after and base_rate."""
    overall = {
        split: {state: _with_macro(assessment) for state, assessment in zip(STATES, pair, strict=True)}
        for split, pair in found.assessments.items()
    }
    if found.base_rate:
        overall["test"]["base_rate"] = _with_macro(found.base_rate)
    return overall


def label_rows(found: Measured) -> Iterator[dict[str, Any]]:
    """One row per label, by `CALIBRATION_COLUMNS`."""
    calibrator = found.calibrator
    for at, label in enumerate(calibrator.labels):
        row: dict[str, Any] = {
            "emotion": label,
            "intercept": float(calibrator.intercept[at]),
            "slope": float(calibrator.slope[at]),
            "kept_because": calibrator.kept.get(label),
            "few_positives": "yes" if label in found.few_positives else "no",
        }
        for split, pair in found.assessments.items():
            row[f"n_positives_{split}"] = pair[0].per_label[at].n_positives
            for state, assessment in zip(STATES, pair, strict=True):
                measures = _measures(assessment.per_label[at])
                row |= {f"{name}_{split}_{state}": value for name, value in measures.items()}
        if found.base_rate:
            constant = found.base_rate.per_label[at]
            row |= {"brier_test_base_rate": constant.brier, "ece_test_base_rate": constant.ece}
        yield row


def bin_rows(found: Measured) -> Iterator[dict[str, Any]]:
    """One row per bin, by `RELIABILITY_COLUMNS`."""
    for split, pair in found.assessments.items():
        for state, assessment in zip(STATES, pair, strict=True):
            named = {"": assessment.overall} | dict(
                zip(found.calibrator.labels, assessment.per_label, strict=True)
            )
            for label, measures in named.items():
                bins = measures.bins
                columns = (bins.count.tolist(), bins.mean_predicted.tolist(), bins.observed_share.tolist())
                for number, (count, predicted, share) in enumerate(zip(*columns, strict=True), start=1):
                    yield {
                        "split": split,
                        "state": state,
                        "emotion": label,
                        "bin": number,
                        "count": count,
                        "mean_predicted": predicted,
                        "observed_share": share,
                    }


def _measures(measures: Measures) -> dict[str, float]:
    """`MEASURES` by name."""
    return {name: getattr(measures, name) for name in MEASURES}


def _with_macro(assessment: Assessment) -> dict[str, float]:
    return {**_measures(assessment.overall), "ece_macro": assessment.ece_macro}


@dataclass(frozen=True)
class Calibrated:
    """What a calibration found, and where it was written."""

    found: Measured
    warnings: tuple[str, ...]
    path: Path
    """calibration.json in the checkpoint."""
    labels: Path
    bins: Path
    summary: Path


@dataclass(frozen=True)
class _Source:
    """A split's predictions and what says that they are these."""

    predictions: Predictions
    name: str
    """Relative to the root."""
    facts: Mapping[str, str]


def calibrate(
    checkpoint: Checkpoint, *, layout: Layout, method: str | None = None, on_event: EventHandler = ignore
) -> Calibrated:
    """Fit a calibrator on val, measure it on val (cross-fitted) and on test, and keep it in the checkpoint.

    Args:
        checkpoint: of a finished run; its calibration.json is replaced.
        method: platt or temperature; by default platt, for single-label data temperature.

    Raises:
        SettingError: an unknown method, or platt for single-label data, whose probabilities would not add up to 1.
        NotFoundError: no val predictions; the sentence says how to make them.
        DataFileError: predictions that are not those of the split that the run recorded.
        BusyError: another process changes the run.
    """
    single_label = checkpoint.rules.is_single_label
    wanted = method or ("temperature" if single_label else "platt")
    known = known_name(wanted, METHODS, "calibration method")
    if single_label and known != "temperature":
        raise SettingError(
            [f"{checkpoint.run} is single-label and has one temperature for all labels"], "--method"
        )
    with held(checkpoint.path, "goemo calibrate"):
        return _calibrated(Checkpoint.open(checkpoint.path), known, layout, on_event)


def _calibrated(
    checkpoint: Checkpoint, known: CalibrationMethod, layout: Layout, on_event: EventHandler
) -> Calibrated:
    sources = {"val": _source(checkpoint, layout, "val")}
    if layout.split_predictions(checkpoint.run, "test").is_file():
        sources["test"] = _source(checkpoint, layout, "test")
    found = _measured(sources, known, single_label=checkpoint.rules.is_single_label)
    result = Calibrated(
        found=found,
        warnings=(*_odd_labels(sources, checkpoint), *_warnings(found, checkpoint, layout)),
        path=checkpoint.path / CALIBRATION,
        labels=layout.calibration_table(checkpoint.run),
        bins=layout.reliability_table(checkpoint.run),
        summary=layout.calibration_summary(checkpoint.run),
    )
    write_table(result.labels, CALIBRATION_COLUMNS, label_rows(found))
    write_table(result.bins, RELIABILITY_COLUMNS, bin_rows(found))
    write_sealed_json(result.summary, _summary(result, checkpoint, sources))
    _keep(found.calibrator, checkpoint, sources["val"].facts)
    for warning in result.warnings:
        on_event(Warning(warning))
    for path in (result.labels, result.bins, result.summary, result.path):
        on_event(FileWritten(path))
    return result


def _keep(calibrator: Calibrator, checkpoint: Checkpoint, source: Mapping[str, str]) -> None:
    """Killed after any of the three steps, the checkpoint is sound; without the last one it has no calibrator."""
    remove_from_manifest(checkpoint, CALIBRATION)
    calibrator.write(checkpoint.path / CALIBRATION, run=str(checkpoint.run), source=source)
    add_to_manifest(checkpoint, CALIBRATION)


def _source(checkpoint: Checkpoint, layout: Layout, split: Split) -> _Source:
    path, predictions = (
        layout.split_predictions(checkpoint.run, split),
        read_recorded(checkpoint, split, layout),
    )
    if len(predictions) < 2:
        raise DataFileError(path, f"holds {len(predictions)} rows; a calibration needs at least two")
    return _Source(
        predictions=predictions,
        name=layout.shown(path),
        facts={
            "file": path.name,
            "sha256": sha256_file(path),
            "split_sha256": checkpoint.metrics.data.split_sha256.of(split),
        },
    )


def _measured(sources: Mapping[str, _Source], method: CalibrationMethod, *, single_label: bool) -> Measured:
    val = sources["val"].predictions
    fit: Fit = fit_shared_temperature if single_label else partial(fit_calibrator, method=method)
    calibrator = fit(val.labels, val.y_true, val.y_prob)
    after = cross_fitted(val.y_true, val.y_prob, fit)
    assessments = {"val": (assess(val.y_true, val.y_prob), assess(val.y_true, after))}
    if "test" not in sources:
        return Measured(calibrator, assessments, None)
    test = sources["test"].predictions
    after = calibrator.apply(test.y_prob)
    assessments["test"] = (assess(test.y_true, test.y_prob), assess(test.y_true, after))
    shares = np.broadcast_to(val.y_true.mean(axis=0, dtype=np.float64), test.y_prob.shape)
    return Measured(calibrator, assessments, assess(test.y_true, shares))


def _odd_labels(sources: Mapping[str, _Source], checkpoint: Checkpoint) -> Iterator[str]:
    """Probabilities of another model, or calibrated ones, show in labels that do not follow from them."""
    for source in sources.values():
        given = source.predictions
        if (checkpoint.rules.decide(given.y_prob) != given.y_pred).any():
            yield (
                f"{source.facts['file']}: pred_labels do not follow from its probabilities and the thresholds of "
                f"{checkpoint.run}; are these the run's own probabilities?"
            )


def _warnings(found: Measured, checkpoint: Checkpoint, layout: Layout) -> Iterator[str]:
    if few := found.few_positives:
        yield (
            f"fewer than {FEW_POSITIVES} positives: {', '.join(few)}; a small calibration error means nothing there, "
            "since always forecasting the label's share has a small one too"
        )
    for label, reason in found.calibrator.kept.items():
        yield f"{label} keeps its probabilities: {reason}"
    before, after = found.assessments["val"]
    if after.overall.log_loss >= before.overall.log_loss:
        yield (
            f"calibration did not help: log loss on val {after.overall.log_loss:.4f} cross-fitted, "
            f"{before.overall.log_loss:.4f} without it"
        )
    if "test" not in found.assessments:
        yield f"no test predictions, so nothing is measured on test: {export_command(checkpoint, 'test', layout)}"


def _summary(result: Calibrated, checkpoint: Checkpoint, sources: Mapping[str, _Source]) -> dict[str, Any]:
    found, calibrator = result.found, result.found.calibrator
    return {
        "schema_version": SCHEMA_VERSION,
        "run": str(checkpoint.run),
        "model": checkpoint.run.model,
        "method": calibrator.method,
        "fitted_on": calibrator.fitted_on,
        "bins": BINS,
        "folds": FOLDS,
        "sources": {source.name: source.facts["sha256"] for source in sources.values()},
        "files": {path.name: sha256_file(path) for path in (result.labels, result.bins)},
        "split_sha256": {split: source.facts["split_sha256"] for split, source in sources.items()},
        "overall": overall_of(found),
        "kept": dict(calibrator.kept),
        "few_positives": list(found.few_positives),
        "warnings": list(result.warnings),
    }
