"""One seed for every generator."""

import random

import numpy as np
import pytest
import torch

from goemo_cli.ml.training.loop import seed_everything


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(1))


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_one_seed_repeats_every_generator(seed: int):
    seed_everything(seed)
    first = draws()
    seed_everything(seed)
    assert draws() == first


def test_deterministic_algorithms_are_switched_on_and_off():
    seed_everything(0, deterministic=True)
    try:
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        seed_everything(0)
    assert not torch.are_deterministic_algorithms_enabled()
