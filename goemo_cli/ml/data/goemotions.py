"""The published GoEmotions files: train.tsv, dev.tsv, test.tsv (text, label numbers, id) and labels.txt."""

from collections.abc import Sequence
from pathlib import Path

from goemo_cli.core.errors import DataError, DataFileError, UnknownLabelError
from goemo_cli.core.files import sha256_file
from goemo_cli.core.labels import EMOTIONS, SPLITS, Split
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts, multi_hot

FILES: dict[str, str] = {
    "train.tsv": "1c254a142be5c00e80d819b9ae1bbd36d94b2eeb8f4b1271846508d57e57d9c5",
    "dev.tsv": "575489c079c9de1097062a01738f998590d6b7ead66dd1c9fd1d2ba01fd8bc62",
    "test.tsv": "0587b2dd8b27b97352adbfc3fb083d46005c8946657fdc2b1ca8b1cc7f1f8be4",
    "labels.txt": "45c3ef86782d2a4d7fedcd6d8c111aa0d0e94720689bd164fac94fefb4495a89",
}
"""SHA-256 of each file in google-research/google-research, goemotions/data."""

SPLIT_SHA256: dict[Split, str] = {
    "train": "9aae8140b134d2069770a6de485bba7117085d8d786e0c7bcfe66148314e7ec7",
    "val": "cde421e378d854c0092971693f6798630866949220804b411b77371fbdb39387",
    "test": "702fbf88cb4d470d1c031a29562ff2b83daf4ad92d9d7e3e54cbc1a6b20c05c5",
}
"""`LabelledTexts.sha256` of each split of these files: texts, gold labels and their order."""


def is_published_test(labels: Sequence[str], sha256: object) -> bool:
    """Whether a test split is the published one, so that the paper's scores compare: the same rows and label columns.

    Args:
        labels: label names in the order of the columns; the hash does not know them.
        sha256: `LabelledTexts.sha256` of the split, as a run recorded it.
    """
    return tuple(labels) == EMOTIONS and sha256 == SPLIT_SHA256["test"]


_FILE_OF: dict[Split, str] = {"train": "train.tsv", "val": "dev.tsv", "test": "test.tsv"}


def missing_files(folder: Path) -> list[str]:
    """The GoEmotions files that are missing in a folder."""
    return [name for name in FILES if not (folder / name).is_file()]


def changed_files(folder: Path) -> list[str]:
    """The files of a folder that are not byte-identical to the published ones."""
    return [name for name, digest in FILES.items() if sha256_file(folder / name) != digest]


def read_goemotions(folder: Path) -> Dataset:
    """The three splits of a folder that holds all four files.

    Raises:
        DataFileError: a line that does not have three fields, an empty file, or no UTF-8.
        UnknownLabelError: a label number outside labels.txt.
        DataFileError: labels.txt has the published labels in another order.
    """
    path = folder / "labels.txt"
    labels = read_label_list(path)
    if set(EMOTIONS) <= set(labels) and (label := moved_label(labels)):
        raise DataFileError(
            path,
            f"label {label!r} is in another line than published, so the numbers in train.tsv, dev.tsv and test.tsv would "
            "get other names: restore it (goemo data download)",
            labels.index(label) + 1,
        )
    splits = {split: _read_split(folder / _FILE_OF[split], labels) for split in SPLITS}
    return Dataset("goemotions", labels, splits, source=str(folder))


def moved_label(labels: tuple[str, ...]) -> str | None:
    """The first GoEmotions label that is not at its published place; None if all are."""
    return next(
        (label for at, label in enumerate(labels) if label in EMOTIONS and EMOTIONS.index(label) != at), None
    )


def require_published_names(data: Dataset) -> str | None:
    """Compare label names with the published ones, if a split has the published rows.

    Returns:
        A warning if a label is called otherwise; None if there is nothing to say.

    Raises:
        DataError: a GoEmotions label is not in its place, or no row has an added label.
    """
    n = len(EMOTIONS)
    if data.labels == EMOTIONS or len(data.labels) < n:
        return None
    digests = {
        split: LabelledTexts(rows.texts, rows.y_true[:, :n]).sha256() for split, rows in data.splits.items()
    }
    published = next((split for split in SPLITS if digests[split] == SPLIT_SHA256[split]), None)
    if published is None:
        return None
    has_rows = f"{data.source}: {published} has the rows of GoEmotions"
    unused = next((label for at, label in enumerate(data.labels[n:], start=n) if not _occurs(data, at)), None)
    if (moved := moved_label(data.labels)) or unused:
        what = f"{moved!r} is in another place" if moved else f"no comment has the label {unused!r}"
        raise DataError(
            f"{has_rows}, but the label list is not the published one: {what}; restore labels.txt (goemo data download)"
        )
    renamed = [
        f"{name!r} is called {label!r}"
        for label, name in zip(data.labels, EMOTIONS, strict=False)
        if label != name
    ]
    return f"{has_rows}, but {', '.join(renamed[:3])}" if renamed else None


def _occurs(data: Dataset, label: int) -> bool:
    return any(rows.y_true[:, label].any() for rows in data.splits.values())


def read_label_list(path: Path) -> tuple[str, ...]:
    """One label per line, in the order of the columns.

    Raises:
        DataFileError: empty, a blank line, a label twice, or one with a comma, quote or space around it.
    """
    lines = _lines(path)
    for number, label in enumerate(lines, start=1):
        if label != label.strip() or not label or "," in label or '"' in label:
            raise DataFileError(
                path, f"{label!r} cannot be a label: blank, spaces around it, a comma or a quote", number
            )
        if label in lines[: number - 1]:
            raise DataFileError(path, f"label {label!r} occurs twice", number)
    if not lines:
        raise DataFileError(path, "is empty")
    return tuple(lines)


def _read_split(path: Path, labels: tuple[str, ...]) -> LabelledTexts:
    texts, positions, ids = [], [], []
    known: dict[str, list[int]] = {}  # few combinations of labels are different
    for number, line in enumerate(_lines(path), start=1):
        fields = line.split("\t")
        if len(fields) != 3:
            raise DataFileError(
                path, f"has {len(fields)} tab-separated fields instead of text, labels, id", number
            )
        texts.append(fields[0])
        if fields[1] not in known:
            known[fields[1]] = [_position(path, number, cell, labels) for cell in fields[1].split(",")]
        positions.append(known[fields[1]])
        ids.append(fields[2])
    if not texts:
        raise DataFileError(path, "is empty")
    return LabelledTexts(texts, multi_hot(positions, len(labels)), ids)


def _position(path: Path, line: int, cell: str, labels: tuple[str, ...]) -> int:
    if not cell.isdecimal() or int(cell) >= len(labels):
        raise UnknownLabelError(path, cell, [*labels, *(str(number) for number in range(len(labels)))], line)
    return int(cell)


def _lines(path: Path) -> list[str]:
    try:
        # newline="\n": a lone carriage return or U+2028 inside a comment does not end the line.
        with path.open(encoding="utf-8-sig", newline="\n") as stream:
            lines = [line.removesuffix("\n") for line in stream]
    except UnicodeDecodeError as error:
        raise DataFileError(path, f"not UTF-8 text ({error.reason} at byte {error.start})") from error
    return [line.removesuffix("\r") for line in lines]
