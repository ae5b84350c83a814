"""metrics.json of runs that were never trained: complete, with scores of 0 or those that a test gives."""

import copy
from collections.abc import Callable
from typing import Any

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.metrics import EpochScores, Metrics
from goemo_cli.core.schema import PER_CLASS_COLUMNS, RANKING_KEYS, RULE_KEYS, RULES

NO_SCORES: dict[str, Any] = {
    **dict.fromkeys(RANKING_KEYS),
    **{rule: dict.fromkeys(RULE_KEYS, 0.0) for rule in RULES},
}
"""Scores of a split: 0 by every rule, undefined without thresholds."""

EMPTY_METRICS: dict[str, Any] = {
    "schema_version": 1,
    "run": "tiny-20260101-000000",
    "model": "tiny",
    "best_epoch": None,
    "history": [],
    "training_seconds": 0.0,
    "wandb_run_id": None,
    "data": {
        "name": "nothing",
        "source": "nowhere",
        "sha256": "0" * 64,
        "split_sha256": dict.fromkeys(("train", "val", "test"), "0" * 64),
        "sizes": dict.fromkeys(("train", "val", "test"), 0),
    },
    "threshold_rule": "per_label",
    "val": NO_SCORES,
    "test": NO_SCORES,
    "per_class": [],
}
"""metrics.json of a run that measured nothing."""


def data_facts(**facts: Any) -> dict[str, Any]:
    """`data` in metrics.json, with some facts; those of splits may be given for some splits only."""
    known = EMPTY_METRICS["data"]
    return {
        key: value | facts.get(key, {}) if isinstance(value, dict) else facts.get(key, value)
        for key, value in known.items()
    }


def epoch_scores(epoch: int, **scores: Any) -> dict[str, Any]:
    """An entry of the history: .5 everywhere but for the scores that are given."""
    return {**dict.fromkeys(EpochScores.model_fields, 0.5), "epoch": epoch, **scores}


def label_scores(emotion: str, **scores: Any) -> dict[str, Any]:
    """A row of the per-class metrics: 0 everywhere but for the scores that are given."""
    counts = dict.fromkeys(("support", "tp", "fp", "fn", "tn"), 0)
    return {**dict.fromkeys(PER_CLASS_COLUMNS, 0.0), **counts, "emotion": emotion, **scores}


def change_metrics(checkpoint: Checkpoint, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the metrics of an opened checkpoint, not those of its file."""
    values = copy.deepcopy(checkpoint.metrics.as_json())
    change(values)
    checkpoint.__dict__["metrics"] = Metrics.model_validate(values)
