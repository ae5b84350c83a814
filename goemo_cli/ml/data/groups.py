"""Groups of rows that belong together, such as all ratings of one text: one row for each, or one split for each."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from goemo_cli.core.arrays import IntArray
from goemo_cli.core.errors import DataError
from goemo_cli.core.labels import Split
from goemo_cli.core.settings import Aggregation
from goemo_cli.ml.data.dataset import LabelledTexts
from goemo_cli.ml.data.splits import stratified_split


def aggregated(rows: LabelledTexts, rule: Aggregation, *, source: str) -> LabelledTexts:
    """One row for each group, in the order in which the groups begin; text and id are those of its first row.

    Args:
        rows: rows with groups.
        rule: majority keeps labels that more than half of the rows of a group have; any keeps those of one or more.
        source: for errors.

    Raises:
        DataError: the rows of a group have different texts.
    """
    positions, first = _positions(rows)
    for row, group in enumerate(positions):
        if rows.texts[row] != rows.texts[first[group]]:
            name = (rows.groups or [])[row]
            raise DataError(
                f"{source}: the rows of group {name!r} have different texts, so --aggregate cannot make one row of them"
            )
    n_rows = np.bincount(positions)
    n_positive = np.zeros((len(first), rows.y_true.shape[1]), dtype=np.int64)
    np.add.at(n_positive, positions, rows.y_true)
    kept = rows.take(first)
    y_true = n_positive > 0 if rule == "any" else 2 * n_positive > n_rows[:, None]
    return LabelledTexts(kept.texts, y_true, kept.ids, kept.groups)


def grouped_split(rows: LabelledTexts, fractions: Sequence[float], seed: int) -> list[IntArray]:
    """Row numbers of each part as from `stratified_split`; all rows of a group are in one part.

    A group has each label that one of its rows has. The fractions are shares of groups. Without groups, each row is one.
    """
    if rows.groups is None:
        return stratified_split(rows.y_true, fractions, seed)
    positions, first = _positions(rows)
    y_true = np.zeros((len(first), rows.y_true.shape[1]), dtype=np.bool_)
    np.logical_or.at(y_true, positions, rows.y_true)
    parts = stratified_split(y_true, fractions, seed)
    return [np.flatnonzero(np.isin(positions, part)) for part in parts]


def shared_groups(splits: Mapping[Split, LabelledTexts]) -> str | None:
    """A sentence about groups with rows in several of the given splits; None if there are none."""
    for one, other in combinations(splits, 2):
        shared = sorted(set(splits[one].groups or ()) & set(splits[other].groups or ()))
        if shared:
            return f"{len(shared):,} groups have rows in {one} and in {other}, such as {shared[0]!r}"
    return None


def _positions(rows: LabelledTexts) -> tuple[IntArray, IntArray]:
    """The number of each row's group, counted in the order of their first rows, and these first rows."""
    numbers: dict[str, int] = {}
    first: list[int] = []
    positions = []
    for row, group in enumerate(rows.groups or []):
        if group not in numbers:
            numbers[group] = len(first)
            first.append(row)
        positions.append(numbers[group])
    return np.asarray(positions, dtype=np.int64), np.asarray(first, dtype=np.int64)
