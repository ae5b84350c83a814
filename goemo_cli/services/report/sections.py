"""The sections of a report about the scores of one run, and about what follows from its predictions."""

from collections.abc import Mapping

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, none_if_nan
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.metrics import LabelScores, Metrics
from goemo_cli.core.documents.metrics import Score as StoredScore
from goemo_cli.core.errors import DataError, DataFileError, GoemoError
from goemo_cli.core.labels import PAPER_F1, PAPER_F1_MACRO
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.schema import DISPLAY_NAMES
from goemo_cli.ml.data.goemotions import is_published_test
from goemo_cli.ml.metrics.calibration import assess
from goemo_cli.ml.metrics.confusions import (
    RowOutcomes,
    confident_disagreements,
    confused_pairs,
    pair_differences,
    row_outcomes,
)
from goemo_cli.services.evaluation.error_tables import confusions
from goemo_cli.services.evaluation.observed_shares import bins_of, states_of_test
from goemo_cli.services.report.content import (
    Calibration,
    Confusions,
    Disagreement,
    Disagreements,
    LabelPair,
    Pairs,
    Score,
    TaxonomyScore,
)
from goemo_cli.services.runs.run_data import RunData

BY_RULE = (
    "f1_macro",
    "f1_micro",
    "f1_weighted",
    "f1_samples",
    "precision_macro",
    "recall_macro",
    "subset_accuracy",
    "jaccard_samples",
)
"""Headline scores that follow the run's threshold rule."""
RANKING = ("auc_micro", "auc_macro", "average_precision_macro", "lrap")
"""Headline scores that need no threshold."""


def headline(metrics: Metrics) -> tuple[Score, ...]:
    """The scores of test: `BY_RULE` by the run's own rule, then `RANKING`."""
    return (
        *(_named(key, metrics.test_rule.score(key)) for key in BY_RULE),
        *(_named(key, metrics.test.score(key)) for key in RANKING),
    )


def rules(metrics: Metrics) -> dict[str, tuple[Score, ...]]:
    """Macro-F1, micro-F1 and subset accuracy of test by every threshold rule."""
    keys = ("f1_macro", "f1_micro", "subset_accuracy")
    return {
        rule: tuple(_named(key, metrics.test.rule(rule).score(key)) for key in keys)
        for rule in metrics.test.rules
    }


def _named(key: str, score: StoredScore) -> Score:
    return Score(DISPLAY_NAMES.get(key, key), *score)


def emotions(metrics: Metrics) -> list[LabelScores]:
    """The per-class rows of metrics.json, in label order.

    Raises:
        GoemoError: there are none.
    """
    if not metrics.per_class:
        raise GoemoError("metrics.json has no per_class")
    return metrics.per_class


def taxonomies(metrics: Metrics) -> list[TaxonomyScore]:
    """The same probabilities read as coarser labels.

    Raises:
        GoemoError: the labels have no coarser reading.
    """
    rows = [
        TaxonomyScore(name, how, _named("f1_macro", scores.fitted.score("f1_macro")), PAPER_F1_MACRO[name])
        for name, ways in metrics.taxonomies.items()
        for how, scores in ways.items()
    ]
    if not rows:
        raise GoemoError("only the 28 labels of GoEmotions have coarser taxonomies")
    return rows


def paper_f1(checkpoint: Checkpoint) -> Mapping[str, float] | None:
    """The paper's F1 of each emotion if the run was scored on the paper's test comments; else None."""
    test = checkpoint.metrics.data.split_sha256.test
    return PAPER_F1 if is_published_test(checkpoint.labels, test) else None


MOST_CONFUSIONS = 15
MOST_PAIRS = 15
MOST_DISAGREEMENTS = 15
MOST_CELLS = 20_000_000
"""Probabilities of all runs in a page: about 110 MB of it."""
_MEASURES = ("ece", "ece_debiased", "brier", "log_loss")


def test_predictions(source: RunData) -> Predictions:
    """The run's test predictions, with the very rows that it recorded.

    Raises:
        NotFoundError: no predictions file.
        DataFileError: other labels or other rows.
    """
    predictions = source.predictions("test")
    if source.predictions_sha256("test") != source.test_sha256():
        path = source.layout.split_predictions(source.checkpoint.run, "test")
        raise DataFileError(path, f"its rows are not the test split that {source.checkpoint.run} recorded")
    return predictions


def page_predictions(source: RunData) -> Predictions:
    """The same, if a page can hold those of every run.

    Raises:
        NotFoundError, DataFileError: as `test_predictions`.
        DataError: too many; a browser would not open such a page.
    """
    predictions, n_runs = test_predictions(source), 1 + len(source.others)
    cells = predictions.y_prob.size * n_runs
    if cells > MOST_CELLS:
        raise DataError(
            f"{cells:,} probabilities are too many for a page, which holds at most {MOST_CELLS:,}"
        )
    return predictions


def outcomes(source: RunData) -> RowOutcomes:
    """How the comments of test came out."""
    predictions = test_predictions(source)
    return row_outcomes(predictions.y_true, predictions.y_pred)


def calibration(source: RunData) -> Calibration:
    """How far probabilities are from what is observed on test, before and after `goemo calibrate`.

    Raises:
        NotFoundError, DataFileError: no predictions that can be used.
        DataError: fewer than two rows.
        CorruptArtifactError: a calibration.json that cannot be used.
    """
    test_predictions(source)
    test, states = states_of_test(source)
    measures, bins = {}, {}
    for state, y_prob in states.items():
        found = assess(test.y_true, y_prob)
        of_all = {name: float(getattr(found.overall, name)) for name in _MEASURES}
        measures[state] = {"ece_macro": found.ece_macro, **of_all}
        bins[state] = _all_bins(test.labels, test.y_true, y_prob)
    return Calibration(measures, bins)


def _all_bins(labels: tuple[str, ...], y_true: BoolArray, y_prob: FloatArray) -> dict[str, list[list[float]]]:
    by_label = {label: _bins(y_true[:, at], y_prob[:, at]) for at, label in enumerate(labels)}
    return {"": _bins(y_true.ravel(), y_prob.ravel())} | by_label


def _bins(y_true: BoolArray, y_prob: FloatArray) -> list[list[float]]:
    found = bins_of(y_true, y_prob)
    low, high = found.interval
    rows: list[list[float]] = np.stack(
        [found.mean_predicted, found.observed_share, low, high, found.count], axis=1
    ).tolist()
    return rows


def confusions_of(source: RunData) -> Confusions:
    """The confusions of test.

    Raises:
        NotFoundError, DataFileError: no predictions.
    """
    test = test_predictions(source)
    pairs = confused_pairs(test.y_true, test.y_pred)
    found = confusions(test, pairs, pairs.stands_out)
    found.sort(key=lambda one: -(one.lift or 0))
    share = (pairs.count / np.maximum(pairs.missed, 1)).astype(object)
    share[(pairs.missed == 0) | np.eye(len(test.labels), dtype=np.bool_)] = None
    return Confusions(
        shown=tuple(found[:MOST_CONFUSIONS]),
        standing_out=len(found),
        share=share.tolist(),
        count=pairs.count.tolist(),
    )


def pairs(source: RunData) -> Pairs:
    """The pairs of gold labels on test that occur together most often.

    Raises:
        NotFoundError, DataFileError: no predictions.
    """
    test = test_predictions(source)
    found = pair_differences(test.y_true, test.y_pred)
    support = found.gold.diagonal()
    above = np.argwhere(np.triu(found.gold, k=1))
    ordered = sorted(above.tolist(), key=lambda pair: -found.gold[tuple(pair)])
    return Pairs(
        tuple(
            LabelPair(
                first=test.labels[i],
                second=test.labels[j],
                gold=int(found.gold[i, j]),
                predicted=int(found.predicted[i, j]),
                share=float(found.gold[i, j] / min(support[i], support[j])),
                p_holm=none_if_nan(found.p_holm[i, j]),
            )
            for i, j in ordered[:MOST_PAIRS]
        ),
        total=len(ordered),
    )


def disagreements(source: RunData) -> Disagreements:
    """The gold labels of test that the model contradicts most confidently.

    Raises:
        NotFoundError, DataFileError: no predictions.
    """
    test = test_predictions(source)
    y_prob = test.y_prob.astype(np.float64)
    found = confident_disagreements(test.y_true, test.y_prob)

    def listed(cells: BoolArray, usual: DoubleArray, rank: DoubleArray) -> tuple[Disagreement, ...]:
        rows, columns = np.nonzero(cells)
        order = np.argsort(rank[rows, columns], kind="stable")[:MOST_DISAGREEMENTS]
        return tuple(
            Disagreement(
                row=row + 1,
                id=test.ids[row] if test.ids is not None else None,
                text=test.texts[row],
                label=test.labels[column],
                probability=float(test.y_prob[row, column]),
                usual=float(usual[column]),
                gold=tuple(test.labels[at] for at in np.flatnonzero(test.y_true[row])),
            )
            for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True)
        )

    return Disagreements(
        extra=listed(found.extra, found.usual[0], -y_prob),
        n_extra=int(found.extra.sum()),
        missed=listed(found.missed, found.usual[1], y_prob / np.maximum(found.usual[1], 1e-12)),
        n_missed=int(found.missed.sum()),
    )
