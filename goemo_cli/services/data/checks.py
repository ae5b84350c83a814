"""A summary of a data set in one line, and warnings about it."""

from collections.abc import Iterator, Sequence

import numpy as np

from goemo_cli.core.arrays import BoolArray
from goemo_cli.core.errors import first_names
from goemo_cli.core.labels import SPLITS, Split
from goemo_cli.core.settings import DataSettings
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.data.label_cells import separator_within
from goemo_cli.ml.data.leaks import leaks, normalised, normalised_texts

_MOST_NAMED = 5


def summary(data: Dataset, *, split_seed: int, whole_train: int) -> str:
    """The source of a data set, its splits, its labels and their shares.

    Args:
        data: as it will be trained on.
        split_seed: of the splits that were taken from train.
        whole_train: size of train before it was cut to `max_train_samples`.
    """
    counts = texts_by_label(data)
    n_texts = sum(len(data.splits[split]) for split in SPLITS)
    shares = [f"{label} {_percent(count / n_texts)}" for label, count in counts.items()]
    shares[_MOST_NAMED:] = ["..."] if len(shares) > _MOST_NAMED else []
    without = texts_without_label(data)
    blank = sum(not text.strip() for split in SPLITS for text in data.splits[split].texts)
    return (
        f"{data.source}, {' / '.join(_size(data, split, split_seed, whole_train) for split in SPLITS)}; "
        f"{len(counts)} labels, {sum(counts.values()) / n_texts:.1f} per text: {', '.join(shares)}"
        + (f"; {without:,} texts without a label" if without else "")
        + (f"; {blank:,} texts of white space" if blank else "")
        + (f"; left out as not labelled: {data.n_unlabelled:,}" if data.n_unlabelled else "")
    )


def texts_by_label(data: Dataset) -> dict[str, int]:
    """How many texts of all splits have each label, the most common first."""
    counts = np.sum([data.splits[split].y_true.sum(axis=0) for split in SPLITS], axis=0)
    pairs = zip(data.labels, map(int, counts), strict=True)
    return dict(sorted(pairs, key=lambda pair: -pair[1]))


def texts_without_label(data: Dataset) -> int:
    """How many texts of all splits have no label."""
    return sum(int((~data.splits[split].y_true.any(axis=1)).sum()) for split in SPLITS)


def _size(data: Dataset, split: Split, split_seed: int, whole_train: int) -> str:
    size = len(data.splits[split])
    remark = f" (split off train, seed {split_seed})" if split in data.split_off else ""
    if split == "train" and whole_train > size:
        remark = f" (of {whole_train:,})"
    return f"{size:,} {split}{remark}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 or not share else "<1 %"


def label_doubts(data: Dataset, settings: DataSettings) -> Iterator[str]:
    """Sentences about labels that were found in the cells and do not look like labels."""
    if settings.labels_file or settings.label_columns:
        return
    if all(label.removeprefix("-").isdecimal() for label in data.labels):
        yield (
            f"the labels are numbers ({first_names(map(repr, data.labels))}); if these are positions in a list of names, "
            "--labels-file FILE gives it, one name per line, counted from 0"
        )
    elif within := separator_within(data.labels):
        sign, names = within
        yield (
            f"{len(names)} of {len(data.labels)} labels look like several labels joined by {sign!r}, such as {names[0]!r}: "
            f"--label-separator {sign!r} separates them"
        )
    if alike := [names for names in _spellings(data.labels) if len(names) > 1]:
        more = f", and {len(alike) - 1:,} more" if len(alike) > 1 else ""
        yield (
            f"labels that differ only in case, white space or Unicode form: {first_names(map(repr, alike[0]))}{more}; "
            "each counts as another label: write them alike in the data if they mean the same"
        )


def _spellings(labels: Sequence[str]) -> list[list[str]]:
    """Labels by their normalised form."""
    found: dict[str, list[str]] = {}
    for label in labels:
        found.setdefault(normalised(label), []).append(label)
    return list(found.values())


def warnings_for(data: Dataset) -> Iterator[str]:
    """Warnings for the user, the most serious first; none if nothing is wrong."""
    yield from _leaks(data)
    for split in SPLITS:
        if missing := without_support(data.labels, data.splits[split].y_true):
            yield _no_text_of(split, missing) + _CONSEQUENCE[split]


def without_support(labels: Sequence[str], y_true: BoolArray) -> list[str]:
    """Labels without a positive; gold labels are bool, (n_examples, n_labels)."""
    support = y_true.sum(axis=0)
    return [label for label, positives in zip(labels, support, strict=True) if not positives]


def macro_doubt(labels: Sequence[str], y_true: BoolArray, where: str) -> str | None:
    """A sentence about macro averages over labels without support; None if all have some.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        where: a split, or a file.
    """
    missing = without_support(labels, y_true)
    return _no_text_of(where, missing) + _IN_AVERAGES if missing else None


def _no_text_of(where: str, missing: Sequence[str]) -> str:
    return f"no text of {where} has the label {first_names(map(repr, missing))}: "


_IN_AVERAGES = "its F1, precision and recall count as 0 in macro averages"
_CONSEQUENCE = {
    "train": "it cannot be learnt",
    "val": f"its threshold is the global one, and {_IN_AVERAGES}",
    "test": _IN_AVERAGES,
}


def _leaks(data: Dataset) -> Iterator[str]:
    for leak in leaks(data, normalised_texts(data)):
        if leak.comments:
            yield (
                f"{leak.comments:,} of {len(data.splits[leak.split]):,} texts of {leak.split} also occur in {leak.other}, "
                f"which makes scores on {leak.split} too good"
            )
