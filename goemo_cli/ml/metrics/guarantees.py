"""Thresholds that guarantee an expected recall on new texts: conformal risk control."""

import math
from dataclasses import dataclass

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from goemo_cli.core.documents.rules import Guarantee

ASSUMPTION = "val and new texts are exchangeable: the same source and the same annotation, in any order"
_DECIMALS = 10_000
"""Thresholds are rounded down to four decimals: a lower threshold misses less."""
_NOISE = 1e-9
"""Sums of floats differ in the last digit."""


@dataclass(frozen=True)
class GuaranteedThresholds:
    """Thresholds with an expected recall of at least the level.

    Attributes:
        shared: the threshold for all labels; 0 if val has too few rows with labels.
        per_label: the threshold of each label, (n_labels,); the shared one for a label without guarantee.
        n_rows: rows of val with labels, which `shared` was fitted on.
        n_positives: rows of val with the label, which its threshold was fitted on, (n_labels,).
        needed: the fewest rows for a guarantee.
    """

    shared: float
    per_label: DoubleArray
    n_rows: int
    n_positives: IntArray
    needed: int

    def guarantee(self, labels: tuple[str, ...], level: float, rule: str) -> Guarantee:
        """What the thresholds of a rule guarantee: per_label for each label, global for each text."""
        is_enough = self.n_positives >= self.needed
        return Guarantee(
            score="recall",
            level=level,
            of="each label" if rule == "per_label" else "each text",
            method="conformal risk control",
            assumption=ASSUMPTION,
            n_rows=self.n_rows,
            needed=self.needed,
            without=[label for label, enough in zip(labels, is_enough, strict=True) if not enough],
        )


def fewest_rows(level: float) -> int:
    """The fewest rows for a guarantee: with n rows, at most a share of n/(n+1) can be guaranteed.

    Args:
        level: the expected recall, above 0 and below 1.
    """
    return math.ceil(level / (1 - level) - _NOISE)


def recall_thresholds(y_true: BoolArray, y_prob: FloatArray, level: float) -> GuaranteedThresholds:
    """The highest thresholds whose expected recall is at least `level`.

    Both kinds choose the highest threshold t with (sum of losses at t + 1) / (n + 1) <= 1 - level, where a loss is:

    - of one label: 1 for a text with the label whose probability is below t, over the n texts of val with the label.
      Then a new text with the label gets it with a probability of at least `level`.
    - of all labels: the share of a text's labels whose probabilities are below t, over the n texts of val with labels.
      Then the expected share of the labels of a new text that are found is at least `level`.

    Probability and expectation are over val and the new text together, which must be exchangeable.

    Args:
        y_true: gold labels of val, bool, (n_val, n_labels).
        y_prob: probabilities on val, float32, (n_val, n_labels).
        level: the expected recall, above 0 and below 1.

    Source:
        Angelopoulos et al. 2022, Conformal Risk Control, https://arxiv.org/abs/2208.02814, theorem 1 and section 3.2.
    """
    n_labels = y_true.sum(axis=1)
    rows, columns = np.nonzero(y_true)
    shares = 1 / n_labels[rows]
    shared = _highest_threshold(y_prob[rows, columns], shares, int((n_labels > 0).sum()), level)
    n_positives = y_true.sum(axis=0)
    own = [
        _highest_threshold(y_prob[gold, label], np.ones(n), int(n), level)
        for label, (gold, n) in enumerate(zip(y_true.T, n_positives, strict=True))
    ]
    needed = fewest_rows(level)
    return GuaranteedThresholds(
        shared=shared,
        per_label=np.where(n_positives >= needed, own, shared),
        n_rows=int((n_labels > 0).sum()),
        n_positives=n_positives,
        needed=needed,
    )


def _highest_threshold(y_prob: FloatArray, losses: DoubleArray, n: int, level: float) -> float:
    """The highest threshold whose corrected mean loss is at most `1 - level`; 0 if there is none.

    Args:
        y_prob: probabilities of the gold labels, float32, (n_cells,).
        losses: what a label adds to the loss of its row if its probability is below the threshold, (n_cells,).
        n: rows.
        level: see `recall_thresholds`.
    """
    order = np.argsort(y_prob, kind="stable")
    missed = np.cumsum(losses[order]) - losses[order]  # with the label's own probability as the threshold
    holds = (missed + 1) <= (1 - level) * (n + 1) + _NOISE
    if not holds.any():
        return 0.0
    highest = float(y_prob[order][holds].max())
    return math.floor(highest * _DECIMALS) / _DECIMALS
