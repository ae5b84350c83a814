"""Array types, histograms, quotients, the digest of labelled rows, and the check of every probability of a model."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Histogram:
    """Counts between two values; bin i counts the values in [edges[i], edges[i + 1]); the last bin includes its upper edge."""

    counts: tuple[int, ...]
    low: float
    """The least value; the lower edge of the first bin."""
    high: float
    """The greatest value; if it equals `low`, there is one bin."""
    total: float
    """Sum of all values."""
    total_squares: float
    """Sum of their squares."""

    @property
    def edges(self) -> list[float]:
        """One more than there are bins."""
        bins = len(self.counts)
        return [self.low + (self.high - self.low) * i / bins for i in range(bins)] + [self.high]


def none_if_nan(value: float) -> float | None:
    """A score as JSON and tables have it: None if it is undefined."""
    return None if np.isnan(value) else float(value)


def none_unless_finite(values: DoubleArray | FloatArray) -> list[Any]:
    """The same of an array, nested as it is: None also for what has no bound."""
    found = values.astype(object)
    found[~np.isfinite(values)] = None
    return list(found.tolist())


def ratio(above: ArrayLike, below: ArrayLike, *, undefined: float = 0.0) -> DoubleArray:
    """The quotient, float64, in the broadcast shape; `undefined` if the denominator is 0."""
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    quotient: DoubleArray = np.divide(
        above, below, out=np.full(np.broadcast(above, below).shape, undefined), where=below > 0
    )
    return quotient


class SplitDigest:
    """A digest of texts, labels and their order, taken chunk by chunk; the same however the rows are cut."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def update(self, texts: Sequence[str], y_true: BoolArray) -> None:
        """Take the next rows: n_examples texts and their gold labels, bool, (n_examples, n_labels)."""
        packed = np.packbits(y_true, axis=1)
        labels, width = packed.tobytes(), packed.shape[1]
        for row, text in zip(range(len(packed)), texts, strict=True):
            encoded = text.encode("utf-8", "surrogatepass")
            self._digest.update(
                len(encoded).to_bytes(8, "little") + encoded + labels[row * width : (row + 1) * width]
            )

    def hexdigest(self) -> str:
        """Of all rows so far, as 64 hex digits."""
        return self._digest.hexdigest()


def split_sha256(texts: Sequence[str], y_true: BoolArray) -> str:
    """A digest of texts, labels and their order, by which data is recognized in any file format."""
    digest = SplitDigest()
    digest.update(texts, y_true)
    return digest.hexdigest()


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
