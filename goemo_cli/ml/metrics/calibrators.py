"""Calibrators fitted on val: Platt's two numbers per label, or one temperature per label."""

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray
from goemo_cli.ml.metrics.calibrator import Calibrator, Method, logit

FOLDS = 10
SEED = 0
"""Of the folds; the same seed gives the same ones."""

SMALLEST_SLOPE = 0.01
"""Below it a label's probabilities would become one and the same: nothing to calibrate, or the wrong way round."""

_TOLERANCE = 1e-10
_MOST_STEPS = 100


def fit_calibrator(
    labels: tuple[str, ...], y_true: BoolArray, y_prob: FloatArray, method: Method = "platt"
) -> Calibrator:
    """The calibrator with the smallest log loss on val against Platt's smoothed targets.

    The targets are (positives + 1) / (positives + 2) for a gold label and 1 / (negatives + 2) for its absence: so the
    best numbers are finite also where probabilities separate a label without a fault. A label stays as it is where
    it has no positives or no negatives, one probability everywhere, or a slope that is not positive.

    Args:
        labels: label names.
        y_true: gold labels of val, bool, (n_val, n_labels).
        y_prob: probabilities on val, float32, (n_val, n_labels).
        method: platt (intercept and slope on the logit) or temperature (slope alone).

    Source:
        Platt 1999, Probabilistic outputs for support vector machines; Guo et al. 2017 (temperature),
        https://arxiv.org/abs/1706.04599, here one per label.
    """
    intercept, slope, kept = np.zeros(len(labels)), np.ones(len(labels)), {}
    logits = logit(y_prob)
    for at, label in enumerate(labels):
        reason, numbers = _fit_label(y_true[:, at], logits[:, at], method)
        if reason:
            kept[label] = reason
        else:
            intercept[at], slope[at] = numbers
    positives = tuple(int(n) for n in y_true.sum(axis=0))
    return Calibrator(labels, method, intercept, slope, positives, kept)


def cross_fitted(
    y_true: BoolArray, y_prob: FloatArray, method: Method = "platt", *, folds: int = FOLDS, seed: int = SEED
) -> FloatArray:
    """Calibrated probabilities of val, each by a calibrator that did not see its comment.

    The folds are random and not stratified: with equal shares of positives everywhere, calibrators would be right
    about the share of a fold they never saw.

    Args:
        y_true: gold labels of val, bool, (n_val, n_labels).
        y_prob: probabilities on val, float32, (n_val, n_labels).
        method: platt or temperature.
        folds: maximum number of parts.
        seed: of the parts.

    Returns:
        float32, (n_val, n_labels).
    """
    labels = tuple(map(str, range(y_true.shape[1])))
    calibrated = y_prob.copy()
    for held_out in np.array_split(np.random.default_rng(seed).permutation(len(y_true)), folds):
        rest = np.ones(len(y_true), dtype=np.bool_)
        rest[held_out] = False
        calibrator = fit_calibrator(labels, y_true[rest], y_prob[rest], method)
        calibrated[held_out] = calibrator.apply(y_prob[held_out])
    return calibrated


def smoothed_targets(gold: BoolArray) -> DoubleArray:
    """What Platt fits to instead of 1 and 0, float64, of the shape of `gold` (n_examples,)."""
    positives = int(gold.sum())
    negatives = len(gold) - positives
    return np.where(gold, (positives + 1) / (positives + 2), 1 / (negatives + 2))


def _fit_label(
    gold: BoolArray, logits: DoubleArray, method: Method
) -> tuple[str | None, tuple[float, float]]:
    """Why a label stays as it is, or None; and its intercept and slope."""
    if not gold.any() or gold.all():
        return f"no {'negatives' if gold.any() else 'positives'} in val", (0.0, 1.0)
    if logits.min() == logits.max():
        return "one probability for every comment of val", (0.0, 1.0)
    features = (
        logits[:, None] if method == "temperature" else np.stack([np.ones_like(logits), logits], axis=1)
    )
    numbers = _logistic(features, smoothed_targets(gold))
    slope = float(numbers[-1])
    if slope < SMALLEST_SLOPE:
        return f"a slope of {slope:.3f}: higher probabilities were not more often right", (0.0, 1.0)
    return None, (0.0 if method == "temperature" else float(numbers[0]), slope)


def _logistic(features: DoubleArray, targets: DoubleArray) -> DoubleArray:
    """The weights (n_features,) with the smallest mean of log(1 + exp(z)) - target * z, z = features @ weights.

    Newton's steps from the identity, each halved until it helps.

    Source:
        Lin, Lin and Weng 2007, A note on Platt's probabilistic outputs for support vector machines.
    """
    weights = np.zeros(features.shape[1])
    weights[-1] = 1
    for _ in range(_MOST_STEPS):
        shares = np.exp(-np.logaddexp(0, -(features @ weights)))
        gradient = features.T @ (shares - targets) / len(targets)
        if np.abs(gradient).max() < _TOLERANCE:
            break
        curvature = (features.T * (shares * (1 - shares))) @ features / len(targets)
        step = np.linalg.solve(curvature + 1e-12 * np.eye(len(weights)), gradient)
        now, size = _loss(features, targets, weights), 1.0
        while size > 1e-10 and _loss(features, targets, weights - size * step) > now:
            size /= 2
        weights = weights - size * step
    return weights


def _loss(features: DoubleArray, targets: DoubleArray, weights: DoubleArray) -> float:
    z = features @ weights
    return float(np.mean(np.logaddexp(0, z) - targets * z))
