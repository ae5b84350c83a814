"""Quotients of counts, where a count may be zero."""

import numpy as np
from numpy.typing import ArrayLike

from goemo_cli.core.arrays import DoubleArray


def ratio(above: ArrayLike, below: ArrayLike, *, undefined: float = 0.0) -> DoubleArray:
    """The quotient, float64, in the broadcast shape; `undefined` if the denominator is 0."""
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    quotient: DoubleArray = np.divide(
        above, below, out=np.full(np.broadcast(above, below).shape, undefined), where=below > 0
    )
    return quotient
