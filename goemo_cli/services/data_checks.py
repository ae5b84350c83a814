"""What is doubtful in data that can be used: texts in two splits, labels without an example, many rows without a label."""

from collections.abc import Iterator

from goemo_cli.core.splits import SPLITS
from goemo_cli.ml.data import Dataset
from goemo_cli.ml.leaks import leaks

_MOST_NAMED = 5


def doubts(data: Dataset) -> Iterator[str]:
    """Sentences for a person, the gravest first; nothing where all is well."""
    yield from _leaks(data)
    for split in SPLITS:
        support = data.splits[split].y_true.sum(axis=0)
        missing = [label for label, positives in zip(data.labels, support, strict=True) if not positives]
        if missing:
            yield f"no comment of {split} has the label {_listed(missing)}: {_CONSEQUENCE[split]}"


_CONSEQUENCE = {
    "train": "it cannot be learnt",
    "val": "its threshold is the global one",
    "test": "its F1 counts as 0 in macro-F1",
}


def _leaks(data: Dataset) -> Iterator[str]:
    for leak in leaks(data):
        if leak.comments:
            yield (
                f"{leak.comments:,} of {len(data.splits[leak.split]):,} comments of {leak.split} stand in {leak.other} "
                f"too: what is measured on {leak.split} is too good by them"
            )


def _listed(labels: list[str]) -> str:
    more = f" and {len(labels) - _MOST_NAMED} more" if len(labels) > _MOST_NAMED else ""
    return ", ".join(map(repr, labels[:_MOST_NAMED])) + more
