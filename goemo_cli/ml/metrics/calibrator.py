"""The calibrator of a checkpoint: two numbers per label that bring its probabilities to what is observed, their fit on val, and their file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self, get_args

import numpy as np

from goemo_cli.core.arrays import AnyFloatArray, BoolArray, DoubleArray, FloatArray
from goemo_cli.core.checkpoint import CALIBRATION, Checkpoint
from goemo_cli.core.documents.rules import CalibrationValues, LabelCalibration
from goemo_cli.core.errors import CorruptArtifactError, NotFoundError
from goemo_cli.core.hints import command_line
from goemo_cli.core.schema import SCHEMA_VERSION, CalibrationMethod
from goemo_cli.ml.data.splits import random_folds

METHODS: tuple[CalibrationMethod, ...] = get_args(CalibrationMethod)

CLIP = 1e-7
"""Probabilities are kept this far from 0 and 1 before their logit is taken."""

_SMALLEST = np.finfo(np.float32).tiny


def logit(y_prob: AnyFloatArray) -> DoubleArray:
    """log(p / (1 - p)) of clipped probabilities, float64, of the same shape; within ±16.2."""
    clipped = np.clip(y_prob.astype(np.float64), CLIP, 1 - CLIP)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


@dataclass(frozen=True)
class Calibrator:
    """Calibrated probability of a label = sigmoid(intercept + slope * logit(probability)).

    Of single-label data: softmax(slope * log(probability)) with one slope for all labels, so that the sum stays 1.
    Fitted on val. Slopes are positive, so that a label's ranking stays.
    """

    labels: tuple[str, ...]
    method: CalibrationMethod
    intercept: DoubleArray
    """(n_labels,); 0 everywhere with temperature."""
    slope: DoubleArray
    """(n_labels,), positive; with temperature one over it."""
    n_positives: tuple[int, ...]
    """Gold positives of each label in the split it was fitted on."""
    kept: Mapping[str, str]
    """Labels whose probabilities stay as they are, with the reason."""
    fitted_on: str = "val"
    is_shared: bool = False
    """Single-label data: one slope for all labels, and a softmax."""

    @property
    def is_identity(self) -> BoolArray:
        """Which labels' probabilities stay as they are, bool, (n_labels,)."""
        return np.asarray((self.intercept == 0) & (self.slope == 1))

    def apply(self, y_prob: FloatArray, thresholds: DoubleArray | None = None) -> FloatArray:
        """Calibrated probabilities, float32, (n_examples, n_labels): never falling where `y_prob` rises.

        A curve flatter than the diagonal maps neighbouring float32 onto one number, so that a probability just
        below a threshold can land on the calibrated threshold. Given the thresholds that labels follow, every
        probability stays on its side of them: `calibrated >= apply_to_thresholds(thresholds)` is then exactly
        `y_prob >= thresholds`. Only numbers that rounding had put on the wrong side change, by the last digit.

        Args:
            y_prob: probabilities, float32, (n_examples, n_labels).
            thresholds: of the uncalibrated probabilities, in [0, 1], (n_labels,).
        """
        calibrated = self._curve(y_prob)
        if thresholds is None:
            return calibrated
        border = self._border(thresholds)
        below = np.nextafter(border, np.float32(-1))
        is_yes = y_prob.astype(np.float64) >= np.asarray(thresholds, dtype=np.float64)
        return np.where(is_yes, np.maximum(calibrated, border), np.minimum(calibrated, below))

    def apply_to_thresholds(self, thresholds: DoubleArray) -> DoubleArray:
        """Thresholds of the calibrated probabilities that mean the same labels, float64, (n_labels,).

        Each is the calibrated value of the lowest float32 that is a yes; unchanged where the label is.

        Args:
            thresholds: of the uncalibrated probabilities, in [0, 1], (n_labels,).
        """
        return np.where(self.is_identity, thresholds, self._border(thresholds).astype(np.float64))

    def _curve(self, y_prob: FloatArray) -> FloatArray:
        if self.is_shared:
            logits = self.slope * np.log(np.clip(y_prob.astype(np.float64), CLIP, 1))
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float32)
        calibrated = np.exp(-np.logaddexp(0, -(self.intercept + self.slope * logit(y_prob))))
        return np.where(self.is_identity, y_prob, calibrated.astype(np.float32))

    def _border(self, thresholds: DoubleArray) -> FloatArray:
        """The calibrated value of the lowest float32 probability at or above each threshold, (n_labels,)."""
        wanted = np.asarray(thresholds, dtype=np.float64)
        nearest = wanted.astype(np.float32)
        lowest = np.where(nearest < wanted, np.nextafter(nearest, np.float32(2)), nearest)
        border = self._curve(lowest)
        # Something must be left below a border for the noes; at a threshold of 0 there are none.
        return np.where((wanted > 0) & ~self.is_identity, np.maximum(border, _SMALLEST), border)

    def write(self, path: Path, *, run: str, source: Mapping[str, str]) -> None:
        """Write calibration.json.

        Args:
            path: where.
            run: whose probabilities it is for.
            source: the predictions file it was fitted on: file, sha256, split_sha256.
        """
        rows = zip(self.labels, self.intercept.tolist(), self.slope.tolist(), self.n_positives, strict=True)
        CalibrationValues(
            schema_version=SCHEMA_VERSION,
            run=run,
            method=self.method,
            fitted_on="val",
            source=dict(source),
            per_label={
                label: LabelCalibration(intercept=intercept, slope=slope, n_positives=positives)
                for label, intercept, slope, positives in rows
            },
            kept=dict(self.kept),
            **({"shared": True} if self.is_shared else {}),
        ).write(path)

    @classmethod
    def read(cls, path: Path, labels: tuple[str, ...], *, run: str) -> Self:
        """Read calibration.json.

        Raises:
            CorruptArtifactError: keys are missing, labels or run differ, a number is not finite, a slope is not
                positive, or it was fitted on something other than val.
        """
        values = CalibrationValues.read(path)
        if tuple(values.per_label) != labels:
            raise CorruptArtifactError(path, "names other labels than the checkpoint, or in another order")
        if values.run != run:
            raise CorruptArtifactError(path, f"is of run {values.run}, not {run}")
        rows = values.per_label.values()
        return cls(
            labels=labels,
            method=values.method,
            intercept=np.asarray([row.intercept for row in rows], dtype=np.float64),
            slope=np.asarray([row.slope for row in rows], dtype=np.float64),
            n_positives=tuple(row.n_positives for row in rows),
            kept=values.kept,
            is_shared=values.shared,
        )


def open_calibrator(checkpoint: Checkpoint) -> Calibrator:
    """The calibrator that a checkpoint keeps.

    Raises:
        NotFoundError: it has none, or a calibration was killed before the manifest named it.
        CorruptArtifactError: the file is not what the manifest says.
    """
    if CALIBRATION not in checkpoint.manifest.files:
        raise NotFoundError(f"{checkpoint.run} has no calibrator; {_how_to_add_one(checkpoint)}")
    path = checkpoint.intact_file(CALIBRATION)
    return Calibrator.read(path, checkpoint.labels, run=str(checkpoint.run))


def _how_to_add_one(checkpoint: Checkpoint) -> str:
    export = checkpoint.manifest.export
    if export is None:
        return f"make one with: {command_line('goemo calibrate --checkpoint', checkpoint.path)}"
    again = command_line("goemo export-model", checkpoint.run) + " --int8" * (export.precision == "int8")
    return f"calibrate the run and export it again: {command_line('goemo calibrate --checkpoint', checkpoint.run)} && {again}"


SMALLEST_SLOPE = 0.01
"""Below it a label's probabilities would become one and the same: nothing to calibrate, or the wrong way round."""

_TOLERANCE = 1e-10
_LARGEST_TEMPERATURE = 100.0
"""And one over it is the smallest one, for single-label data."""
Fit = Callable[[tuple[str, ...], BoolArray, FloatArray], Calibrator]
"""Fits a calibrator to label names, gold labels and probabilities of val."""
_MOST_STEPS = 100


def fit_calibrator(
    labels: tuple[str, ...], y_true: BoolArray, y_prob: FloatArray, method: CalibrationMethod = "platt"
) -> Calibrator:
    """The calibrator with the smallest log loss on val against Platt's smoothed targets.

    The targets are (positives + 1) / (positives + 2) for a gold label and 1 / (negatives + 2) for its absence: so the
    best numbers are finite also where probabilities separate a label without a fault. A label stays as it is where
    it has no positives or no negatives, one probability everywhere, or a slope that is not positive.

    Args:
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


def fit_shared_temperature(labels: tuple[str, ...], y_true: BoolArray, y_prob: FloatArray) -> Calibrator:
    """The one temperature of single-label data with the smallest log loss on val.

    Args:
        y_true: gold labels of val, one per row, bool, (n_val, n_labels).
        y_prob: probabilities on val, whose sum is 1 in each row, float32, (n_val, n_labels).

    Source:
        Guo et al. 2017, https://arxiv.org/abs/1706.04599, section 4.2.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    logits = np.log(np.clip(y_prob.astype(np.float64), CLIP, 1))

    def loss(log_slope: float) -> float:
        scaled = np.exp(log_slope) * logits
        return float((logsumexp(scaled, axis=1) - scaled[y_true]).mean())

    bound = float(np.log(_LARGEST_TEMPERATURE))
    found = minimize_scalar(loss, bounds=(-bound, bound), method="bounded", options={"xatol": _TOLERANCE})
    slope = np.full(len(labels), np.exp(found.x))
    positives = tuple(int(n) for n in y_true.sum(axis=0))
    return Calibrator(labels, "temperature", np.zeros(len(labels)), slope, positives, {}, is_shared=True)


def cross_fitted(y_true: BoolArray, y_prob: FloatArray, fit: Fit, *, seed: int = 0) -> FloatArray:
    """Calibrated probabilities of val, each by a calibrator that did not see its comment.

    The folds are random and not stratified: with equal shares of positives everywhere, calibrators would be right
    about the share of a fold they never saw.

    Args:
        y_true: gold labels of val, bool, (n_val, n_labels).
        y_prob: probabilities on val, float32, (n_val, n_labels).
        fit: fits a calibrator to labels, gold labels and probabilities.
        seed: of the folds.

    Returns:
        float32, (n_val, n_labels).
    """
    labels = tuple(map(str, range(y_true.shape[1])))
    calibrated = y_prob.copy()
    for others, held_out in random_folds(len(y_true), seed):
        calibrator = fit(labels, y_true[others], y_prob[others])
        calibrated[held_out] = calibrator.apply(y_prob[held_out])
    return calibrated


def smoothed_targets(gold: BoolArray) -> DoubleArray:
    """What Platt fits to instead of 1 and 0, float64, of the shape of `gold` (n_examples,)."""
    positives = int(gold.sum())
    negatives = len(gold) - positives
    return np.where(gold, (positives + 1) / (positives + 2), 1 / (negatives + 2))


def _fit_label(
    gold: BoolArray, logits: DoubleArray, method: CalibrationMethod
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
