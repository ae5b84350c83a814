"""How the labels of a run follow from its probabilities; `thresholds.rule: auto` chooses a rule by cross-fitting on val."""

from collections.abc import Mapping

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, ratio
from goemo_cli.core.documents.rules import RuleChoice
from goemo_cli.core.schema import RULES
from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.core.thresholds import Decision, LabelRules, MostProbable, Thresholds
from goemo_cli.ml.data.splits import FOLDS, random_folds
from goemo_cli.ml.metrics.intervals import resampled
from goemo_cli.ml.metrics.scoring import DecidedRows, Sums, sums_of
from goemo_cli.ml.metrics.thresholds import RESAMPLES, fit_thresholds

SEED = 0
"""Of the folds."""
PREFERRED = "per_label"
"""The rule that others have to beat by more than the uncertainty of the difference."""


def fit_rules(
    labels: tuple[str, ...],
    y_true: BoolArray,
    y_prob: FloatArray,
    settings: ThresholdSettings,
    *,
    single_label: bool = False,
    resamples: int = RESAMPLES,
) -> LabelRules:
    """How the labels of a run follow from its probabilities.

    Args:
        y_true: gold labels of val, bool, (n_val, n_labels).
        y_prob: probabilities on val, float32, (n_val, n_labels).
        single_label: each row has exactly one label, so that nothing is fitted.
        resamples: draws of val's rows, for the interval of each threshold; 0 leaves them out.
    """
    if single_label:
        return MostProbable(labels, tuple(int(n) for n in y_true.sum(axis=0)))
    return fit_by_rule(labels, y_true, y_prob, settings, resamples=resamples)


def fit_by_rule(
    labels: tuple[str, ...],
    y_true: BoolArray,
    y_prob: FloatArray,
    settings: ThresholdSettings,
    *,
    resamples: int = RESAMPLES,
) -> Thresholds:
    """The thresholds of multi-label data, with the rule of the settings, or with the one that `auto` chooses.

    Args:
        y_true: gold labels of val, bool, (n_val, n_labels).
        y_prob: probabilities on val, float32, (n_val, n_labels).
        resamples: draws of val's rows, for the interval of each threshold; 0 leaves them out.
    """
    choice = choose_rule(labels, y_true, y_prob, settings) if settings.rule == "auto" else None
    fixed = settings.model_copy(update={"rule": choice.rule}) if choice else settings
    return fit_thresholds(labels, y_true, y_prob, fixed, resamples=resamples, choice=choice)


def choose_rule(
    labels: tuple[str, ...], y_true: BoolArray, y_prob: FloatArray, settings: ThresholdSettings
) -> RuleChoice:
    """The threshold rule that serves the objective best on rows of val that its thresholds were not fitted on.

    Val is divided into `FOLDS` random parts; each is labelled with thresholds that are fitted on the others. `PREFERRED`
    is chosen unless another rule scores higher by more than the standard error of their difference.

    Args:
        y_true: gold labels of val, bool, (n_val, n_labels).
        y_prob: probabilities on val, float32, (n_val, n_labels).
        settings: objective, shrinkage and options; the rule has no effect.
    """
    if settings.floor is not None:
        return RuleChoice(rule=PREFERRED, reason="it holds the floor for each label")
    if len(y_true) < FOLDS:
        return RuleChoice(rule=PREFERRED, reason=f"val has fewer than {FOLDS} rows, too few to compare rules")
    decided = _cross_fitted(labels, y_true, y_prob, settings)
    scores = {rule: float(_score(sums_of(y_true, y_pred), settings)[0]) for rule, y_pred in decided.items()}
    errors = _standard_errors(y_true, decided, settings)
    chosen = PREFERRED
    for rule in RULES:
        if scores[rule] - scores[PREFERRED] > errors[rule] and scores[rule] > scores[chosen]:
            chosen = rule
    return RuleChoice(
        rule=chosen,
        criterion=criterion(settings),
        folds=FOLDS,
        seed=SEED,
        scores=scores,
        standard_errors=errors,
        reason=_reason(chosen, scores, errors),
    )


def criterion(settings: ThresholdSettings) -> str:
    """The score by which rules are compared, for people."""
    if settings.objective == "f1_macro":
        return "mean of macro-F1 and micro-F1"
    return "micro-F1" if settings.objective == "f1_micro" else f"macro F-beta (beta {settings.beta:g})"


def _cross_fitted(
    labels: tuple[str, ...], y_true: BoolArray, y_prob: FloatArray, settings: ThresholdSettings
) -> dict[str, BoolArray]:
    """The labels of val by each rule, bool, (n_val, n_labels) each; no row was used for its own thresholds."""
    decided = {rule: np.zeros_like(y_true) for rule in RULES}
    for others, held_out in random_folds(len(y_true), SEED):
        fitted = fit_thresholds(labels, y_true[others], y_prob[others], settings, resamples=0)
        for rule, y_pred in decided.items():
            decision = Decision(rule, fitted.of_rule(rule), settings.never_empty, settings.top_k)
            y_pred[held_out] = decision(y_prob[held_out])
    return decided


def _score(sums: Sums, settings: ThresholdSettings) -> DoubleArray:
    """The score by which rules are compared, (draws,)."""
    if settings.objective == "f_beta":
        weight = settings.beta**2
        by_label = ratio((1 + weight) * sums.tp, weight * sums.support + sums.predicted)
        mean: DoubleArray = by_label.mean(axis=1)
        return mean
    scores = sums.scores()
    if settings.objective == "f1_micro":
        return scores["f1_micro"]
    return (scores["f1_macro"] + scores["f1_micro"]) / 2


def _standard_errors(
    y_true: BoolArray, decided: Mapping[str, BoolArray], settings: ThresholdSettings
) -> dict[str, float]:
    """Of the difference to the preferred rule, over the same resampled rows."""
    rows = DecidedRows(y_true, decided)
    drawn: dict[str, list[DoubleArray]] = {rule: [] for rule in decided}
    for weights in resampled(len(y_true), RESAMPLES):
        for rule, sums in rows.sums(weights).items():
            drawn[rule].append(_score(sums, settings))
    scores = {rule: np.concatenate(blocks) for rule, blocks in drawn.items()}
    return {rule: float(np.std(scores[rule] - scores[PREFERRED])) for rule in decided}


def _reason(chosen: str, scores: Mapping[str, float], errors: Mapping[str, float]) -> str:
    if chosen == PREFERRED:
        return "no other rule is better by more than the standard error of the difference"
    gain = scores[chosen] - scores[PREFERRED]
    return f"better than {PREFERRED} by {gain:.3f}, with a standard error of {errors[chosen]:.3f}"
