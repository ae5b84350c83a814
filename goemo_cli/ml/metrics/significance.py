"""P-values of many questions asked at once."""

import numpy as np

from goemo_cli.core.arrays import DoubleArray


def holm(p_values: DoubleArray) -> DoubleArray:
    """P-values corrected for multiple tests: Holm's step-down, at most 1.

    Args:
        p_values: one family, in any shape; NaN (nothing was asked) stays NaN and does not count.

    Source:
        Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6.
    """
    corrected = np.full(p_values.shape, np.nan)
    asked = ~np.isnan(p_values)
    found = p_values[asked]
    order = np.argsort(found, kind="stable")
    stepped = np.empty_like(found)
    stepped[order] = np.minimum(1.0, np.maximum.accumulate(found[order] * np.arange(len(found), 0, -1)))
    corrected[asked] = stepped
    return corrected
