"""Evaluates probabilities: thresholds from val, labels, scores. Training, tuning and ensembles share this step."""

from dataclasses import dataclass, replace
from typing import Any

from goemo_cli.core.labels import ROLL_UPS, TAXONOMIES, applicable
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.core.thresholds import Thresholds
from goemo_cli.ml.metrics.scoring import score_split
from goemo_cli.ml.metrics.taxonomy import roll_up_labels, roll_up_probabilities
from goemo_cli.ml.metrics.thresholds import below_floor, fit_thresholds

EVALUATED = ("threshold_rule", "val", "test", "per_class", "taxonomies")
"""Keys of metrics.json that depend on probabilities and threshold settings."""


@dataclass(frozen=True)
class Evaluation:
    """Thresholds, predictions and scores of val and test."""

    thresholds: Thresholds
    val: Predictions
    test: Predictions
    scores: dict[str, Any]
    """The keys of metrics.json that depend on probabilities, `EVALUATED`."""


def evaluate(val: Predictions, test: Predictions, settings: ThresholdSettings) -> Evaluation:
    """Fit thresholds on val, and use them to label and score both splits. Nothing is fitted on test."""
    thresholds = fit_thresholds(val.labels, val.y_true, val.y_prob, settings)
    on_test = score_split(test.y_true, test.y_prob, thresholds)
    return Evaluation(
        thresholds=thresholds,
        val=replace(val, y_pred=thresholds.decide(val.y_prob)),
        test=replace(test, y_pred=thresholds.decide(test.y_prob)),
        scores={
            "threshold_rule": settings.rule,
            "val": score_split(val.y_true, val.y_prob, thresholds).summary,
            "test": on_test.summary,
            "per_class": on_test.per_class,
            "taxonomies": taxonomy_scores(val, test, settings),
        },
    )


def taxonomy_scores(val: Predictions, test: Predictions, settings: ThresholdSettings) -> dict[str, Any]:
    """Test scores of the same probabilities rolled up to coarser taxonomies: by taxonomy, then by the method of rolling up.

    Thresholds are fitted on val, rolled up the same way. Empty if the labels are not those of GoEmotions.
    """
    scores: dict[str, Any] = {}
    for taxonomy in applicable(val.labels):
        groups = tuple(TAXONOMIES[taxonomy])
        val_true, test_true = (roll_up_labels(x.y_true, x.labels, taxonomy) for x in (val, test))
        for how in ROLL_UPS:
            val_prob, test_prob = (
                roll_up_probabilities(x.y_prob, x.labels, taxonomy, how) for x in (val, test)
            )
            thresholds = fit_thresholds(groups, val_true, val_prob, settings)
            scored = score_split(test_true, test_prob, thresholds)
            scores.setdefault(taxonomy, {})[how] = scored.summary | {"per_class": scored.per_class}
    return scores


def floor_warning(thresholds: Thresholds, val: Predictions) -> str | None:
    """A sentence on the labels that miss the floor of the thresholds on val; None if each label reaches it."""
    missed = below_floor(thresholds, val.y_true, val.y_pred)
    if not missed:
        return None
    score, _, _ = thresholds.settings.objective.partition("_")
    undefined = "never predicted" if score == "precision" else "no val positives"
    shown = [f"{name} {undefined if value is None else f'{value:.3f}'}" for name, value in missed.items()]
    return f"below the {score} floor of {thresholds.settings.floor:g} on val: {', '.join(shown)}"
