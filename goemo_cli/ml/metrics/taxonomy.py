"""Labels and probabilities of fine emotions read as those of a coarser taxonomy."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from goemo_cli.core.arrays import BoolArray, FloatArray
from goemo_cli.core.labels import TAXONOMIES, RollUp, TaxonomyName
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts


def roll_up_labels(y_true: BoolArray, labels: Sequence[str], taxonomy: TaxonomyName) -> BoolArray:
    """A group is positive where any of its members is: bool, (n_examples, n_labels) to (n_examples, n_groups)."""
    return np.stack([y_true[:, at].any(axis=1) for at in _members(labels, taxonomy)], axis=1)


def roll_up_probabilities(
    y_prob: FloatArray, labels: Sequence[str], taxonomy: TaxonomyName, how: RollUp
) -> FloatArray:
    """Probabilities of the groups from those of their members.

    Args:
        y_prob: probabilities, float32, (n_examples, n_labels).
        labels: what the columns mean.
        taxonomy: the groups.
        how: `max`, the most probable member; `noisy_or`, 1 - product of (1 - p), as if members were independent.

    Returns:
        float32, (n_examples, n_groups), in the taxonomy's order.
    """
    columns = []
    for at in _members(labels, taxonomy):
        members = y_prob[:, at].astype(np.float64)
        columns.append(members.max(axis=1) if how == "max" else 1.0 - (1.0 - members).prod(axis=1))
    return np.stack(columns, axis=1).astype(np.float32)


def in_taxonomy(data: Dataset, taxonomy: TaxonomyName) -> Dataset:
    """The data set with the groups of a taxonomy as its labels."""
    splits = {
        name: LabelledTexts(split.texts, roll_up_labels(split.y_true, data.labels, taxonomy), split.ids)
        for name, split in data.splits.items()
    }
    return replace(data, labels=tuple(TAXONOMIES[taxonomy]), splits=splits, taxonomy=taxonomy)


def _members(labels: Sequence[str], taxonomy: TaxonomyName) -> list[list[int]]:
    """The columns of each group's members."""
    at: Mapping[str, int] = {label: column for column, label in enumerate(labels)}
    return [[at[member] for member in members] for members in TAXONOMIES[taxonomy].values()]
