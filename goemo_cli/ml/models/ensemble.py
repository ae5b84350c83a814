"""Several models as one: the mean of their probabilities."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.checkpoint import Checkpoint

if TYPE_CHECKING:
    from goemo_cli.ml.models.classifier import Classifier


@dataclass(frozen=True)
class Ensemble:
    """Models over the same labels; each is loaded when its turn comes."""

    labels: tuple[str, ...]
    members: "tuple[Callable[[], Classifier], ...]"
    """Each loads one."""

    def predict_proba(
        self,
        texts: Sequence[str],
        on_progress: Callable[[int], None] = lambda rows: None,
        cut: Callable[[int], None] = lambda texts: None,
    ) -> FloatArray:
        """Mean probability of every label, float32, (n_examples, n_labels).

        Args:
            texts: n_examples texts.
            on_progress: called with the number of rows done since the last call.
            cut: called with the number of texts that were longer than the last member's maximum.
        """
        *first, last = self.members
        y_prob = [load().predict_proba(texts) for load in first]
        return mean_probability([*y_prob, last().predict_proba(texts, on_progress, cut)])


@dataclass(frozen=True)
class SharedEnsemble(Ensemble):
    """An ensemble whose members share lower layers and are in memory together."""

    joint: "Classifier"
    """All members as one model: its probabilities are (n_examples, members, n_labels)."""

    def predict_proba(
        self,
        texts: Sequence[str],
        on_progress: Callable[[int], None] = lambda rows: None,
        cut: Callable[[int], None] = lambda texts: None,
    ) -> FloatArray:
        """As `Ensemble.predict_proba`, with the same bits."""
        by_member = self.joint.predict_proba(texts, on_progress, cut)
        return mean_probability([by_member[:, at] for at in range(by_member.shape[1])])


def mean_probability(members: Sequence[FloatArray]) -> FloatArray:
    """The mean, computed in float64, of members' probabilities, float32, (n_examples, n_labels) each.

    Source:
        Lakshminarayanan et al. 2017, https://arxiv.org/abs/1612.01474.
    """
    total = np.zeros(members[0].shape)
    for y_prob in members:
        total += y_prob
    mean: FloatArray = (total / len(members)).astype(np.float32)
    return mean


def may_share_layers(members: Sequence[Checkpoint]) -> bool:
    """Whether the members of an ensemble were trained on the same frozen layers."""
    same = {str(one.manifest.parents.base_model.get("sha256")) for one in members}
    return len(same) == 1 and all(one.config.training.frozen_layers for one in members)


def sharing(labels: tuple[str, ...], loaders: Sequence[Callable[[], Any]]) -> Ensemble:
    """An ensemble that loads its members now, and computes what is equal in all of them once.

    Members of other architectures, or without equal layers, are computed one after the other.
    """
    from goemo_cli.ml.models.bert import joined  # torch, which tfidf does without

    members = [load() for load in loaders]
    kept = tuple(partial(_given, member) for member in members)
    read_alike = len({member.max_length for member in members}) == 1
    model = joined([member.model for member in members]) if read_alike else None
    if model is None:
        return Ensemble(labels, kept)
    return SharedEnsemble(labels, kept, replace(members[0], model=model.eval()))


def _given(member: Any) -> Any:
    return member
