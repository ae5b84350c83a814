"""Evaluates probabilities: thresholds from val, labels, scores. Training, tuning and ensembles share this step."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from goemo_cli.core.documents.rules import Guarantee
from goemo_cli.core.events import Event, Info, Warning
from goemo_cli.core.labels import ROLL_UPS, TAXONOMIES, RollUp, TaxonomyName, applicable
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.thresholds import LabelRules, Thresholds
from goemo_cli.ml.metrics.confusions import cooccurrence_counts
from goemo_cli.ml.metrics.rule_choice import fit_rules
from goemo_cli.ml.metrics.scoring import Unscored, score_split, score_together
from goemo_cli.ml.metrics.taxonomy import roll_up_labels, roll_up_probabilities
from goemo_cli.ml.metrics.thresholds import below_floor

EVALUATED = ("threshold_rule", "val", "test", "per_class", "taxonomies", "confusion_matrix")
"""Keys of metrics.json that depend on probabilities and threshold settings."""


@dataclass(frozen=True)
class Evaluation:
    """How labels are decided, predictions and scores of val and test."""

    rules: LabelRules
    val: Predictions
    test: Predictions
    scores: dict[str, Any]
    """The keys of metrics.json that depend on probabilities, `EVALUATED`."""


def evaluate(val: Predictions, test: Predictions, config: TrainConfig) -> Evaluation:
    """Fit thresholds on val, and use them to label and score both splits. Nothing is fitted on test.

    Args:
        config: `thresholds`, and `data.single_label`, for which nothing is fitted.
    """
    single_label = config.data.single_label
    rules = fit_rules(val.labels, val.y_true, val.y_prob, config.thresholds, single_label=single_label)
    rolled_up = _rolled_up(val, test, rules)
    on_test, *of_groups = score_together([Unscored(test.y_true, test.y_prob, rules), *rolled_up.values()])
    taxonomies: dict[str, Any] = {}
    for (taxonomy, how), scored in zip(rolled_up, of_groups, strict=True):
        taxonomies.setdefault(taxonomy, {})[how] = scored.summary | {"per_class": scored.per_class}
    y_pred = rules.decide(test.y_prob)
    return Evaluation(
        rules=rules,
        val=replace(val, y_pred=rules.decide(val.y_prob)),
        test=replace(test, y_pred=y_pred),
        scores={
            "threshold_rule": rules.rule,
            "val": score_split(val.y_true, val.y_prob, rules).summary,
            "test": on_test.summary,
            "per_class": on_test.per_class,
            "taxonomies": taxonomies,
            **(
                {"confusion_matrix": cooccurrence_counts(test.y_true, y_pred).tolist()}
                if single_label
                else {}
            ),
        },
    )


def _rolled_up(
    val: Predictions, test: Predictions, rules: LabelRules
) -> dict[tuple[TaxonomyName, RollUp], Unscored]:
    """The same probabilities of test rolled up to coarser taxonomies, by taxonomy and method of rolling up.

    Thresholds are fitted on val, rolled up the same way. Empty if the labels are not those of GoEmotions.
    """
    found = {}
    for taxonomy in applicable(val.labels):
        groups = tuple(TAXONOMIES[taxonomy])
        val_true, test_true = (roll_up_labels(x.y_true, x.labels, taxonomy) for x in (val, test))
        for how in ROLL_UPS:
            val_prob, test_prob = (
                roll_up_probabilities(x.y_prob, x.labels, taxonomy, how) for x in (val, test)
            )
            of_groups = fit_rules(
                groups, val_true, val_prob, rules.settings, single_label=rules.is_single_label
            )
            found[taxonomy, how] = Unscored(test_true, test_prob, of_groups)
    return found


def fit_events(rules: LabelRules, val: Predictions) -> Iterator[Event]:
    """What a user should know of fitted thresholds: how the rule was chosen, what they guarantee, and which labels fail.

    Args:
        rules: fitted on val.
        val: with the labels that follow from the rules.
    """
    if not isinstance(rules, Thresholds):
        return
    if rules.choice:
        yield Info(str(rules.choice))
    if rules.guarantee:
        yield Info(str(rules.guarantee))
        if warning := _without_guarantee(rules, rules.guarantee):
            yield Warning(warning)
    if warning := _below_floor(rules, val):
        yield Warning(warning)


def _without_guarantee(thresholds: Thresholds, guarantee: Guarantee) -> str | None:
    """A sentence on what val has too few rows for; None if it has enough."""
    if guarantee.n_rows < guarantee.needed:
        return (
            f"val has {guarantee.n_rows} texts with labels, a recall of {guarantee.level:g} needs {guarantee.needed}: "
            "the global threshold is 0"
        )
    if guarantee.of == "each text" or not guarantee.without:
        return None
    positives = dict(zip(thresholds.labels, thresholds.n_positives, strict=True))
    shown = ", ".join(f"{label} ({positives[label]})" for label in guarantee.without)
    return f"no guarantee for labels with fewer than {guarantee.needed} val positives, which have the global threshold: {shown}"


def _below_floor(thresholds: Thresholds, val: Predictions) -> str | None:
    """A sentence on the labels that miss the floor of the thresholds on val; None if each label reaches it."""
    missed = below_floor(thresholds, val.y_true, val.y_pred)
    if not missed:
        return None
    score, _, _ = thresholds.settings.objective.partition("_")
    undefined = "never predicted" if score == "precision" else "no val positives"
    shown = [f"{name} {undefined if value is None else f'{value:.3f}'}" for name, value in missed.items()]
    return f"below the {score} floor of {thresholds.settings.floor:g} on val: {', '.join(shown)}"
