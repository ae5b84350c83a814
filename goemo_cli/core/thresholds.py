"""Thresholds of a checkpoint: one global, one per label, and the rule that turns probabilities into labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, cast

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray
from goemo_cli.core.errors import CorruptArtifactError, SettingError
from goemo_cli.core.files import read_json_object, write_json
from goemo_cli.core.schema import RULES, SCHEMA_VERSION

SELECTION_THRESHOLD = 0.3
"""The paper's threshold: epochs are compared at it, so that nothing is fitted before the best one is known."""

Rule = Literal["per_label", "global", "fixed_0.5", "fixed_0.3"]


def decide(y_prob: FloatArray, thresholds: DoubleArray | float) -> BoolArray:
    """The labels that probabilities stand for: `probability >= threshold`, everywhere in goemo.

    Args:
        y_prob: probabilities, float32, (n_examples, n_labels).
        thresholds: one for all labels, or (n_labels,).

    Returns:
        bool, (n_examples, n_labels). Compared in float64, so that a threshold is the number that is written.
    """
    decided: BoolArray = y_prob.astype(np.float64) >= np.asarray(thresholds, dtype=np.float64)
    return decided


@dataclass(frozen=True)
class Thresholds:
    """What was fitted on val, and which rule the run's labels follow."""

    labels: tuple[str, ...]
    global_threshold: float
    per_label: DoubleArray
    """(n_labels,)"""
    n_positives: tuple[int, ...]
    """Gold positives of each label in the split they were fitted on."""
    shrinkage: float
    rule: Rule = "per_label"
    fitted_on: str = "val"

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

    def write(self, path: Path, *, run: str) -> None:
        """Write thresholds.json."""
        write_json(
            path,
            {
                "schema_version": SCHEMA_VERSION,
                "run": run,
                "fitted_on": self.fitted_on,
                "rule": self.rule,
                "shrinkage": self.shrinkage,
                "global": self.global_threshold,
                "per_label": dict(zip(self.labels, self.per_label.tolist(), strict=True)),
                "n_positives": dict(zip(self.labels, self.n_positives, strict=True)),
            },
        )

    @classmethod
    def read(cls, path: Path, labels: tuple[str, ...]) -> Self:
        """Read thresholds.json.

        Raises:
            CorruptArtifactError: keys are missing, labels differ, a threshold is outside [0, 1], or it was
                fitted on something other than val.
        """
        values = read_json_object(path)
        try:
            found = cls(
                labels=labels,
                global_threshold=_fraction(values["global"]),
                per_label=np.asarray(
                    [_fraction(values["per_label"][label]) for label in labels], dtype=np.float64
                ),
                n_positives=tuple(int(values["n_positives"][label]) for label in labels),
                shrinkage=float(values["shrinkage"]),
                rule=cast(Rule, values["rule"]),
                fitted_on=str(values["fitted_on"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptArtifactError(path, f"is not a thresholds file ({error!r})") from error
        if tuple(values["per_label"]) != labels:
            raise CorruptArtifactError(path, "names other labels than the checkpoint, or in another order")
        if found.rule not in RULES:
            raise CorruptArtifactError(path, f"unknown threshold rule {found.rule!r}")
        if found.fitted_on != "val":
            raise CorruptArtifactError(path, f"was fitted on {found.fitted_on!r}; only val is honest")
        return found


def _fraction(value: Any) -> float:
    number = float(value)
    if not 0 <= number <= 1:
        raise ValueError(f"{number} is not between 0 and 1")
    return number
