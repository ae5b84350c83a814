"""Optimizer, learning-rate schedule, and the moving average of the weights."""

import copy
import math
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from goemo_cli.core.config import TrainingSettings
from goemo_cli.ml.transformer import TransformerClassifier

AVERAGE_EVERY = 8
"""Steps between updates of the moving average: as good as every step, at an eighth of its memory traffic."""


def make_optimizer(classifier: TransformerClassifier, settings: TrainingSettings) -> AdamW:
    """Fused AdamW in four groups: encoder and head, each with and without weight decay.

    Biases and norms are not decayed; the head learns `head_multiplier` times as fast. The first group is the
    encoder's, whose learning rate is what gets reported.
    """
    head = {name for name, _ in classifier.head_parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in classifier.model.named_parameters():
        groups.setdefault((name in head, parameter.ndim > 1), []).append(parameter)
    return AdamW(
        [
            {
                "params": groups[key],
                "lr": settings.learning_rate * (settings.head_multiplier if key[0] else 1.0),
                "weight_decay": settings.weight_decay if key[1] else 0.0,
            }
            for key in sorted(groups)
        ],
        fused=True,
    )


def make_schedule(optimizer: Optimizer, settings: TrainingSettings, total_steps: int) -> LambdaLR:
    """Linear warm-up to the peak, then the decay that the settings name, to zero at the last step."""
    warmup_steps = int(settings.warmup * total_steps)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        if settings.schedule == "linear":
            return 1.0 - done
        if settings.schedule == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * done))
        return 1.0

    return LambdaLR(optimizer, factor)


class WeightAverage:
    """An exponential moving average of a model's weights.

    Early on the average is shorter (decay at most (1 + step) / (10 + step)), so that it forgets where it started.

    Source:
        Polyak and Juditsky 1992; Tarvainen and Valpola 2017, https://arxiv.org/abs/1703.01780.
    """

    def __init__(self, model: Any, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay
        self._seen = 0
        """The step up to which the average has moved."""

    def update(self, model: Any, step: int) -> None:
        """Told after every optimizer step, counted from 1; moves the average at the first few and at every eighth."""
        if step < AVERAGE_EVERY or step % AVERAGE_EVERY == 0:
            self.catch_up(model, step)

    @torch.no_grad()
    def catch_up(self, model: Any, step: int) -> None:
        """Move the average towards the weights by all steps since it last moved; before it is scored, say."""
        decay = min(self.decay, (1 + step) / (10 + step)) ** (step - self._seen)
        self._seen = step
        ours, theirs = list(self.model.parameters()), list(model.parameters())
        torch._foreach_lerp_(ours, theirs, 1 - decay)
        for average, current in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(current)
