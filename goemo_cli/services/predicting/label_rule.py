"""From the probabilities of a checkpoint to the displayed probabilities and the predicted labels."""

from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray
from goemo_cli.core.checkpoint import METRICS, Checkpoint
from goemo_cli.core.errors import CorruptArtifactError, SettingError, known_name
from goemo_cli.core.events import EventHandler, Warning, ignore
from goemo_cli.core.labels import TAXONOMIES, TaxonomyName, applicable
from goemo_cli.core.thresholds import NO_THRESHOLDS, Decision, Thresholds
from goemo_cli.ml.metrics.calibrator import Calibrator, open_calibrator
from goemo_cli.ml.metrics.taxonomy import roll_up_probabilities


@dataclass(frozen=True)
class LabelRule:
    """What is shown for a model's probabilities; call it with them, float32, (n_examples, n_model_labels)."""

    labels: tuple[str, ...]
    """Of the columns that are shown: the model's, or the groups of the taxonomy."""
    decision: Decision
    """The thresholds of the shown probabilities."""
    model_labels: tuple[str, ...]
    taxonomy: TaxonomyName | None = None
    calibrator: Calibrator | None = None
    uncalibrated: DoubleArray | None = None
    """The thresholds of the uncalibrated probabilities that correspond to those of `decision`, (n_labels,)."""

    def __call__(self, y_prob: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Shown probabilities and the labels that follow from them, both (n_examples, n_labels)."""
        shown = self._shown(y_prob)
        # Calibration keeps the order of labels, but rounding can make two of them equal.
        is_ranked = self.decision.thresholds is None and self.taxonomy is None
        return shown, self.decision(y_prob if is_ranked else shown)

    def _shown(self, y_prob: FloatArray) -> FloatArray:
        if self.taxonomy:
            return roll_up_probabilities(y_prob, self.model_labels, self.taxonomy, "max")
        if self.calibrator:
            return self.calibrator.apply(y_prob, self.uncalibrated)
        return y_prob


def label_rule(
    checkpoint: Checkpoint,
    *,
    threshold: float | None = None,
    rule: str | None = None,
    top_k: int | None = None,
    calibrated: bool = False,
    taxonomy: str | None = None,
    calibrator: Calibrator | None = None,
    on_event: EventHandler = ignore,
) -> LabelRule:
    """The rule of a checkpoint, with the changes that the user chose.

    Args:
        checkpoint: whose thresholds, fitted on val, decide.
        threshold: one for all labels, compared with the probabilities that are shown.
        rule: another threshold rule of the checkpoint.
        top_k: maximum number of labels per text.
        calibrated: show the probabilities of the checkpoint's calibrator; its thresholds are translated, so that
            they mean the same labels.
        taxonomy: show its groups, each as probable as its most probable member.
        calibrator: that of the checkpoint, if it is already open.

    Raises:
        SettingError: choices that do not go together, or that the checkpoint has nothing for.
        NotFoundError: `calibrated` without a calibrator.
    """
    problems = []
    if threshold is not None and rule:
        problems.append("a threshold and a threshold rule: give one")
    if threshold is not None and not 0 <= threshold <= 1:
        problems.append(f"the threshold {threshold:g} is not between 0 and 1")
    if top_k is not None and top_k < 1:
        problems.append(f"top_k is {top_k}, less than 1")
    if calibrated and taxonomy:
        problems.append(
            "calibrated groups of a taxonomy: nothing was fitted for them, so give one of the two"
        )
    if problems:
        raise SettingError(problems)
    if taxonomy:
        found = _of_taxonomy(checkpoint, taxonomy, threshold, rule, on_event)
    else:
        decision = pick_decision(checkpoint, threshold=threshold, rule=rule, on_event=on_event)
        found = LabelRule(checkpoint.labels, decision, checkpoint.labels)
    if calibrated:
        found = _calibrated(found, calibrator or open_calibrator(checkpoint), is_translated=threshold is None)
    if not top_k:
        return found
    if found.decision.thresholds is None:
        raise SettingError([f"--top-k {top_k}: {NO_THRESHOLDS}"])
    return replace(found, decision=replace(found.decision, top_k=top_k))


def pick_decision(
    checkpoint: Checkpoint, *, threshold: float | None, rule: str | None, on_event: EventHandler = ignore
) -> Decision:
    """How labels are decided: as in the checkpoint, or by an override, with a warning."""
    fitted = checkpoint.rules
    decision = fitted.decision(rule)
    if threshold is not None:
        decision = Decision.fixed(threshold, len(fitted.labels))
    if decision.rule != fitted.rule:
        on_event(
            Warning(f"pred_labels follow {decision.rule}, not the checkpoint's own rule ({fitted.rule})")
        )
    return decision


def _calibrated(rule: LabelRule, calibrator: Calibrator, *, is_translated: bool) -> LabelRule:
    if not is_translated or rule.decision.thresholds is None:
        return replace(rule, calibrator=calibrator)
    decision = replace(rule.decision, thresholds=calibrator.apply_to_thresholds(rule.decision.thresholds))
    return replace(rule, calibrator=calibrator, decision=decision, uncalibrated=rule.decision.thresholds)


def _of_taxonomy(
    checkpoint: Checkpoint, wanted: str, threshold: float | None, rule: str | None, on_event: EventHandler
) -> LabelRule:
    taxonomy = _known_taxonomy(checkpoint, wanted)
    groups = tuple(TAXONOMIES[taxonomy])
    if checkpoint.rules.is_single_label:
        decision = (
            checkpoint.rules.decision(rule) if threshold is None else Decision.fixed(threshold, len(groups))
        )
        return LabelRule(groups, decision, checkpoint.labels, taxonomy)
    fitted = checkpoint.thresholds
    own = Thresholds(groups, 0.0, _fitted_for(checkpoint, taxonomy), (), fitted.settings)
    if rule not in (None, fitted.rule) and not str(rule).startswith("fixed_"):
        raise SettingError(
            [
                f"{checkpoint.run} keeps thresholds of {taxonomy} for its own rule alone, {fitted.rule}, not {rule}"
            ]
        )
    if threshold is not None:
        decision = Decision.fixed(threshold, len(groups))
    elif rule in (None, fitted.rule):
        decision = Decision(fitted.rule, own.per_label, fitted.settings.never_empty, fitted.settings.top_k)
    else:
        decision = own.decision(rule)
    return LabelRule(groups, decision, checkpoint.labels, taxonomy)


def _known_taxonomy(checkpoint: Checkpoint, wanted: str) -> TaxonomyName:
    known: tuple[TaxonomyName, ...] = get_args(TaxonomyName)
    taxonomy = known_name(wanted, known, "taxonomy")
    if taxonomy not in applicable(checkpoint.labels):
        raise SettingError(
            [
                f"taxonomy {taxonomy}: it groups the 28 labels of GoEmotions, which {checkpoint.run} does not have"
            ]
        )
    return taxonomy


def _fitted_for(checkpoint: Checkpoint, taxonomy: TaxonomyName) -> DoubleArray:
    """The thresholds of the groups that training or tuning fitted on val for the run's own rule, (n_groups,)."""
    try:
        rows = checkpoint.metrics.taxonomies[taxonomy]["max"].per_class
        by_group = {row.emotion: row.threshold for row in rows}
        return np.asarray([by_group[group] for group in TAXONOMIES[taxonomy]], dtype=np.float64)
    except KeyError as error:
        raise CorruptArtifactError(
            checkpoint.path / METRICS, f"has no thresholds for the groups of {taxonomy}"
        ) from error
