"""Gold labels that are probably wrong, by probabilities of a model that was not trained on the rows."""

from dataclasses import dataclass, replace

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from goemo_cli.core.events import EventHandler, progress
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.data.groups import grouped_split
from goemo_cli.ml.data.leaks import normalised
from goemo_cli.ml.metrics.confusions import confident_disagreements, label_quality
from goemo_cli.ml.models.tfidf import fit_tfidf

FOLDS = 5
_SEED = 0


@dataclass(frozen=True)
class LabelDoubts:
    """Rows in which confident learning counts one label as probably missing and another as probably mistaken.

    The lowest quality comes first.
    """

    rows: IntArray
    """Positions, (n_rows,)."""
    quality: DoubleArray
    """Of their labels, in [0, 1], (n_rows,)."""
    suggested: BoolArray
    """Their labels with the doubted ones changed, (n_rows, n_labels)."""


def doubted_rows(y_true: BoolArray, y_prob: FloatArray, *, single_label: bool) -> LabelDoubts:
    """The rows with a label that the probabilities contradict.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        y_prob: probabilities of rows that the model was not trained on, (n_examples, n_labels).
        single_label: each row has exactly one label.
    """
    found = confident_disagreements(y_true, y_prob)
    suggested = (y_true & ~found.missed) | found.extra
    doubted = found.missed.any(axis=1) & found.extra.any(axis=1)
    if single_label:
        suggested = np.arange(y_true.shape[1]) == y_prob.argmax(axis=1)[:, None]
        doubted &= (suggested != y_true).any(axis=1)
    quality = label_quality(y_true, y_prob, single_label=single_label)
    rows = np.flatnonzero(doubted)
    rows = rows[np.argsort(quality[rows], kind="stable")]
    return LabelDoubts(rows, quality[rows], suggested[rows])


def out_of_fold_probabilities(data: Dataset, *, single_label: bool, on_event: EventHandler) -> FloatArray:
    """Probabilities of each row of train by a tfidf model that was trained on the other folds, (n_train, n_labels).

    Rows with the same text are in one fold: a copy would confirm its own label.

    Raises:
        DataError: no word occurs in two texts.
    """
    groups = [normalised(text) for text in data.train.texts]
    parts = grouped_split(replace(data.train, groups=groups), [1 / FOLDS] * FOLDS, _SEED)
    y_prob = np.zeros(data.train.y_true.shape, np.float32)
    n_fits = len([part for part in parts if len(part)]) * len(data.labels)
    with progress(on_event, "Training on each fold's rest", n_fits, "labels") as advance:
        for part in parts:
            if not len(part):
                continue
            rest = data.train.take(np.setdiff1d(np.arange(len(data.train)), part))
            model = fit_tfidf(
                data.labels,
                rest.texts,
                rest.y_true,
                seed=_SEED,
                single_label=single_label,
                on_progress=advance,
            )
            y_prob[part] = model.predict_proba(data.train.take(part).texts)
    return y_prob
