"""The loss of a student, checked against torch and SciPy."""

import numpy as np
import pytest
import torch
from scipy.special import expit, logit, softmax
from torch.nn import functional

from goemo_cli.ml.training.distillation import SoftLabels, softened
from goemo_cli.ml.training.losses import bce, cross_entropy

RNG = np.random.default_rng(0)
LOGITS = torch.from_numpy(RNG.normal(size=(4, 3)).astype(np.float32) * 2)
Y_TRUE = torch.from_numpy((RNG.random((4, 3)) < 0.4).astype(np.float32))
TEACHER = RNG.random((6, 3), dtype=np.float32)
ROWS = np.array([1, 0, 3, 2])


def test_without_temperature_the_loss_is_that_of_mixed_labels() -> None:
    soft = SoftLabels(TEACHER, n_gold=6, weight=0.3)
    mixed = 0.7 * Y_TRUE + 0.3 * torch.from_numpy(TEACHER[ROWS])
    expected = functional.binary_cross_entropy_with_logits(LOGITS, mixed)
    assert float(soft.loss(bce, LOGITS, Y_TRUE, ROWS)) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_texts_without_gold_labels_learn_from_the_teacher_alone(temperature: float) -> None:
    y_prob = softened(TEACHER, temperature, is_single_label=False)
    soft = SoftLabels(y_prob, n_gold=2, weight=0.3, temperature=temperature)
    gold, others = [0, 1], [2, 3]  # rows 1 and 0 have gold labels, 3 and 2 do not
    of_teacher = functional.binary_cross_entropy_with_logits(
        LOGITS / temperature, torch.from_numpy(y_prob[ROWS]), reduction="none"
    ).mean(dim=1)
    of_gold = functional.binary_cross_entropy_with_logits(LOGITS[gold], Y_TRUE[gold], reduction="none").mean(
        dim=1
    )
    by_text = torch.cat(
        [0.7 * of_gold + 0.3 * temperature**2 * of_teacher[gold], temperature**2 * of_teacher[others]]
    )
    changed = Y_TRUE.clone()
    changed[others] = 1 - changed[others]
    for y_true in (Y_TRUE, changed):
        found = float(soft.loss(bce, LOGITS, y_true, ROWS))
        assert found == pytest.approx(float(by_text.mean()), rel=1e-6)


def test_of_single_label_data_the_loss_is_torchs_cross_entropy() -> None:
    teacher = softmax(RNG.normal(size=(4, 3)), axis=1).astype(np.float32)
    one_of_three = functional.one_hot(torch.tensor([0, 2, 1, 1]), 3).float()
    soft = SoftLabels(teacher, n_gold=4, weight=0.5, is_single_label=True)
    expected = 0.5 * functional.cross_entropy(LOGITS, one_of_three) + 0.5 * functional.cross_entropy(
        LOGITS, torch.from_numpy(teacher)
    )
    found = float(soft.loss(cross_entropy, LOGITS, one_of_three, np.arange(4)))
    assert found == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_a_temperature_divides_the_logits(temperature: float) -> None:
    found = softened(TEACHER, temperature, is_single_label=False)
    assert found == pytest.approx(expit(logit(TEACHER.astype(np.float64)) / temperature), abs=1e-6)
    logits = RNG.normal(size=(5, 4))
    of_softmax = softened(softmax(logits, axis=1).astype(np.float32), temperature, is_single_label=True)
    assert of_softmax == pytest.approx(softmax(logits / temperature, axis=1), abs=1e-6)


def test_certain_probabilities_stay_finite() -> None:
    certain = np.array([[0.0, 1.0]], dtype=np.float32)
    for is_single_label in (False, True):
        found = softened(certain, 2.0, is_single_label=is_single_label)
        assert np.isfinite(found).all()
        assert found[0, 0] < 0.001 < 0.999 < found[0, 1]
