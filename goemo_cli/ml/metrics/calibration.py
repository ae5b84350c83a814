"""How far probabilities are from what is observed: Brier score, log loss, calibration error, reliability bins."""

from dataclasses import dataclass

import numpy as np

from goemo_cli.core.arrays import AnyFloatArray, BoolArray, DoubleArray, IntArray
from goemo_cli.ml.metrics.scoring import binary_cross_entropy

BINS = 15
"""Bins of a calibration error, each of as many cells as the others."""

FEW_POSITIVES = 30
"""Labels with fewer gold positives: their calibration error says nothing, whatever it is."""


@dataclass(frozen=True)
class Reliability:
    """Cells sorted by probability into bins of equal mass; (n_bins,) each, lowest probabilities first."""

    count: IntArray
    mean_predicted: DoubleArray
    observed_share: DoubleArray
    """Share of gold positives."""
    residual_variance: DoubleArray
    """Sample variance of gold minus probability within the bin."""

    @property
    def ece(self) -> float:
        """Expected calibration error: mean |observed share - mean predicted|, bins weighted by their cells.

        Never below 0, and above it by chance alone: by about 0.8 * sqrt(bins * p * (1 - p) / cells).
        """
        return float(np.average(np.abs(self.observed_share - self.mean_predicted), weights=self.count))

    @property
    def squared_error(self) -> float:
        """Mean squared calibration error without what chance adds; if it is 0, estimates fall below and above 0 equally often.

        From each bin's squared gap the variance of that gap is taken. It is estimated by the variance of the residuals:
        where a bin holds one probability, that is share * (1 - share) / (count - 1) of the sources; where it holds
        many, the sources' term also counts their spread and takes away too much.

        Source:
            Bröcker 2012, Estimating reliability and resolution of probability forecasts through decomposition of
            the empirical score, Climate Dynamics 39; Kumar, Liang and Ma 2019, https://arxiv.org/abs/1909.10155.
        """
        gap = self.observed_share - self.mean_predicted
        return float(np.average(gap**2 - self.residual_variance / self.count, weights=self.count))

    @property
    def ece_debiased(self) -> float:
        """Root of `squared_error` with its sign: a root mean square, so not below `ece` for large errors.

        At or below 0: no miscalibration that could be told from chance.
        """
        squared = self.squared_error
        return float(np.sign(squared) * np.sqrt(abs(squared)))


@dataclass(frozen=True)
class Measures:
    """The calibration of one label, or of all cells."""

    n_cells: int
    n_positives: int
    brier: float
    """Mean squared difference of gold and probability."""
    log_loss: float
    """Nats per cell."""
    bins: Reliability

    @property
    def ece(self) -> float:
        """Plain expected calibration error, see `Reliability`."""
        return self.bins.ece

    @property
    def ece_debiased(self) -> float:
        """Calibration error without what chance adds, see `Reliability`."""
        return self.bins.ece_debiased


@dataclass(frozen=True)
class Assessment:
    """The calibration of all cells taken together, and of each label, in label order."""

    overall: Measures
    """Cells count as independent, though those of one comment are not quite."""
    per_label: tuple[Measures, ...]

    @property
    def ece_macro(self) -> float:
        """Mean of the labels' plain calibration errors; in `overall` the errors of two labels may cancel."""
        return float(np.mean([one.ece for one in self.per_label]))


def assess(y_true: BoolArray, y_prob: AnyFloatArray) -> Assessment:
    """The calibration of probabilities.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels); at least two examples.
        y_prob: probabilities, (n_examples, n_labels).
    """
    return Assessment(
        overall=_measure(y_true.ravel(), y_prob.ravel()),
        per_label=tuple(_measure(y_true[:, label], y_prob[:, label]) for label in range(y_true.shape[1])),
    )


def reliability(y_true: BoolArray, y_prob: AnyFloatArray, bins: int = BINS) -> Reliability:
    """Bins of equal mass: equal probabilities share one, and each holds at least two cells.

    Ties and few cells make fewer bins than asked for. The borders depend on the probabilities alone.

    Args:
        y_true: gold labels, bool, (n_cells,); at least two.
        y_prob: probabilities, (n_cells,).
        bins: maximum number of bins.

    Raises:
        ValueError: fewer than two cells.
    """
    if len(y_prob) < 2:
        raise ValueError("a calibration error needs at least two cells")
    prob = y_prob.astype(np.float64)
    at = np.searchsorted(_borders(prob, bins), prob, side="right")
    count = np.bincount(at)
    residual = y_true - prob
    gap, squares = (np.bincount(at, weights) / count for weights in (residual, residual**2))
    mean_predicted = np.bincount(at, prob) / count
    return Reliability(
        count=count,
        mean_predicted=mean_predicted,
        observed_share=np.bincount(at, y_true) / count,
        residual_variance=np.maximum(squares - gap**2, 0) * count / (count - 1),
    )


def _borders(prob: DoubleArray, bins: int) -> DoubleArray:
    """The lowest probability of every bin but the first."""
    n_cells = len(prob)
    bins = min(bins, n_cells // 2)
    borders = np.unique(np.sort(prob)[np.arange(1, bins) * n_cells // bins])
    count = np.bincount(np.searchsorted(borders, prob, side="right"), minlength=len(borders) + 1)
    # A bin of fewer than two joins the one above it; the last one joins the one below.
    keep = count[:-1] >= 2
    if len(borders) and count[-1] < 2:
        keep[-1] = False
    return np.asarray(borders[keep])


def _measure(y_true: BoolArray, y_prob: AnyFloatArray) -> Measures:
    return Measures(
        n_cells=len(y_true),
        n_positives=int(y_true.sum()),
        brier=float(np.mean((y_true - y_prob.astype(np.float64)) ** 2)),
        log_loss=binary_cross_entropy(y_true, y_prob.astype(np.float32)),
        bins=reliability(y_true, y_prob),
    )
