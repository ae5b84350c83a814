"""The work list of `goemo data audit`: rows that are worth a look, and those that the user excludes from a training."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from goemo_cli.core.arrays import BoolArray
from goemo_cli.core.csv_files import atomic_csv, by_column, open_table, without_formula
from goemo_cli.core.documents.base import ExcludedRows
from goemo_cli.core.errors import DataError, DataFileError, OwnDataNotFoundError
from goemo_cli.core.files import sha256_file
from goemo_cli.core.labels import SPLITS, Split
from goemo_cli.core.predictions import LABEL_JOINER
from goemo_cli.core.schema import ListedKind
from goemo_cli.ml.data.dataset import Dataset, Place

MEANINGS: Mapping[ListedKind, str] = {
    "leak": "the text also occurs in a later split",
    "near_leak": "a similar text occurs in a later split",
    "contradiction": "the same text has other labels in another row",
    "label": "the gold labels are probably wrong",
    "duplicate": "the text occurs above in the same split",
    "near_duplicate": "a similar text occurs above in the same split",
}
"""Of the kinds, in the order of the list."""
COLUMNS = (
    "action", "kind", "split", "row", "id", "score", "labels", "suggested", "text", "partner", "partner_labels",
    "partner_text", "text_sha256",
)  # fmt: skip
EXCLUDE = "exclude"
_ACTIONS = ("", "keep", EXCLUDE)
_NEEDED = ("action", "split", "row", "text_sha256")


@dataclass(frozen=True)
class ListedRow:
    """A row of the list."""

    kind: ListedKind
    place: Place
    score: float
    """In [0, 1]: similarity; of contradictions, the share of common labels; of labels, their quality."""
    partner: Place | None = None
    suggested: BoolArray | None = None
    """Other labels, (n_labels,)."""
    action: str = ""


def work_list_cells(rows: Sequence[ListedRow], data: Dataset) -> Iterator[dict[str, str]]:
    """The cells of each row, by column. Labels of test are left out: nothing may be decided by them."""
    for listed in rows:
        split = data.splits[listed.place.split]
        partner = listed.partner
        yield {
            "action": listed.action,
            "kind": listed.kind,
            "split": listed.place.split,
            "row": str(listed.place.row + 1),
            "id": split.ids[listed.place.row] if split.ids else "",
            "score": f"{listed.score:.4f}",
            "labels": _gold(data, listed.place),
            "suggested": _names(data.labels, listed.suggested),
            "text": split.texts[listed.place.row],
            "partner": f"{partner.split}:{partner.row + 1}" if partner else "",
            "partner_labels": _gold(data, partner) if partner else "",
            "partner_text": data.splits[partner.split].texts[partner.row] if partner else "",
            "text_sha256": _digest(split.texts[listed.place.row]),
        }


def write_work_list(path: Path, cells: Sequence[Mapping[str, str]]) -> None:
    """Write the list; cells that a spreadsheet would take for formulas get an apostrophe."""
    with atomic_csv(path) as writer:
        writer.writerow(COLUMNS)
        writer.writerows([without_formula(row[column]) for column in COLUMNS] for row in cells)


def without_excluded(data: Dataset, file: Path) -> Dataset:
    """The data set without the rows of train that a list excludes.

    Args:
        data: the whole data set, as it was audited.
        file: the list, as `goemo data audit` or a spreadsheet wrote it.

    Raises:
        OwnDataNotFoundError: no such file.
        DataFileError: a column is missing, an action is unknown, nothing is excluded, an excluded row is not in train,
            or it has another text in this data.
        DataError: all rows of train are excluded.
    """
    if not file.is_file():
        raise OwnDataNotFoundError(str(file), "data.exclude_audited: no such file")
    excluded: dict[int, int] = defaultdict(int)
    for line, row in _read(file):
        if row["action"] == EXCLUDE:
            excluded[_row_of_train(file, line, row, data)] += 1
    if not excluded:
        raise DataFileError(file, f"no row is excluded: the column action has no {EXCLUDE!r}")
    kept = np.setdiff1d(np.arange(len(data.train)), [*excluded])
    if not len(kept):
        raise DataError(f"{file}: all rows of train are excluded")
    facts = ExcludedRows(file=str(file), sha256=sha256_file(file), rows=len(excluded))
    return replace(data, splits={**data.splits, "train": data.train.take(kept)}, excluded=facts)


def check_work_list(file: Path) -> None:
    """Read a list without its data.

    Raises:
        DataFileError: a column is missing, a row has another number of cells, or an action is unknown.
    """
    for _ in _read(file):
        pass


def _read(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and cells of each row, by column; actions in lower case."""
    with open_table(file, "csv") as (header, rows):
        if missing := [column for column in _NEEDED if column not in header]:
            raise DataFileError(
                file, f"column {missing[0]!r} is missing, which each work list of goemo data audit has", 1
            )
        filled = ((line, fields) for line, fields in rows if any(fields))
        for line, row in by_column(file, header, filled):
            row["action"] = row["action"].strip().lower()
            if row["action"] not in _ACTIONS:
                raise DataFileError(
                    file, f"action is {row['action']!r}: write {EXCLUDE!r}, 'keep' or nothing", line
                )
            yield line, row


def _row_of_train(file: Path, line: int, row: Mapping[str, str], data: Dataset) -> int:
    """The position in train of an excluded row, from 0."""
    split, number = row["split"].strip().lower(), row["row"].strip()
    if split in SPLITS and split != "train":
        raise DataFileError(
            file,
            f"row {number} of {split} is excluded: only rows of train can be, since scores on a changed {split} split "
            "do not compare with others; audit and exclude the row of train instead",
            line,
        )
    if split != "train" or not number.isdecimal():
        raise DataFileError(file, f"split {split!r} and row {number!r} do not name a row", line)
    position = int(number) - 1
    if not 0 <= position < len(data.train) or _digest(data.train.texts[position]) != row["text_sha256"]:
        raise DataFileError(
            file,
            f"row {number} of train has another text in {data.source}: the list was made for other data, or with other "
            "settings of the data; run goemo data audit again",
            line,
        )
    return position


def _gold(data: Dataset, place: Place) -> str:
    split: Split = place.split
    return "" if split == "test" else _names(data.labels, data.splits[split].y_true[place.row])


def _names(labels: Sequence[str], chosen: BoolArray | None) -> str:
    return "" if chosen is None else LABEL_JOINER.join(labels[int(at)] for at in np.flatnonzero(chosen))


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
