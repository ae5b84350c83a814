"""The shape of metrics.json: keys, kinds of values, ranges, epochs."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.labels import SPLITS
from goemo_cli.core.schema import HISTORY_KEYS, PER_CLASS_COLUMNS, RANKING_KEYS, RULE_KEYS, RULES
from goemo_cli.services.validation.report import ValidationReport

_FRACTIONS = {*RULE_KEYS, *RANKING_KEYS, "val_f1_macro", "val_f1_micro", "val_auc_micro"}


def check_metrics(
    path: Path, metrics: dict[str, Any], checkpoint: Checkpoint, report: ValidationReport
) -> bool:
    """Whether metrics.json has the promised shape, so that others may rely on its keys."""
    before = len(report.problems)
    report.check(
        "run", path, holds=metrics["run"] == str(checkpoint.run), otherwise=f"is of run {metrics['run']}"
    )
    faults = [*_missing_keys(metrics), *_missing_data(metrics["data"])]
    for fault in faults:
        report.problem(path, fault)
    if not faults:
        _check_contents(path, metrics, checkpoint, report)
    return len(report.problems) == before


def _check_contents(
    path: Path, metrics: dict[str, Any], checkpoint: Checkpoint, report: ValidationReport
) -> None:
    names = tuple(row["emotion"] for row in metrics["per_class"])
    report.check(
        "label order",
        path,
        holds=names == checkpoint.labels,
        otherwise="per_class has other labels, or another order",
    )
    for place, value in _numbers(metrics):
        if isinstance(value, float) and not math.isfinite(value):
            report.problem(path, f"{place} is {value}")
        elif place.rsplit(".", 1)[-1] in _FRACTIONS and not 0 <= value <= 1:
            report.problem(path, f"{place} is {value:g}, not between 0 and 1")
    if is_ensemble(checkpoint):
        return  # nothing was trained
    epochs = [entry["epoch"] for entry in metrics["history"]]
    report.check(
        "epochs",
        path,
        holds=epochs == list(range(1, len(epochs) + 1)),
        otherwise=f"history counts epochs {epochs}",
    )
    report.check(
        "best epoch",
        path,
        holds=metrics["best_epoch"] in epochs,
        otherwise=f"best_epoch {metrics['best_epoch']} is not in history",
    )


def is_ensemble(checkpoint: Checkpoint) -> bool:
    """Whether a run has no weights of its own, but members."""
    return checkpoint.manifest_json.get("kind") == "ensemble"


def _missing_keys(metrics: Mapping[str, Any]) -> Iterator[str]:
    for at, entry in enumerate(metrics["history"]):
        yield from (f"history[{at}].{key} is missing" for key in HISTORY_KEYS if key not in entry)
    for at, row in enumerate(metrics["per_class"]):
        yield from (f"per_class[{at}].{key} is missing" for key in PER_CLASS_COLUMNS if key not in row)
    test = metrics["test"]
    yield from (f"test.{key} is missing" for key in RANKING_KEYS if key not in test)
    for rule in RULES:
        yield from (f"test.{rule}.{key} is missing" for key in RULE_KEYS if key not in test.get(rule, {}))


def _missing_data(data: Mapping[str, Any]) -> Iterator[str]:
    """What the rows of predictions are compared with: a size and a hash for every split."""
    yield from (
        f"data.{key} is missing"
        for key in ("name", "source", "sha256", "split_sha256", "sizes")
        if key not in data
    )
    for key in ("sizes", "split_sha256"):
        yield from (f"data.{key}.{split} is missing" for split in SPLITS if split not in data.get(key, {}))


def _numbers(value: Any, place: str = "") -> Iterator[tuple[str, int | float]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _numbers(entry, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for at, entry in enumerate(value):
            yield from _numbers(entry, f"{place}[{at}]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield place, value
