"""Array types, quotients of counts, and the check of every probability that leaves a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goemo_cli.core.errors import CorruptArtifactError, TrainingFailedError

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]
"""Probabilities and weights."""
DoubleArray = NDArray[np.float64]
"""Scores, thresholds and everything summed."""
IntArray = NDArray[np.int64]
AnyFloatArray = NDArray[np.floating[Any]]


def none_if_nan(value: float) -> float | None:
    """A score as JSON and tables have it: None if it is undefined."""
    return None if np.isnan(value) else float(value)


def ratio(above: ArrayLike, below: ArrayLike, *, undefined: float = 0.0) -> DoubleArray:
    """The quotient, float64, in the broadcast shape; `undefined` if the denominator is 0."""
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    quotient: DoubleArray = np.divide(
        above, below, out=np.full(np.broadcast(above, below).shape, undefined), where=below > 0
    )
    return quotient


def not_probabilities(y_prob: AnyFloatArray) -> IntArray:
    """Row and column of every number that is not in [0, 1], NaN included, (n_faults, 2)."""
    return np.argwhere(~((y_prob >= 0) & (y_prob <= 1)))


def require_probabilities(y_prob: AnyFloatArray, labels: Sequence[str], source: Path | None) -> None:
    """Refuse probabilities that are not.

    Args:
        y_prob: (n_examples, n_labels).
        labels: label names in column order.
        source: the checkpoint of the model; None for a model that is not saved.

    Raises:
        CorruptArtifactError: the checkpoint's model gave a number that is not in [0, 1], or NaN.
        TrainingFailedError: a model that is not saved did.
    """
    for row, column in not_probabilities(y_prob)[:1]:
        fault = (
            f"the model gives {y_prob[row, column]} as the probability of {labels[column]} for text {row + 1}"
        )
        if source is None:
            raise TrainingFailedError(fault)
        raise CorruptArtifactError(source, fault)
