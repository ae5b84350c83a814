"""`goemo export-predictions`, and the probabilities of a split as training itself writes them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goemo_cli.core.arrays import DoubleArray, FloatArray
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.events import Advanced, FileWritten, Listener, PhaseEnded, PhaseStarted, Warned, ignore
from goemo_cli.core.layout import Layout, split_predictions_name
from goemo_cli.core.predictions import Predictions, write_predictions
from goemo_cli.core.splits import Split
from goemo_cli.core.thresholds import decide
from goemo_cli.ml.classifier import Classifier, load_classifier
from goemo_cli.ml.data import LabelledTexts
from goemo_cli.services.datasets import checkpoint_data


@dataclass(frozen=True)
class ExportedPredictions:
    """What was written."""

    paths: dict[Split, Path]
    rows: dict[Split, int]
    rule: str


def export_predictions(
    checkpoint: Checkpoint,
    *,
    layout: Layout,
    splits: tuple[Split, ...] = ("test",),
    threshold: float | None = None,
    rule: str | None = None,
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
        data_dir: where the data lies now, if no longer where the run found it.
        output: folder to write to instead of the layout's.
        device: auto, cpu, cuda or mps.
        listen: told of progress.

    Raises:
        DataError: the data is not what the run was trained on.
        CorruptArtifactError: damaged weights.
    """
    data = checkpoint_data(checkpoint, layout, data_dir=data_dir, splits=splits, listen=listen)
    shown_rule, thresholds = pick_thresholds(checkpoint, threshold=threshold, rule=rule)
    if threshold is not None or (rule and rule != checkpoint.thresholds.rule):
        listen(
            Warned(
                f"pred_labels follow {shown_rule}, not the checkpoint's own rule ({checkpoint.thresholds.rule})"
            )
        )
    classifier = load_classifier(checkpoint, device=device)
    paths, rows = {}, {}
    for split in dict.fromkeys(splits):
        examples = data.splits[split]
        y_prob = predict_split(classifier, examples, split, listen)
        folder = output or layout.predictions
        paths[split] = folder / split_predictions_name(checkpoint.run, split)
        write_predictions(paths[split], decided(data.labels, examples, y_prob, thresholds))
        rows[split] = len(examples)
        listen(FileWritten(paths[split]))
    return ExportedPredictions(paths, rows, shown_rule)


def pick_thresholds(
    checkpoint: Checkpoint, *, threshold: float | None, rule: str | None
) -> tuple[str, DoubleArray]:
    """The name and the thresholds (n_labels,) that labels follow: the checkpoint's, or the override."""
    fitted = checkpoint.thresholds
    if threshold is not None:
        return f"a fixed threshold of {threshold:g}", np.full(len(fitted.labels), threshold)
    return rule or fitted.rule, fitted.of_rule(rule or fitted.rule)


def predict_split(
    classifier: Classifier, examples: LabelledTexts, split: Split, listen: Listener = ignore
) -> FloatArray:
    """Probabilities of a split, float32, (n_examples, n_labels), with progress."""
    listen(PhaseStarted(f"Scoring {split}", len(examples)))
    y_prob = classifier.predict_proba(examples.texts, lambda rows: listen(Advanced(rows)))
    listen(PhaseEnded())
    return y_prob


def decided(
    labels: tuple[str, ...], examples: LabelledTexts, y_prob: FloatArray, thresholds: DoubleArray | float
) -> Predictions:
    """Probabilities and the labels that follow from them, ready to be written."""
    return Predictions(
        labels, examples.texts, examples.y_true, decide(y_prob, thresholds), y_prob, examples.ids
    )
