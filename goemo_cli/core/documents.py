"""The JSON files of a run as typed documents: one reader, one writer, one kind of error for a wrong value."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from goemo_cli.core.errors import CorruptArtifactError, SettingError
from goemo_cli.core.files import read_json_object, sha256_file, write_json
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import ARGMAX, RANKING_KEYS, RULES, SCHEMA_VERSION, SCORE_KEYS, Kind

_MAX_FAULTS = 3
"""Faults of one file that an error describes."""

Interval = Annotated[tuple[float, float], Strict(False)]
"""Lower and upper bound of a 95 % interval."""


class Document(BaseModel):
    """A JSON object that goemo writes. Unknown keys are kept, since a newer version may have written them."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="allow",
        frozen=True,
        strict=True,
        populate_by_name=True,
        allow_inf_nan=False,
        defer_build=True,  # a list of runs needs the manifest only
    )

    @classmethod
    def read(cls, path: Path) -> Self:
        """The document in a file.

        Raises:
            CorruptArtifactError: the file is not a JSON object, or a value is missing or has the wrong type; the
                message names its key.
            OSError: the file cannot be read.
        """
        return cls.checked(read_json_object(path), path)

    @classmethod
    def checked(cls, values: Any, path: Path) -> Self:
        """The document in JSON values that were read from a file.

        Raises:
            CorruptArtifactError: a value is missing or has the wrong type.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            found = faults(error)
            more = ", ..." if found[_MAX_FAULTS:] else ""
            raise CorruptArtifactError(path, ", ".join(found[:_MAX_FAULTS]) + more) from error

    @classmethod
    def faults_in(cls, path: Path) -> list[str]:
        """Every fault of a document in a file; none if `read` accepts it.

        Raises:
            CorruptArtifactError: the file is not a JSON object.
            OSError: the file cannot be read.
        """
        try:
            cls.model_validate(read_json_object(path))
        except ValidationError as error:
            return faults(error)
        return []

    def write(self, path: Path) -> None:
        """Write the values that were set, atomically and in the order of the fields."""
        write_json(path, self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The values that were set, as JSON types, by the names used in the file."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def faults(error: ValidationError) -> list[str]:
    """Every fault that a validation found, each with its key path: `test.per_label.f1_macro is missing`."""
    return [_fault(fault["type"], fault["loc"], fault["msg"]) for fault in error.errors(include_url=False)]


def _fault(kind: str, location: tuple[int | str, ...], message: str) -> str:
    place = ""
    for part in location:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
    if kind == "missing_rule":
        return f"{place}.{message}" if place else message
    if kind == "missing":
        return f"{place} is missing"
    text = message.removeprefix("Value error, ").removeprefix("Input ")
    return f"{place} {text}" if place else text


class Score(NamedTuple):
    """A score and its 95 % interval; None if it is undefined or has no interval."""

    value: float | None
    low: float | None
    high: float | None


class _Scores(Document):
    """Scores by name, each with its interval under `{name}_ci`."""

    def value(self, key: str) -> float | None:
        """A score by its name; None if it is undefined."""
        found: float | None = getattr(self, key)
        return found

    def score(self, key: str) -> Score:
        """A score by its name, with its interval."""
        low, high = getattr(self, f"{key}_ci", None) or (None, None)
        return Score(self.value(key), low, high)


class RuleScores(_Scores):
    """Scores of one threshold rule on a split, as scikit-learn defines them; fractions in [0, 1]."""

    f1_macro: float
    f1_micro: float
    f1_weighted: float
    f1_samples: float
    precision_macro: float
    precision_micro: float
    precision_weighted: float
    precision_samples: float
    recall_macro: float
    recall_micro: float
    recall_weighted: float
    recall_samples: float
    subset_accuracy: float
    hamming_loss: float
    jaccard_samples: float | None = None
    accuracy: float | None = None
    """Of single-label data: the share of rows with the right label, which is also `subset_accuracy`."""
    accuracy_ci: Interval | None = None
    f1_macro_ci: Interval | None = None
    f1_micro_ci: Interval | None = None
    f1_weighted_ci: Interval | None = None
    f1_samples_ci: Interval | None = None
    precision_macro_ci: Interval | None = None
    precision_micro_ci: Interval | None = None
    precision_weighted_ci: Interval | None = None
    precision_samples_ci: Interval | None = None
    recall_macro_ci: Interval | None = None
    recall_micro_ci: Interval | None = None
    recall_weighted_ci: Interval | None = None
    recall_samples_ci: Interval | None = None
    subset_accuracy_ci: Interval | None = None
    hamming_loss_ci: Interval | None = None
    jaccard_samples_ci: Interval | None = None


class SplitScores(_Scores):
    """All scores of a split: those that need no threshold, and those of each threshold rule."""

    auc_micro: float | None = None
    auc_macro: float | None = None
    average_precision_macro: float | None = None
    lrap: float | None = None
    auc_micro_ci: Interval | None = None
    auc_macro_ci: Interval | None = None
    average_precision_macro_ci: Interval | None = None
    lrap_ci: Interval | None = None
    labels_without_positives: int = 0
    fixed_05: RuleScores | None = Field(None, alias="fixed_0.5")
    fixed_03: RuleScores | None = Field(None, alias="fixed_0.3")
    global_: RuleScores | None = Field(None, alias="global")
    per_label: RuleScores | None = None
    argmax: RuleScores | None = None
    """Of single-label data, which have none of the other rules."""

    @model_validator(mode="after")
    def _has_its_rules(self) -> Self:
        present = self._by_rule()
        needed = (ARGMAX,) if self.argmax else RULES
        if missing := [name for name in needed if name not in present]:
            raise PydanticCustomError("missing_rule", "{key} is missing", {"key": missing[0]})
        return self

    def _by_rule(self) -> dict[str, RuleScores]:
        found = (self.fixed_05, self.fixed_03, self.global_, self.per_label, self.argmax)
        return {name: scores for name, scores in zip((*RULES, ARGMAX), found, strict=True) if scores}

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that were scored, in the order of tables."""
        return tuple(self._by_rule())

    @property
    def fitted(self) -> RuleScores:
        """The scores of a threshold per label; of single-label data those of the most probable label."""
        return self.rule(self.rules[-1])

    def rule(self, name: str) -> RuleScores:
        """The scores of a rule, by its name in the file.

        Raises:
            SettingError: it was not scored.
        """
        found = self._by_rule()
        if name not in found:
            raise SettingError([f"the rule {name!r} was not scored; scored: {', '.join(found)}"])
        return found[name]

    def by_key(self, rule: str) -> dict[str, float | None]:
        """`SCORE_KEYS` with their values: those that need no threshold, and those of a rule; None if undefined."""
        by_rule = self.rule(rule)
        return {key: (self if key in RANKING_KEYS else by_rule).value(key) for key in SCORE_KEYS}


class LabelScores(Document):
    """One row of the per-class metrics: a label on the test split by the run's own rule."""

    emotion: str
    f1_score: float
    precision: float
    recall: float
    support: int
    tp: int
    fp: int
    fn: int
    tn: int
    threshold: float | None
    """None of single-label data."""
    roc_auc: float | None
    average_precision: float | None
    f1_ci_low: float | None
    f1_ci_high: float | None


class TaxonomyScores(SplitScores):
    """Test scores of the same probabilities read as a coarser taxonomy."""

    per_class: list[LabelScores]


class EpochScores(Document):
    """One pass over train and the val scores after it. A model without steps has no learning rate and no gradients."""

    epoch: int = Field(ge=1)
    train_loss: float
    val_loss: float
    """Binary cross-entropy per cell, for every training loss."""
    val_f1_macro: float
    """At a fixed threshold of 0.3, as val_f1_micro, so that epochs can be compared without fitting."""
    val_f1_micro: float
    val_auc_micro: float
    learning_rate: float | None
    """Of the encoder, at the epoch's last step."""
    grad_norm: float | None
    """Mean over the epoch's steps, before clipping."""
    epoch_seconds: float
    """Training only, without scoring val."""
    samples_per_second: float


class TrainingPosition(Document):
    """How far a training is."""

    step: int = Field(ge=1)
    """Optimizer steps that are done."""
    epoch: int = Field(ge=1)
    """The current epoch."""
    epoch_seconds: float
    """Seconds spent on the steps of the current epoch."""
    averaged_steps: int = Field(ge=0)
    """The step up to which the moving average has moved; 0 without one."""
    best_epoch: int = Field(ge=0)
    """0 before the first epoch with a finite value."""
    best_value: float | None
    waited: int = Field(ge=0)
    """Epochs since the best one."""


class BySplit(Document):
    """A hash for each split."""

    train: str
    val: str
    test: str

    def of(self, split: str) -> str:
        """The hash of a split."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]


class SplitSizes(Document):
    """The number of rows of each split."""

    train: int = Field(ge=0)
    val: int = Field(ge=0)
    test: int = Field(ge=0)

    def of(self, split: str) -> int:
        """The number of rows of a split."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]


class DataFacts(Document):
    """The data set of a run, identified by its content."""

    name: str
    source: str
    is_fallback: bool = False
    """Trained on the sample because GoEmotions was unavailable."""
    taxonomy: str | None = None
    sha256: str
    split_sha256: BySplit
    sizes: SplitSizes


class DeviceFacts(Document):
    """Where and in which precision a run was trained."""

    type: str
    precision: str
    processor: str


class Member(Document):
    """A run whose probabilities an ensemble averages."""

    run: str
    seed: int


class Metrics(Document):
    """metrics.json: everything that a run measured."""

    schema_version: int = SCHEMA_VERSION
    run: str
    model: str
    origin: Literal["trained", "imported"] = "trained"
    base_model: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = None
    best_epoch: int | None
    history: list[EpochScores]
    training_seconds: float
    peak_memory_bytes: int | None = None
    device: DeviceFacts | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    finished: str | None = None
    wandb_run_id: str | None
    exact: bool = True
    """False if the training was resumed under other conditions, so that another training gives other numbers."""
    members: list[Member] = Field(default_factory=list)
    data: DataFacts
    threshold_rule: str
    val: SplitScores
    test: SplitScores
    per_class: list[LabelScores]
    taxonomies: dict[str, dict[str, TaxonomyScores]] = Field(default_factory=dict)
    confusion_matrix: list[list[int]] | None = None
    """Of single-label data: test rows by gold label, and within a row by predicted label, in the order of labels."""

    def split(self, name: str) -> SplitScores:
        """The scores of val or test."""
        return {"val": self.val, "test": self.test}[name]

    @property
    def test_rule(self) -> RuleScores:
        """Test scores by the run's own threshold rule."""
        return self.test.rule(self.threshold_rule)


class EvaluatedData(Document):
    """Labelled rows that `goemo evaluate` scored."""

    name: str
    """As files spell it."""
    source: str
    """What the user named."""
    sha256: str
    """Of texts, gold labels and their order, over the labels of the run."""
    rows: int = Field(ge=1)


class EvaluationRecord(Document):
    """scores_eval-{name}_{run}.json: the scores of a run on data that it was not trained with."""

    schema_version: int = SCHEMA_VERSION
    run: str
    data: EvaluatedData
    threshold_rule: str
    """The rule of the run that `pred_labels` follow. Nothing is fitted on the data."""
    scores: SplitScores
    per_class: list[LabelScores]
    """By `threshold_rule`, in label order."""
    warnings: list[str]
    sources: dict[str, str]
    """SHA-256 of the predictions, of the thresholds and of the weights, by path from the root."""
    files: dict[str, str]
    """SHA-256 of the tables next to it, by file name."""


class FileEntry(Document):
    """A file as a manifest names it."""

    sha256: str
    size: int = Field(ge=0)

    @classmethod
    def of(cls, path: Path) -> Self:
        """The entry of a file as it is now."""
        return cls(sha256=sha256_file(path), size=path.stat().st_size)

    def require(self, path: Path) -> None:
        """Hash a file.

        Raises:
            CorruptArtifactError: it is missing, or differs from this entry.
        """
        if not path.is_file():
            raise CorruptArtifactError(path, "is missing")
        if path.stat().st_size != self.size:
            raise CorruptArtifactError(path, f"has {path.stat().st_size} bytes instead of {self.size}")
        if sha256_file(path) != self.sha256:
            raise CorruptArtifactError(path, "has another SHA-256 than was recorded")


class Headline(Document):
    """The facts of metrics.json that a list of runs shows, kept in the manifest so that listing opens one file.

    A fact that an older run does not have is None.
    """

    data: str | None = None
    train_size: int | None = None
    val_sha256: str | None = None
    test_sha256: str | None = None
    seed: int | None = None
    best_epoch: int | None = None
    epochs: int | None = None
    threshold_rule: str | None = None
    training_seconds: float | None = None
    val: dict[str, float | None] = Field(default_factory=dict)
    test: dict[str, float | None] = Field(default_factory=dict)

    def scores(self, split: str) -> dict[str, float | None]:
        """The scores of val or test, by name; none for another name."""
        return {"val": self.val, "test": self.test}.get(split, {})

    @classmethod
    def of(cls, metrics: Metrics) -> Self:
        """The headline of a run; F1, precision and recall are by the run's own threshold rule."""
        data = metrics.data
        return cls(
            data=data.name,
            train_size=data.sizes.train,
            val_sha256=data.split_sha256.val,
            test_sha256=data.split_sha256.test,
            seed=metrics.seed,
            best_epoch=metrics.best_epoch,
            epochs=len(metrics.history),
            threshold_rule=metrics.threshold_rule,
            training_seconds=metrics.training_seconds,
            val=metrics.val.by_key(metrics.threshold_rule),
            test=metrics.test.by_key(metrics.threshold_rule),
        )

    def is_of(self, metrics: Metrics) -> bool:
        """Whether it is the headline of a run; a score that an earlier version did not know counts as None."""
        whole = {name: dict.fromkeys(SCORE_KEYS) | self.scores(name) for name in ("val", "test")}
        return self.model_copy(update=whole) == Headline.of(metrics)


class Parents(Document):
    """What a run was made from."""

    data: str | None = None
    """SHA-256 of the data set."""
    base_model: dict[str, Any] = Field(default_factory=dict)
    members: list[str] = Field(default_factory=list)
    """Names of the runs of an ensemble."""


class Manifest(Document):
    """manifest.json: written last, it makes a folder a finished run."""

    schema_version: int = SCHEMA_VERSION
    run: str
    kind: Kind = "transformer"
    created: str | None = None
    labels: list[str] = Field(min_length=1)
    parents: Parents
    headline: Headline | None = None
    origin: Literal["trained", "imported"] = "trained"
    """imported: `goemo import` copied the weights of another tool."""
    outputs: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of the run's files outside the checkpoint, by path from the root."""
    files: dict[str, FileEntry]

    @field_validator("run")
    @classmethod
    def _is_run_name(cls, run: str) -> str:
        if RunName.parse(run) is None:
            raise ValueError(f"is {run!r}, which is not the name of a run")
        return run

    @model_validator(mode="after")
    def _ensemble_has_members(self) -> Self:
        if self.kind == "ensemble" and not self.parents.members:
            raise ValueError("parents.members is empty; an ensemble needs members")
        return self

    @property
    def is_unscored(self) -> bool:
        """Whether the run was imported without data, so that it has no scores."""
        return self.origin == "imported" and self.parents.data is None

    @property
    def run_name(self) -> RunName:
        """The run, parsed."""
        run = RunName.parse(self.run)
        assert run  # checked when the manifest was read
        return run


Fraction = Annotated[float, Field(ge=0, le=1)]


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


class SeedGroup(Document):
    """A training with several seeds that is not finished."""

    count: int = Field(ge=2)
    """The number of seeds."""
    first_seed: int = Field(ge=0)
    runs: list[str]
    """Runs of earlier seeds, which are finished."""


class TrainingRecord(Document):
    """state/training.json: what a training that is not finished was started with."""

    schema_version: int = SCHEMA_VERSION
    run: str
    labels: list[str] = Field(min_length=1)
    data: DataFacts
    base_model: dict[str, Any] = Field(default_factory=dict)
    conditions: dict[str, str]
    """Versions, device and processor features that decide the last bits of the result."""
    seeds: SeedGroup | None = None
    """The group that the run belongs to."""


class SavedState(Document):
    """state.json: a saved state of a training, written after the files that it names."""

    schema_version: int = SCHEMA_VERSION
    run: str
    position: TrainingPosition
    history: list[EpochScores]
    training_seconds: float = Field(ge=0)
    journal_bytes: int = Field(ge=0)
    """Length of the run's journal at this step."""
    files: dict[str, FileEntry]
    """By their path from the folder of the state; those below `best/` are the files of the checkpoint."""


class Pins(Document):
    """pinned.json: runs that are never removed, in the order in which they were pinned."""

    schema_version: int = SCHEMA_VERSION
    pinned: list[str]


class LockHolder(Document):
    """The lock file of a run: the process that changes it."""

    pid: int
    host: str
    started: float
    """When the process was started, in seconds since 1970, since process numbers are used again."""
    command: str

    def __str__(self) -> str:
        return f"{self.command} (process {self.pid} on {self.host})"
