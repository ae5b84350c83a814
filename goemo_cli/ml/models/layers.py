"""The layers of an encoder, and forward passes that compute a part of them, or compute them twice to save memory."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from goemo_cli.core.errors import SettingError
from goemo_cli.ml.models.cpu import ATTENTION

_MASKED_BY_QUERY = ("eager", "sdpa", ATTENTION)
"""Kinds of attention whose mask has a row for each query: (batch, 1, queries, tokens)."""
_MEAN_TO_FIRST = 8.0
"""Weight of the mean of all tokens in what the last layer starts with; the first token has the weight 1."""


@dataclass(frozen=True)
class EncoderParts:
    """An encoder as embeddings that enter a stack of layers."""

    embeddings: tuple[nn.Module, ...]
    """One after the other."""
    layers: tuple[nn.Module, ...]
    """From the lowest to the last."""


def encoder_parts(model: Any) -> EncoderParts | None:
    """Embeddings and layers of a transformers model with a head; None if its parts have other names."""
    encoder = getattr(model, model.base_model_prefix)
    for holder in (getattr(encoder, "encoder", None), getattr(encoder, "transformer", None), encoder):
        layers = getattr(holder, "layer", None) or getattr(holder, "layers", None)
        if isinstance(layers, nn.ModuleList) and hasattr(encoder, "embeddings"):
            # ELECTRA has it if its embeddings are narrower than its layers.
            projection = getattr(encoder, "embeddings_project", None)
            return EncoderParts((encoder.embeddings, *([projection] if projection else [])), tuple(layers))
    return None


def require_mean_layer(model: Any) -> None:
    """Let a classifier start with the mean of all tokens, unless its weights were trained so.

    Raises:
        SettingError: the model is not a BERT.
    """
    kind = model.config.model_type
    if kind != "bert":
        raise SettingError([f"model.pooling: mean is only for models of the type bert; this one is {kind}"])
    if not getattr(model.config, "mean_layer", False):
        start_mean_layer(model)


@torch.no_grad()
def start_mean_layer(model: Any) -> None:
    """Give the last layer of a BERT classifier new weights, with which its first token is the mean of all tokens.

    A BERT classifier reads its first token, but sentence encoders were trained for the mean of their tokens. The layer stays
    an ordinary one, so transformers loads the checkpoint as any other: its attention starts almost uniform over the tokens,
    its values are the tokens themselves, and what follows the attention adds nothing. The pooler starts as tanh alone. What
    the layer knew is lost; a layer more would cost half as much time again for the same scores (docs/recipe.md). The config
    says `mean_layer`.

    Args:
        model: a BertForSequenceClassification.

    Source:
        Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084, section 3, for the mean; the layer is our own.
    """
    layer, pooler = model.bert.encoder.layer[-1], model.bert.pooler.dense
    for module in layer.modules():
        if isinstance(module, nn.Linear):
            module.weight.normal_(std=model.config.initializer_range)
            module.bias.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()
    nn.init.eye_(layer.attention.self.value.weight)
    nn.init.eye_(layer.attention.output.dense.weight).mul_(_MEAN_TO_FIRST)
    layer.output.dense.weight.zero_()
    nn.init.eye_(pooler.weight)
    pooler.bias.zero_()
    model.config.mean_layer = True


@contextmanager
def replaced_forward(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Inside the block a module computes with another function; its parameters and their names stay."""
    before = vars(module).get("forward")  # of a block around this one
    module.forward = forward  # only until the block ends
    try:
        yield
    finally:
        if before is None:
            del module.forward
        else:
            module.forward = before


@contextmanager
def only_first_token(model: Any) -> Iterator[None]:
    """Inside the block the last layer computes the first token only, if the head reads no other.

    Keys and values still come from all tokens, so logits differ from the ordinary pass by rounding alone. The encoder's
    `last_hidden_state` has one token: (batch, 1, width). Changes nothing for architectures that are not known here.
    """
    parts = encoder_parts(model)
    forward = _FIRST_TOKEN.get(type(parts.layers[-1]).__name__) if parts else None
    if parts and forward and _reads_first_token(model):
        with replaced_forward(parts.layers[-1], partial(forward, parts.layers[-1])):
            yield
    else:
        yield


@contextmanager
def entering_at(model: Any, layer: int, hidden: Tensor) -> Iterator[None]:
    """Inside the block a forward pass starts at a layer, with what the layers below it gave.

    Args:
        model: one with `encoder_parts`.
        layer: counted from 0.
        hidden: (batch, tokens, width).
    """
    parts = encoder_parts(model)
    assert parts
    with ExitStack() as stack:
        for embeddings in parts.embeddings:
            stack.enter_context(replaced_forward(embeddings, lambda *_, **__: hidden))
        for lower in parts.layers[:layer]:
            stack.enter_context(replaced_forward(lower, _unchanged))
        yield


@contextmanager
def recomputed(model: Any) -> Iterator[None]:
    """Inside the block layers keep only what enters them; the backward pass, inside or outside, computes the rest again.

    The gradients are the same to the bit: a layer draws the same random numbers for dropout again. Each layer computes with
    the function that it has when the block is entered.

    Args:
        model: one with `encoder_parts`.

    Source:
        Chen et al. 2016, https://arxiv.org/abs/1604.06174, as torch.utils.checkpoint.
    """
    parts = encoder_parts(model)
    assert parts
    with ExitStack() as stack:
        for layer in parts.layers:
            stack.enter_context(
                replaced_forward(layer, partial(checkpoint, layer.forward, use_reentrant=False))
            )
        yield


def output_below(model: Any, layer: int, inputs: Mapping[str, Tensor]) -> Tensor:
    """What enters a layer, counted from 0, in a forward pass that computes nothing above: (batch, tokens, width)."""
    parts = encoder_parts(model)
    assert parts
    found: list[Tensor] = []

    def keep(hidden: Tensor, *_: Any, **__: Any) -> Tensor:
        found.append(hidden)
        return hidden

    with ExitStack() as stack:
        stack.enter_context(replaced_forward(parts.layers[layer], keep))
        for upper in parts.layers[layer + 1 :]:
            stack.enter_context(replaced_forward(upper, _unchanged))
        model(**inputs)
    return found[0]


def _unchanged(hidden: Tensor, *_: Any, **__: Any) -> Tensor:
    return hidden


def _reads_first_token(model: Any) -> bool:
    config = model.config
    if config._attn_implementation not in _MASKED_BY_QUERY or getattr(config, "is_decoder", False):
        return False
    return getattr(config, "classifier_pooling", "cls") == "cls"


def _bert_layer(
    layer: Any, hidden: Tensor, attention_mask: Tensor | None = None, *_: Any, **__: Any
) -> Tensor:
    """The first token's output of a layer of BERT, RoBERTa, XLM-RoBERTa, ELECTRA or CamemBERT, (batch, 1, width)."""
    first, attention = hidden[:, :1], layer.attention.self
    read = _attend(
        attention, attention.query(first), attention.key(hidden), attention.value(hidden), attention_mask
    )
    found: Tensor = layer.feed_forward_chunk(layer.attention.output(read, first))
    return found


def _distilbert_layer(layer: Any, hidden: Tensor, attention_mask: Tensor | None = None, **_: Any) -> Tensor:
    """The first token's output of a layer of DistilBERT, (batch, 1, width)."""
    first, attention = hidden[:, :1], layer.attention
    read = _attend(
        attention, attention.q_lin(first), attention.k_lin(hidden), attention.v_lin(hidden), attention_mask
    )
    after = layer.sa_layer_norm(attention.out_lin(read) + first)
    found: Tensor = layer.output_layer_norm(layer.ffn(after) + after)
    return found


def _attend(attention: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """What one query reads from all tokens, by the model's own kind of attention, (batch, 1, width)."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    def by_head(x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], -1, attention.attention_head_size).transpose(1, 2)

    eager = sys.modules[type(attention).__module__].eager_attention_forward
    attend = ALL_ATTENTION_FUNCTIONS.get_interface(attention.config._attn_implementation, eager)
    read, _ = attend(
        attention,
        by_head(query),
        by_head(key),
        by_head(value),
        None if mask is None else mask[:, :, :1],
        dropout=attention.dropout.p if attention.training else 0.0,
        scaling=attention.scaling,
    )
    found: Tensor = read.flatten(2)
    return found


_FIRST_TOKEN: dict[str, Callable[..., Tensor]] = {
    "BertLayer": _bert_layer,
    "RobertaLayer": _bert_layer,
    "XLMRobertaLayer": _bert_layer,
    "CamembertLayer": _bert_layer,
    "ElectraLayer": _bert_layer,
    "TransformerBlock": _distilbert_layer,
}
"""By the class of the last layer."""
