"""`goemo export-predictions`, and the probabilities of a split as training itself writes them."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import SettingError
from goemo_cli.core.events import EventHandler, FileWritten, ignore, progress
from goemo_cli.core.labels import Split
from goemo_cli.core.layout import Layout, split_predictions_name
from goemo_cli.core.predictions import Predictions, write_predictions
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.models.classifier import Classifier, load_classifier
from goemo_cli.services.data.find import checkpoint_data
from goemo_cli.services.exporting.engines import engine_of, with_engine
from goemo_cli.services.predicting.label_rule import label_rule
from goemo_cli.services.runs.locks import held


@dataclass(frozen=True)
class ExportedPredictions:
    """What was written."""

    paths: dict[Split, Path]
    rows: dict[Split, int]
    rule: str
    engine: str
    """What computed the probabilities."""
    thresholds: dict[str, float]
    """What the written probabilities were compared with, by label; empty for single-label data."""


def export_predictions(
    checkpoint: Checkpoint,
    *,
    layout: Layout,
    splits: tuple[Split, ...] = ("test",),
    threshold: float | None = None,
    rule: str | None = None,
    calibrated: bool = False,
    data_dir: Path | None = None,
    output: Path | None = None,
    device: str = "auto",
    engine: str = "auto",
    on_event: EventHandler = ignore,
) -> ExportedPredictions:
    """Score splits with a checkpoint and write one CSV row per comment.

    Args:
        checkpoint: whose weights, data settings and thresholds are used.
        splits: which splits.
        threshold: one threshold for all labels, compared with the probabilities that are written.
        rule: another threshold rule of the checkpoint.
        calibrated: write calibrated probabilities; what the checkpoint's thresholds say yes to stays the same.
        data_dir: the data's folder, if it has moved since the run.
        output: folder to write to instead of the layout's.
        device: auto, cpu, cuda or mps.
        engine: auto, torch or onnx, as for `Predictor.load`. The run's own files are always predicted with torch.

    Raises:
        DataError: the data is not what the run was trained on.
        CorruptArtifactError: damaged weights.
        SettingError: `calibrated` or an exported model into the layout's own folder.
        BusyError: another process changes the run, whose own file would be written.
    """
    is_own = output is None or output.resolve() == layout.predictions.resolve()
    if is_own and calibrated:
        raise SettingError(
            ["--calibrated needs --output DIR: the usual file holds the probabilities as predicted"]
        )
    if is_own and (engine == "onnx" or checkpoint.manifest.export is not None):
        raise SettingError(
            [
                "an exported model needs --output DIR: the usual file holds the probabilities of the run in torch"
            ]
        )
    checkpoint = with_engine(checkpoint, layout, "torch" if is_own else engine, device=device)
    with ExitStack() as locks:
        if output is None and layout.models in checkpoint.path.parents:
            locks.enter_context(held(checkpoint.path, "goemo export-predictions"))
            checkpoint = Checkpoint.open(checkpoint.path)
        labels_by = label_rule(
            checkpoint, threshold=threshold, rule=rule, calibrated=calibrated, on_event=on_event
        )
        data = checkpoint_data(checkpoint, layout, data_dir=data_dir, splits=splits, on_event=on_event)
        classifier = load_classifier(checkpoint, device=device)
        paths, rows = {}, {}
        for split in dict.fromkeys(splits):
            predictions = predicted(classifier, data, split, on_event)
            folder = output or layout.predictions
            paths[split] = folder / split_predictions_name(checkpoint.run, split)
            y_prob, y_pred = labels_by(predictions.y_prob)
            write_predictions(paths[split], replace(predictions, y_prob=y_prob, y_pred=y_pred))
            rows[split] = len(predictions)
            on_event(FileWritten(paths[split]))
        decision = labels_by.decision
        return ExportedPredictions(
            paths, rows, decision.rule, engine_of(checkpoint), decision.by_label(data.labels)
        )


def predicted(
    classifier: Classifier, data: Dataset, split: Split, on_event: EventHandler = ignore
) -> Predictions:
    """A split with its probabilities, and no labels decided yet."""
    examples = data.splits[split]
    y_prob = predict_rows(classifier, examples.texts, split, on_event)
    undecided = np.zeros_like(examples.y_true)
    return Predictions(data.labels, examples.texts, examples.y_true, undecided, y_prob, examples.ids)


def predict_rows(
    classifier: Classifier, texts: Sequence[str], name: str, on_event: EventHandler = ignore
) -> FloatArray:
    """Probabilities of a split or of other data, float32, (n_examples, n_labels), with progress."""
    with progress(on_event, f"Scoring {name}", len(texts)) as advance:
        return classifier.predict_proba(texts, advance)
