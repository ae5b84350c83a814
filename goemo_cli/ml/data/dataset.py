"""Labelled texts in memory: three splits with one label list, independent of the file format."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from goemo_cli.core.arrays import BoolArray, IntArray, split_sha256
from goemo_cli.core.documents.base import ExcludedRows
from goemo_cli.core.errors import DataError, first_names
from goemo_cli.core.labels import SPLITS, Split

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with their gold labels.

    Attributes:
        texts: n_examples texts.
        y_true: multi-hot gold labels, bool, (n_examples, n_labels).
        ids: the data's own ids, or None.
        groups: the group of each text, or None; texts of one group belong into one split.
    """

    texts: list[str]
    y_true: BoolArray
    ids: list[str] | None = None
    groups: list[str] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: IntArray | Sequence[int]) -> "LabelledTexts":
        """The given rows, in the given order."""
        index = np.asarray(rows, dtype=np.int64)
        ids = [self.ids[row] for row in index] if self.ids is not None else None
        groups = [self.groups[row] for row in index] if self.groups is not None else None
        return LabelledTexts([self.texts[row] for row in index], self.y_true[index], ids, groups)

    def sha256(self) -> str:
        """A digest of texts, labels and their order; the same for the same rows in any file format."""
        return split_sha256(self.texts, self.y_true)


@dataclass(frozen=True)
class Place:
    """A row of a data set; rows count from 0."""

    split: Split
    row: int


@dataclass(frozen=True)
class Dataset:
    """Train, val and test over one label list."""

    name: str
    labels: tuple[str, ...]
    splits: Mapping[Split, LabelledTexts]
    """Train, val and test."""
    source: str
    """The source of the data, for messages."""
    is_fallback: bool = False
    """The embedded sample replaces GoEmotions, which was unavailable."""
    taxonomy: str | None = None
    """The coarser labels to which its labels were grouped."""
    split_off: tuple[Split, ...] = ()
    """The splits that were taken from train because the data does not contain them."""
    n_unlabelled: int = 0
    """Number of rows that were left out because they say that they are not labelled."""
    excluded: ExcludedRows | None = None
    """The rows that a work list excludes from train, which has the rest."""

    @property
    def train(self) -> LabelledTexts:
        """The split on which weights are fitted."""
        return self.splits["train"]

    @property
    def val(self) -> LabelledTexts:
        """The split on which epochs and thresholds are chosen."""
        return self.splits["val"]

    @property
    def test(self) -> LabelledTexts:
        """The split that is used for measuring only."""
        return self.splits["test"]

    @property
    def is_single_label(self) -> bool:
        """Whether every text of every split has exactly one label."""
        return all(bool((rows.y_true.sum(axis=1) == 1).all()) for rows in self.splits.values())

    def facts(self) -> dict[str, Any]:
        """The facts about the data in metrics.json."""
        digests = {name: self.splits[name].sha256() for name in SPLITS}
        whole = hashlib.sha256("\n".join([*self.labels, *digests.values()]).encode()).hexdigest()
        return {
            "name": self.name,
            "source": self.source,
            "is_fallback": self.is_fallback,
            "taxonomy": self.taxonomy,
            "sha256": whole,
            "split_sha256": digests,
            "sizes": {name: len(split) for name, split in self.splits.items()},
            **({"excluded": self.excluded.as_json()} if self.excluded else {}),
        }

    def over(self, labels: tuple[str, ...]) -> "Dataset":
        """The same rows over the labels of a model, which may be in another order and have more labels.

        Raises:
            DataError: a row has a label that is not among them.
        """
        position = {label: at for at, label in enumerate(labels)}
        used = np.any([rows.y_true.any(axis=0) for rows in self.splits.values()], axis=0)
        kept = [at for at, label in enumerate(self.labels) if label in position]
        unknown = [
            label
            for label, is_used in zip(self.labels, used, strict=True)
            if is_used and label not in position
        ]
        if unknown:
            raise DataError(
                f"{self.source}: the model does not have the labels {first_names(map(repr, unknown))}; "
                f"it has {', '.join(labels[:5])}"
                f"{', ...' if labels[5:] else ''}"
            )
        splits = {}
        for name, rows in self.splits.items():
            y_true = np.zeros((len(rows), len(labels)), dtype=np.bool_)
            y_true[:, [position[self.labels[at]] for at in kept]] = rows.y_true[:, kept]
            splits[name] = replace(rows, y_true=y_true)
        return replace(self, labels=labels, splits=splits)

    def require_single_label(self) -> None:
        """Refuse data of which a text does not have exactly one label.

        Raises:
            DataError: the first such text, and their number.
        """
        for name in SPLITS:
            counts = self.splits[name].y_true.sum(axis=1)
            wrong = np.flatnonzero(counts != 1)
            if len(wrong):
                raise DataError(
                    f"{self.source}: {len(wrong):,} of {len(counts):,} texts of {name} do not have exactly one label; "
                    f"text {wrong[0] + 1} has {counts[wrong[0]]}: train without --single-label"
                )

    def require_usable(self) -> None:
        """Refuse data that cannot be used for training or measuring.

        Raises:
            DataError: an empty split, fewer than two labels, or train without a single label.
        """
        for name in SPLITS:
            if not len(self.splits[name]):
                raise DataError(f"{self.source}: the {name} split is empty")
        if len(self.labels) < 2:
            raise DataError(f"{self.source}: {len(self.labels)} label(s); at least two are needed")
        if not self.train.y_true.any():
            raise DataError(f"{self.source}: no text of the train split has a label")


def joined(parts: Sequence[LabelledTexts]) -> LabelledTexts:
    """Parts of one split, over the same labels, in their order."""
    if len(parts) == 1:
        return parts[0]
    texts = [text for part in parts for text in part.texts]
    ids = [id for part in parts for id in part.ids or []]
    groups = [group for part in parts for group in part.groups or []]
    y_true = np.concatenate([part.y_true for part in parts])
    return LabelledTexts(texts, y_true, ids or None, groups or None)


def multi_hot(rows: Iterable[Iterable[int]], n_labels: int) -> BoolArray:
    """Label positions of each row as a bool matrix (n_examples, n_labels)."""
    listed = [list(row) for row in rows]
    hot = np.zeros((len(listed), n_labels), dtype=np.bool_)
    lengths = [len(row) for row in listed]
    positions = np.fromiter(chain.from_iterable(listed), dtype=np.int64, count=sum(lengths))
    hot[np.repeat(np.arange(len(listed)), lengths), positions] = True
    return hot


def without_surrogates(text: str) -> str:
    """The text with lone surrogates (which no UTF-8 file can hold) replaced by U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)
