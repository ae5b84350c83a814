"""The state of a training after a step: all that the following steps depend on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from goemo_cli.core.arrays import DoubleArray
from goemo_cli.core.documents.training import TrainingPosition


@dataclass(frozen=True)
class TrainingState:
    """What a training has reached.

    Batches and random numbers are functions of the seed and the step, so the position replaces all random states.
    """

    position: TrainingPosition
    weights: Mapping[str, Tensor]
    """Parameters and buffers of the model, by name."""
    optimizer: Mapping[str, Tensor]
    """Moments and counters, by `{parameter}.{name}`."""
    average: Mapping[str, Tensor]
    """Parameters and buffers of the moving average; empty without one."""
    steps: DoubleArray
    """Loss, gradient norm, learning rate and number of comments of each step of the current epoch, (n_steps, 4)."""


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Seed torch's generators for one step, so that its random numbers depend only on the seed and the step.

    Args:
        seed: of the training.
        step: counted from 1.
        rank: of this process among those that train together; each has other random numbers.
    """
    (mixed,) = np.random.SeedSequence([seed, step, *([rank] if rank else [])]).generate_state(1, np.uint64)
    torch.manual_seed(int(mixed))


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and saved buffer of a model once, by name; not copied."""
    state = model.state_dict()
    shared: set[int] = set()
    found = {}
    for name, tensor in state.items():
        if tensor.data_ptr() not in shared or tensor.numel() == 0:
            found[name] = tensor
        shared.add(tensor.data_ptr())
    return found


@torch.no_grad()
def load_named(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into the parameters and buffers of a model.

    Raises:
        KeyError: the names are not those of the model.
    """
    own = named_tensors(model)
    if own.keys() != tensors.keys():
        raise KeyError(f"{sorted(own.keys() ^ tensors.keys())[:3]}")
    for name, tensor in own.items():
        tensor.copy_(tensors[name])
