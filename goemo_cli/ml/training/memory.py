"""The memory of a training, predicted before its first step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from goemo_cli.core.arrays import IntArray
from goemo_cli.core.settings import TrainingSettings
from goemo_cli.ml.models.cpu import WORTH_PACKING
from goemo_cli.ml.models.devices import Precision
from goemo_cli.ml.models.transformer import TransformerClassifier
from goemo_cli.ml.training.batches import EncodedTexts
from goemo_cli.ml.training.frozen import CacheType, file_bytes, freeze
from goemo_cli.ml.training.loop import Examples, epoch_batches, rows_at_once, training_logits
from goemo_cli.ml.training.ranks import Ranks

_GAPS = 0.35
"""Memory in gaps per byte of activations on CPUs: their shapes change with each step. Measured: docs/guides/scale.md."""
_BF16_KERNELS = 150 * 2**20
"""Bytes of the kernels that oneDNN builds for the shapes of a training in bf16 on CPUs. Measured likewise."""


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that a process of a training needs in addition to the loaded model and the data, by what they hold."""

    optimizer: int
    """Two moments of each weight that is trained."""
    average: int
    """The moving average of the weights."""
    frozen_outputs: int
    """The file with what the frozen layers give, as far as it is in memory."""
    gradients: int
    """Of a batch, given back after each step; twice if several processes add them up."""
    activations: int
    """What the forward pass of the largest piece of a batch keeps for the backward pass, with weights in bf16."""
    scoring: int
    """Reordered weights and activations while val is scored, between the steps."""
    overhead: int
    """Gaps between activations, and kernels."""

    @property
    def peak(self) -> int:
        """Bytes at the moment that needs most."""
        between = self.optimizer + self.average + self.frozen_outputs + self.overhead
        return between + max(self.gradients + self.activations, self.scoring)


def memory_need(
    classifier: TransformerClassifier,
    train: Examples,
    val: EncodedTexts,
    settings: TrainingSettings,
    *,
    device: torch.device,
    precision: Precision,
    ranks: Ranks,
    cache: CacheType | None,
) -> MemoryNeed:
    """What a process of a training will need. Computes the forward pass of one and of two rows, and changes no weights.

    Args:
        classifier: the model that will be trained.
        train: what it will learn; what its frozen layers give is not needed.
        val: scored after each epoch.
        settings: of the training.
        device: where it will compute.
        precision: of the forward pass.
        ranks: the processes that will train together.
        cache: the type of the values that frozen layers give, if they are kept in a file.
    """
    model = classifier.model.to(device).train()
    if settings.frozen_layers:
        freeze(model, settings.frozen_layers)
    trained = _bytes(p for p in model.parameters() if p.requires_grad)
    words = model.get_input_embeddings().weight
    is_sparse = words.requires_grad and device.type != "mps"
    gradients = (trained - words.nbytes * is_sparse) * (1 if ranks.is_alone else 2)
    rows = max(_pieces(train.texts, settings, ranks), key=train.texts.padded_tokens)

    def kept(*, recompute: bool) -> tuple[int, int]:
        """Bytes that a forward pass keeps however many rows there are, and for each row of the largest piece."""
        longest = rows[np.argmax(train.texts.lengths[rows])]
        one, two = (
            _kept(model, train, np.repeat(longest, count), recompute, device, precision) for count in (1, 2)
        )
        return 2 * one - two, two - one

    fixed, per_row = kept(recompute=False)
    per_layer = per_row // (model.config.num_hidden_layers - settings.frozen_layers)
    if settings.gradient_checkpointing:  # one layer at a time is computed again
        per_row = kept(recompute=True)[1] + per_layer
    is_packed = device.type == "cpu" and len(val) >= WORTH_PACKING
    packed = _bytes(layer.weight for layer in model.modules() if type(layer) is nn.Linear) if is_packed else 0
    scored = max(map(val.padded_tokens, val.batches_by_length()), default=0)
    optimizer, activations = 2 * trained, fixed + per_row * len(rows)
    overhead = 0
    if device.type == "cpu":
        overhead = round(_GAPS * activations) + _BF16_KERNELS * (precision == "bf16")
    return MemoryNeed(
        optimizer=optimizer,
        average=_bytes(model.parameters()) if settings.averaging else 0,
        frozen_outputs=file_bytes(model, train.texts, cache) if cache else 0,
        gradients=gradients,
        activations=activations,
        scoring=packed + per_layer * scored // train.texts.padded_tokens(rows[-1:]),
        overhead=overhead,
    )


def _bytes(tensors: Iterator[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def _pieces(texts: EncodedTexts, settings: TrainingSettings, ranks: Ranks) -> Iterator[IntArray]:
    """The rows that a process computes at once, in all steps of the training."""
    size = rows_at_once(settings, ranks)
    for epoch in range(1, settings.epochs + 1):
        for batch in epoch_batches(texts, settings, epoch):
            mine = ranks.part(batch)
            yield from (mine[start : start + size] for start in range(0, len(mine), size))


def _kept(
    model: Any,
    examples: Examples,
    rows: IntArray,
    recompute: bool,
    device: torch.device,
    precision: Precision,
) -> int:
    """Bytes that a forward pass keeps for the backward pass, in addition to the weights."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    found: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
    ):
        logits = training_logits(model, examples, rows, recompute=recompute)
    del logits  # its graph has kept all storages until now, so that no address was used twice
    return sum(size for address, size in found.items() if address not in weights)
