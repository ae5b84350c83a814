"""Rows whose text also occurs in another row, exactly or nearly, and rows of one text with different labels."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from goemo_cli.core.arrays import BoolArray
from goemo_cli.core.labels import Split
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts, Place
from goemo_cli.ml.data.leaks import normalised
from goemo_cli.ml.data.near_duplicates import near_duplicates

RepetitionKind = Literal["leak", "near_leak", "duplicate", "near_duplicate"]
_ORDER: tuple[Split, ...] = ("test", "val", "train")
"""Of two rows with one text, the one in the later split is listed: test stays as it is."""


@dataclass(frozen=True)
class Repetition:
    """A row whose text occurs before: in another split (leak, near_leak) or above in its own (duplicate, near_duplicate)."""

    kind: RepetitionKind
    place: Place
    partner: Place
    similarity: float
    """1 for equal texts; else the share of common pieces."""


@dataclass(frozen=True)
class Repetitions:
    """All rows whose text occurs before. Without them, no text occurs twice."""

    rows: tuple[Repetition, ...]
    """At most one for each row, in the order test, val, train."""
    leaked: BoolArray
    """Whether each text of test also occurs in train, (n_test,)."""
    nearly_leaked: BoolArray
    """Whether a similar one does, and not the text itself, (n_test,)."""


def repetitions(
    data: Dataset, *, near: bool = True, on_progress: Callable[[int], None] = lambda texts: None
) -> Repetitions:
    """Find the rows whose text occurs before.

    Args:
        data: its labels are not looked at.
        near: find similar texts too.
        on_progress: called with the number of different texts that were examined since the last call.

    Raises:
        MissingPackageError: the package for similar texts is not installed.
    """
    texts = _Texts(data)
    pairs: list[tuple[int, int, float]] = []
    if near:
        found, shared = near_duplicates(list(texts.numbers), on_progress)
        pairs = list(zip(*found.T.tolist(), shared.tolist(), strict=True))
    similar: dict[int, list[_Choice]] = defaultdict(list)
    for one, other, shared_pieces in pairs:
        similar[other].append(_Choice(texts.first[one], shared_pieces, is_equal=False))
    rows = []
    for position, number in enumerate(texts.number_of):
        choices = similar.get(number, [])
        if position != texts.first[number]:
            choices = [*choices, _Choice(texts.first[number], 1.0, is_equal=True)]
        if choices:
            rows.append(_repetition(texts.places, position, choices))
    in_train = np.isin(np.arange(len(texts.first)), texts.number_of[-len(data.train) :])
    near_train = np.zeros_like(in_train)
    for one, other, _ in pairs:
        near_train[one] |= in_train[other]
        near_train[other] |= in_train[one]
    test = texts.number_of[: len(data.test)]
    return Repetitions(tuple(rows), in_train[test], near_train[test] & ~in_train[test])


class _Texts:
    """The different texts of a data set, numbered in the order of their first rows: test, val, train."""

    def __init__(self, data: Dataset) -> None:
        self.places = [Place(split, row) for split in _ORDER for row in range(len(data.splits[split]))]
        self.numbers: dict[str, int] = {}
        """Of the normalised texts."""
        self.first: list[int] = []
        """The position of each text's first row."""
        self.number_of: list[int] = []
        """The text of each row."""
        for position, place in enumerate(self.places):
            text = normalised(data.splits[place.split].texts[place.row])
            if text not in self.numbers:
                self.numbers[text] = len(self.first)
                self.first.append(position)
            self.number_of.append(self.numbers[text])


class _Choice(NamedTuple):
    """A row before a row, whose text is equal or similar."""

    position: int
    similarity: float
    is_equal: bool


def _repetition(places: Sequence[Place], position: int, choices: Sequence[_Choice]) -> Repetition:
    """A row and the most similar row before it; one in another split is preferred."""
    split = places[position].split
    best = max(
        choices,
        key=lambda choice: (
            places[choice.position].split != split,
            choice.is_equal,
            choice.similarity,
            -choice.position,
        ),
    )
    is_leak = places[best.position].split != split
    exact: RepetitionKind = "leak" if is_leak else "duplicate"
    nearly: RepetitionKind = "near_leak" if is_leak else "near_duplicate"
    kind = exact if best.is_equal else nearly
    return Repetition(kind, places[position], places[best.position], best.similarity)


@dataclass(frozen=True)
class Contradiction:
    """A row of a text that has other labels elsewhere in its split; rows count from 0."""

    row: int
    partner: int
    """The first row of that text with other labels."""
    agreement: float
    """The share of common labels (Jaccard) of the two rows, in [0, 1]."""
    majority: BoolArray
    """The labels that more than half of the rows of the text have, (n_labels,)."""


def contradictions(rows: LabelledTexts) -> list[Contradiction]:
    """All rows of texts that occur with different labels, in their order."""
    by_text: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(rows.texts):
        by_text[normalised(text)].append(row)
    found = []
    for same in by_text.values():
        gold = rows.y_true[same]
        if len(same) > 1 and (gold != gold[0]).any():
            majority = 2 * gold.sum(axis=0) > len(same)
            for row, own in zip(same, gold, strict=True):
                at = int(np.flatnonzero((gold != own).any(axis=1))[0])
                agreement = float((own & gold[at]).sum() / max(1, (own | gold[at]).sum()))
                found.append(Contradiction(row, same[at], agreement, majority))
    return sorted(found, key=lambda one: one.row)
