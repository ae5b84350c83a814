"""The two CSV files of a calibration: one row per label, and one row per bin."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from goemo_cli.services.data.result_tables import write_table

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
    write_table(path, CALIBRATION_COLUMNS, rows)


def write_reliability_table(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write bins with `RELIABILITY_COLUMNS`."""
    write_table(path, RELIABILITY_COLUMNS, rows)
