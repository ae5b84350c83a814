"""The data set of a run: how many comments and labels, how long, and which texts are in two splits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from goemo_cli.core.errors import DataNotFoundError
from goemo_cli.core.labels import SPLITS, Split
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts
from goemo_cli.ml.data.leaks import Leak, leaks, normalised
from goemo_cli.services.data.find import GOEMOTIONS, find_goemotions
from goemo_cli.services.runs.run_data import RunData


@dataclass(frozen=True)
class SplitFacts:
    """One split."""

    comments: int
    labels_per_comment: float
    unlabelled: int
    characters: tuple[int, int, int]
    """Median, 95th percentile and longest."""
    per_label: tuple[int, ...]
    """Gold positives, in label order."""
    repeated: int
    """Comments whose text stood earlier in the same split."""


@dataclass(frozen=True)
class DataFacts:
    """The data set, read again."""

    splits: Mapping[Split, SplitFacts]
    leaks: tuple[Leak, ...]


def recorded(source: RunData) -> Mapping[str, Any]:
    """What metrics.json says of the data: name, sha256, split_sha256 and sizes."""
    return source.checkpoint.metrics.data.as_json()


def data_facts(source: RunData) -> DataFacts:
    """Count the data set that the run was trained on; nothing is downloaded.

    Raises:
        DataNotFoundError: it is not here.
        DataError: what is here is not what the run recorded.
    """
    _require_at_hand(source)
    return facts_of(source.data())


def facts_of(data: Dataset) -> DataFacts:
    """The facts of a data set; texts are the same where `ml.leaks.normalised` makes them so."""
    return DataFacts({split: _split_facts(data.splits[split]) for split in SPLITS}, leaks(data))


def _require_at_hand(source: RunData) -> None:
    name = source.checkpoint.metrics.data.name
    settings = source.checkpoint.config.data
    if source.data_dir:
        settings = settings.model_copy(update={"dir": source.data_dir})
    if name == GOEMOTIONS:
        found, looked_in = find_goemotions(settings, source.layout.root)
        if found is None:
            raise DataNotFoundError(GOEMOTIONS, looked_in)


def _split_facts(split: LabelledTexts) -> SplitFacts:
    lengths = np.array([len(text) for text in split.texts] or [0])
    median, most = np.quantile(lengths, [0.5, 0.95], method="inverted_cdf")
    labels = split.y_true.sum(axis=1)
    return SplitFacts(
        comments=len(split.texts),
        labels_per_comment=float(labels.mean()) if len(labels) else 0.0,
        unlabelled=int((labels == 0).sum()),
        characters=(int(median), int(most), int(lengths.max())),
        per_label=tuple(split.y_true.sum(axis=0).tolist()),
        repeated=len(split.texts) - len(set(map(normalised, split.texts))),
    )
