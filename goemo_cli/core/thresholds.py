"""How the probabilities of a run become labels: by thresholds, or the most probable label of single-label data."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import ValidationError

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray
from goemo_cli.core.documents.base import faults
from goemo_cli.core.documents.rules import Guarantee, RuleChoice, SingleLabelValues, ThresholdValues
from goemo_cli.core.errors import CorruptArtifactError, SettingError
from goemo_cli.core.files import read_json_object
from goemo_cli.core.schema import ARGMAX, RULES, SCHEMA_VERSION
from goemo_cli.core.settings import ThresholdSettings

UNFITTED_THRESHOLD = 0.5
"""Where nothing was fitted: a label is predicted if it is more probable than not."""
SELECTION_THRESHOLD = 0.3
"""The paper's threshold: epochs are compared at it, so that nothing is fitted before the best one is known."""


def decide(
    y_prob: FloatArray,
    thresholds: DoubleArray | float,
    *,
    never_empty: bool = False,
    top_k: int | None = None,
) -> BoolArray:
    """The predicted labels: `probability >= threshold`, everywhere in goemo.

    Args:
        y_prob: probabilities, float32, (n_examples, n_labels).
        thresholds: one for all labels, or (n_labels,).
        never_empty: a row without any label gets its most probable one; of equals the first.
        top_k: maximum number of labels per row, the most probable ones of those predicted; of equals the first.

    Returns:
        bool, (n_examples, n_labels). Compared in float64, so that a threshold is the number that is written.
    """
    decided: BoolArray = y_prob.astype(np.float64) >= np.asarray(thresholds, dtype=np.float64)
    if never_empty:
        empty = np.flatnonzero(~decided.any(axis=1))
        decided[empty, y_prob[empty].argmax(axis=1)] = True
    if top_k is not None and top_k < y_prob.shape[1]:
        ranked = np.argsort(np.where(decided, -y_prob, np.inf), axis=1, kind="stable")
        np.put_along_axis(decided, ranked[:, top_k:], values=False, axis=1)
    return decided


@dataclass(frozen=True)
class Decision:
    """How probabilities become labels; call it with probabilities, float32, (n_examples, n_labels)."""

    rule: str
    """For people: a threshold rule, `argmax`, or what overrides it."""
    thresholds: DoubleArray | None
    """(n_labels,); None: the most probable label, of equals the first."""
    never_empty: bool = False
    top_k: int | None = None

    @classmethod
    def fixed(cls, threshold: float, n_labels: int) -> Self:
        """One threshold for all labels."""
        return cls(f"a fixed threshold of {threshold:g}", np.full(n_labels, threshold, dtype=np.float64))

    @classmethod
    def most_probable(cls) -> Self:
        """The most probable label of each row."""
        return cls(ARGMAX, None)

    @classmethod
    def of_epochs(cls, n_labels: int, *, single_label: bool) -> Self:
        """How epochs are labelled, so that they can be compared before anything is fitted."""
        return cls.most_probable() if single_label else cls.fixed(SELECTION_THRESHOLD, n_labels)

    def __call__(self, y_prob: FloatArray) -> BoolArray:
        """Labels, bool, (n_examples, n_labels)."""
        if self.thresholds is None:
            labels = np.zeros(y_prob.shape, dtype=np.bool_)
            labels[np.arange(len(y_prob)), y_prob.argmax(axis=1)] = True
            return labels
        return decide(y_prob, self.thresholds, never_empty=self.never_empty, top_k=self.top_k)

    def threshold_of(self, at: int) -> float | None:
        """The threshold of a label; None if there are no thresholds."""
        return None if self.thresholds is None else float(self.thresholds[at])

    def by_label(self, labels: tuple[str, ...]) -> dict[str, float]:
        """The threshold of each label; empty if there are no thresholds."""
        return {} if self.thresholds is None else dict(zip(labels, self.thresholds.tolist(), strict=True))


class LabelRules(ABC):
    """The rules by which a run's probabilities become labels; one of them is the run's own.

    `Thresholds` and `MostProbable` are the two kinds. All code that decides labels asks this class.
    """

    labels: tuple[str, ...]
    n_positives: tuple[int, ...]
    settings: ThresholdSettings

    @property
    @abstractmethod
    def rule(self) -> str:
        """What the run's labels follow."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Every rule that the run has, in the order of tables."""

    @property
    def is_single_label(self) -> bool:
        """Whether each row has exactly one label."""
        return self.rule == ARGMAX

    @abstractmethod
    def decision(self, rule: str | None = None) -> Decision:
        """A rule by its name; the run's own with its options if none is named.

        Raises:
            SettingError: the run has no such rule.
        """

    def decide(self, y_prob: FloatArray, rule: str | None = None) -> BoolArray:
        """Labels by a rule, bool, (n_examples, n_labels); by the run's own, options included, if none is named."""
        return self.decision(rule)(y_prob)

    def of_epochs(self) -> Decision:
        """How the run's epochs are labelled."""
        return Decision.of_epochs(len(self.labels), single_label=self.is_single_label)

    @abstractmethod
    def write(self, path: Path, *, run: str) -> None:
        """Write thresholds.json."""

    @staticmethod
    def read(path: Path, labels: tuple[str, ...]) -> "LabelRules":
        """Read thresholds.json.

        Raises:
            CorruptArtifactError: keys are missing, labels differ, a threshold is outside [0, 1], a rule or an
                objective is unknown, or it was fitted on something other than val.
        """
        kind = MostProbable if read_json_object(path).get("rule") == ARGMAX else Thresholds
        return kind.read(path, labels)


def _require_labels(path: Path, labels: tuple[str, ...], *found: dict[str, Any]) -> None:
    if any(tuple(by_label) != labels for by_label in found):
        raise CorruptArtifactError(path, "names other labels than the checkpoint, or in another order")


@dataclass(frozen=True)
class MostProbable(LabelRules):
    """Single-label data: each row has its most probable label, and nothing is fitted."""

    labels: tuple[str, ...]
    n_positives: tuple[int, ...]
    """Gold rows of each label in val."""
    settings: ThresholdSettings = field(default_factory=ThresholdSettings)
    """The defaults: none of them has an effect."""

    @property
    def rule(self) -> str:
        """What the run's labels follow."""
        return ARGMAX

    @property
    def names(self) -> tuple[str, ...]:
        """The only rule."""
        return (ARGMAX,)

    def decision(self, rule: str | None = None) -> Decision:
        """The only rule.

        Raises:
            SettingError: another rule is named.
        """
        if rule not in (None, ARGMAX):
            raise SettingError([f"threshold rule {rule}: {NO_THRESHOLDS}"])
        return Decision.most_probable()

    def write(self, path: Path, *, run: str) -> None:
        """Write thresholds.json."""
        positives = dict(zip(self.labels, self.n_positives, strict=True))
        SingleLabelValues(schema_version=SCHEMA_VERSION, run=run, rule="argmax", n_positives=positives).write(
            path
        )

    @staticmethod
    def read(path: Path, labels: tuple[str, ...]) -> "MostProbable":
        """Read thresholds.json.

        Raises:
            CorruptArtifactError: keys are missing, or labels differ.
        """
        values = SingleLabelValues.read(path)
        _require_labels(path, labels, values.n_positives)
        return MostProbable(labels, tuple(values.n_positives.values()))


NO_THRESHOLDS = "a single-label run predicts the most probable label and has no thresholds"


@dataclass(frozen=True)
class Thresholds(LabelRules):
    """What was fitted on val, and how the run's labels follow from it."""

    labels: tuple[str, ...]
    global_threshold: float
    per_label: DoubleArray
    """(n_labels,)"""
    n_positives: tuple[int, ...]
    """Gold positives of each label in the split they were fitted on."""
    settings: ThresholdSettings
    """What they were fitted with; the rule is the one that was chosen."""
    global_ci: tuple[float, float] = (0.0, 1.0)
    """95 % interval of the global threshold over resampled rows of val."""
    per_label_ci: DoubleArray | None = None
    """The same of each label's, (2, n_labels); None if unknown."""
    fitted_on: Literal["val", "none"] = "val"
    """none: nothing was fitted, all thresholds are 0.5."""
    choice: RuleChoice | None = None
    """How `auto` chose the rule; None if the settings named it."""
    guarantee: Guarantee | None = None
    """What the thresholds guarantee; None unless the objective is a guarantee."""

    @property
    def fit_settings(self) -> ThresholdSettings:
        """The settings that lead to these thresholds and to this rule on val."""
        return self.settings.model_copy(update={"rule": "auto"}) if self.choice else self.settings

    @property
    def rule(self) -> str:
        """What the run's labels follow."""
        return self.settings.rule

    @property
    def names(self) -> tuple[str, ...]:
        """The threshold rules."""
        return RULES

    def of_rule(self, rule: str) -> DoubleArray:
        """The thresholds of a rule, one per label.

        Raises:
            SettingError: no such rule.
        """
        if rule == "per_label":
            return self.per_label
        if rule == "global":
            return np.full(len(self.labels), self.global_threshold)
        if rule in RULES:
            return np.full(len(self.labels), float(rule.removeprefix("fixed_")))
        raise SettingError([f"unknown threshold rule {rule!r}; known: {', '.join(RULES)}"])

    def decision(self, rule: str | None = None) -> Decision:
        """The run's own rule with its options if none is named; never_empty and top_k belong to no other rule.

        Raises:
            SettingError: no such rule.
        """
        chosen = rule or self.rule
        if chosen != self.rule:
            return Decision(chosen, self.of_rule(chosen))
        return Decision(chosen, self.of_rule(chosen), self.settings.never_empty, self.settings.top_k)

    @classmethod
    def unfitted(cls, labels: tuple[str, ...]) -> Self:
        """0.5 for all labels of a model without data to fit them on."""
        settings = ThresholdSettings(rule="fixed_0.5")
        half = np.full(len(labels), UNFITTED_THRESHOLD)
        return cls(labels, UNFITTED_THRESHOLD, half, (0,) * len(labels), settings, fitted_on="none")

    def write(self, path: Path, *, run: str) -> None:
        """Write thresholds.json."""
        intervals = None if self.per_label_ci is None else self.per_label_ci.T.tolist()
        values = ThresholdValues(
            schema_version=SCHEMA_VERSION,
            run=run,
            fitted_on=self.fitted_on,
            **self.settings.model_dump(),
            global_=self.global_threshold,
            global_ci=self.global_ci,
            per_label=dict(zip(self.labels, self.per_label.tolist(), strict=True)),
            per_label_ci=intervals and dict(zip(self.labels, intervals, strict=True)),
            n_positives=dict(zip(self.labels, self.n_positives, strict=True)),
        )
        optional = {"choice": self.choice, "guarantee": self.guarantee}
        values.model_copy(update={key: value for key, value in optional.items() if value}).write(path)

    @staticmethod
    def read(path: Path, labels: tuple[str, ...]) -> "Thresholds":
        """Read thresholds.json.

        Raises:
            CorruptArtifactError: keys are missing, labels differ, a threshold is outside [0, 1], a rule or an
                objective is unknown, or it was fitted on something other than val.
        """
        values = ThresholdValues.read(path)
        _require_labels(
            path, labels, values.per_label, values.n_positives, values.per_label_ci or dict.fromkeys(labels)
        )
        try:
            settings = ThresholdSettings(
                **{name: getattr(values, name) for name in ThresholdSettings.model_fields}
            )
        except ValidationError as error:
            raise CorruptArtifactError(path, faults(error)[0]) from error
        intervals = values.per_label_ci
        return Thresholds(
            labels=labels,
            global_threshold=values.global_,
            per_label=np.asarray(list(values.per_label.values())),
            n_positives=tuple(values.n_positives.values()),
            settings=settings,
            fitted_on=values.fitted_on,
            global_ci=values.global_ci,
            per_label_ci=None if intervals is None else np.asarray(list(intervals.values())).T,
            choice=values.choice,
            guarantee=values.guarantee,
        )
