"""The CSV of per-class metrics: its writer, and its reader, which also knows the older columns."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from goemo_cli.core.csv_files import by_column, open_csv
from goemo_cli.core.errors import DataFileError
from goemo_cli.core.schema import OLD_PER_CLASS_COLUMNS, PER_CLASS_COLUMNS
from goemo_cli.services.data.result_tables import write_table

_COUNT_COLUMNS = ("support", "tp", "fp", "fn", "tn")
_NAME_TODAY = {"f1": "f1_score"}


def write_per_class_metrics(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write per-class metrics with `PER_CLASS_COLUMNS`; what is undefined is an empty cell."""
    write_table(path, PER_CLASS_COLUMNS, rows)


def read_per_class_metrics(path: Path) -> list[dict[str, Any]]:
    """Per-class metrics by `PER_CLASS_COLUMNS`; numbers as numbers, an empty or missing cell as None.

    Raises:
        DataFileError: other columns, a row of another length, or a cell that is not a number.
    """
    rows = []
    with open_csv(path) as (header, lines):
        if tuple(header) not in (PER_CLASS_COLUMNS, OLD_PER_CLASS_COLUMNS):
            missing = [column for column in PER_CLASS_COLUMNS if column not in header]
            fault = f"; missing: {', '.join(missing)}" if missing else ""
            raise DataFileError(path, f"columns are not {','.join(PER_CLASS_COLUMNS)}{fault}", 1)
        columns = [_NAME_TODAY.get(column, column) for column in header]
        for line, cells in by_column(path, columns, lines):
            rows.append(
                {column: _value(path, line, column, cells.get(column)) for column in PER_CLASS_COLUMNS}
            )
    return rows


def _value(path: Path, line: int, column: str, cell: str | None) -> Any:
    if column == "emotion" or not cell:
        return cell or None
    try:
        number = int(cell) if column in _COUNT_COLUMNS else float(cell)
    except ValueError as error:
        raise DataFileError(path, f"column {column}: {cell!r} is not a number", line) from error
    if not math.isfinite(number):
        raise DataFileError(path, f"column {column}: {cell!r} is not finite", line)
    return number
