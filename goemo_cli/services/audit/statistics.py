"""`goemo data stats`: sizes, labels and lengths of a data set. It counts; it knows no language."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from goemo_cli.core.arrays import IntArray
from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.errors import CorruptArtifactError, NotFoundError
from goemo_cli.core.events import EventHandler, Info, ignore
from goemo_cli.core.labels import SPLITS
from goemo_cli.core.settings import TrainConfig
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts
from goemo_cli.ml.data.leaks import Leak, leaks, normalised_texts
from goemo_cli.ml.data.token_counts import TOKENIZER, token_counts
from goemo_cli.ml.metrics.confusions import cooccurrence_counts
from goemo_cli.ml.models.weights import find_weights


@dataclass(frozen=True)
class Lengths:
    """How long the texts of a split are; the median and the 95th percentile are lengths that occur."""

    median: int
    p95: int
    longest: int

    @classmethod
    def of(cls, lengths: IntArray) -> "Lengths":
        """Of at least one text, (n_examples,)."""
        median, p95 = np.quantile(lengths, [0.5, 0.95], method="inverted_cdf")
        return cls(int(median), int(p95), int(lengths.max()))


@dataclass(frozen=True)
class SplitStatistics:
    """Facts about a split."""

    rows: int
    empty: int
    """Texts without a character other than white space."""
    repeated: int
    """Rows whose text occurs above in the split, but for case and white space."""
    labels_per_text: float
    """Mean."""
    by_number_of_labels: dict[int, int]
    """The number of texts with each number of labels."""
    characters: Lengths
    words: Lengths
    """Separated by white space."""
    tokens: Lengths | None
    """With special tokens; None without a tokenizer."""
    truncated: float | None
    """Share of texts with more tokens than the model reads, in [0, 1]."""


@dataclass(frozen=True)
class LabelPair:
    """Two labels that occur together in train."""

    labels: tuple[str, str]
    count: int
    share: float
    """Of the texts that have the rarer one."""
    lift: float
    """The count divided by the count that independent labels would have."""


@dataclass(frozen=True)
class DataStatistics:
    """Facts about a data set."""

    name: str
    source: str
    splits: dict[str, SplitStatistics]
    labels: dict[str, dict[str, int]]
    """The number of texts with each label by split, the most common label of train first."""
    pairs: tuple[LabelPair, ...]
    """Of train, the most common first."""
    leaks: tuple[Leak, ...]
    tokenizer: str | None
    """The model whose tokens were counted."""
    max_length: int

    def share(self, label: str, split: str) -> float:
        """The share of the texts of a split that have a label, in [0, 1]."""
        return self.labels[label][split] / max(1, self.splits[split].rows)

    def document(self) -> dict[str, Any]:
        """The whole as JSON values."""
        return asdict(self)


def data_statistics(
    data: Dataset, config: TrainConfig, *, top: int = 10, on_event: EventHandler = ignore
) -> DataStatistics:
    """Count the rows, labels and lengths of a data set.

    Args:
        data: the data set.
        config: names the model whose tokens are counted, if its tokenizer is on this machine.
        top: the number of pairs of labels.
        on_event: called with each event.
    """
    tokens, normalised = _tokens(data, config, on_event), normalised_texts(data)
    limit = config.model.max_length
    counts = {split: data.splits[split].y_true.sum(axis=0).tolist() for split in SPLITS}
    order = np.argsort(-data.train.y_true.sum(axis=0), kind="stable")
    return DataStatistics(
        name=data.name,
        source=data.source,
        splits={
            split: _split_statistics(
                data.splits[split], normalised[split], tokens[split] if tokens else None, limit
            )
            for split in SPLITS
        },
        labels={data.labels[at]: {split: counts[split][at] for split in SPLITS} for at in order},
        pairs=label_pairs(data, top),
        leaks=leaks(data, normalised),
        tokenizer=config.model.name if tokens else None,
        max_length=limit,
    )


def label_pairs(data: Dataset, top: int) -> tuple[LabelPair, ...]:
    """The pairs of labels that most texts of train have both of, the most common first."""
    together = cooccurrence_counts(data.train.y_true, data.train.y_true)
    alone, n = np.diag(together), len(data.train)
    pairs = [(a, b) for a, b in combinations(range(len(data.labels)), 2) if together[a, b]]
    pairs.sort(key=lambda pair: -together[pair])
    return tuple(
        LabelPair(
            (data.labels[a], data.labels[b]),
            int(together[a, b]),
            float(together[a, b] / min(alone[a], alone[b])),
            float(together[a, b] * n / (alone[a] * alone[b])),
        )
        for a, b in pairs[:top]
    )


def _split_statistics(
    rows: LabelledTexts, normalised: Sequence[str], tokens: IntArray | None, limit: int
) -> SplitStatistics:
    texts = rows.texts
    per_text = rows.y_true.sum(axis=1)
    numbers, frequencies = np.unique(per_text, return_counts=True)
    return SplitStatistics(
        rows=len(rows),
        empty=sum(not text.strip() for text in texts),
        repeated=len(texts) - len(set(normalised)),
        labels_per_text=float(per_text.mean()),
        by_number_of_labels=dict(zip(numbers.tolist(), frequencies.tolist(), strict=True)),
        characters=Lengths.of(_lengths([len(text) for text in texts])),
        words=Lengths.of(_lengths([len(text.split()) for text in texts])),
        tokens=None if tokens is None else Lengths.of(tokens),
        truncated=None if tokens is None else float((tokens > limit).mean()),
    )


def _lengths(found: Sequence[int]) -> IntArray:
    return np.asarray(found, dtype=np.int64)


def _tokens(data: Dataset, config: TrainConfig, on_event: EventHandler) -> dict[str, IntArray] | None:
    """Tokens of each text by split; None if the model has no tokenizer, or none on this machine."""
    entry = model_entry(config.model.name)
    if entry.kind not in ("transformer", "static"):
        return None
    try:
        folder = find_weights(
            config.model.name, entry, revision=config.model.revision, may_fetch=False
        ).folder
        return {split: token_counts(folder / TOKENIZER, data.splits[split].texts) for split in SPLITS}
    except (CorruptArtifactError, NotFoundError) as error:
        on_event(Info(f"Tokens were not counted: {error}"))
        return None
