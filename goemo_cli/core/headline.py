"""What a list of runs shows of each: a few facts of metrics.json, kept in the manifest so that listing opens one file."""

from collections.abc import Mapping
from typing import Any

from goemo_cli.core.schema import RANKING_KEYS, RULES, SCORE_KEYS


def headline_of(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The headline of a run.

    Args:
        metrics: metrics.json. Values that an older file does not have are None.

    Returns:
        `data`, `train_size`, `val_sha256` and `test_sha256` (which comments were scored), `seed`, `best_epoch`,
        `epochs`, `threshold_rule`, `training_seconds`, and `val` and `test`: each of `SCORE_KEYS`, or None.
    """
    data = metrics.get("data") or {}
    rule = metrics.get("threshold_rule")
    hashes = data.get("split_sha256") or {}
    return {
        "data": data.get("name"),
        "train_size": (data.get("sizes") or {}).get("train"),
        "val_sha256": hashes.get("val"),
        "test_sha256": hashes.get("test"),
        "seed": metrics.get("seed"),
        "best_epoch": metrics.get("best_epoch"),
        "epochs": len(metrics.get("history") or ()),
        "threshold_rule": rule,
        "training_seconds": metrics.get("training_seconds"),
        "val": _scores(metrics.get("val"), rule),
        "test": _scores(metrics.get("test"), rule),
    }


def _scores(split: Any, rule: Any) -> dict[str, float | None]:
    by_split = split if isinstance(split, Mapping) else {}
    by_rule = by_split.get(rule) if rule in RULES else None
    return {key: (by_split if key in RANKING_KEYS else by_rule or {}).get(key) for key in SCORE_KEYS}
