"""metrics.json and the records of evaluations."""

from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from goemo_cli.core.documents.base import Document, ExcludedRows, Interval
from goemo_cli.core.errors import SettingError
from goemo_cli.core.schema import ARGMAX, RANKING_KEYS, RULES, SCHEMA_VERSION, SCORE_KEYS


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
    excluded: ExcludedRows | None = None
    """Rows that are not part of train; all other facts are of the rest."""


class DeviceFacts(Document):
    """Where and in which precision a run was trained."""

    type: str
    precision: str
    processor: str


class Member(Document):
    """A run whose probabilities an ensemble averages."""

    run: str
    seed: int


class Lesson(Document):
    """What a student learned from a teacher."""

    teacher: str
    """The run."""
    weight: float = Field(ge=0, le=1)
    temperature: float = Field(gt=0)
    unlabelled: int = Field(ge=0)
    """Number of texts without gold labels."""
    probabilities: str
    """File with the probabilities of the teacher, by its path from the root."""
    sha256: str
    """Of the probabilities, float32, row by row."""


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
    distillation: Lesson | None = None
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
