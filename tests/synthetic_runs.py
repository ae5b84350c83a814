"""Runs without models: every file that counts is there, with the scores that a test wants."""

import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from goemo_cli.core.checkpoint import CONFIG, METRICS, THRESHOLDS, Checkpoint, write_manifest
from goemo_cli.core.documents.manifest import Headline
from goemo_cli.core.documents.metrics import Metrics
from goemo_cli.core.files import write_json, write_text
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName, family_of
from goemo_cli.core.schema import RANKING_KEYS, RULE_KEYS, RULES
from goemo_cli.core.settings import ThresholdSettings, TrainConfig
from goemo_cli.core.thresholds import Thresholds
from tests.metrics_documents import EMPTY_METRICS, data_facts, epoch_scores

LABELS = ("anger", "joy")


def scores(f1_macro: float, **others: float) -> dict[str, Any]:
    """What metrics.json says of a split: `f1_macro` by the run's own rule (per_label), half of it by the others.

    Mean average precision is the same unless another is given; NaN leaves it out, as in runs of earlier versions.
    """
    others = {"average_precision_macro": f1_macro, **others}
    by_rule = {rule: f1_macro if rule == "per_label" else f1_macro / 2 for rule in RULES}
    return {
        **{key: others.get(key, 0.5) for key in RANKING_KEYS if not math.isnan(others.get(key, 0.5))},
        **{
            rule: {key: value if key == "f1_macro" else others.get(key, 0.5) for key in RULE_KEYS}
            | {"f1_macro_ci": [value / 2, value], "f1_micro_ci": [0.4, 0.6]}
            for rule, value in by_rule.items()
        },
    }


def add_run(
    layout: Layout,
    name: str,
    *,
    val: float = 0.5,
    test: float = 0.5,
    data: str = "goemotions",
    family: str | None = None,
    parents: dict[str, Any] | None = None,
    with_headline: bool = True,
    settings: dict[str, Any] | None = None,
    train_size: int = 100,
    without_positives: int = 0,
    **others: float,
) -> Checkpoint:
    """A finished run with predictions of both splits and one epoch, and per-class metrics."""
    run = RunName.parse(name)
    assert run is not None
    folder = layout.checkpoint(run, family or family_of(run.model))
    folder.mkdir(parents=True)
    metrics = {
        **EMPTY_METRICS,
        "run": str(run),
        "model": run.model,
        "seed": 3,
        "best_epoch": 1,
        "threshold_rule": "per_label",
        "history": [epoch_scores(1, val_f1_macro=val, epoch_seconds=61.0)],
        "data": data_facts(
            name=data,
            source=data,
            sha256=(parents or {}).get("data", f"{data} all"),
            sizes={"train": train_size, "val": 10, "test": 20},
            split_sha256={split: f"{data} {split}" for split in ("train", "val", "test")},
        ),
        "training_seconds": 7.5,
        "val": scores(val, **others) | {"labels_without_positives": without_positives},
        "test": scores(test, **others) | {"labels_without_positives": without_positives},
    }
    write_json(folder / METRICS, metrics)
    layers = [("model", {"model": {"name": run.model}}), ("test", settings or {})]
    write_text(folder / CONFIG, TrainConfig.from_layers(*layers).to_yaml())
    Thresholds(LABELS, 0.3, np.full(2, 0.25), (4, 4), ThresholdSettings(rule="per_label")).write(
        folder / THRESHOLDS, run=str(run)
    )
    (folder / "weights.bin").write_bytes(b"weights")
    for path in outside(layout, run):
        write_text(path, "text\n")
    return write_manifest(
        folder,
        run=run,
        kind="tiny",
        labels=LABELS,
        parents=parents or {},
        headline=Headline.of(Metrics.model_validate(metrics)) if with_headline else None,
    )


def add_unfinished(layout: Layout, name: str, *, hours: float) -> Path:
    """A run that was killed after its first epoch, some hours ago."""
    run = RunName.parse(name)
    assert run is not None
    folder = layout.checkpoint(run, family_of(run.model))
    folder.mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"half")
    write_text(layout.epoch_predictions(run, 1), "text\n")
    age(folder / "weights.bin", hours)
    age(layout.epoch_predictions(run, 1), hours)
    return folder


def outside(layout: Layout, run: RunName) -> list[Path]:
    """The files of a finished run outside its folder."""
    return [
        layout.split_predictions(run, "test"),
        layout.epoch_predictions(run, 1),
        layout.split_predictions(run, "val"),
        layout.per_class_metrics(run),
    ]


def age(path: Path, hours: float) -> None:
    """Make a file look as if it was written some hours ago."""
    then = time.time() - hours * 3600
    os.utime(path, (then, then))
