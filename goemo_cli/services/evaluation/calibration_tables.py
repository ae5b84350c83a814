"""What a calibration found, as rows of its tables and as numbers over all cells."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from goemo_cli.ml.metrics.calibration import FEW_POSITIVES, Assessment, Measures
from goemo_cli.ml.metrics.calibrator import Calibrator
from goemo_cli.services.evaluation.calibration_files import MEASURES, STATES


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
