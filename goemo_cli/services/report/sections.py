"""The sections of a report about one run: scores, what follows from its predictions, its training, and its data."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from goemo_cli.core.arrays import BoolArray, FloatArray
from goemo_cli.core.checkpoint import CONFIG, Checkpoint
from goemo_cli.core.documents import DataFacts, EpochScores, LabelScores, Metrics
from goemo_cli.core.documents import Score as StoredScore
from goemo_cli.core.errors import DataError, DataFileError, DataNotFoundError, GoemoError
from goemo_cli.core.labels import PAPER_F1, PAPER_F1_MACRO, SPLITS
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.schema import DISPLAY_NAMES
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts
from goemo_cli.ml.data.goemotions import is_published_test
from goemo_cli.ml.data.leaks import leaks, normalised
from goemo_cli.ml.metrics.calibration import assess
from goemo_cli.ml.metrics.confusions import RowOutcomes, confused_pairs, row_outcomes
from goemo_cli.services.data.find import GOEMOTIONS, find_goemotions
from goemo_cli.services.evaluation.error_tables import confusions
from goemo_cli.services.figures.reliability import bins_of, states_of_test
from goemo_cli.services.model_card.card import repeating
from goemo_cli.services.report.content import (
    Calibration,
    Confusions,
    CountedData,
    Environment,
    Line,
    Repeating,
    Score,
    SplitFacts,
    TaxonomyScore,
)
from goemo_cli.services.runs.lineage import trace_lineage
from goemo_cli.services.runs.run_data import RunData
from goemo_cli.services.runs.show import describe_run

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
    if predictions.sha256() != source.test_sha256():
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
    found = [one for one in confusions(test, pairs) if one.stands_out]
    found.sort(key=lambda one: -(one.lift or 0))
    share = pairs.count / np.maximum(pairs.missed, 1)
    known = (pairs.missed > 0) & ~np.eye(len(test.labels), dtype=np.bool_)
    return Confusions(
        shown=tuple(found[:MOST_CONFUSIONS]),
        standing_out=len(found),
        share=[
            [value if ok else None for value, ok in zip(*row, strict=True)] for row in _rows(share, known)
        ],
        count=pairs.count.tolist(),
    )


def _rows(*matrices: Any) -> Any:
    return zip(*(matrix.tolist() for matrix in matrices), strict=True)


def epochs(source: RunData) -> list[EpochScores]:
    """What was recorded of each epoch.

    Raises:
        GoemoError: the run has no epochs, or an entry of an epoch is missing in metrics.json.
    """
    if members := source.checkpoint.metrics.members:
        names = ", ".join(one.run for one in members)
        raise GoemoError(f"an ensemble was not trained itself; its members were: {names}")
    return source.history()


def lineage(source: RunData) -> list[Line]:
    """The run's lineage, from the data down. Every file of the run is hashed."""
    found = trace_lineage(source.checkpoint, layout=source.layout)
    parents = {node.id: node.name for node in found.nodes if node.kind == "parent run"}
    return [
        Line(depth, node, tuple(parents[one] for one in node.sources if one in parents))
        for depth, node in found.tree()
    ]


def environment(source: RunData) -> Environment:
    """Machine, time, memory and versions.

    Raises:
        GoemoError: metrics.json does not say.
    """
    metrics = source.checkpoint.metrics
    device, memory = metrics.device, metrics.peak_memory_bytes
    if device is None or memory is None or not metrics.versions:
        raise GoemoError("metrics.json has no device, peak_memory_bytes or versions")
    facts = {
        "finished": metrics.finished or "–",
        "processor": f"{device.processor} ({device.type}, {device.precision})",
        "training": f"{metrics.training_seconds:,.0f} s",
        "memory at peak": f"{memory / 2**30:.2f} GiB",
        "W&B run": metrics.wandb_run_id or "none",
    }
    return Environment(facts, metrics.versions)


def repeat(source: RunData) -> Repeating:
    """The command that repeats the run, and what sets it apart.

    Raises:
        GoemoError: settings that cannot be read.
    """
    checkpoint = source.checkpoint
    folder = source.layout.shown(checkpoint.path)
    return Repeating(
        command=repeating(checkpoint.metrics).replace(CONFIG, f"{folder}/{CONFIG}"),
        settings=describe_run(checkpoint, layout=source.layout).settings,
        data_sha256=checkpoint.metrics.data.sha256,
        seed=checkpoint.metrics.seed,
    )


def recorded(source: RunData) -> DataFacts:
    """What metrics.json says of the data."""
    return source.checkpoint.metrics.data


def data_facts(source: RunData) -> CountedData:
    """Count the data set that the run was trained on; nothing is downloaded.

    Raises:
        DataNotFoundError: it is not here.
        DataError: what is here is not what the run recorded.
    """
    _require_at_hand(source)
    return facts_of(source.data())


def facts_of(data: Dataset) -> CountedData:
    """The facts of a data set; two texts are the same if `ml.leaks.normalised` gives the same text."""
    return CountedData({split: _split_facts(data.splits[split]) for split in SPLITS}, leaks(data))


def _require_at_hand(source: RunData) -> None:
    name = source.checkpoint.metrics.data.name
    settings = source.checkpoint.config.data
    if source.data_dir:
        settings = settings.model_copy(update={"dir": source.data_dir})
    if name == GOEMOTIONS:
        found, looked_in = find_goemotions(settings, source.layout.root)
        if found is None:
            raise DataNotFoundError(GOEMOTIONS, looked_in)


def _split_facts(split: LabelledTexts) -> SplitFacts:
    lengths = np.array([len(text) for text in split.texts] or [0])
    median, most = np.quantile(lengths, [0.5, 0.95], method="inverted_cdf")
    labels = split.y_true.sum(axis=1)
    return SplitFacts(
        comments=len(split.texts),
        labels_per_comment=float(labels.mean()) if len(labels) else 0.0,
        unlabelled=int((labels == 0).sum()),
        characters=(int(median), int(most), int(lengths.max())),
        per_label=tuple(split.y_true.sum(axis=0).tolist()),
        repeated=len(split.texts) - len(set(map(normalised, split.texts))),
    )
