"""Rows of tables that several commands show."""

from collections.abc import Mapping
from typing import Any

from goemo_cli.services.data.result_tables import span

LABEL_COLUMNS = ("label", "F1", "95 % interval", "precision", "recall", "support")


def label_row(row: Mapping[str, Any]) -> list[object]:
    """The cells of a label, by `LABEL_COLUMNS`."""
    interval = span(row["f1_ci_low"], row["f1_ci_high"])
    return [row["emotion"], row["f1_score"], interval, row["precision"], row["recall"], row["support"]]
