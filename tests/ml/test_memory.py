"""The predicted memory of a training is that of its tensors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from goemo_cli.core.arrays import BoolArray
from goemo_cli.core.settings import TrainingSettings
from goemo_cli.ml.models.transformer import TransformerClassifier
from goemo_cli.ml.training.frozen import FrozenStore, freeze
from goemo_cli.ml.training.loop import Examples, Step, epoch_batches, fit, training_logits
from goemo_cli.ml.training.memory import memory_need
from goemo_cli.ml.training.ranks import ALONE

CPU = torch.device("cpu")


def kept_bytes(model: Any, examples: Examples, rows: np.ndarray, *, recompute: bool) -> int:
    """What a forward pass really keeps for the backward pass, in addition to the weights."""
    storages: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = training_logits(model, examples, rows, recompute=recompute)
    assert logits.requires_grad
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    return sum(size for address, size in storages.items() if address not in weights)


@pytest.mark.parametrize(
    "given",
    [{}, {"frozen_layers": 1}, {"accumulation": 3}, {"gradient_checkpointing": True}, {"averaging": 0.1}],
    ids=["plain", "frozen", "in pieces", "recomputed", "averaged"],
)
def test_it_is_that_of_the_tensors(
    make_tiny: Callable[..., TransformerClassifier],
    comments: tuple[list[str], BoolArray],
    tmp_path: Path,
    given: dict[str, Any],
):
    settings = TrainingSettings(batch_size=12, epochs=2, **given)
    classifier = make_tiny(dropout=0.1)
    examples = Examples(classifier.encode(comments[0]), comments[1])
    need = memory_need(
        classifier, examples, examples.texts, settings,
        device=CPU, precision="fp32", ranks=ALONE, cache="float16" if settings.frozen_layers else None,
    )  # fmt: skip

    step = next(fit(make_tiny(), examples, examples, settings, device=CPU, precision="fp32"))
    assert isinstance(step, Step)
    state = step.state()
    moments = {name: tensor for name, tensor in state.optimizer.items() if not name.endswith(".step")}
    assert need.optimizer == sum(tensor.nbytes for tensor in moments.values())
    assert need.average == sum(tensor.nbytes for tensor in state.average.values())

    model = classifier.model.train()
    if settings.frozen_layers:
        freeze(model, settings.frozen_layers)
        outputs = FrozenStore().outputs(
            model, 1, examples.texts, folder=tmp_path, dtype="float16", precision="fp32"
        )
        assert need.frozen_outputs == outputs.values.nbytes
    at_once = 12 // settings.accumulation
    pieces = [
        batch[start : start + at_once]
        for epoch in (1, 2)
        for batch in epoch_batches(examples.texts, settings, epoch)
        for start in range(0, len(batch), at_once)
    ]
    recompute = settings.gradient_checkpointing
    largest = max(kept_bytes(model, examples, rows, recompute=recompute) for rows in pieces)
    if recompute:  # and one of the two layers, while it is computed again
        whole = max(kept_bytes(model, examples, rows, recompute=False) for rows in pieces)
        assert need.activations == pytest.approx(largest + whole / 2, rel=0.15)
    else:
        assert need.activations == pytest.approx(largest, rel=0.02)

    training_logits(model, examples, pieces[0], recompute=False).sum().backward()  # type: ignore[no-untyped-call]  # torch has no types there
    dense = [
        p.grad
        for p in model.parameters()
        if p.grad is not None and p is not model.get_input_embeddings().weight
    ]
    assert need.gradients == sum(gradient.nbytes for gradient in dense)
