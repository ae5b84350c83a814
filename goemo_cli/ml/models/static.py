"""A classifier of static token vectors: no attention, so that it trains and predicts in seconds on any processor."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

from goemo_cli.ml.models.layers import replaced_forward

_NORM = 8.0
"""Mean length of the token vectors at the start: with it one learning rate suits vectors and layers."""

_WORTH_TABLES = 1000
"""Texts: below, computing the tables costs more than it saves."""


class StaticConfig(PreTrainedConfig):  # type: ignore[misc]  # transformers has no types
    """The sizes of the classifier, as config.json stores them."""

    model_type = "goemo-static"
    num_hidden_layers = 1
    """The features."""

    def __init__(
        self,
        vocab_size: int = 30_522,
        hidden_size: int = 384,
        feature_size: int = 256,
        hidden_dropout_prob: float = 0.2,
        initializer_range: float = 0.02,
        **other: Any,
    ) -> None:
        """Set the sizes.

        Args:
            vocab_size: number of tokens.
            hidden_size: width of a token vector.
            feature_size: number of features of a token.
            hidden_dropout_prob: dropout before the classifier.
            initializer_range: standard deviation of new weights.
            **other: settings of all models of transformers.
        """
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.feature_size = feature_size
        self.hidden_dropout_prob = hidden_dropout_prob
        self.initializer_range = initializer_range
        super().__init__(**other)


class Vectors(NamedTuple):
    """Token vectors, (batch, tokens, width), under the name that encoders of transformers use."""

    last_hidden_state: Tensor


class Scored(NamedTuple):
    """What a classifier gives: (batch, n_labels)."""

    logits: Tensor


class StaticPreTrained(PreTrainedModel):  # type: ignore[misc]  # transformers has no types
    """What the two models below share."""

    config_class = StaticConfig
    base_model_prefix = "static"
    _supports_sdpa = True
    """The model has no attention, so it runs with each implementation."""


class StaticModel(StaticPreTrained):
    """The vector of each token, whatever its neighbours are."""

    def __init__(self, config: StaticConfig) -> None:
        super().__init__(config)
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The token vectors."""
        return self.word_embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replace the token vectors."""
        self.word_embeddings = value

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Vectors:
        """Vectors of tokens; the mask has no effect."""
        return Vectors(self.word_embeddings(input_ids))


class StaticForSequenceClassification(StaticPreTrained):
    """Features of tokens, their maximum and the mean of the token vectors over the text, and one linear layer.

    Source:
        Shen et al. 2018, Baseline Needs More Love, https://arxiv.org/abs/1805.09843 (SWEM-concat: mean and maximum over
        word vectors). Here the maximum is over a layer with ReLU of each vector.
    """

    def __init__(self, config: StaticConfig) -> None:
        super().__init__(config)
        self.static = StaticModel(config)
        self.features = nn.Linear(config.hidden_size, config.feature_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size + config.feature_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Scored:
        """Logits of texts.

        Args:
            input_ids: int64, (batch, tokens).
            attention_mask: 1 for tokens, 0 for padding; (batch, tokens).
        """
        vectors = self.static(input_ids).last_hidden_state
        mask = attention_mask[:, :, None].to(vectors.dtype)
        mean = (vectors * mask).sum(1) / mask.sum(1).clamp(min=1)
        highest = (self.features(vectors).relu() * mask).amax(1)  # (batch, feature_size)
        return Scored(self.classifier(self.dropout(torch.cat([mean, highest], dim=1))))

    @contextmanager
    def scoring(self, n_texts: int) -> Iterator[None]:
        """Inside the block logits come from two tables that are computed once: the layers of all tokens of the vocabulary.

        Logits differ by rounding. Needs no gradients, and the weights must not change inside the block.

        Args:
            n_texts: that will be scored; a few are scored faster without tables.
        """
        if n_texts < _WORTH_TABLES:
            yield
            return
        vectors, width = self.static.word_embeddings.weight, self.config.hidden_size
        of_mean, of_highest = self.classifier.weight[:, :width], self.classifier.weight[:, width:]
        # The last row is for padding: features are at least 0, so zeros change neither sum nor maximum.
        linear = functional.pad(vectors @ of_mean.T, (0, 0, 0, 1))  # (vocab_size + 1, n_labels)
        features = functional.pad(
            self.features(vectors).relu(), (0, 0, 0, 1)
        )  # (vocab_size + 1, feature_size)
        padding = len(vectors)

        def from_tables(input_ids: Tensor, attention_mask: Tensor) -> Scored:
            ids = input_ids.masked_fill(attention_mask == 0, padding)
            counts = attention_mask.sum(1, keepdim=True).clamp(min=1)
            mean = functional.embedding_bag(ids, linear, mode="sum") / counts
            highest = functional.embedding(ids, features).amax(1)
            return Scored(mean + highest @ of_highest.T + self.classifier.bias)

        with replaced_forward(self, from_tables):
            yield


def register_static() -> None:
    """Let the Auto classes of transformers load these models."""
    AutoConfig.register(StaticConfig.model_type, StaticConfig, exist_ok=True)
    AutoModelForSequenceClassification.register(StaticConfig, StaticForSequenceClassification, exist_ok=True)


@torch.no_grad()
def start_static(vectors: Tensor, **config: Any) -> StaticForSequenceClassification:
    """A new classifier whose token vectors come from an encoder.

    Args:
        vectors: the encoder's own vectors of its tokens, (vocab_size, width); centred and scaled here.
        **config: settings of `StaticConfig` and of all models of transformers.
    """
    model = StaticForSequenceClassification(
        StaticConfig(vocab_size=len(vectors), hidden_size=vectors.shape[1], **config)
    )
    centred = vectors - vectors.mean(dim=0)
    model.static.word_embeddings.weight.copy_(centred * (_NORM / centred.norm(dim=1).mean()))
    nn.init.kaiming_uniform_(model.features.weight, a=math.sqrt(5))
    return model
