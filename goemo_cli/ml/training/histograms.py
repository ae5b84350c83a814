"""Histograms of a model's gradients and parameters while it trains: counted where the tensors are, only when asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from goemo_cli.core.arrays import Histogram

BINS = 64
"""As many as `wandb.watch` makes."""
_PIECE = 2**24
"""Values counted at once: float32, in which torch counts, holds no odd number above it."""


@dataclass(frozen=True)
class Watched:
    """What of a model is counted, and how often."""

    gradients: bool
    parameters: bool
    every: int
    """Steps in between; the first step is counted too."""

    def is_due(self, step: int) -> bool:
        """Whether a step, counted from 1, is one of those."""
        return step == 1 or step % self.every == 0


def model_histograms(model: Any, watched: Watched) -> dict[str, Histogram]:
    """`gradients/{parameter}` and `parameters/{parameter}`, the names of `wandb.watch`; changes nothing.

    Parameters without a gradient, and tensors without a finite value, are left out.
    """
    return {
        name: counted
        for name, tensor in _watched(model, watched)
        if (counted := histogram(tensor)) is not None
    }


def histogram(tensor: Tensor) -> Histogram | None:
    """The finite values of a tensor in at most `BINS` bins; None if there are none.

    The zeros that a sparse tensor does not hold are counted as zeros. Counted on the processor, since a GPU has no
    deterministic way.

    Source:
        `TorchHistory.log_tensor_stats` of wandb.
    """
    values = tensor.detach()
    values = values.coalesce().values() if values.is_sparse else values
    zeros = tensor.numel() - values.numel()
    flat = values.reshape(-1).float().cpu()
    if not (finite := flat.isfinite()).all():
        flat = flat[finite]
    if not flat.numel():
        return None
    low, high = float(flat.min()), float(flat.max())
    if zeros:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        counts = [flat.numel() + zeros]
    else:
        pieces = [torch.histc(piece, BINS, low, high).long() for piece in torch.split(flat, _PIECE)]
        counts = torch.stack(pieces).sum(0).tolist()
        if zeros:
            counts[min(int(-low / (high - low) * BINS), BINS - 1)] += zeros
    norm = float(torch.linalg.vector_norm(flat, dtype=torch.float64))
    return Histogram(tuple(counts), low, high, float(flat.sum(dtype=torch.float64)), norm**2)


def model_structure(model: Any) -> Iterator[tuple[str, str, int]]:
    """Name, shape (`384 x 384`) and count of every parameter, in the model's order."""
    for name, parameter in model.named_parameters():
        yield name, " x ".join(map(str, parameter.shape)) or "1", parameter.numel()


def _watched(model: Any, watched: Watched) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in model.named_parameters():
        if watched.gradients and parameter.grad is not None:
            yield f"gradients/{name}", parameter.grad
        if watched.parameters:
            yield f"parameters/{name}", parameter
