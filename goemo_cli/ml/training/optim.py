"""Optimizer, learning-rate schedule, and the moving average of the weights."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer, SparseAdam

from goemo_cli.core.settings import TrainingSettings
from goemo_cli.ml.models.transformer import TransformerClassifier

AVERAGE_EVERY = 8
"""Steps between updates of the moving average: as good as every step, at an eighth of its memory traffic."""


class Optimizers:
    """Fused AdamW for all dense weights and lazy Adam for the word embeddings, stepped as one.

    Of 30,000 words a batch holds a few hundred: their rows alone are updated, which saves a quarter of a step on a
    CPU. AdamW has four groups: encoder and head, each with and without weight decay; biases and norms are not
    decayed, nor are embeddings; the head learns `head_multiplier` times as fast.
    """

    def __init__(
        self, classifier: TransformerClassifier, settings: TrainingSettings, total_steps: int, *, sparse: bool
    ) -> None:
        """For a run of `total_steps` updates; `sparse` unless the device knows no sparse gradients."""
        self.clip_norm = settings.clip_norm or math.inf
        self._names = {parameter: name for name, parameter in classifier.model.named_parameters()}
        head = {name for name, _ in classifier.head_parameters()}
        words = classifier.model.get_input_embeddings()
        sparse = sparse and words.weight.requires_grad
        words.sparse = sparse
        self.words: nn.Parameter | None = words.weight if sparse else None
        """The word embeddings, if their gradients are sparse."""
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in classifier.model.named_parameters():
            if parameter.requires_grad and not (sparse and parameter is words.weight):
                groups.setdefault((name in head, parameter.ndim > 1), []).append(parameter)
        dense = AdamW(
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
        self.parts: list[Optimizer] = [dense]
        if sparse:
            self.parts.append(SparseAdam([words.weight], lr=settings.learning_rate))
        self._factor = schedule_factor(settings, total_steps)
        self._peaks = [(group, float(group["lr"])) for part in self.parts for group in part.param_groups]
        self._move_to(0)

    @property
    def learning_rate(self) -> float:
        """Of the encoder, at the next step."""
        return float(self.parts[0].param_groups[0]["lr"])

    def clip(self) -> float:
        """Scale all gradients down so that their norm is at most the settings' ceiling; the norm before."""
        gradients = []
        for parameter in self.parameters:
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()
                gradients.append(parameter.grad.values())
            elif parameter.grad is not None:
                gradients.append(parameter.grad)
        norm = torch.nn.utils.get_total_norm(gradients)
        torch._foreach_mul_(gradients, (self.clip_norm / (norm + 1e-6)).clamp(max=1.0))
        return float(norm)

    def step(self) -> None:
        """Update the weights, forget the gradients, move along the schedule."""
        for part in self.parts:
            part.step()
            part.zero_grad(set_to_none=True)
        self._move_to(self._done + 1)

    def tensors(self) -> dict[str, Tensor]:
        """The moments and the counter of every parameter, by `{parameter}.{name}`; they change with the next step."""
        return {
            f"{self._names[parameter]}.{key}": torch.as_tensor(value)
            for part in self.parts
            for parameter, state in part.state.items()
            for key, value in state.items()
        }

    def restore(self, tensors: Mapping[str, Tensor], done: int) -> None:
        """Continue after `done` steps, with the moments and counters of that moment."""
        owners = {self._names[p]: (part, p) for part in self.parts for p in _parameters(part)}
        for key, tensor in tensors.items():
            name, _, field = key.rpartition(".")
            part, parameter = owners[name]
            # SparseAdam counts with a number, AdamW with a tensor.
            is_number = field == "step" and isinstance(part, SparseAdam)
            part.state[parameter][field] = int(tensor) if is_number else tensor.to(parameter.device)
        self._move_to(done)

    def _move_to(self, done: int) -> None:
        """Set the learning rates of the step after `done` steps."""
        self._done = done
        for group, peak in self._peaks:
            group["lr"] = peak * self._factor(done)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All that are trained, in the same order every time."""
        return [parameter for part in self.parts for parameter in _parameters(part)]


def _parameters(part: Optimizer) -> Iterator[nn.Parameter]:
    for group in part.param_groups:
        yield from group["params"]


def schedule_factor(settings: TrainingSettings, total_steps: int) -> Callable[[int], float]:
    """The share of the peak learning rate after a number of steps.

    Linear warm-up to the peak, then the decay that the settings name, to zero after the last step.
    """
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

    return factor


class WeightAverage:
    """An average of a model's weights over the run so far, the later ones weighing more.

    At step t the average moves by 1 - (1 - 1/t) ** (1/span - 1) of the way, so that the weights in it are a share
    `span` of the steps so far old in the mean, however long the run; what it started from is forgotten at once.

    Source:
        Karras et al. 2024, https://arxiv.org/abs/2312.02696, section 3.1 (gamma = 1/span - 2).
    """

    def __init__(self, model: Any, span: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.span = span
        self.seen = 0
        """The step up to which the average has moved."""

    def update(self, model: Any, step: int) -> None:
        """Told after every optimizer step, counted from 1; moves the average at the first few and at every eighth."""
        if step < AVERAGE_EVERY or step % AVERAGE_EVERY == 0:
            self.catch_up(model, step)

    @torch.no_grad()
    def catch_up(self, model: Any, step: int) -> None:
        """Move the average towards the weights by all steps since it last moved; before it is scored, say."""
        # (1 - 1/t) telescopes over the steps in between.
        kept = (self.seen / step) ** (1 / self.span - 1)
        self.seen = step
        ours, theirs = list(self.model.parameters()), list(model.parameters())
        torch._foreach_lerp_(ours, theirs, 1 - kept)
        for average, current in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(current)
