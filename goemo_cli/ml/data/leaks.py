"""Texts that occur in two splits, which makes scores on the later split too good."""

import unicodedata
from collections.abc import Mapping, Sequence
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
    rows = {
        split: [*zip(texts[split], (gold.tobytes() for gold in labelled.y_true), strict=True)]
        for split, labelled in data.splits.items()
    }
    return tuple(_leak(rows, split, other) for split, other in _PAIRS)


def normalised_texts(data: Dataset) -> dict[Split, list[str]]:
    """The normalised texts of each split, in their order."""
    return {split: [normalised(text) for text in rows.texts] for split, rows in data.splits.items()}


def normalised(text: str) -> str:
    """The form in which equal texts are equal: NFKC, case folded, each run of white space as one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _leak(rows: Mapping[Split, Sequence[tuple[str, bytes]]], split: Split, other: Split) -> Leak:
    known: dict[str, set[bytes]] = {}
    for text, gold in rows[other]:
        known.setdefault(text, set()).add(gold)
    shared = [gold in known[text] for text, gold in rows[split] if text in known]
    return Leak(split, other, len(shared), len(shared) / max(1, len(rows[split])), shared.count(False))
