"""BERT classifiers that only score texts, without importing transformers, which takes longer than predicting a text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn
from torch.nn import functional

from goemo_cli.core.errors import GoemoError
from goemo_cli.core.files import read_json_object
from goemo_cli.ml.models.folders import CONFIG, weight_files
from goemo_cli.ml.training.batches import PlainTokenizer


class BertConfig(BaseModel):
    """The settings of a BERT classifier in config.json; others make no model that is computed here."""

    model_type: Literal["bert"]
    hidden_act: Literal["gelu"]
    is_decoder: Literal[False] = False
    add_cross_attention: Literal[False] = False
    chunk_size_feed_forward: Literal[0] = 0
    quantization_config: None = None
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float
    id2label: dict[int, str]
    problem_type: str

    @property
    def num_labels(self) -> int:
        """The number of outputs."""
        return len(self.id2label)


class TokenizerConfig(BaseModel):
    """The settings in tokenizer_config.json of a tokenizer that tokenizer.json describes completely."""

    tokenizer_class: Literal["BertTokenizer"]
    truncation_side: Literal["right"] = "right"
    split_special_tokens: Literal[False] = False
    pad_token: str
    model_max_length: int


class Hidden(NamedTuple):
    """What an encoder gives: (batch, tokens, width)."""

    last_hidden_state: Tensor


class Scored(NamedTuple):
    """What a classifier gives: (batch, n_labels)."""

    logits: Tensor


class BertScorer(nn.Module):
    """Computes what BertForSequenceClassification of transformers computes, in evaluation mode with eager attention.

    Its parameters have the same names. The operations and their order are the same, so all bits are equal. As in
    `only_first_token`, the last layer computes the first token only.

    Source:
        Devlin et al. 2019, https://arxiv.org/abs/1810.04805; transformers/models/bert/modeling_bert.py.
    """

    base_model_prefix = "bert"

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.bert = _Encoder(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)

    @property
    def base_model(self) -> nn.Module:
        """The encoder."""
        return self.bert

    def get_input_embeddings(self) -> Any:
        """The word embeddings."""
        return self.bert.embeddings["word_embeddings"]

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Scored:
        """Logits of texts.

        Args:
            input_ids: int64, (batch, tokens).
            attention_mask: 1 for tokens, 0 for padding; (batch, tokens).
        """
        hidden = self.bert(input_ids, attention_mask, only_first=True).last_hidden_state
        return Scored(self.head(hidden))

    def head(self, hidden: Tensor) -> Tensor:
        """Logits from the hidden states of the last layer, (batch, n_labels)."""
        logits: Tensor = self.classifier(torch.tanh(self.bert.pooler["dense"](hidden[:, 0])))
        return logits


class _Encoder(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": _embedding(config.vocab_size, width),
                "position_embeddings": _embedding(config.max_position_embeddings, width),
                "token_type_embeddings": _embedding(config.type_vocab_size, width),
                "LayerNorm": nn.LayerNorm(width, eps=config.layer_norm_eps),
            }
        )
        layers = nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers))
        self.encoder = nn.ModuleDict({"layer": layers})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(width, width)})

    def forward(self, input_ids: Tensor, attention_mask: Tensor, *, only_first: bool = False) -> Hidden:
        """The hidden states of the last layer: of all tokens, or of the first one alone."""
        hidden, ignored = self.enter(input_ids, attention_mask)
        return Hidden(self.climb(hidden, ignored, 0, only_first=only_first))

    def enter(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """What enters the lowest layer, (batch, tokens, width), and what is added to the scores of attention."""
        parts: Any = self.embeddings
        first_type = parts["token_type_embeddings"].weight[0]
        positions = parts["position_embeddings"].weight[: input_ids.shape[1]]
        hidden = parts["LayerNorm"](parts["word_embeddings"](input_ids) + first_type + positions)
        lowest = torch.finfo(hidden.dtype).min
        ignored = torch.zeros_like(attention_mask, dtype=hidden.dtype).masked_fill(
            attention_mask == 0, lowest
        )
        return hidden, ignored[:, None, None, :]

    def climb(
        self,
        hidden: Tensor,
        ignored: Tensor,
        start: int,
        stop: int | None = None,
        *,
        only_first: bool = False,
    ) -> Tensor:
        """What leaves the layer before `stop`, by default the last one, from what enters the layer `start`.

        Args:
            hidden: (batch, tokens, width).
            ignored: as `enter` gives it.
            start: counted from 0.
            stop: counted from 0.
            only_first: the topmost of these layers computes the first token only.
        """
        layers: Any = self.encoder["layer"]
        *inner, top = layers[start:stop]
        for layer in inner:
            hidden = layer(hidden, hidden, ignored)
        found: Tensor = top(hidden[:, :1] if only_first else hidden, hidden, ignored)
        return found


class _Layer(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.heads = config.num_attention_heads
        projections = nn.ModuleDict({name: nn.Linear(width, width) for name in ("query", "key", "value")})
        self.attention = nn.ModuleDict({"self": projections, "output": _output(width, config)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, inner)})
        self.output = _output(inner, config)

    def forward(self, reading: Tensor, hidden: Tensor, ignored: Tensor) -> Tensor:
        """The layer's output for the tokens in `reading`, which read all in `hidden`.

        Args:
            reading: (batch, tokens that are computed, width).
            hidden: (batch, tokens, width).
            ignored: added to the scores of attention: very low for padding, else 0; (batch, 1, 1, tokens).
        """
        parts: Any = self.attention["self"]
        query = self._by_head(parts["query"](reading))
        key, value = (self._by_head(parts[name](hidden)) for name in ("key", "value"))
        scores = torch.matmul(query, key.transpose(2, 3)) * query.size(-1) ** -0.5 + ignored
        read = torch.matmul(functional.softmax(scores, dim=-1), value).transpose(1, 2).flatten(2)
        attended = _added(self.attention["output"], read, reading)
        return _added(self.output, functional.gelu(self.intermediate["dense"](attended)), attended)

    def _by_head(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)  # (batch, heads, tokens, width of a head)


def _embedding(rows: int, width: int) -> nn.Embedding:
    # Without its random start, whose computation on the device `meta` imports the compiler of torch.
    found: nn.Embedding = nn.Embedding.from_pretrained(torch.empty(rows, width), freeze=False)  # type: ignore[no-untyped-call]  # torch has no types there
    return found


def _output(size: int, config: BertConfig) -> nn.ModuleDict:
    norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
    return nn.ModuleDict({"dense": nn.Linear(size, config.hidden_size), "LayerNorm": norm})


def _added(output: Any, x: Tensor, residual: Tensor) -> Tensor:
    added: Tensor = output["LayerNorm"](output["dense"](x) + residual)
    return added


class BertEnsemble(nn.Module):
    """Several BERT classifiers with the same embeddings and lower layers, which are in memory once and computed once.

    The operations of each member are those of the member alone, so all bits are equal.

    Args:
        members: the classifiers; the lower layers of the first one replace those of the others.
        layers: number of layers that are equal in all of them, at least 1 and not all.
    """

    base_model_prefix = "bert"

    def __init__(self, members: Sequence[BertScorer], layers: int) -> None:
        super().__init__()
        self.config, self.layers = members[0].config, layers
        encoders: list[Any] = [member.bert for member in members]
        for encoder in encoders[1:]:
            encoder.embeddings = encoders[0].embeddings
            for at in range(layers):
                encoder.encoder["layer"][at] = encoders[0].encoder["layer"][at]
        self.members = nn.ModuleList(members)

    @property
    def bert(self) -> Any:
        """The encoder of the first member."""
        first: Any = self.members[0]
        return first.bert

    @property
    def output_shape(self) -> tuple[int, int]:
        """Of one text: (members, labels)."""
        return len(self.members), self.config.num_labels

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Scored:
        """Logits of each member, (batch, members, labels); the arguments are those of a member."""
        members: Any = self.members
        lower = self.bert
        hidden, ignored = lower.enter(input_ids, attention_mask)
        hidden = lower.climb(hidden, ignored, 0, self.layers)
        logits = [
            member.head(member.bert.climb(hidden, ignored, self.layers, only_first=True))
            for member in members
        ]
        return Scored(torch.stack(logits, dim=1))


def joined(models: Sequence[nn.Module]) -> BertEnsemble | None:
    """Classifiers as one model that computes what is equal in all of them once.

    Returns:
        None if they are not all `BertScorer`s with equal embeddings and an equal lowest layer.
    """
    layers = _equal_layers(models)
    return (
        BertEnsemble([model for model in models if isinstance(model, BertScorer)], layers) if layers else None
    )


def _equal_layers(models: Sequence[nn.Module]) -> int:
    """The number of lower layers that are equal in all models, without the last one; 0 if the embeddings differ."""
    scorers: list[Any] = [model for model in models if isinstance(model, BertScorer)]
    if len(scorers) < max(len(models), 2) or not _are_equal([one.bert.embeddings for one in scorers]):
        return 0
    stacks = [list(one.bert.encoder["layer"]) for one in scorers]
    equal = 0
    for level in list(zip(*stacks, strict=False))[: min(map(len, stacks)) - 1]:
        if not _are_equal(level):
            break
        equal += 1
    return equal


def _are_equal(modules: Sequence[nn.Module]) -> bool:
    first, *others = [module.state_dict() for module in modules]
    return all(
        one.keys() == first.keys() and all(torch.equal(one[name], tensor) for name, tensor in first.items())
        for one in others
    )


def load_scorer(folder: Path, labels: tuple[str, ...]) -> tuple[BertScorer, PlainTokenizer, int] | None:
    """A BERT classifier in fp32 on the CPU, its tokenizer, and the maximum number of tokens of the two.

    Returns:
        None for all folders that differ in anything from a whole BERT classifier with these labels, in safetensors:
        transformers loads them, or says what is wrong.
    """
    files = weight_files(folder)
    if [path.name for path in files] != ["model.safetensors"]:
        return None
    try:
        config = BertConfig.model_validate(read_json_object(folder / CONFIG))
        settings = TokenizerConfig.model_validate(read_json_object(folder / "tokenizer_config.json"))
    except (GoemoError, ValidationError):
        return None
    tokenizer = _tokenizer(folder / "tokenizer.json", settings)
    if tokenizer is None:
        return None
    weights = _weights(files[0])
    with torch.device("meta"):
        model = BertScorer(config)
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    fits = (
        tuple(config.id2label[i] for i in sorted(config.id2label)) == labels
        and tokenizer.backend_tokenizer.get_vocab_size() <= config.vocab_size
        and {name: tensor.shape for name, tensor in weights.items()} == wanted
        and all(tensor.dtype == torch.float32 for tensor in weights.values())
        and all(tensor.sum().isfinite() for tensor in weights.values())
    )
    if not fits:
        return None
    model.load_state_dict(weights, assign=True)
    return model.eval(), tokenizer, min(config.max_position_embeddings, settings.model_max_length)


def _tokenizer(path: Path, settings: TokenizerConfig) -> PlainTokenizer | None:
    from tokenizers import Tokenizer

    try:
        backend = Tokenizer.from_file(str(path))
    except Exception:  # tokenizers raises Exception itself
        return None
    pad_id = backend.token_to_id(settings.pad_token)
    return None if pad_id is None else PlainTokenizer(backend, pad_id, settings.truncation_side)


def _weights(path: Path) -> Mapping[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights: Mapping[str, Tensor] = load_file(path)
    except SafetensorError:
        return {}
    return weights
