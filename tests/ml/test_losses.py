"""Losses, checked against torch and against formulas written out cell by cell."""

import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from goemo_cli.core.settings import LossName, TrainingSettings
from goemo_cli.ml.training.losses import asymmetric, bce, focal, make_loss, positive_weights

CPU = torch.device("cpu")
LOSSES: tuple[LossName, ...] = get_args(LossName)


def random_batch(seed: int = 0, rows: int = 16, n_labels: int = 5) -> tuple[Tensor, Tensor]:
    """Logits in float64, so that second sources agree to 1e-12."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, n_labels, generator=generator, dtype=torch.float64) * 3
    targets = (torch.rand(rows, n_labels, generator=generator) < 0.3).double()
    return logits, targets


def by_cells(logits: Tensor, targets: Tensor, cell: Callable[[float, bool], float]) -> float:
    """The mean of a loss written for one cell: `cell(probability, is_gold)`."""
    cells = [
        cell(1 / (1 + math.exp(-logit)), gold > 0.5)
        for row, golds in zip(logits.tolist(), targets.tolist(), strict=True)
        for logit, gold in zip(row, golds, strict=True)
    ]
    return sum(cells) / len(cells)


def gradient(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, targets: Tensor) -> Tensor:
    leaf = logits.clone().requires_grad_()
    loss(leaf, targets).backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    return leaf.grad


def test_bce_is_torchs_and_the_formulas():
    logits, targets = random_batch()
    assert bce(logits, targets).item() == pytest.approx(
        torch.nn.BCEWithLogitsLoss()(logits, targets).item(), abs=1e-15
    )
    assert bce(logits, targets).item() == pytest.approx(
        by_cells(logits, targets, lambda p, gold: -math.log(p if gold else 1 - p)), abs=1e-12
    )


def test_weighted_bce_counts_each_labels_positives_by_its_own_weight():
    logits, targets = random_batch(1)
    weights = [1.0, 2.0, 5.0, 0.5, 20.0]

    def of_label(at: int) -> float:
        return by_cells(
            logits[:, [at]],
            targets[:, [at]],
            lambda p, gold: -weights[at] * math.log(p) if gold else -math.log(1 - p),
        )

    by_hand = float(np.mean([of_label(at) for at in range(5)]))
    assert bce(logits, targets, positive_weight=torch.tensor(weights)).item() == pytest.approx(
        by_hand, abs=1e-12
    )


def test_positive_weights_are_negatives_per_positive_in_label_order():
    y_train = np.zeros((100, 4), dtype=bool)
    y_train[:20, 0] = True  # 80 / 20
    y_train[:1, 1] = True  # 99 / 1, cut
    y_train[:80, 3] = True  # 20 / 80, raised to 1; label 2 has no positive
    assert positive_weights(y_train, 10.0).tolist() == [4.0, 10.0, 1.0, 1.0]


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_focal_is_its_formula(gamma: float):
    logits, targets = random_batch(2)

    def cell(p: float, gold: bool) -> float:
        p_true = p if gold else 1 - p
        return -math.pow(1 - p_true, gamma) * math.log(p_true)

    assert focal(logits, targets, gamma=gamma).item() == pytest.approx(
        by_cells(logits, targets, cell), abs=1e-12
    )


def test_focal_with_gamma_0_is_bce_gradient_included():
    logits, targets = random_batch(3)
    assert focal(logits, targets, gamma=0).item() == pytest.approx(bce(logits, targets).item(), abs=1e-15)
    assert torch.allclose(
        gradient(lambda x, y: focal(x, y, gamma=0), logits, targets),
        gradient(bce, logits, targets),
        atol=1e-15,
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_has_a_finite_gradient_where_the_model_is_certain(gamma: float):
    logits = torch.tensor([[40.0, -40.0, 200.0, -200.0, 20.0, 0.0]])
    targets = torch.tensor([[1.0, 0.0, 0.0, 1.0, 1.0, 0.0]])
    assert torch.isfinite(gradient(lambda x, y: focal(x, y, gamma=gamma), logits, targets)).all()


@pytest.mark.parametrize(
    ("positive", "negative", "clip"), [(0, 2, 0.05), (1, 4, 0.05), (0, 0, 0.0), (2, 2, 0.0)]
)
def test_asymmetric_is_the_papers_formula(positive: float, negative: float, clip: float):
    """Equations 4 to 7 of Ben-Baruch et al. 2020, for one cell."""
    logits, targets = random_batch(4)

    def cell(p: float, gold: bool) -> float:
        shifted = max(p - clip, 0.0)
        if gold:
            return -math.pow(1 - p, positive) * math.log(p)
        return -math.pow(shifted, negative) * math.log(1 - shifted)

    ours = asymmetric(logits, targets, gamma_positive=positive, gamma_negative=negative, clip=clip)
    assert ours.item() == pytest.approx(by_cells(logits, targets, cell), abs=1e-12)


@pytest.mark.parametrize(("positive", "negative", "clip"), [(0, 2, 0.05), (1, 4, 0.05), (0, 0, 0.0)])
def test_the_focusing_weight_is_a_constant_to_the_gradient_of_asymmetric(
    positive: float, negative: float, clip: float
):
    """For one cell d/dx of log p is 1 - p, and of log(1 - shifted) it is -p (1 - p) / (1 - shifted)."""
    logits, targets = random_batch(5)

    def slope(logit: float, gold: bool) -> float:
        p = 1 / (1 + math.exp(-logit))
        if gold:
            return -math.pow(1 - p, positive) * (1 - p)
        shifted = p - clip
        return math.pow(shifted, negative) * p * (1 - p) / (1 - shifted) if shifted > 0 else 0.0

    by_hand = [
        [slope(logit, gold > 0.5) / logits.numel() for logit, gold in zip(row, golds, strict=True)]
        for row, golds in zip(logits.tolist(), targets.tolist(), strict=True)
    ]
    ours = gradient(
        lambda x, y: asymmetric(x, y, gamma_positive=positive, gamma_negative=negative, clip=clip),
        logits,
        targets,
    )
    assert ours.tolist() == [pytest.approx(row, abs=1e-12) for row in by_hand]


def test_asymmetric_without_focusing_and_shift_is_bce():
    logits, targets = random_batch(6)
    ours = asymmetric(logits, targets, gamma_positive=0, gamma_negative=0, clip=0)
    assert ours.item() == pytest.approx(bce(logits, targets).item(), abs=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_finite_where_the_model_is_certain_and_wrong(name: LossName):
    loss = make_loss(TrainingSettings(loss=name), np.eye(2, dtype=bool), CPU)
    logits, targets = torch.tensor([[90.0, -90.0]]), torch.tensor([[0.0, 1.0]])
    assert torch.isfinite(loss(logits, targets))
    assert torch.isfinite(gradient(loss, logits, targets)).all()


def test_the_settings_name_the_loss_and_its_parameters():
    logits, targets = random_batch(7, n_labels=2)
    y_train = np.array([[1, 0], [0, 0], [0, 0], [0, 1]], dtype=bool)
    y_train = np.concatenate([y_train, np.zeros((4, 2), dtype=bool)])
    expected: dict[LossName, Tensor] = {
        "bce": bce(logits, targets),
        "weighted_bce": bce(logits, targets, positive_weight=torch.tensor([7.0, 7.0])),
        "focal": focal(logits, targets, gamma=3),
        "asymmetric": asymmetric(logits, targets, gamma_positive=1, gamma_negative=3, clip=0.1),
    }
    for name, value in expected.items():
        settings = TrainingSettings(
            loss=name,
            focal_gamma=3,
            asymmetric_gamma_positive=1,
            asymmetric_gamma_negative=3,
            asymmetric_clip=0.1,
        )
        assert make_loss(settings, y_train, CPU)(logits, targets).item() == pytest.approx(
            value.item(), abs=1e-12
        )
