"""The work list of an audit as one HTML page that loads nothing from other sites."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from goemo_cli.core.documents.audit import AuditRecord
from goemo_cli.core.labels import SPLITS
from goemo_cli.services.data.result_tables import decimal, span
from goemo_cli.services.data.work_list import MEANINGS
from goemo_cli.services.report.text import visible
from goemo_cli.services.report.web_pages import policy, web_file

MOST_SHOWN = 500
"""Rows of a kind on the page; the CSV file has all."""
SCORED_ROWS = {
    "all": "all rows of test",
    "without_leaks": "without rows whose text is in train",
    "without_near_leaks": "without rows with an equal or similar text in train",
    "only_leaks": "only rows with an equal or similar text in train",
}
_file = partial(web_file, "goemo_cli.services.audit")


def audit_page(record: AuditRecord, cells: Sequence[Mapping[str, str]]) -> str:
    """The page: counts, scores, and the first rows of each kind.

    Args:
        record: counts and scores.
        cells: of the work list.
    """
    by_kind: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for row in cells:
        by_kind[row["kind"]].append(row)
    style = _file("audit.css")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    return environment.from_string(_file("audit.html.j2")).render(
        record=record,
        kinds=MEANINGS,
        by_kind=by_kind,
        most=MOST_SHOWN,
        splits=SPLITS,
        scored_rows=SCORED_ROWS,
        decimal=decimal,
        span=span,
        policy=policy(scripts=(), styles=(style,), more="; img-src data:"),
        style=Markup(style),
    )


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
