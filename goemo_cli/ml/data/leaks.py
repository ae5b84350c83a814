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


def leaks(data: Dataset) -> tuple[Leak, ...]:
    """Test in train, test in val, val in train; also those without a shared text."""
    texts = {split: [normalised(text) for text in rows.texts] for split, rows in data.splits.items()}
    return tuple(_leak(data, texts, split, other) for split, other in _PAIRS)


def normalised(text: str) -> str:
    """The form in which equal texts are equal: NFKC, case folded, each run of white space as one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _leak(data: Dataset, texts: Mapping[Split, Sequence[str]], split: Split, other: Split) -> Leak:
    known: dict[str, set[bytes]] = {}
    for text, gold in zip(texts[other], data.splits[other].y_true, strict=True):
        known.setdefault(text, set()).add(gold.tobytes())
    shared = [
        gold.tobytes() in known[text]
        for text, gold in zip(texts[split], data.splits[split].y_true, strict=True)
        if text in known
    ]
    return Leak(split, other, len(shared), len(shared) / max(1, len(texts[split])), shared.count(False))
