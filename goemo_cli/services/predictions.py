"""`goemo export-predictions`, and the probabilities of a split as training itself writes them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import SettingError
from goemo_cli.core.events import Advanced, FileWritten, Listener, PhaseEnded, PhaseStarted, Warned, ignore
from goemo_cli.core.layout import Layout, split_predictions_name
from goemo_cli.core.predictions import Predictions, write_predictions
from goemo_cli.core.splits import Split
from goemo_cli.core.thresholds import Decision
from goemo_cli.ml.classifier import Classifier, load_classifier
from goemo_cli.ml.data import Dataset, LabelledTexts
from goemo_cli.services.calibration import open_calibrator
from goemo_cli.services.datasets import checkpoint_data


@dataclass(frozen=True)
class ExportedPredictions:
    """What was written."""

    paths: dict[Split, Path]
    rows: dict[Split, int]
    rule: str
    thresholds: dict[str, float]
    """What the written probabilities were compared with, by label."""


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
    listen: Listener = ignore,
) -> ExportedPredictions:
    """Score splits with a checkpoint and write one CSV row per comment.

    Args:
        checkpoint: whose weights, data settings and thresholds are used.
        layout: where to write.
        splits: which splits.
        threshold: one threshold for all labels instead of the checkpoint's.
        rule: another threshold rule of the checkpoint.
        calibrated: write calibrated probabilities; the labels stay the same.
        data_dir: where the data lies now, if no longer where the run found it.
        output: folder to write to instead of the layout's.
        device: auto, cpu, cuda or mps.
        listen: told of progress.

    Raises:
        DataError: the data is not what the run was trained on.
        CorruptArtifactError: damaged weights.
        SettingError: `calibrated` into the layout's own folder.
    """
    if calibrated and (output is None or output.resolve() == layout.predictions.resolve()):
        raise SettingError(
            ["--calibrated needs --output DIR: the usual file holds the probabilities as predicted"]
        )
    calibrator = open_calibrator(checkpoint) if calibrated else None
    data = checkpoint_data(checkpoint, layout, data_dir=data_dir, splits=splits, listen=listen)
    decision = pick_decision(checkpoint, threshold=threshold, rule=rule, listen=listen)
    classifier = load_classifier(checkpoint, device=device)
    paths, rows = {}, {}
    for split in dict.fromkeys(splits):
        predictions = predicted(classifier, data, split, listen)
        folder = output or layout.predictions
        paths[split] = folder / split_predictions_name(checkpoint.run, split)
        labelled = replace(predictions, y_pred=decision(predictions.y_prob))
        if calibrator:
            calibrated_prob = calibrator.apply(labelled.y_prob, decision.thresholds)
            labelled = replace(labelled, y_prob=calibrated_prob)
        write_predictions(paths[split], labelled)
        rows[split] = len(predictions)
        listen(FileWritten(paths[split]))
    thresholds = calibrator.apply_to_thresholds(decision.thresholds) if calibrator else decision.thresholds
    return ExportedPredictions(
        paths, rows, decision.rule, dict(zip(data.labels, thresholds.tolist(), strict=True))
    )


def pick_decision(
    checkpoint: Checkpoint, *, threshold: float | None, rule: str | None, listen: Listener = ignore
) -> Decision:
    """How labels are decided: as the checkpoint says, or by an override, which is said aloud."""
    fitted = checkpoint.thresholds
    decision = fitted.decision(rule)
    if threshold is not None:
        decision = Decision.fixed(threshold, len(fitted.labels))
    if decision.rule != fitted.rule:
        listen(Warned(f"pred_labels follow {decision.rule}, not the checkpoint's own rule ({fitted.rule})"))
    return decision


def predicted(classifier: Classifier, data: Dataset, split: Split, listen: Listener = ignore) -> Predictions:
    """A split with its probabilities, and no labels decided yet."""
    examples = data.splits[split]
    y_prob = predict_split(classifier, examples, split, listen)
    undecided = np.zeros_like(examples.y_true)
    return Predictions(data.labels, examples.texts, examples.y_true, undecided, y_prob, examples.ids)


def predict_split(
    classifier: Classifier, examples: LabelledTexts, split: Split, listen: Listener = ignore
) -> FloatArray:
    """Probabilities of a split, float32, (n_examples, n_labels), with progress."""
    listen(PhaseStarted(f"Scoring {split}", len(examples)))
    y_prob = classifier.predict_proba(examples.texts, lambda rows: listen(Advanced(rows)))
    listen(PhaseEnded())
    return y_prob
