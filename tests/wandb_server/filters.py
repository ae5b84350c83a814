"""Which runs a list holds and in which order: the SDK's Mongo-like filters and order strings."""

import re
from collections.abc import Callable
from typing import Any

from tests.wandb_server.graphql import GraphQLError
from tests.wandb_server.store import Run

_NAMES = {
    "name": "id",
    "display_name": "name",
    "displayName": "name",
    "jobType": "job_type",
    "createdAt": "created_at",
    "heartbeatAt": "heartbeat_at",
    "summaryMetrics": "summary",
    "summary_metrics": "summary",
}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda found, wanted: bool(found == wanted),
    "$ne": lambda found, wanted: bool(found != wanted),
    "$gt": lambda found, wanted: found is not None and bool(found > wanted),
    "$gte": lambda found, wanted: found is not None and bool(found >= wanted),
    "$lt": lambda found, wanted: found is not None and bool(found < wanted),
    "$lte": lambda found, wanted: found is not None and bool(found <= wanted),
    "$in": lambda found, wanted: any(_equal(found, one) for one in wanted),
    "$nin": lambda found, wanted: not any(_equal(found, one) for one in wanted),
    "$exists": lambda found, wanted: (found is not None) is bool(wanted),
    "$regex": lambda found, wanted: bool(re.search(wanted, str(found or ""))),
}


def matches(run: Run, filters: dict[str, Any]) -> bool:
    """Whether the run is one of those asked for.

    Raises:
        GraphQLError: an operator that this server does not know.
    """
    for name, wanted in filters.items():
        if name == "$and":
            kept = all(matches(run, one) for one in wanted)
        elif name == "$or":
            kept = any(matches(run, one) for one in wanted)
        elif isinstance(wanted, dict):
            if not set(wanted) <= set(_COMPARISONS):
                raise GraphQLError(f"unknown operator in filters: {wanted}")
            kept = all(_COMPARISONS[sign](value_of(run, name), one) for sign, one in wanted.items())
        else:
            kept = _equal(value_of(run, name), wanted)
        if not kept:
            return False
    return True


def ordered(runs: list[Run], order: str | None) -> list[Run]:
    """The runs by `+created_at`, `-summary_metrics.val/auc` and the like; those without the value last."""
    sign, name = (order or "+created_at")[0], (order or "+created_at").lstrip("+-")
    have = [run for run in runs if value_of(run, name) is not None]
    lack = [run for run in runs if value_of(run, name) is None]
    return sorted(have, key=lambda run: (value_of(run, name), run.number), reverse=sign == "-") + lack


def value_of(run: Run, name: str) -> Any:
    """What the run has under a filter's name: `state`, `config.lr`, `config.lr.value`, `summary_metrics.val/auc`."""
    head, _, rest = name.partition(".")
    found: Any = getattr(run, _NAMES.get(head, head), None)
    if not rest or not isinstance(found, dict):
        return found
    if rest in found:
        return found[rest]
    for part in rest.split("."):
        if part != "value" or (isinstance(found, dict) and part in found):  # config.lr.value is config.lr
            found = found.get(part) if isinstance(found, dict) else None
    return found


def _equal(found: Any, wanted: Any) -> bool:
    return (
        wanted in found if isinstance(found, list) and not isinstance(wanted, list) else bool(found == wanted)
    )
