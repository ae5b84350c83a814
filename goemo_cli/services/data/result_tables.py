"""Results as text: CSV files that pandas writes, the same bytes on each system, and rounded numbers for people.

In a CSV file a float is written with the shortest decimals that read back to the same number. None and NaN are empty cells, and rows end
with a line feed. Only fields that need quotes are quoted.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from goemo_cli.core.csv_files import LineFeeds
from goemo_cli.core.files import write_text

if TYPE_CHECKING:
    from pandas import DataFrame

Rows = Iterable[Mapping[str, Any]] | Iterable[Sequence[Any]]


def write_table(path: Path, columns: Sequence[str], rows: "Rows | DataFrame") -> None:
    """Write a table, completely or not at all.

    Args:
        columns: the header.
        rows: mappings by column, sequences in the order of the columns, or a data frame.
    """
    write_text(path, table_text(columns, rows))


def table_text(columns: Sequence[str], rows: "Rows | DataFrame") -> str:
    """The content of a table; see `write_table`."""
    import pandas

    # Objects stay as they are. pandas would otherwise write the integers of a column with an empty cell as floats.
    content = rows if isinstance(rows, pandas.DataFrame) else [*rows]
    frame = pandas.DataFrame(content, columns=list(columns), dtype=object)
    text = io.StringIO()
    frame.to_csv(cast("Any", LineFeeds(text)), index=False, lineterminator=LineFeeds.configured)
    return text.getvalue()


def decimal(value: float, places: int = 4, *, sign: str = "") -> str:
    """A number with `places` decimals; one that would be shown as 0 and is not has two significant digits: 2e-05.

    Args:
        value: finite.
        places: after the point.
        sign: "+" to show it before positive numbers too.
    """
    rounded = f"{value:{sign}.{places}f}"
    return f"{value:{sign}.2g}" if value and not float(rounded) else rounded


def file_size(size: float) -> str:
    """Bytes for people: 12 B, 3.4 KiB, 1.2 GiB."""
    if size < 1024:
        return f"{size} B"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TiB"


def counted(number: int, noun: str) -> str:
    """`1 figure`, `5,427 comments`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def span(low: float, high: float) -> str:
    """An interval, `0.497–0.547`."""
    return f"{decimal(low, 3)}–{decimal(high, 3)}"


def p_text(value: float | None) -> str:
    """A p-value for tables: three digits, `<.001` below; a dash if there is none."""
    return "–" if value is None else "<.001" if value < 0.001 else f"{value:.3f}"
