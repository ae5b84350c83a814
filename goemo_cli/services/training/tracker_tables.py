"""The tables that mirrors of a run show: scores of labels, curves, confusions; comments, embeddings and weights where asked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_curve

from goemo_cli.core.arrays import FloatArray, IntArray
from goemo_cli.core.events import Advanced, EventHandler, PhaseEnded, PhaseStarted, Warning
from goemo_cli.core.predictions import LABEL_JOINER, Predictions
from goemo_cli.ml.metrics.confusions import cooccurrence_counts
from goemo_cli.ml.models.classifier import Classifier
from goemo_cli.tracking.base import Table

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
    """The embeddings of a seeded sample of texts; None, after a warning, if the model has none: a tracker never ends a run."""
    from goemo_cli.ml.models.embedding import embed

    chosen = np.random.default_rng(_SEED).choice(
        len(texts), min(_EMBEDDED_COMMENTS, len(texts)), replace=False
    )
    rows: IntArray = np.sort(chosen).astype(np.int64)
    on_event(PhaseStarted("Embedding test", len(rows)))
    try:
        vectors = embed(classifier, [texts[row] for row in rows], lambda done: on_event(Advanced(done)))
    except Exception as error:  # of any kind: the run continues without embeddings
        on_event(Warning(f"no embeddings are logged ({type(error).__name__}: {error})"))
        return None
    finally:
        on_event(PhaseEnded())
    return EmbeddedSample(rows, vectors)


def result_tables(
    metrics: Mapping[str, Any], test: Predictions, *, with_comments: bool, embedded: EmbeddedSample | None
) -> Iterator[Table]:
    """What the end of a run shows.

    Args:
        metrics: metrics.json.
        test: predictions of test with the run's labels.
        with_comments: also the first comments themselves.
        embedded: also these, with gold and predicted labels.
    """
    columns = ("emotion", "f1_score", "precision", "recall", "support", "threshold")
    yield Table("per_emotion", columns, [[row[key] for key in columns] for row in metrics["per_class"]])
    yield _confusions(test)
    yield Table(
        "precision_recall", ("emotion", "recall", "precision"), list(_curves(test)), chart="precision_recall"
    )
    if with_comments:
        shown = range(min(_SHOWN_COMMENTS, len(test)))
        rows = [[*_comment(test, row), float(test.y_prob[row].max())] for row in shown]
        yield Table("test_predictions", ("text", "gold", "predicted", "highest_probability"), rows)
    if embedded is not None:
        yield _embeddings(test, embedded)


def structure_table(model: Any) -> Table:
    """A model's parameters with their shapes and counts."""
    from goemo_cli.ml.training.histograms import model_structure

    return Table("model", ("parameter", "shape", "count"), list(model_structure(model)))


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
            precision, recall, _ = precision_recall_curve(test.y_true[:, at], test.y_prob[:, at])
            kept = np.unique(np.linspace(0, len(recall) - 1, _CURVE_POINTS).round().astype(int))[::-1]
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
