"""How far scores would move on another test set of the same kind: the percentile bootstrap over rows."""

from dataclasses import dataclass

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray

RESAMPLES = 2_000
SEED = 0
LEVEL = 0.95
_BLOCK = 250


@dataclass(frozen=True)
class F1Intervals:
    """95 % intervals: (low, high) of macro and micro F1, and (2, n_labels) of each label's."""

    macro: tuple[float, float]
    micro: tuple[float, float]
    per_label: DoubleArray


def bootstrap_f1(
    y_true: BoolArray, y_pred: BoolArray, *, resamples: int = RESAMPLES, seed: int = SEED
) -> F1Intervals:
    """Percentile intervals of F1 over resampled rows.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        y_pred: predicted labels, bool, (n_examples, n_labels).
        resamples: draws of n_examples rows with replacement.
        seed: of the draws; the same seed gives the same intervals, and pairs two models' draws.

    Source:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    n_examples, n_labels = y_true.shape
    # F1 needs only 2 tp and tp + fp + tp + fn = positives + predicted: sums over rows, hence one matrix product.
    cells = np.hstack([y_true & y_pred, y_true.astype(np.int8) + y_pred]).astype(np.float32)
    rng = np.random.default_rng(seed)
    macro, micro, labels = [], [], []
    for start in range(0, resamples, _BLOCK):
        draws = min(_BLOCK, resamples - start)
        sums = (_row_weights(rng, draws, n_examples) @ cells).astype(
            np.float64
        )  # exact: counts stay below 2**24
        hits, sizes = 2 * sums[:, :n_labels], sums[:, n_labels:]
        f1 = np.divide(hits, sizes, out=np.zeros_like(hits), where=sizes > 0)
        labels.append(f1)
        macro.append(f1.mean(axis=1))
        whole = sizes.sum(axis=1)
        micro.append(np.divide(hits.sum(axis=1), whole, out=np.zeros_like(whole), where=whole > 0))
    return F1Intervals(
        macro=_interval(np.concatenate(macro)),
        micro=_interval(np.concatenate(micro)),
        per_label=np.quantile(np.concatenate(labels), _tails(), axis=0),
    )


def _row_weights(rng: np.random.Generator, draws: int, n_examples: int) -> np.ndarray:
    """How often each row was drawn, float32, (draws, n_examples); every row of it sums to n_examples."""
    rows = rng.integers(0, n_examples, size=(draws, n_examples), dtype=np.int64)
    rows += np.arange(draws)[:, None] * n_examples
    return (
        np.bincount(rows.ravel(), minlength=draws * n_examples).reshape(draws, n_examples).astype(np.float32)
    )


def _tails() -> tuple[float, float]:
    return (1 - LEVEL) / 2, (1 + LEVEL) / 2


def _interval(values: DoubleArray) -> tuple[float, float]:
    low, high = np.quantile(values, _tails())
    return float(low), float(high)
