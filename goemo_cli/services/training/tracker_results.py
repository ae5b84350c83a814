"""What trackers log of epochs and of a finished run: numbers, tables, pictures, files, artifacts."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from goemo_cli.core.arrays import FloatArray, IntArray
from goemo_cli.core.checkpoint import MANIFEST, METRICS, THRESHOLDS, Checkpoint
from goemo_cli.core.documents.metrics import EpochScores, LabelScores, Metrics
from goemo_cli.core.events import EventHandler, Warning, progress
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.predictions import LABEL_JOINER, Predictions
from goemo_cli.core.schema import COMBINED
from goemo_cli.core.settings import EpochScore
from goemo_cli.ml.metrics.confusions import cooccurrence_counts
from goemo_cli.ml.metrics.ranking import precision_recall
from goemo_cli.ml.models.classifier import Classifier
from goemo_cli.ml.training.loop import Stopped
from goemo_cli.tracking.base import Artifact, Picture, Table, Tracker
from goemo_cli.tracking.redaction import without_places

if TYPE_CHECKING:
    from goemo_cli.services.training.build import Run

_CURVE_POINTS = 50
_SHOWN_COMMENTS = 1000
_EMBEDDED_COMMENTS = 1000
"""W&B's projector draws a sample of this size."""
_EMBEDDING_DIGITS = 5
_SEED = 0


@dataclass(frozen=True)
class EmbeddedSample:
    """Some comments of a split as vectors."""

    rows: IntArray
    """Which comments, (n_sample,)."""
    vectors: FloatArray
    """float32, (n_sample, size), each of length 1."""


def embedded_sample(
    classifier: Classifier, texts: Sequence[str], on_event: EventHandler
) -> EmbeddedSample | None:
    """The embeddings of a seeded sample of texts; None, after a warning, if they cannot be computed."""
    from goemo_cli.ml.models.embedding import embed

    chosen = np.random.default_rng(_SEED).choice(
        len(texts), min(_EMBEDDED_COMMENTS, len(texts)), replace=False
    )
    rows: IntArray = np.sort(chosen).astype(np.int64)
    try:
        with progress(on_event, "Embedding test", len(rows)) as advance:
            vectors = embed(classifier, [texts[row] for row in rows], advance)
    except Exception as error:  # of any kind: the run continues without embeddings
        on_event(Warning(f"no embeddings are logged ({type(error).__name__}: {error})"))
        return None
    return EmbeddedSample(rows, vectors)


def epoch_values(
    scores: EpochScores, combined: Mapping[EpochScore, float] = MappingProxyType({})
) -> dict[str, float]:
    """The numbers of an epoch by their names in trackers, without those that the model does not have.

    Args:
        combined: weights of numbers, whose sum is `combined_score`; it is left out if one number is missing.
    """
    known = {
        "train/loss": scores.train_loss,
        "train/learning_rate": scores.learning_rate,
        "train/epoch_time": scores.epoch_seconds,
        "train/samples_per_sec": scores.samples_per_second,
        "train/grad_norm": scores.grad_norm,
        "val/loss": scores.val_loss,
        "val/auc": scores.val_auc_micro,
        "val/f1_micro": scores.val_f1_micro,
        "val/f1_macro": scores.val_f1_macro,
    }
    values = {name: value for name, value in known.items() if value is not None}
    if combined and combined.keys() <= values.keys():
        values[COMBINED] = sum(weight * values[name] for name, weight in combined.items())
    return values


def early_stopping_values(run: "Run", stopped: Stopped) -> dict[str, float]:
    """When a run stopped early, and what that saved."""
    epochs_saved = run.config.training.epochs - stopped.epoch
    seconds = sum(scores.epoch_seconds for scores in run.history)
    return {
        "epoch": stopped.epoch,
        "best_epoch": stopped.best_epoch,
        "best_value": stopped.best_value,
        "epochs_saved": epochs_saved,
        "seconds_saved": epochs_saved * seconds / len(run.history),
    }


def log_results(
    tracker: Tracker,
    run: "Run",
    checkpoint: Checkpoint,
    test: Predictions,
    embedded: EmbeddedSample | None,
    *,
    layout: Layout,
    on_event: EventHandler,
) -> None:
    """Log everything that a finished run has produced, and close the tracker.

    Args:
        tracker: logs the results, one step after the last optimizer step.
        test: predictions of test with the run's labels.
        embedded: some comments of test as vectors, if the settings ask for them.
    """
    metrics, wandb, step = checkpoint.metrics, checkpoint.config.logging.wandb, run.step + 1
    tracker.log(test_values(metrics), step=step)
    for table in _tables(metrics.per_class, test, with_comments=wandb.log_predictions, embedded=embedded):
        tracker.table(table, step=step)
    if embedded is not None:
        for picture in _pictures(checkpoint, embedded, layout, on_event):
            tracker.picture(picture, step=step)
    saved = _checkpoint_files(checkpoint) if wandb.log_model else {}
    for name, path in saved.items():
        tracker.save(path, name=f"checkpoint/{checkpoint.run}/{name}")
    for path in run.written:
        tracker.save(path, name=f"{path.parent.name}/{path.name}")
    for artifact in _artifacts(checkpoint, saved, run.written, layout):
        tracker.artifact(artifact)
    tracker.finish(summary_values(metrics))


def test_values(metrics: Metrics) -> dict[str, float]:
    """The final test scores by their names in trackers; F1, precision and recall by the run's own threshold rule."""
    test, rule = metrics.test, metrics.test_rule
    values = {
        "test/auc_micro": test.auc_micro,
        "test/auc_macro": test.auc_macro,
        "test/f1_macro": rule.f1_macro,
        "test/f1_micro": rule.f1_micro,
        "test/precision_macro": rule.precision_macro,
        "test/recall_macro": rule.recall_macro,
    }
    return {name: value for name, value in values.items() if value is not None}


test_values.__test__ = False  # type: ignore[attr-defined]  # values of the test split, not a test for pytest


def summary_values(metrics: Metrics) -> dict[str, float]:
    """All final numbers of a run by their names in trackers."""
    per_label = {
        f"test/{name}_{row.emotion}": value
        for row in metrics.per_class
        for name, value in (
            ("f1", row.f1_score),
            ("precision", row.precision),
            ("recall", row.recall),
            ("support", row.support),
        )
    }
    values = {
        **test_values(metrics),
        **per_label,
        "best_epoch": metrics.best_epoch,
        "final_epoch": len(metrics.history),
        "total_training_time": metrics.training_seconds,
    }
    return {name: value for name, value in values.items() if value is not None}


def _tables(
    rows: Sequence[LabelScores],
    test: Predictions,
    *,
    with_comments: bool,
    embedded: EmbeddedSample | None,
) -> Iterator[Table]:
    """Scores of labels, confusions and curves; comments and embeddings if the settings ask for them."""
    columns = ("emotion", "f1_score", "precision", "recall", "support", "threshold")
    yield Table("per_emotion", columns, [[getattr(row, column) for column in columns] for row in rows])
    yield _confusions(test)
    yield Table(
        "precision_recall", ("emotion", "recall", "precision"), list(_curves(test)), chart="precision_recall"
    )
    if with_comments:
        shown = [
            [*_comment(test, row), float(test.y_prob[row].max())]
            for row in range(min(_SHOWN_COMMENTS, len(test)))
        ]
        yield Table("test_predictions", ("text", "gold", "predicted", "highest_probability"), shown)
    if embedded is not None:
        yield _embeddings(test, embedded)


def _confusions(test: Predictions) -> Table:
    counts = cooccurrence_counts(test.y_true, test.y_pred)
    rows = [
        [gold, predicted, int(counts[i, j])]
        for i, gold in enumerate(test.labels)
        for j, predicted in enumerate(test.labels)
    ]
    return Table("gold_and_predicted", ("gold", "predicted", "comments"), rows, chart="confusion")


def _curves(test: Predictions) -> Iterator[list[Any]]:
    """Precision over recall of each label with positives, at about `_CURVE_POINTS` points, from the highest threshold on."""
    for at, label in enumerate(test.labels):
        if test.y_true[:, at].any():
            precision, recall = precision_recall(test.y_true[:, at], test.y_prob[:, at])
            kept = np.unique(np.linspace(0, len(recall) - 1, _CURVE_POINTS).round().astype(int))
            yield from ([label, float(recall[point]), float(precision[point])] for point in kept)


def _embeddings(test: Predictions, embedded: EmbeddedSample) -> Table:
    dimensions = tuple(f"d{at}" for at in range(1, embedded.vectors.shape[1] + 1))
    vectors = embedded.vectors.astype(float).round(_EMBEDDING_DIGITS).tolist()
    rows = [[*_comment(test, row), *vector] for row, vector in zip(embedded.rows, vectors, strict=True)]
    return Table("embeddings", ("text", "gold", "predicted", *dimensions), rows, chart="projector")


def _comment(test: Predictions, row: int) -> list[str]:
    """Text, gold labels and predicted labels."""
    gold, predicted = (
        LABEL_JOINER.join(label for label, is_on in zip(test.labels, labels[row], strict=True) if is_on)
        for labels in (test.y_true, test.y_pred)
    )
    return [test.texts[row], gold, predicted]


def _pictures(
    checkpoint: Checkpoint, embedded: EmbeddedSample, layout: Layout, on_event: EventHandler
) -> Iterator[Picture]:
    """Figures 16 and 21 of a finished run; a figure that cannot be drawn costs a warning."""
    from goemo_cli.services.figures import figure_of  # matplotlib loads late
    from goemo_cli.services.figures.embedding_projection import drawn
    from goemo_cli.services.figures.registry import Drawn, FigureSpec
    from goemo_cli.services.figures.style import house_style, save_figure
    from goemo_cli.services.runs.run_data import RunData

    source = RunData(checkpoint, layout, on_event=on_event)
    drawings: dict[FigureSpec, Callable[[], Drawn]] = {
        (confusion := figure_of("16")): lambda: confusion.draw(source),
        figure_of("21"): lambda: drawn(source, embedded.rows, embedded.vectors),
    }
    with (
        progress(on_event, "Drawing pictures for the trackers", len(drawings), "pictures") as advance,
        tempfile.TemporaryDirectory() as folder,
    ):
        for figure, draw in drawings.items():
            path = Path(folder) / figure.file_name("png")
            try:
                with house_style():
                    save_figure(draw().figure, path, {})
            except Exception as error:  # a picture for a tracker never ends a run
                on_event(Warning(f"picture {figure.name} is not logged ({type(error).__name__}: {error})"))
            else:
                yield Picture(figure.name, path.read_bytes())
            advance(1)


def _checkpoint_files(checkpoint: Checkpoint) -> dict[str, Path]:
    return {name: checkpoint.path / name for name in [*checkpoint.manifest.files, MANIFEST]}


def _artifacts(
    checkpoint: Checkpoint, saved: Mapping[str, Path], written: Sequence[Path], layout: Layout
) -> Iterator[Artifact]:
    run, metrics = checkpoint.run, checkpoint.metrics
    facts = {
        "goemo_run": str(run),
        "best_epoch": metrics.best_epoch,
        "labels": list(checkpoint.labels),
        "data_sha256": metrics.data.sha256,
        "versions": metrics.versions,
    }
    scores = test_values(metrics)
    if saved:
        yield _artifact(
            run,
            "checkpoint",
            "model",
            saved,
            {**facts, **scores, "base_model": without_places(metrics.base_model)},
        )
    for split in ("test", "val"):
        files = {
            path.name: path
            for path in written
            if path.parent == layout.predictions and path.name.startswith(split)
        }
        yield _artifact(run, f"{split}-predictions", "predictions", files, {**facts, "split": split})
    table = layout.per_class_metrics(run)
    yield _artifact(run, "per-class-metrics", "metrics", {table.name: table}, {**facts, **scores})
    evaluation = {name: checkpoint.path / name for name in (METRICS, THRESHOLDS)} | {table.name: table}
    yield _artifact(run, "evaluation", "evaluation", evaluation, {**facts, **scores})


def _artifact(
    run: RunName, what: str, kind: str, files: Mapping[str, Path], metadata: Mapping[str, Any]
) -> Artifact:
    # A run keeps its best epoch only: the latest version is also the best.
    return Artifact(
        f"{run.model}-{what}-{{run_id}}", kind, files, metadata=metadata, aliases=("latest", "best")
    )
