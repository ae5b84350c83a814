"""Names for the array types that signatures speak of."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]
"""Probabilities and weights."""
DoubleArray = NDArray[np.float64]
"""Scores, thresholds and everything summed."""
IntArray = NDArray[np.int64]
AnyFloatArray = NDArray[np.floating[Any]]
