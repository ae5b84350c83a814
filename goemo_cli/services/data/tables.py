"""A table: rows of any source, read one after another, and its columns by name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goemo_cli.core.errors import DataFileError, did_you_mean, first_names

if TYPE_CHECKING:
    from pandas import DataFrame

Record = Mapping[str, Any]
"""The cells of a row by column."""
FRAME = "data frame"
"""What errors call rows that the caller of the Python API has in memory."""


@dataclass(frozen=True)
class Table:
    """Rows of a data file, read one after another."""

    rows: Iterator[tuple[int, Record]]
    """The line and the cells of each row. Reading raises `DataFileError` with the line of a fault."""
    columns: tuple[str, ...] | None = None
    """Names of the columns, if the format fixes them."""
    total: int | None = None
    """Approximate number of rows, for progress; None if unknown."""
    label_names: Mapping[str, Sequence[str]] | None = None
    """For columns of numbers: the label names by number, as the file lists them."""
    header_line: int | None = None
    """The line with the names of the columns; None if the format has no such line."""
    arrow_schema: Any = None
    """The types of the columns, if the file is Parquet."""
    named: str = ""
    """What errors call the source."""
    note: str = ""
    """What the user should know about how it is read."""
    seek: Callable[[int], Iterator[tuple[int, Record]]] | None = None
    """The rows from a position on without reading those before it, if the format can do that."""
    stored: Callable[[], Path] | None = None
    """A local file with the bytes of the source, which may be compressed; None for rows in memory."""

    def rows_from(self, start: int) -> Iterator[tuple[int, Record]]:
        """The rows from a position on, counted from 0."""
        return self.seek(start) if self.seek else islice(self.rows, start, None)


def frame_table(frame: "DataFrame") -> Table:
    """The rows of a data frame; their lines count from 1.

    Raises:
        DataFileError: something else than a data frame, or two columns of one name.
    """
    import pandas

    if not isinstance(frame, pandas.DataFrame):
        raise DataFileError(FRAME, f"give a data frame of pandas, not a {type(frame).__name__}")
    columns = tuple(map(str, frame.columns))
    for name in columns:
        if columns.count(name) > 1:
            raise DataFileError(FRAME, f"column {name!r} occurs twice")
    present = frame.astype(object).where(frame.notna(), None)  # NaN, NA and NaT are None
    cells = zip(*(present.iloc[:, at].tolist() for at in range(len(columns))), strict=True)
    rows = ((line, dict(zip(columns, row, strict=True))) for line, row in enumerate(cells, start=1))
    return Table(rows, columns, len(frame), named=FRAME)


def column_in(columns: Sequence[str], wanted: str) -> str | None:
    """The column of a name; else the only one with that name in other capitals or before a remark in parentheses."""
    if wanted in columns:
        return wanted
    near = [name for name in columns if _plain(name) == _plain(wanted)]
    return near[0] if len(near) == 1 else None


def no_column(wanted: str, option: str, columns: Sequence[str]) -> str:
    """The reason of an error about a missing column, with those that are there."""
    listed = first_names(map(repr, columns), most=20)
    return f"no column {wanted!r} ({option}); there are {listed}{did_you_mean(wanted, columns)}"


def _plain(name: str) -> str:
    return name.partition("(")[0].strip().casefold()
