"""Ensembles: the members exist, and the probabilities are the mean of theirs."""

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path

import numpy as np

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.labels import Split
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions, iter_predictions
from goemo_cli.services.validation.report import ValidationReport

MEAN_TOLERANCE = 1e-6
"""Largest difference from the mean that is rounding: one float32 step near 1 is 6e-8."""
_SPLITS: tuple[Split, ...] = ("val", "test")


def check_ensemble(
    checkpoint: Checkpoint, opened: Mapping[str, Checkpoint], layout: Layout, report: ValidationReport
) -> None:
    """Check an ensemble against the runs it names.

    Args:
        opened: every sound run, by name.
    """
    names = checkpoint.manifest.parents.members
    if missing := [name for name in names if name not in opened]:
        report.warn(checkpoint.path, f"members are not here or not sound: {', '.join(missing)}")
        return
    for split in _SPLITS:
        path = layout.split_predictions(checkpoint.run, split)
        members = [layout.split_predictions(opened[name].run, split) for name in names]
        # A file that is faulty by itself was reported already.
        if all(file.is_file() and report.sound(file) for file in (path, *members)):
            with report.guard(path):
                _check_mean(path, members, report)


def _check_mean(path: Path, members: list[Path], report: ValidationReport) -> None:
    """Read the files side by side, chunk by chunk."""
    largest, first, rows, same_rows = 0.0, 0, 0, True
    for whole, *parts in zip_longest(iter_predictions(path), *(iter_predictions(one) for one in members)):
        same_rows = whole is not None and all(_same_rows(whole, part) for part in parts)
        if not same_rows:
            break
        mean = np.mean([part.y_prob for part in parts], axis=0, dtype=np.float64)
        off = np.abs(whole.y_prob - mean.astype(np.float32)).max(axis=1, initial=0)
        is_off = ~(off <= MEAN_TOLERANCE)  # true for NaN too
        if not first and is_off.any():
            first = rows + int(is_off.argmax()) + 1
        largest = max(largest, float(off.max(initial=0)))
        rows += len(whole)
    report.check(
        "rows of the members",
        path,
        holds=same_rows,
        otherwise="holds other rows than its members' predictions",
    )
    report.check(
        "mean of the members",
        path,
        holds=not first,
        otherwise=f"probabilities are not the mean of the members': up to {largest:.1e} off (first in row {first})",
    )


def _same_rows(one: Predictions, other: Predictions | None) -> bool:
    return (
        other is not None
        and one.labels == other.labels
        and one.texts == other.texts
        and np.array_equal(one.y_true, other.y_true)
    )
