"""The two CSV files of a calibration: one row per label, and one row per bin."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from goemo_cli.core.csv_files import atomic_csv

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


def write_calibration_table(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the calibration of each label with `CALIBRATION_COLUMNS`; what is missing is an empty cell."""
    _write(path, CALIBRATION_COLUMNS, rows)


def write_reliability_table(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write bins with `RELIABILITY_COLUMNS`."""
    _write(path, RELIABILITY_COLUMNS, rows)


def _write(path: Path, columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> None:
    with atomic_csv(path) as writer:
        writer.writerow(columns)
        writer.writerows([row.get(column) for column in columns] for row in rows)
