"""Checkpoints to predict with, made in a moment: real models that nobody trained, complete in every file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from goemo_cli.core.checkpoint import (
    CALIBRATION,
    CARD,
    CONFIG,
    METRICS,
    THRESHOLDS,
    Checkpoint,
    add_to_manifest,
    claim_checkpoint,
    write_manifest,
)
from goemo_cli.core.documents.manifest import Headline
from goemo_cli.core.files import write_json, write_text
from goemo_cli.core.labels import EMOTIONS, TAXONOMIES
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import Kind
from goemo_cli.core.settings import ModelSettings, ThresholdSettings, TrainConfig
from goemo_cli.core.thresholds import Thresholds
from goemo_cli.ml.metrics.calibrator import Calibrator
from goemo_cli.ml.models.tfidf import fit_tfidf
from goemo_cli.ml.models.tiny import build_tiny
from goemo_cli.ml.training.loop import seed_everything
from tests.metrics_documents import EMPTY_METRICS, NO_SCORES, label_scores

MAX_LENGTH = 32
TEXTS = [
    f"{start} {word}{end}"
    for start in ("I am so", "what a", "the most", "nobody was ever this")
    for word in (
        "happy",
        "angry",
        "sad day",
        "lovely surprise",
        "table",
        "proud of you and of all that you did",
    )
    for end in ("", "!", ", and then some more of it came along")
]


def write_tiny(layout: Layout, *, seed: int = 0, f1_macro: float = 0.1, **options: Any) -> Checkpoint:
    """A tiny transformer over the labels of GoEmotions, with thresholds at which about half the cells are labels."""
    seed_everything(seed)
    classifier = build_tiny(TEXTS, EMOTIONS, ModelSettings(name="tiny", max_length=MAX_LENGTH))
    for parameter in classifier.model.classifier.parameters():
        parameter.data.mul_(30)  # else every probability is close to one half
    run, folder = claim_checkpoint(layout, "tiny", "tiny")
    classifier.save_weights(folder)
    classifier.save_tokenizer(folder)
    return _completed(run, folder, "transformer", f1_macro, **options)


def write_tfidf(layout: Layout) -> Checkpoint:
    """A tfidf model."""
    y_true = np.random.default_rng(0).random((len(TEXTS), len(EMOTIONS))) < 0.3
    classifier = fit_tfidf(EMOTIONS, TEXTS, y_true, seed=0, on_progress=lambda labels: None)
    run, folder = claim_checkpoint(layout, "tfidf", "tfidf")
    classifier.save(folder)
    return _completed(run, folder, "tfidf", 0.05)


def write_ensemble(layout: Layout, members: list[Checkpoint]) -> Checkpoint:
    """The mean of others."""
    run, folder = claim_checkpoint(layout, "tiny-ensemble", "tiny")
    parents = {"members": [str(member.run) for member in members]}
    return _completed(run, folder, "ensemble", 0.08, parents=parents)


def add_calibrator(checkpoint: Checkpoint) -> Calibrator:
    """Give a checkpoint a calibrator that halves the odds, or doubles them, by turns."""
    labels = checkpoint.labels
    intercept = np.where(np.arange(len(labels)) % 2, np.log(2), -np.log(2))
    calibrator = Calibrator(labels, "platt", intercept, np.full(len(labels), 0.7), (5,) * len(labels), {})
    calibrator.write(checkpoint.path / CALIBRATION, run=str(checkpoint.run), source={})
    add_to_manifest(checkpoint, CALIBRATION)
    return calibrator


def _completed(
    run: Any,
    folder: Path,
    kind: Kind,
    f1_macro: float,
    *,
    parents: Mapping[str, Any] | None = None,
    never_empty: bool = False,
) -> Checkpoint:
    thresholds = Thresholds(
        EMOTIONS,
        0.4,
        np.linspace(0.2, 0.8, len(EMOTIONS)),
        (4,) * len(EMOTIONS),
        ThresholdSettings(rule="per_label", never_empty=never_empty),
    )
    taxonomies = {
        name: {"max": {**NO_SCORES, "per_class": [label_scores(group, threshold=0.6) for group in groups]}}
        for name, groups in TAXONOMIES.items()
    }
    write_json(folder / METRICS, {**EMPTY_METRICS, "run": str(run), "taxonomies": taxonomies})
    settings = {"model": {"name": "tiny", "max_length": MAX_LENGTH}}
    write_text(folder / CONFIG, TrainConfig.from_layers(("test", settings)).to_yaml())
    write_text(folder / CARD, "# A model\n")
    thresholds.write(folder / THRESHOLDS, run=str(run))
    return write_manifest(
        folder,
        run=run,
        kind=kind,
        labels=EMOTIONS,
        parents=parents or {},
        headline=Headline(val_sha256="0" * 64, val={"f1_macro": f1_macro}),
    )
