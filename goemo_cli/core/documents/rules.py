"""thresholds.json and calibration.json."""

from typing import Annotated, Literal

from pydantic import Field, Strict

from goemo_cli.core.documents.base import Document, Fraction
from goemo_cli.core.schema import SCHEMA_VERSION


class RuleChoice(Document):
    """How `thresholds.rule: auto` chose a rule: scores of val rows by thresholds that were fitted without them."""

    rule: str
    reason: str
    criterion: str | None = None
    """The score that was compared; None if nothing was compared."""
    folds: int | None = None
    seed: int | None = None
    scores: dict[str, float] = Field(default_factory=dict)
    """By rule."""
    standard_errors: dict[str, float] = Field(default_factory=dict)
    """Of the difference to per_label, by rule."""

    def __str__(self) -> str:
        compared = ", ".join(f"{rule} {score:.3f}" for rule, score in self.scores.items())
        scored = f" ({self.criterion}: {compared})" if compared else ""
        return f"Threshold rule {self.rule}, chosen by cross-fitting on val: {self.reason}{scored}"


class Guarantee(Document):
    """What thresholds guarantee on new texts, and under which assumption."""

    score: Literal["recall"]
    level: float
    """The expected score is at least this."""
    of: Literal["each label", "each text"]
    """each label: of a new text with the label; each text: the share of its labels that are found."""
    method: Literal["conformal risk control"]
    assumption: str
    """For people."""
    n_rows: int
    """Rows of val with labels. The rows of each label are in `n_positives`."""
    needed: int
    """The fewest rows for a guarantee."""
    without: list[str]
    """Labels with fewer positives, which have the global threshold and no guarantee."""

    def __str__(self) -> str:
        share = "the new texts with it" if self.of == "each label" else "the labels of a new text"
        what = "each label is predicted for" if self.of == "each label" else "the prediction contains"
        return f"Guarantee: {what} at least {self.level:g} of {share} in expectation, if {self.assumption}"


class ThresholdValues(Document):
    """thresholds.json: the thresholds of a run, and the settings they were fitted with."""

    schema_version: int = SCHEMA_VERSION
    run: str
    fitted_on: Literal["val", "none"]
    """none: a model was imported without data, and all thresholds are 0.5. Thresholds fitted on test would spoil its scores."""
    rule: str
    choice: RuleChoice | None = None
    """Why it is this rule; None if the settings name it."""
    objective: str
    beta: float
    floor: float | None
    shrinkage: float
    never_empty: bool
    top_k: int | None
    global_: Fraction = Field(alias="global")
    global_ci: Annotated[tuple[Fraction, Fraction], Strict(False)]
    per_label: dict[str, Fraction]
    per_label_ci: dict[str, Annotated[tuple[Fraction, Fraction], Strict(False)]] | None
    n_positives: dict[str, int]
    guarantee: Guarantee | None = None
    """Only with the objective recall_guarantee."""


class SingleLabelValues(Document):
    """thresholds.json of a run on single-label data, which has no thresholds."""

    schema_version: int = SCHEMA_VERSION
    run: str
    rule: Literal["argmax"]
    n_positives: dict[str, int]


class LabelCalibration(Document):
    """How the probabilities of one label are calibrated."""

    intercept: float
    slope: float = Field(gt=0)
    """Positive, so that the ranking of a label stays."""
    n_positives: int


class CalibrationValues(Document):
    """calibration.json: two numbers per label, and what they were fitted on."""

    schema_version: int = SCHEMA_VERSION
    run: str
    method: Literal["platt", "temperature"]
    fitted_on: Literal["val"]
    source: dict[str, str] = Field(default_factory=dict)
    """The predictions file: file, sha256, split_sha256."""
    shared: bool = False
    """Single-label data: one slope for all labels, before a softmax."""
    per_label: dict[str, LabelCalibration]
    kept: dict[str, str]
    """Labels whose probabilities stay as they are, with the reason."""
