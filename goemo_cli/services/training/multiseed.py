"""Mean and spread of every score over the seeds of a group: multiseed_summary.csv, from the manifests alone."""

import statistics
from collections.abc import Iterable
from typing import Any

from goemo_cli.core.schema import SCORE_KEYS
from goemo_cli.services.runs.index import ListedRun


def multiseed_rows(runs: Iterable[ListedRun]) -> list[dict[str, Any]]:
    """Mean, spread and ensemble of every score of every group, by `MULTISEED_COLUMNS`.

    A group is an ensemble and its members; one with members that are gone is left out. Scores follow each run's own
    threshold rule; sd is that of the sample (n - 1).
    """
    by_name = {str(one.run): one for one in runs if one.is_finished}
    rows = []
    for one in by_name.values():
        names = one.manifest.parents.members if one.manifest else []
        members = [by_name[name] for name in names if name in by_name]
        if len(names) >= 2 and len(members) == len(names):
            rows += [
                row
                for split in ("val", "test")
                for key in SCORE_KEYS
                if (row := _spread(one, members, f"{split}/{key}"))
            ]
    return rows


def _spread(ensemble: ListedRun, members: list[ListedRun], metric: str) -> dict[str, Any] | None:
    values = [value for one in members if (value := one.score(metric)) is not None]
    if len(values) < len(members):
        return None  # undefined for a member: labels without positives, say
    return {
        "group": str(ensemble.run),
        "metric": metric,
        "n_seeds": len(values),
        "mean": statistics.fmean(values),
        "sd": statistics.stdev(values),
        "min": min(values),
        "max": max(values),
        "ensemble": ensemble.score(metric),
    }
