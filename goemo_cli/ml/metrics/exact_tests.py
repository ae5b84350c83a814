"""Exact tests and intervals of counts; `scipy.stats`, which has them too, takes half a second to import."""

import numpy as np
from numpy.typing import ArrayLike

from goemo_cli.core.arrays import BoolArray, DoubleArray, IntArray
from goemo_cli.ml.metrics.intervals import LEVEL

_TAIL = (1 - LEVEL) / 2
_NEGLIGIBLE = 1e-17


def clopper_pearson(successes: ArrayLike, trials: ArrayLike) -> DoubleArray:
    """The exact 95 % interval of a share, (2, ...); from 0 to 1 where there were no trials."""
    from scipy.special import betaincinv  # most commands that import this module need no quantiles

    k, n = np.broadcast_arrays(np.asarray(successes), np.asarray(trials))
    low = np.where(k > 0, betaincinv(np.maximum(k, 1), n - k + 1, _TAIL), 0.0)
    high = np.where(k < n, betaincinv(k + 1, np.maximum(n - k, 1), 1 - _TAIL), 1.0)
    return np.stack([low, high])


def mcnemar(one: ArrayLike, other: ArrayLike) -> DoubleArray:
    """Two-sided exact p-values that two counts of disagreements differ by chance; 1 if there are none.

    Source:
        McNemar 1947, Psychometrika 12, in its exact, binomial form.
    """
    first, second = np.asarray(one), np.asarray(other)
    tail = binomial_tail(np.maximum(first, second), first + second, 0.5)
    p_value: DoubleArray = np.minimum(1.0, 2 * tail)
    return p_value


def binomial_tail(at_least: ArrayLike, trials: ArrayLike, share: float) -> DoubleArray:
    """P(X >= at_least) of the number of successes X in `trials`, each with the probability `share`."""
    from scipy.special import betainc

    k, n = np.broadcast_arrays(np.asarray(at_least), np.asarray(trials))
    tail: DoubleArray = np.where(k > 0, betainc(np.maximum(k, 1), n - k + 1, share), 1.0)
    return tail


def hypergeometric_tail(
    at_least: ArrayLike, total: ArrayLike, marked: ArrayLike, drawn: ArrayLike
) -> DoubleArray:
    """P(X >= at_least) of the marked X among `drawn` of `total`, `marked` of which are marked: Fisher's exact test.

    The smaller tail is summed from the probability next to the mode outwards. All arguments are whole numbers and broadcast.

    Source:
        Fisher 1935, The Logic of Inductive Inference, Journal of the Royal Statistical Society 98.
    """
    k, n, m, d = np.broadcast_arrays(*(np.asarray(x, np.int64) for x in (at_least, total, marked, drawn)))
    lowest, highest = np.maximum(0, m + d - n), np.minimum(m, d)
    is_upper = k > (m + 1) * (d + 1) // (n + 2)  # above the mode
    start = np.clip(np.where(is_upper, k, k - 1), lowest, highest)
    tail = _probability(start, n, m, d) * _relative_tail(start, n, m, d, is_upper)
    inside = np.where(is_upper, tail, 1 - tail)
    found: DoubleArray = np.where(k <= lowest, 1.0, np.where(k > highest, 0.0, np.clip(inside, 0.0, 1.0)))
    return found


def _probability(k: IntArray, n: IntArray, m: IntArray, d: IntArray) -> DoubleArray:
    """Of k marked ones: C(m, k) C(n - m, d - k) / C(n, d)."""
    from scipy.special import betaln

    def log_choose(above: IntArray, below: IntArray) -> DoubleArray:
        logarithm: DoubleArray = -np.log(above + 1.0) - betaln(below + 1, above - below + 1)
        return logarithm

    found: DoubleArray = np.exp(log_choose(m, k) + log_choose(n - m, d - k) - log_choose(n, d))
    return found


def _relative_tail(k: IntArray, n: IntArray, m: IntArray, d: IntArray, is_upper: BoolArray) -> DoubleArray:
    """The sum of the probabilities from k away from the mode, divided by that of k."""
    at, term = k.astype(np.float64), np.ones(k.shape)
    sums = term.copy()
    rest = n - m - d
    while (term > _NEGLIGIBLE * sums).any():
        above = np.where(is_upper, (m - at) * (d - at), at * (rest + at))
        below = np.where(is_upper, (at + 1) * (rest + at + 1), (m - at + 1) * (d - at + 1))
        term = term * above / below
        at = np.where(is_upper, at + 1, at - 1)
        sums += term
    return sums
