"""A random two-layer BERT built in memory: trains in seconds without a download, for tests and dry runs."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from goemo_cli.core.settings import ModelSettings
from goemo_cli.ml.models.layers import require_mean_layer
from goemo_cli.ml.models.transformer import TransformerClassifier, label_settings

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_WORDS = 2000


def build_tiny(
    texts: Sequence[str], labels: tuple[str, ...], settings: ModelSettings, *, single_label: bool = False
) -> TransformerClassifier:
    """A BERT of width 32 with random weights, over the characters and commonest words of some texts.

    Args:
        texts: what the vocabulary is taken from.
        labels: label names in output order.
        settings: dropout, max_length and pooling.
        single_label: whether each text has exactly one label.
    """
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = _tokenizer(texts, settings.max_length)
    dropout = 0.0 if settings.dropout is None else settings.dropout
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=settings.max_length,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        pad_token_id=tokenizer.pad_token_id,
        **label_settings(labels, single_label=single_label),
    )
    config._attn_implementation = "eager"
    model = BertForSequenceClassification(config)
    if settings.pooling == "mean":
        require_mean_layer(model)
    return TransformerClassifier(model, tokenizer, labels, settings.max_length)


def _tokenizer(texts: Sequence[str], max_length: int) -> Any:
    from transformers import BertTokenizer

    lowered = [text.lower() for text in texts]
    words = Counter(word for text in lowered for word in re.findall(r"\w+|[^\w\s]", text))
    characters = sorted({character for word in words for character in word})
    common = [
        word
        for word, _ in sorted(words.items(), key=lambda item: (-item[1], item[0]))[:_WORDS]
        if len(word) > 1
    ]
    pieces = dict.fromkeys([*_SPECIAL, *characters, *("##" + character for character in characters), *common])
    return BertTokenizer(
        vocab={piece: at for at, piece in enumerate(pieces)}, do_lower_case=True, model_max_length=max_length
    )
