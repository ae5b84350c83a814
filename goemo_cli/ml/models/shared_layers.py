"""Ensembles whose members were trained on the same frozen layers: these layers are computed once for all members."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from goemo_cli.core.arrays import FloatArray
from goemo_cli.ml.models.bert import BertScorer, Scored
from goemo_cli.ml.models.ensemble import Ensemble, mean_probability
from goemo_cli.ml.models.transformer import TransformerClassifier


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


@dataclass(frozen=True)
class SharedEnsemble(Ensemble):
    """An ensemble with shared layers; its members are in memory."""

    joint: TransformerClassifier
    """All members as one model."""

    def predict_proba(
        self,
        texts: Sequence[str],
        on_progress: Callable[[int], None] = lambda rows: None,
        cut: Callable[[int], None] = lambda texts: None,
    ) -> FloatArray:
        """As `Ensemble.predict_proba`, with the same bits."""
        by_member = self.joint.predict_proba(texts, on_progress, cut)  # (n_examples, members, n_labels)
        return mean_probability([by_member[:, at] for at in range(by_member.shape[1])])


def sharing(labels: tuple[str, ...], members: Sequence[TransformerClassifier]) -> Ensemble:
    """Loaded members as an ensemble that computes what is equal in all of them once.

    Members of other architectures, or without equal layers, are computed one after the other.
    """
    loaders = tuple(partial(_given, member) for member in members)
    layers = _equal_layers([member.model for member in members])
    read_alike = len({member.max_length for member in members}) == 1
    if not layers or not read_alike:
        return Ensemble(labels, loaders)
    joint = replace(members[0], model=BertEnsemble([member.model for member in members], layers).eval())
    return SharedEnsemble(labels, loaders, joint)


def _given(member: TransformerClassifier) -> TransformerClassifier:
    return member


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
