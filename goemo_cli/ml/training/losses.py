"""Losses over logits and multi-hot labels, (batch, n_labels) each; the mean over every cell, or row if each has one label."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from goemo_cli.core.arrays import BoolArray, DoubleArray
from goemo_cli.core.settings import TrainingSettings

Loss = Callable[[Tensor, Tensor], Tensor]


def make_loss(settings: TrainingSettings, y_train: BoolArray, device: torch.device) -> Loss:
    """The loss that the settings name.

    Args:
        settings: `loss` and its parameters.
        y_train: gold labels of train, bool, (n_examples, n_labels); weights are computed from them.
        device: of the logits.
    """
    match settings.loss:
        case "bce":
            return bce
        case "weighted_bce":
            weights = positive_weights(y_train, settings.max_positive_weight)
            return partial(bce, positive_weight=torch.tensor(weights, dtype=torch.float32, device=device))
        case "focal":
            return partial(focal, gamma=settings.focal_gamma)
        case "asymmetric":
            return partial(
                asymmetric,
                gamma_positive=settings.asymmetric_gamma_positive,
                gamma_negative=settings.asymmetric_gamma_negative,
                clip=settings.asymmetric_clip,
            )
        case "cross_entropy":
            return cross_entropy


def describe_loss(settings: TrainingSettings, y_train: BoolArray, labels: Sequence[str]) -> str | None:
    """The weight of each label; None for a loss without weights. A weight on the wrong label is a common mistake."""
    if settings.loss != "weighted_bce":
        return None
    weights = positive_weights(y_train, settings.max_positive_weight)
    pairs = ", ".join(f"{label} {weight:.1f}" for label, weight in zip(labels, weights, strict=True))
    return f"Weight of positives: {pairs}"


def positive_weights(y_train: BoolArray, ceiling: float) -> DoubleArray:
    """Negatives per positive of each label, in label order, at most `ceiling`; 1 without positives."""
    positives = y_train.sum(axis=0)
    weights: DoubleArray = np.where(positives > 0, (len(y_train) - positives) / np.maximum(positives, 1), 1.0)
    return np.clip(weights, 1.0, ceiling)


def bce(logits: Tensor, targets: Tensor, *, positive_weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy, each positive counted `positive_weight` (n_labels,) times."""
    return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=positive_weight)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Log loss of a softmax, the mean over rows; each row has exactly one positive."""
    return functional.cross_entropy(logits, targets)


def focal(logits: Tensor, targets: Tensor, *, gamma: float) -> Tensor:
    """Binary cross-entropy that counts what is already right less: times (1 - p_t) ** gamma.

    Source:
        Lin et al. 2017, https://arxiv.org/abs/1708.02002, equation 4; torchvision.ops.sigmoid_focal_loss
        without its alpha.
    """
    cells = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p_true = torch.exp(-cells)
    # Kept from 0, where a power below 1 has no finite slope.
    return ((1 - p_true).clamp(min=1e-8) ** gamma * cells).mean()


def asymmetric(
    logits: Tensor, targets: Tensor, *, gamma_positive: float, gamma_negative: float, clip: float
) -> Tensor:
    """Binary cross-entropy with separate focusing of positives and negatives, and easy negatives dropped.

    Args:
        logits: (batch, n_labels).
        targets: 0 or 1, (batch, n_labels).
        gamma_positive: focusing of positives.
        gamma_negative: focusing of negatives.
        clip: negatives with a probability below it count nothing.

    Source:
        Ben-Baruch et al. 2020, https://arxiv.org/abs/2009.14119; https://github.com/Alibaba-MIIL/ASL,
        AsymmetricLoss, with the mean over cells instead of the sum.
    """
    p = torch.sigmoid(logits)
    p_negative = (1 - p + clip).clamp(max=1)
    log_likelihood = targets * torch.log(p.clamp(min=1e-8)) + (1 - targets) * torch.log(
        p_negative.clamp(min=1e-8)
    )
    p_true = p * targets + p_negative * (1 - targets)
    gamma = gamma_positive * targets + gamma_negative * (1 - targets)
    # A constant to the gradient, as with the reference's disable_torch_grad_focal_loss.
    weight = torch.pow(1 - p_true, gamma).detach()
    return -(log_likelihood * weight).mean()
