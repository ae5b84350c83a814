"""Distillation: a student learns the probabilities of a teacher in addition to the gold labels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from goemo_cli.core.arrays import FloatArray, IntArray
from goemo_cli.core.documents.metrics import Lesson

_SMALLEST = 1e-7
"""Probabilities are kept this far from 0 and 1, whose logits are infinite."""


@dataclass(frozen=True)
class SoftLabels:
    """What a teacher says about the texts of train.

    Attributes:
        y_prob: `softened` probabilities, float32, (n_texts, n_labels).
        n_gold: the first texts have gold labels too; the others have none.
        weight: share of the teacher in the loss of a text with gold labels, in [0, 1]; of the others it is 1.
        temperature: by which the logits are divided.
        is_single_label: whether the probabilities of a text add up to 1.
    """

    y_prob: FloatArray
    n_gold: int
    weight: float
    temperature: float = 1.0
    is_single_label: bool = False

    def loss(
        self, of_gold: Callable[[Tensor, Tensor], Tensor], logits: Tensor, y_true: Tensor, rows: IntArray
    ) -> Tensor:
        """The loss of a batch: (1 - weight) of_gold(logits, y_true) + weight T^2 H(teacher, student at T).

        H is the cross-entropy: the mean over cells, or over texts if each has one label.

        Args:
            of_gold: loss over logits and gold labels.
            logits: (batch, n_labels), float32.
            y_true: gold labels, (batch, n_labels), float32; those of texts without gold labels do not count.
            rows: of the texts in train.

        Source:
            Hinton et al. 2015, https://arxiv.org/abs/1503.02531, section 2, with sigmoids instead of a softmax.
        """
        has_gold = torch.from_numpy(rows < self.n_gold).to(logits.device)
        y_prob = torch.from_numpy(self.y_prob[rows]).to(logits.device)
        shares = torch.where(has_gold, self.weight, 1.0)
        cooled = logits / self.temperature
        if self.is_single_label:
            by_text = functional.cross_entropy(cooled, y_prob, reduction="none")
        else:
            cells = functional.binary_cross_entropy_with_logits(cooled, y_prob, reduction="none")
            by_text = cells.mean(dim=1)
        loss: Tensor = self.temperature**2 * (shares * by_text).mean()
        if has_gold.any() and self.weight < 1:
            part = (1 - self.weight) * has_gold.float().mean()
            loss = loss + part * of_gold(logits[has_gold], y_true[has_gold])
        return loss


@dataclass(frozen=True)
class Taught:
    """What a student learns in addition to its gold labels.

    Attributes:
        texts: texts without gold labels.
        soft: the probabilities of the teacher for the texts of train and for these.
        lesson: the facts for metrics.json.
    """

    texts: list[str]
    soft: SoftLabels
    lesson: Lesson


def softened(y_prob: FloatArray, temperature: float, *, is_single_label: bool) -> FloatArray:
    """Probabilities with their logits divided by a temperature, float32, (n_texts, n_labels)."""
    if temperature == 1:
        return y_prob
    kept = np.clip(y_prob.astype(np.float64), _SMALLEST, 1 - _SMALLEST)
    if is_single_label:
        powers = kept ** (1 / temperature)
        soft = powers / powers.sum(axis=1, keepdims=True)
    else:
        odds = (kept / (1 - kept)) ** (1 / temperature)
        soft = odds / (1 + odds)
    found: FloatArray = soft.astype(np.float32)
    return found
