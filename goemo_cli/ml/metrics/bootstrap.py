"""How far scores would move on another test set of the same kind: the percentile bootstrap over rows."""

from collections.abc import Iterator

import numpy as np

from goemo_cli.core.arrays import DoubleArray, FloatArray

RESAMPLES = 10_000
"""Of scores that follow from counts; a draw of them is one row of a matrix product."""
RANKING_RESAMPLES = 1_000
"""Of areas under curves, which must be gone through draw by draw."""
SEED = 0
LEVEL = 0.95
MAX_DRAWS = 2 * 10**8
"""Rows drawn in total: above 20,000 rows intervals are narrow, and fewer resamples suffice."""
_BLOCK_CELLS = 1_500_000
"""Row weights held at once."""


def row_weights(rng: np.random.Generator, draws: int, n_examples: int) -> FloatArray:
    """How often each row was drawn, float32, (draws, n_examples); every draw sums to n_examples.

    Source:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    rows = rng.integers(0, n_examples, size=(draws, n_examples), dtype=np.int64)
    rows += np.arange(draws)[:, None] * n_examples
    drawn = np.bincount(rows.ravel(), minlength=draws * n_examples)
    weights: FloatArray = drawn.reshape(draws, n_examples).astype(np.float32)
    return weights


def resampled(n_examples: int, resamples: int = RESAMPLES, seed: int = SEED) -> Iterator[FloatArray]:
    """Row weights of all resamples, in blocks of (draws, n_examples) that bound memory.

    Args:
        n_examples: rows; above 20,000 fewer resamples are drawn, at least 200.
        resamples: draws of n_examples rows with replacement.
        seed: the same seed and number of rows give the same draws, which pairs models that are compared.
    """
    rng = np.random.default_rng(seed)
    left = min(resamples, max(200, MAX_DRAWS // max(n_examples, 1)))
    while left > 0:
        draws = min(left, max(1, _BLOCK_CELLS // max(n_examples, 1)))
        yield row_weights(rng, draws, n_examples)
        left -= draws


def interval(values: DoubleArray) -> DoubleArray:
    """The middle 95 % of resampled scores, (2, ...): values (resamples, ...), NaN in draws without a score."""
    quantile = np.nanquantile if np.isnan(values).any() else np.quantile  # the first is much slower
    bounds: DoubleArray = quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return bounds
