"""Scores on coarser taxonomies, computed again: groups rolled up, thresholds from val, scores of test."""

from collections.abc import Mapping

from goemo_cli.core.checkpoint import METRICS, Checkpoint
from goemo_cli.core.labels import ROLL_UPS, TAXONOMIES, RollUp, TaxonomyName, applicable
from goemo_cli.core.thresholds import Thresholds
from goemo_cli.ml.metrics.taxonomy import roll_up_labels, roll_up_probabilities
from goemo_cli.ml.metrics.thresholds import fit_thresholds
from goemo_cli.services.validation.predictions import Evidence
from goemo_cli.services.validation.report import ValidationReport
from goemo_cli.services.validation.scores import compare, scores_of

GroupThresholds = Mapping[tuple[TaxonomyName, RollUp], Thresholds]
"""What was fitted on val, by taxonomy and way of rolling up: small, so that val itself can be let go."""


def fit_groups(checkpoint: Checkpoint, val: Evidence) -> GroupThresholds:
    """The thresholds of every taxonomy that the run's labels have."""
    settings = checkpoint.thresholds.settings
    return {
        (taxonomy, how): fit_thresholds(
            tuple(TAXONOMIES[taxonomy]),
            roll_up_labels(val.y_true, val.labels, taxonomy),
            roll_up_probabilities(val.y_prob, val.labels, taxonomy, how),
            settings,
            resamples=0,
        )
        for taxonomy in applicable(val.labels)
        for how in ROLL_UPS
    }


def check_taxonomies(
    checkpoint: Checkpoint, test: Evidence, fitted: GroupThresholds, report: ValidationReport
) -> None:
    """Compare what metrics.json says of coarser taxonomies, but for intervals, with the test predictions."""
    for (taxonomy, how), thresholds in fitted.items():
        scores = scores_of(
            roll_up_labels(test.y_true, test.labels, taxonomy),
            roll_up_probabilities(test.y_prob, test.labels, taxonomy, how),
            thresholds,
        )
        place = f"taxonomies.{taxonomy}.{how}"
        compare(
            checkpoint.path / METRICS,
            place,
            scores,
            checkpoint.metrics_json["taxonomies"][taxonomy][how],
            "test",
            report,
        )
