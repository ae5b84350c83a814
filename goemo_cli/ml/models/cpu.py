"""Faster training and scoring on CPUs: cheap dropout, and linear layers in oneDNN's memory order."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

ATTENTION = "goemo_eager"
"""Eager attention with this dropout, by its name among transformers' attention functions."""
_LEVELS = 1 << 16
WORTH_PACKING = 32
"""Texts: below, reordering the weights costs more than it saves."""


class CheapDropout(nn.Module):
    """In place of nn.Dropout: four cells share the 64 bits of one draw, five times faster than torch's on a CPU."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """`x` as it is in eval mode, else with a share `p` of its cells set to 0 and the others scaled up."""
        return cheap_dropout(x, self.p) if self.training else x


def cheap_dropout(x: Tensor, p: float) -> Tensor:
    """`x` with a share `p` of its cells, to the nearest 1/65,536, set to 0 and the others divided by 1 - p.

    Random by torch's global generator, so that its seed decides.

    Source:
        Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html.
    """
    if p == 0:
        return x
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(1 << 63), None)
    cells = draws.view(torch.int16)[: x.numel()].view(x.shape)  # even over all 65,536 values
    kept = cells >= round(p * _LEVELS) - _LEVELS // 2
    return x * kept.to(x.dtype).mul_(1 / (1 - p))


def use_cheap_dropout(model: Any) -> None:
    """Let a model of transformers that will be trained on the CPU use this dropout everywhere."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, CheapDropout(child.p).train(child.training))
    if model._supports_attention_backend and model.config._attn_implementation == "eager":
        _register_attention()
        model.set_attn_implementation(ATTENTION)


def _register_attention() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(ATTENTION, _eager_attention)
    AttentionMaskInterface.register(ATTENTION, eager_mask)


def _eager_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """As transformers' eager_attention_forward, but for the dropout.

    Query, key and value are (batch, heads, tokens, width); the mask is added to the scores.
    """
    scaling = query.size(-1) ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query, key.transpose(2, 3)) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = torch.softmax(scores, dim=-1)
    if module.training:
        weights = cheap_dropout(weights, dropout)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), weights


@contextmanager
def packed_linears(model: nn.Module, n_texts: int) -> Iterator[None]:
    """Inside the block the model's linear layers compute in fp32 on reordered copies of their weights.

    PyTorch multiplies through MKL, which keeps to AVX2 on processors that are not Intel's; oneDNN uses AVX-512
    everywhere. Probabilities agree to about 2e-6. Needs no gradients. The weights do not change, so the block can be
    used during training; inside it they are in memory twice.

    Args:
        model: as it is outside the block again afterwards. Only on CPUs and in fp32 anything changes.
        n_texts: that will be scored.
    """
    layers = (
        list(_packable(model)) if n_texts >= WORTH_PACKING and hasattr(_onednn(), "_linear_pointwise") else []
    )
    for layer in layers:
        layer.forward = _packed(layer)  # type: ignore[method-assign, assignment]  # only until the block ends
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _packable(model: nn.Module) -> Iterator[nn.Linear]:
    for layer in model.modules():
        # Subclasses may use their weights in other ways; a layer that others share comes once.
        if type(layer) is nn.Linear and layer.weight.dtype == torch.float32 and layer.weight.is_cpu:
            yield layer


def _packed(layer: nn.Linear) -> Callable[[Tensor], Tensor]:
    weight = _onednn()._reorder_linear_weight(layer.weight.detach().contiguous(), None)
    bias = None if layer.bias is None else layer.bias.detach()
    return partial(_linear, weight, bias)


def _linear(weight: Tensor, bias: Tensor | None, inputs: Tensor) -> Tensor:
    """What torch.compile itself calls for a frozen linear layer: (..., n_in) to (..., n_out)."""
    outputs: Tensor = _onednn()._linear_pointwise(inputs, weight, bias, "none", [], "")
    return outputs


def _onednn() -> Any:
    return torch.ops.mkldnn
