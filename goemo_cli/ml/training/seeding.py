"""One seed for Python, NumPy and torch."""

import random

import numpy as np
import torch


def seed_everything(seed: int, *, deterministic: bool = False) -> None:
    """Start every random generator from the same seed.

    Args:
        seed: 0 to 2**32 - 1.
        deterministic: allow only algorithms that repeat to the bit on the same machine.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(deterministic)
