"""Rows of tables that several commands show."""

from collections.abc import Mapping, Sequence
from typing import Any

from goemo_cli.services.data.result_tables import decimal, span

LABEL_COLUMNS = ("label", "F1", "95 % interval", "precision", "recall", "support")


def label_row(row: Mapping[str, Any]) -> list[object]:
    """The cells of a label, by `LABEL_COLUMNS`."""
    interval = span(row["f1_ci_low"], row["f1_ci_high"])
    return [row["emotion"], row["f1_score"], interval, row["precision"], row["recall"], row["support"]]


def markdown_section(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table with its title as Markdown."""
    from goemo_cli.services.report.text import plain, table

    return f"**{plain(title)}**\n\n" + table(columns, [[plain(_cell(cell)) for cell in row] for row in rows])


def _cell(value: object) -> str:
    return "–" if value is None else decimal(value) if isinstance(value, float) else str(value)
