"""Labelled texts of tables: the rows of the user's own data, with the labels of each text by name."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from goemo_cli.core.errors import DataFileError, NoLabelsError, UnknownLabelError
from goemo_cli.core.settings import DataSettings
from goemo_cli.ml.data.dataset import LabelledTexts, multi_hot, without_surrogates
from goemo_cli.ml.data.label_cells import (
    LabelRows,
    can_be_label,
    is_one,
    read_label_cells,
    separator_into,
    shown,
)
from goemo_cli.services.data.tables import FRAME, Record, Table, column_in, no_column

_HEAD = 1000
"""Number of rows in which columns of 0 and 1 are searched for."""


@dataclass(frozen=True)
class RawRows:
    """Texts with label names, before the label list is known."""

    named: str
    """The source, for error messages."""
    texts: list[str]
    names: list[list[str]]
    lines: list[int]
    """The line of each row in the file, for error messages."""
    ids: list[str] | None = None
    groups: list[str] | None = None
    """The group of each row: rows of one group belong into one split."""
    columns: tuple[str, ...] = ()
    """The columns that are labels, if each label has one."""
    known: frozenset[str] = frozenset()
    """Labels that the file names, also those that no row has."""
    has_names: bool = False
    """The file has the names of all labels, so that one outside train is accepted."""
    n_unlabelled: int = 0
    """Number of rows that were left out because they say that they are not labelled."""
    note: str = ""
    """What the user should know about how it was read."""

    def label_names(self) -> tuple[str, ...]:
        """The columns that are labels; else all labels that occur, sorted, `neutral` last, as in GoEmotions."""
        return self.columns or sorted_labels([self])

    def labelled(self, labels: Sequence[str]) -> LabelledTexts:
        """The rows over a label list.

        Raises:
            UnknownLabelError: a label that is not in the list.
        """
        index = {label: position for position, label in enumerate(labels)}
        for line, row in zip(self.lines, self.names, strict=True):
            for name in row:
                if name not in index:
                    sign = separator_into(name, labels)
                    raise UnknownLabelError(
                        self.named,
                        name,
                        labels,
                        line,
                        hint=f"; try --label-separator {sign!r}" if sign else "",
                    )
        y_true = multi_hot(([index[name] for name in row] for row in self.names), len(labels))
        return LabelledTexts(self.texts, y_true, self.ids, self.groups)


def sorted_labels(parts: Sequence[RawRows]) -> tuple[str, ...]:
    """All labels that occur, sorted, `neutral` last."""
    found = {name for part in parts for row in part.names for name in row}.union(
        *(part.known for part in parts)
    )
    return tuple(sorted(found, key=lambda name: (name == "neutral", name)))


def rows_of(table: Table, settings: DataSettings, names: Sequence[str] | None = None) -> RawRows:
    """The labelled rows of a table.

    Args:
        table: the rows; label names that it has itself come before those of the user.
        settings: which columns to read.
        names: label names by number, as the user lists them.

    Raises:
        DataFileError: a missing column, a text that is not a string, labels that cannot be read, or no rows.
    """
    head = list(islice(table.rows, _HEAD))
    if not head:
        raise DataFileError(table.named, "holds no rows")
    columns = _Columns(table, head, settings)
    texts, cells, lines, ids, groups = [], [], [], [], []
    n_unlabelled = 0
    for line, record in chain(head, table.rows):
        cell = columns.label_cell(line, record)
        if cell is _UNLABELLED:
            n_unlabelled += 1
            continue
        if n_unlabelled and settings.unlabelled is None:
            raise columns.odd_cell(*head[0])  # only some rows say it, so it needs the setting
        texts.append(columns.text(line, record))
        cells.append(cell)
        lines.append(line)
        if settings.id_column:
            ids.append(str(columns.cell(line, record, settings.id_column, "--id-column")))
        if settings.group_column:
            groups.append(str(columns.cell(line, record, settings.group_column, "--group-column")))
    if not texts:
        raise NoLabelsError(table.named, f"no row is labelled: all have {columns.unlabelled!r}")
    if not settings.label_columns and all(_says(cell, "-1") for cell in cells):
        raise NoLabelsError(table.named, "no row is labelled: all have -1")
    own = (table.label_names or {}).get(columns.label_column)
    if settings.label_columns:
        found = LabelRows(cells)
    else:
        found = read_label_cells(
            cells,
            fault=lambda at, reason: DataFileError(table.named, reason, lines[at]),
            separator=settings.label_separator,
            names=own or names,
            column=columns.label_column,
            advice=columns.advice(),
        )
    return RawRows(
        table.named,
        texts,
        found.names,
        lines,
        ids if settings.id_column else None,
        groups if settings.group_column else None,
        columns=tuple(settings.label_columns),
        known=found.known,
        has_names=own is not None,
        n_unlabelled=n_unlabelled,
        note=table.note,
    )


_NOT_LABELLED = ("-1", "none", "n/a", "na", "nan", "null", "?")
"""Values of a label column that say that a row is not labelled."""
_UNLABELLED = object()
"""The label cell of a row that says it is not labelled."""


class _Columns:
    """The columns of a table that the settings name, and their cells."""

    def __init__(self, table: Table, head: Sequence[tuple[int, Record]], settings: DataSettings) -> None:
        self._named, self._settings = table.named, settings
        self._all = table.columns or tuple(dict.fromkeys(name for _, record in head for name in record))
        self._resolved: dict[str, str | None] = {}
        self.label_column = column_in(self._all, settings.label_column) or settings.label_column
        self._columns_01 = self._columns_of_01([record for _, record in head])
        self.unlabelled = settings.unlabelled or self._only_value(head[0])
        for column in settings.label_columns:
            if not can_be_label(column):
                raise DataFileError(
                    table.named,
                    f"column {column!r} cannot be a label: blank, or a comma, quote or line end in it",
                )

    def cell(self, line: int, record: Record, wanted: str, option: str) -> Any:
        """The cell of a wanted column.

        Raises:
            DataFileError: the row has no such column.
        """
        if wanted not in self._resolved:
            self._resolved[wanted] = column_in(self._all, wanted)
        column = self._resolved[wanted]
        if column is None or column not in record:
            columns_01 = self._columns_01 if option == "--label-column" else []
            proposal = (
                f"; columns of 0 and 1 are read with {self._label_columns(columns_01)}" if columns_01 else ""
            )
            reason = no_column(wanted, self._option(option), tuple(record))
            raise DataFileError(self._named, f"{reason}{proposal}", line)
        return record[column]

    def text(self, line: int, record: Record) -> str:
        """The text of a row, without lone surrogates."""
        cell = self.cell(line, record, self._settings.text_column, "--text-column")
        if not isinstance(cell, str):
            raise DataFileError(self._named, f"text is {shown(cell)}, not a string", line)
        return without_surrogates(cell)

    def label_cell(self, line: int, record: Record) -> Any:
        """The cell of the label column, or the names of the label columns with 1; `_UNLABELLED` if the row says so."""
        wanted, unlabelled = self._settings.label_columns, self.unlabelled
        if not wanted:
            cell = self.cell(line, record, self._settings.label_column, "--label-column")
            return _UNLABELLED if unlabelled and _says(cell, unlabelled) else cell
        names, is_odd = [], False
        for column in wanted:
            cell = self.cell(line, record, column, "--label-columns")
            if unlabelled and _says(cell, unlabelled):
                return _UNLABELLED
            said = is_one(cell)
            is_odd = is_odd or said is None
            if said:
                names.append(column)
        if is_odd:
            raise self.odd_cell(line, record)
        return names

    def odd_cell(self, line: int, record: Record) -> DataFileError:
        """The error of a row with a label column that says neither 0 nor 1."""
        cells = {
            column: self.cell(line, record, column, "--label-columns")
            for column in self._settings.label_columns
        }
        column, cell = next((column, cell) for column, cell in cells.items() if is_one(cell) is None)
        text = str(cell).strip()
        option = self._option("--unlabelled", text)
        hint = f"; {option} leaves such rows out" if text.casefold() in _NOT_LABELLED else ""
        return DataFileError(self._named, f"column {column!r} says {shown(cell)}, not 0 or 1{hint}", line)

    def advice(self) -> str:
        """What to do about a label column of only 0 and 1."""
        if any(name != self.label_column for name in self._columns_01):
            return f"; {self._label_columns(self._columns_01)} reads a column per label"
        option = self._option("--labels-file", "FILE")
        return f"; {option} with two names, one per line, says what they mean"

    def _option(self, flag: str, value: str | None = None) -> str:
        """An option as the user gives it: on the command line, or for a data frame in Python."""
        if self._named != FRAME:
            return flag if value is None else f"{flag} {value}"
        name = flag.removeprefix("--").replace("-", "_")
        return name if value is None else f'settings={{"data.{name}": {value!r}}}'

    def _label_columns(self, names: Sequence[str]) -> str:
        if self._named == FRAME:
            return f"label_columns={list(names)}"
        return f"--label-columns {shlex.quote(','.join(names))}"

    def _only_value(self, first: tuple[int, Record]) -> str | None:
        """The value of all label columns in the first row, if it says that a row is not labelled."""
        said = {str(first[1].get(column)).strip() for column in self._settings.label_columns}
        return next(iter(said)) if len(said) == 1 and next(iter(said)).casefold() in _NOT_LABELLED else None

    def _columns_of_01(self, head: Sequence[Record]) -> list[str]:
        """The columns of only 0 and 1, which may be labels."""
        settings = self._settings
        others = {
            column_in(self._all, name)
            for name in (settings.text_column, settings.id_column, settings.group_column)
            if name
        }
        return [
            name
            for name in dict.fromkeys(name for record in head for name in record)
            if name not in others
            and all(is_one(record.get(name)) is not None for record in head)
            and any(record.get(name) not in (None, "") for record in head)
        ]


def _says(cell: Any, value: str) -> bool:
    """Whether a cell, or each entry of a list, is a value: the same text or the same number."""
    if isinstance(cell, (list, tuple)):
        return bool(cell) and all(_says(entry, value) for entry in cell)
    text = str(cell).strip()
    if text == value.strip():
        return True
    try:
        return float(text) == float(value)
    except ValueError:
        return False
