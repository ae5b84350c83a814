"""Texts that occur in two splits, which makes scores on the later split too good."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from goemo_cli.core.labels import Split
from goemo_cli.ml.data.dataset import Dataset

_PAIRS: tuple[tuple[Split, Split], ...] = (("test", "train"), ("test", "val"), ("val", "train"))


@dataclass(frozen=True)
class Leak:
    """Texts of a split that also occur in another one."""

    split: Split
    other: Split
    comments: int
    """Comments of `split` whose text also occurs in `other`."""
    share: float
    """Their share of all comments of `split`, in [0, 1]."""
    other_labels: int
    """Number of these comments with other gold labels than each comment with that text in `other`."""


def leaks(data: Dataset, texts: Mapping[Split, Sequence[str]]) -> tuple[Leak, ...]:
    """Test in train, test in val, val in train; also those without a shared text.

    Args:
        texts: `normalised_texts` of the data.
    """
    return tuple(_leak(data, texts, split, other) for split, other in _PAIRS)


def normalised_texts(data: Dataset) -> dict[Split, list[str]]:
    """The normalised texts of each split, in their order."""
    return {split: [normalised(text) for text in rows.texts] for split, rows in data.splits.items()}


def normalised(text: str) -> str:
    """The form in which equal texts are equal: NFKC, case folded, each run of white space as one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _leak(data: Dataset, texts: Mapping[Split, Sequence[str]], split: Split, other: Split) -> Leak:
    in_both = set(texts[split]).intersection(texts[other])  # few; only their labels are compared
    known: dict[str, set[bytes]] = {text: set() for text in in_both}
    for text, gold in _rows_of(in_both, data, texts, other):
        known[text].add(gold)
    shared = [gold in known[text] for text, gold in _rows_of(in_both, data, texts, split)]
    return Leak(split, other, len(shared), len(shared) / max(1, len(texts[split])), shared.count(False))


def _rows_of(
    wanted: Set[str], data: Dataset, texts: Mapping[Split, Sequence[str]], split: Split
) -> Iterator[tuple[str, bytes]]:
    """The wanted texts of a split, each with its gold labels."""
    y_true = data.splits[split].y_true
    return ((text, y_true[row].tobytes()) for row, text in enumerate(texts[split]) if text in wanted)
