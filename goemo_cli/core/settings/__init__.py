"""Every setting of a run: defaults < catalogue < file < flags."""

import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from goemo_cli.core.errors import SettingError, UnknownSettingError, did_you_mean, near_names
from goemo_cli.core.labels import TaxonomyName
from goemo_cli.core.layering import divide, dump_yaml, flat, merge_layers, nested, read_yaml_mapping
from goemo_cli.core.system.variables import wandb_environment

SelectionMetric = Literal["val_f1_macro", "val_f1_micro", "val_auc_micro", "val_loss"]
NamedRule = Literal["per_label", "global", "fixed_0.5", "fixed_0.3"]
ThresholdRule = Literal["auto", NamedRule]
F1Objective = Literal["f1_macro", "f1_micro"]
ThresholdObjective = Literal[F1Objective, "f_beta", "precision_floor", "recall_floor", "recall_guarantee"]
LossName = Literal["bce", "weighted_bce", "focal", "asymmetric", "cross_entropy"]
WeightFiles = Literal["both", "bin", "safetensors"]
Aggregation = Literal["majority", "any"]
Device = Literal["auto", "cpu", "cuda", "mps"]
WandbMode = Literal["online", "offline", "disabled"]
LibraryMode = Literal["online", "offline", "local", "disabled"]
"""Of the artifact library, which also has a local store."""


_MAY_BE_EMPTY = ("notes",)
_SECRET = "secret"
"""The kind of a fault whose message does not show the value."""
_EARLIER_VALUES = (("model.pooling", "first", None),)
"""Values in the settings of runs of earlier versions, and what they are now: (setting, value, value now)."""


class Section(BaseModel):
    """Settings that belong together; an unknown key is an error."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        frozen=True,
        validate_default=True,
        populate_by_name=True,
        defer_build=True,  # help pages and many commands read no settings
    )

    @field_validator("*", mode="before")
    @classmethod
    def _is_given(cls, value: Any, info: ValidationInfo) -> Any:
        """An empty text is a variable that was not set, never a name or the current folder."""
        if value == "" and info.field_name not in _MAY_BE_EMPTY:
            raise ValueError("should not be empty")
        return value


def _changed(section: Section) -> list[str]:
    """The settings that do not have their default."""
    fields = type(section).model_fields.items()
    return [
        name
        for name, field in fields
        if getattr(section, name) != field.get_default(call_default_factory=True)
    ]


class ModelSettings(Section):
    """Which weights, and how texts enter them."""

    name: str = Field("minilm", description="Catalogue name (goemo models), Hub id, folder, or a run.")
    revision: str | None = Field(
        None, description="Hub commit, tag or branch; by default the one in the catalogue."
    )
    new_head: bool = Field(
        False,
        description="Start with a new classifier, also for labels that the weights already know by name.",
    )
    max_length: int = Field(
        128,
        ge=4,
        le=8192,
        description="Tokens per comment, special tokens included; longer comments are cut.",
    )
    dropout: float | None = Field(
        0.1,
        ge=0,
        lt=1,
        description="Dropout of hidden layers, attention and classifier; null keeps the model's values.",
    )
    attention: Literal["auto", "eager", "sdpa"] = Field(
        "auto",
        description="auto: eager on CPU, which is faster at comment lengths; the model's default on a GPU.",
    )
    pooling: Literal["mean"] | None = Field(
        None,
        description="mean: the classifier of a BERT starts with the mean of its tokens, for which the last layer starts anew, if the weights "
        "were not trained so; this suits sentence encoders. null: what the weights read, the first token of most models.",
    )


class DataSettings(Section):
    """Where the labelled texts come from."""

    name: str | None = Field(
        None,
        description="goemotions, sample, a file, folder or URL, - for standard input, or a Hub data set; by default GoEmotions if it is available, else the sample.",
    )
    dir: Path | None = Field(
        None, description="Folder with the GoEmotions files (train.tsv, dev.tsv, test.tsv, labels.txt)."
    )
    format: str | None = Field(
        None,
        description="Format of your data if its suffix does not say it, such as tsv for a table in a .txt file; xlsx:NAME is a sheet of an Excel workbook.",
    )
    encoding: str | None = Field(
        None,
        description="Text encoding of your data, such as cp1252; by default UTF-8, or UTF-16 if the first bytes show it.",
    )
    text_column: str = Field("text", description="Column with the texts in your data.")
    label_column: str = Field("labels", description="Column with the labels in your data.")
    label_columns: list[str] = Field(
        [], description="Instead: columns of 0 and 1, one per label, in the order of the labels."
    )
    id_column: str | None = Field(None, description="Column with row ids, kept in predictions.")
    label_separator: str = Field(
        ",", min_length=1, description="Text between the labels of one cell; spaces around it are ignored."
    )
    unlabelled: str | None = Field(
        None,
        description='Value that means "not labelled", such as -1; rows with it in a label column are left out.',
    )
    group_column: str | None = Field(
        None,
        description="Column that says which rows belong together, such as the ratings of one text; a group stays in one split.",
    )
    aggregate: Aggregation | None = Field(
        None,
        description="One row per group: with labels that more than half of its rows have (majority), or one of them (any).",
    )
    labels_file: Path | None = Field(
        None,
        description="File with one label per line, in the wanted order; label numbers count from 0 in it. By default the labels in train.",
    )
    val_file: Path | None = Field(None, description="File with the val split of your data.")
    test_file: Path | None = Field(None, description="File with the test split of your data.")
    val_fraction: float = Field(
        0.1, gt=0, lt=0.5, description="Share of rows split off for val if the data has no val split."
    )
    test_fraction: float = Field(
        0.1, gt=0, lt=0.5, description="Share of rows split off for test if the data has no test split."
    )
    split_seed: int = Field(
        0,
        ge=0,
        lt=2**32,
        description="Random seed of that split; separate from the training's, so that seeds compare on the same test split.",
    )
    single_label: bool = Field(
        False,
        description="Each text has exactly one label: softmax, cross-entropy, and the most probable label instead of thresholds.",
    )

    @field_validator("unlabelled", mode="before")
    @classmethod
    def _is_a_cell(cls, value: Any) -> Any:
        """A whole number is a cell too: YAML reads -1 as one."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    taxonomy: TaxonomyName | None = Field(
        None, description="Train on Ekman's 7 labels or the 4 groups instead of GoEmotions' 28 labels."
    )
    exclude_audited: Path | None = Field(
        None,
        description="Work list of `goemo data audit`; rows of train with `exclude` in its column `action` are left out.",
    )
    max_train_samples: int | None = Field(
        None,
        ge=1,
        description="Maximum number of training comments, chosen by the training seed; val and test stay complete.",
    )

    @model_validator(mode="after")
    def _labels_in_one_place(self) -> Self:
        if self.label_columns and self.label_column != DataSettings.model_fields["label_column"].default:
            raise ValueError("data.label_column and data.label_columns are both given: use one of them")
        if len(set(self.label_columns)) < len(self.label_columns):
            raise ValueError("data.label_columns names a column twice")
        if self.aggregate and not self.group_column:
            raise ValueError("data.aggregate needs data.group_column, which says which rows become one")
        return self


class EarlyStopping(Section):
    """When to stop before the last epoch."""

    metric: SelectionMetric = Field(
        "val_f1_macro", description="Score of val that must improve; it also decides which epoch is kept."
    )
    patience: int | None = Field(
        2, ge=1, description="Epochs without improvement before stopping; null never stops."
    )
    min_delta: float = Field(0.0, ge=0, description="Smallest difference that counts as an improvement.")


class TrainingSettings(Section):
    """How the weights are fitted."""

    recipe: Literal["best", "fast", "student"] = Field(
        "best",
        description="Settings that suit the model, where no others are given; fast: in less time, for a slightly lower score; "
        "student: for learning from a teacher.",
    )
    learning_rate: float = Field(
        2e-5, gt=0, alias="lr", description="Peak learning rate of the encoder, after warm-up."
    )
    head_multiplier: float = Field(
        1.0, gt=0, description="The classifier's learning rate as a multiple of the encoder's."
    )
    batch_size: int = Field(32, ge=1, description="Comments per optimizer step.")
    accumulation: int = Field(
        1,
        ge=1,
        description="Pieces that a batch is computed in, to save memory; the step is the same but for rounding.",
    )
    gradient_checkpointing: bool = Field(
        False,
        description="Compute each layer again in the backward pass instead of keeping what it computed: less memory, a third more time, the same result.",
    )
    epochs: int = Field(4, ge=1, description="Passes over train, unless stopped early.")
    schedule: Literal["linear", "cosine", "constant"] = Field(
        "linear", description="Learning rate after warm-up; linear and cosine end at zero."
    )
    warmup: float = Field(
        0.1, ge=0, lt=1, description="Share of all steps over which the learning rate rises."
    )
    weight_decay: float = Field(
        0.01, ge=0, description="Weight decay of AdamW; not applied to biases and norms."
    )
    clip_norm: float | None = Field(1.0, gt=0, description="Largest gradient norm; null does not clip.")
    averaging: float | None = Field(
        None,
        gt=0,
        le=0.5,
        description="Score and save an average of the weights whose mean age is this share of the steps so far; null: the last weights.",
    )
    frozen_layers: int = Field(
        0,
        ge=0,
        description="Embeddings and this many of the lowest layers keep the weights that they came with; 0: all weights are trained.",
    )
    frozen_cache: Literal["float16", "float32", "off"] = Field(
        "float16",
        description="What the frozen layers give is computed once and kept in a temporary file of this precision; off: computed in each epoch.",
    )
    loss: LossName = Field(
        "bce",
        description="Loss function: binary cross-entropy, plain or weighted by label, or one that reduces the loss of easy cells; cross_entropy for single-label data, as its only loss.",
    )
    max_positive_weight: float = Field(
        20.0, ge=1, description="weighted_bce: ceiling of negatives/positives per label."
    )
    focal_gamma: float = Field(
        2.0, ge=0, description="focal: how strongly the loss of easy cells is reduced; 0 is bce."
    )
    asymmetric_gamma_positive: float = Field(
        0.0, ge=0, description="asymmetric: how strongly the loss of easy positives is reduced."
    )
    asymmetric_gamma_negative: float = Field(
        2.0, ge=0, description="asymmetric: how strongly the loss of easy negatives is reduced."
    )
    asymmetric_clip: float = Field(
        0.05, ge=0, lt=1, description="asymmetric: probability by which negatives are shifted."
    )
    prior_bias: bool = Field(
        True, description="Start the classifier's bias at the log-odds of each label in train."
    )
    label_template: str | None = Field(
        None,
        description="Start the classifier's weights at the embeddings of the label names, scaled to fit train: the model reads this text with the "
        "name of each label for {}. A sentence encoder learns far more from few comments then. null: random weights.",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Random seed of shuffling, dropout and new weights.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="auto: bf16 if the hardware computes it, else fp32; val and all artifacts are always scored in fp32.",
    )
    deterministic: bool = Field(
        False, description="Only algorithms that repeat to the bit on the same machine (matters on GPUs)."
    )
    device: Device = Field("auto", description="auto: a GPU if there is one, else the CPU.")
    save_every_minutes: float = Field(
        10.0,
        ge=0,
        description="Minutes between saved states, which `--resume` continues from; an epoch ends with one too; 0: none.",
    )
    early_stopping: EarlyStopping = EarlyStopping()

    @field_validator("label_template", mode="before")
    @classmethod
    def _has_a_place_for_the_name(cls, value: Any) -> Any:
        """The name alone is a template too: YAML reads {} as a mapping."""
        if isinstance(value, str) and "{}" not in value:
            raise ValueError("should contain {} where the name of a label belongs")
        return "{}" if value == {} else value


class DistillationSettings(Section):
    """What a model learns from the probabilities of a finished run."""

    teacher: str | None = Field(
        None, description="Run whose probabilities the model learns in addition to the gold labels."
    )
    weight: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the teacher's probabilities in the loss; gold labels have the rest.",
    )
    temperature: float = Field(
        1.0,
        gt=0,
        description="Logits of teacher and student are divided by it; above 1 small probabilities count more.",
    )
    unlabelled: Path | None = Field(
        None,
        description="File with more texts, for which the probabilities of the teacher are all that is learned.",
    )

    @model_validator(mode="after")
    def _needs_a_teacher(self) -> Self:
        if self.teacher is None and (changed := _changed(self)):
            raise ValueError(
                f"distillation.{changed[0]} has no effect without a teacher (distillation.teacher)"
            )
        return self


class ThresholdSettings(Section):
    """How probabilities become labels. Fitted on val, never on test."""

    rule: ThresholdRule = Field(
        "auto",
        description="Thresholds that decide the labels (`pred_labels`); auto: chosen by cross-fitting on val.",
    )
    objective: ThresholdObjective = Field(
        "f1_macro",
        description="What a fitted threshold maximises on val; a floor: recall (precision) while precision (recall) stays above it; "
        "recall_guarantee: the highest threshold with the guaranteed recall on new texts.",
    )
    beta: float = Field(1.0, gt=0, description="f_beta: recall counts beta times as much as precision.")
    floor: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="precision_floor, recall_floor: the lowest allowed precision or recall on val; recall_guarantee: the expected recall "
        "on new texts.",
    )
    shrinkage: float = Field(
        10.0,
        ge=0,
        description="Per-label thresholds are averages of the label's best one (weight: its val positives) and the global one (this weight).",
    )
    never_empty: bool = Field(False, description="Give a comment above no threshold its most probable label.")
    top_k: int | None = Field(
        None, ge=1, description="Maximum number of labels per comment: the most probable ones."
    )

    @model_validator(mode="after")
    def _floor_belongs_to_its_objectives(self) -> Self:
        if self.objective.endswith(("_floor", "_guarantee")) != (self.floor is not None):
            raise ValueError(
                f"thresholds.floor is {self.floor} with the objective {self.objective}: "
                "the objectives precision_floor, recall_floor and recall_guarantee need it, and no other uses it"
            )
        if self.objective == "recall_guarantee" and self.rule.startswith("fixed"):
            raise ValueError(f"thresholds.rule is {self.rule}: fixed thresholds have no guarantee")
        if self.objective == "recall_guarantee" and self.top_k is not None:
            raise ValueError("thresholds.top_k removes labels, so no recall can be guaranteed")
        if self.beta != 1 and self.objective != "f_beta":
            raise ValueError(f"thresholds.beta is used by the objective f_beta only, not by {self.objective}")
        return self


class OutputSettings(Section):
    """Optional output files."""

    weights: WeightFiles = Field("both", description="pytorch_model.bin, model.safetensors, or both.")
    epoch_predictions: bool = Field(True, description="Write val predictions of every epoch.")


class WandbSettings(Section):
    """Weights & Biases. A failure there never stops a training."""

    enabled: bool = Field(
        False, description="Log the run to Weights & Biases; any other option for W&B turns this on."
    )
    project: str | None = Field(
        None, min_length=1, description="W&B project; by default WANDB_PROJECT, else goemo."
    )
    entity: str | None = Field(None, description="W&B user or team; by default WANDB_ENTITY, else yours.")
    base_url: str | None = Field(
        None, description="Address of the W&B server; by default WANDB_BASE_URL, else W&B's."
    )
    mode: WandbMode | None = Field(
        None,
        description="offline keeps everything for `goemo sync`, disabled sends and writes nothing; by default WANDB_MODE, else online.",
    )
    name: str | None = Field(
        None, description="Name of the run in W&B; by default WANDB_NAME, else the run's name here."
    )
    group: str | None = Field(
        None, description="Group of the run in W&B; by default WANDB_RUN_GROUP, else none."
    )
    tags: list[str] = Field([], description="Tags of the run in W&B; by default WANDB_TAGS.")
    notes: str | None = Field(None, description="Notes of the run in W&B; by default WANDB_NOTES, else none.")
    required: bool = Field(
        False, description="Stop before training if W&B is unavailable, instead of warning."
    )
    upload_timeout: float = Field(
        120.0,
        gt=0,
        description="Seconds without progress after which the end of a run no longer waits for the upload; `goemo sync` completes it.",
    )
    environment: bool = Field(
        True,
        description="Upload goemo's own log lines, the versions of installed packages, and facts of the machine without its names.",
    )
    log_model: bool = Field(True, description="Upload the checkpoint.")
    log_predictions: bool = Field(
        False, description="Show the first 1,000 test comments with their labels as a table."
    )
    log_embeddings: bool = Field(
        False,
        description="Show 1,000 test comments as vectors with their labels, for W&B's and TensorBoard's projectors, and pictures of them (t-SNE) and of confused labels.",
    )
    log_gradients: bool = Field(
        False,
        description="Show histograms of every parameter's gradient every `log_every` steps, in W&B and in other trackers.",
    )
    watch_model: bool = Field(
        False,
        description="Show the model's parameters with their shapes, and histograms of their values every `log_every` steps, also in other trackers.",
    )
    log_every: int | None = Field(
        None,
        ge=1,
        description="Steps between the numbers `step/loss`, `step/learning_rate` and `step/grad_norm`, in W&B and in other trackers; null logs epochs only, and histograms at the first and every 100th step.",
    )

    def resolved(self) -> Self:
        """These settings with what is not set taken from the WANDB_* variables, else goemo's default.

        The server's address stays as it is: the SDK reads WANDB_BASE_URL itself, together with the key for it.

        Raises:
            SettingError: a variable has an unknown value.
        """
        below = {"project": DEFAULT_PROJECT, **wandb_environment()}
        found = {name: getattr(self, name) or value for name, value in below.items()}
        return type(self).model_validate({**self.model_dump(), **found})


DEFAULT_PROJECT = "goemo"
"""W&B's folder of runs if neither a flag, nor a file, nor WANDB_PROJECT names one."""


EpochScore = Literal["val/loss", "val/auc", "val/f1_micro", "val/f1_macro"]


class MlflowSettings(Section):
    """MLflow, if `logging.trackers` contains it."""

    tracking_uri: str | None = Field(
        None,
        description="Server or database of MLflow; by default MLFLOW_TRACKING_URI, else a database below output/trackers/mlflow/.",
    )
    experiment: str | None = Field(
        None, description="MLflow experiment; by default MLFLOW_EXPERIMENT_NAME, else goemo."
    )

    @field_validator("tracking_uri")
    @classmethod
    def _has_no_secret(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if parts.password or (parts.username and parts.scheme.startswith("http")):
            raise PydanticCustomError(
                _SECRET,
                "contains a secret, and settings are written to files: use the variable MLFLOW_TRACKING_URI, or "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
            )
        return value

    def variables(self) -> dict[str, str]:
        """These settings as the environment variables that MLflow reads, without those that are not set."""
        values = {"MLFLOW_TRACKING_URI": self.tracking_uri, "MLFLOW_EXPERIMENT_NAME": self.experiment}
        return {name: value for name, value in values.items() if value}


class LoggingSettings(Section):
    """Experiment trackers of a run; they do not change its local files."""

    trackers: list[str] = Field(
        [],
        description="Trackers to copy the run to: tensorboard, mlflow, trackio, or those that other packages register (`goemo doctor` lists them).",
    )
    wandb: WandbSettings = WandbSettings()
    mlflow: MlflowSettings = MlflowSettings()
    tensorboard: bool = Field(
        False, description="Event files below output/tensorboard/; the same as the tracker tensorboard."
    )
    combined_score: dict[EpochScore, float] = Field(
        {},
        description="Weights of val scores, whose weighted sum is logged after every epoch as `combined_score`; for sweeps on W&B.",
    )

    @property
    def tracker_names(self) -> list[str]:
        """The trackers that are on, each once; the journal is always on, and W&B has its own settings."""
        return list(dict.fromkeys([*(["tensorboard"] if self.tensorboard else []), *self.trackers]))


class TrainConfig(Section):
    """All settings of `goemo train`, resolved."""

    model: ModelSettings = ModelSettings()
    data: DataSettings = DataSettings()
    training: TrainingSettings = TrainingSettings()
    distillation: DistillationSettings = DistillationSettings()
    thresholds: ThresholdSettings = ThresholdSettings()
    output: OutputSettings = OutputSettings()
    logging: LoggingSettings = LoggingSettings()

    @model_validator(mode="after")
    def _batch_splits_evenly(self) -> Self:
        if self.training.batch_size % self.training.accumulation:
            raise ValueError(
                f"training.batch_size ({self.training.batch_size}) is not a multiple of "
                f"training.accumulation ({self.training.accumulation})"
            )
        return self

    @model_validator(mode="after")
    def _fits_the_number_of_labels(self) -> Self:
        loss, is_single = self.training.loss, self.data.single_label
        if (loss == "cross_entropy") != is_single:
            raise ValueError(
                f"training.loss is {loss} with data.single_label {str(is_single).lower()}: "
                "cross_entropy is the loss of single-label data, the others are of multi-label data"
            )
        if is_single and (changed := _changed(self.thresholds)):
            raise ValueError(
                f"thresholds.{changed[0]} has no effect with data.single_label: the most probable label is predicted"
            )
        return self

    @classmethod
    def from_layers(cls, *layers: tuple[str | Path, Mapping[str, Any]]) -> Self:
        """The settings that result from layers, later ones winning key by key.

        Args:
            layers: (where it comes from, nested mapping of settings).

        Raises:
            UnknownSettingError: an unknown key, with similar names.
            SettingError: a value that does not fit; all problems of a layer at once.
        """
        merged: dict[str, Any] = {}
        for source, layer in layers:
            named = _canonical_keys(cls, layer)
            _check_keys(named, source)
            _check_values(cls, named, source)
            merged = merge_layers(merged, named)
        return cls._validated(merged, layers[-1][0] if layers else "defaults")

    @classmethod
    def _validated(cls, values: Mapping[str, Any], source: str | Path) -> Self:
        if (values.get("data") or {}).get("single_label") and "loss" not in (values.get("training") or {}):
            values = merge_layers(values, {"training": {"loss": "cross_entropy"}})
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise SettingError(_sentences(error), source) from error

    @classmethod
    def of_run(cls, path: Path) -> tuple[Self, dict[str, Any]]:
        """The settings in a checkpoint's train_config.yaml, which another version may have written.

        Returns:
            The settings that this version knows, and the others, nested.

        Raises:
            SettingError: a value that does not fit.
        """
        values = _canonical_keys(cls, read_yaml_mapping(path))
        known, others = divide(values, _unknown_names(values))
        for name, was, value in _EARLIER_VALUES:
            if flat(known).get(name) == was:
                known = merge_layers(known, nested(name, value))
        return cls.from_layers((path, known)), others

    def changed(self, section: str, **values: Any) -> Self:
        """The settings with other values in a section, which are not checked."""
        changed = getattr(self, section).model_copy(update=values)
        return self.model_copy(update={section: changed})

    def to_yaml(self, others: Mapping[str, Any] = types.MappingProxyType({})) -> str:
        """The settings as YAML that `--config` reads back to the same settings.

        Args:
            others: nested settings of another version, written too.
        """
        return dump_yaml(merge_layers(others, self.model_dump(mode="json")))


def setting_names(section: type[BaseModel] = TrainConfig, prefix: str = "") -> Iterator[str]:
    """The dotted name of every setting."""
    for name, field in section.model_fields.items():
        if inner := _section_type(field.annotation):
            yield from setting_names(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def setting_field(name: str) -> FieldInfo:
    """The field of a setting by its dotted name: type, bounds, default and description."""
    section: type[BaseModel] = TrainConfig
    *parents, last = name.split(".")
    for parent in parents:
        inner = _section_type(section.model_fields[parent].annotation)
        assert inner, f"{name}: {parent} is not a section"
        section = inner
    return section.model_fields[last]


def text_settings() -> frozenset[str]:
    """The dotted names of the settings whose value is any text or path."""
    return frozenset(
        name for name in setting_names() if {str, Path} & {*_options(setting_field(name).annotation)}
    )


def setting_faults(name: str, value: Any) -> list[str]:
    """What is wrong with a value of one setting, without the setting's name; empty if it is valid."""
    try:
        TrainConfig.model_validate(nested(name, value))
    except ValidationError as error:
        return [text for place, text in map(_fault, error.errors()) if place == name]
    return []


def named_settings(values: Mapping[str, Any]) -> list[str]:
    """The dotted name of every setting that nested values give, in the order of the settings."""
    leaves = flat(_canonical_keys(TrainConfig, values))
    return [
        name
        for name in setting_names()
        if any(leaf == name or leaf.startswith(f"{name}.") for leaf in leaves)
    ]


def setting_value(config: TrainConfig, name: str) -> Any:
    """The value of a setting by its dotted name."""
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _options(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _section_type(annotation: Any) -> type[BaseModel] | None:
    return next(
        (kind for kind in _options(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)),
        None,
    )


def _canonical_keys(section: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings with aliases (`lr`) replaced by their names, so that layers override each other."""
    names = {field.alias: name for name, field in section.model_fields.items() if field.alias}
    renamed: dict[str, Any] = {}
    for key, value in values.items():
        name = names.get(str(key), str(key))
        if name in renamed:
            raise SettingError([f"{name} is given twice, also as {key}"])
        field = section.model_fields.get(name)
        inner = _section_type(field.annotation) if field else None
        renamed[name] = _canonical_keys(inner, value) if inner and isinstance(value, Mapping) else value
    return renamed


def _check_keys(values: Mapping[str, Any], source: str | Path) -> None:
    known = list(setting_names())
    problems = [f"unknown setting {name!r}{_near_settings(name, known)}" for name in _unknown_names(values)]
    if problems:
        raise UnknownSettingError(problems, source)


def _unknown_names(values: Mapping[str, Any]) -> list[str]:
    known = set(setting_names())
    sections = {name.rpartition(".")[0] for name in known}
    return [
        name
        for name in flat(values)
        if name not in known
        and name not in sections
        and not known & {name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1)}
    ]


def _near_settings(name: str, known: Sequence[str]) -> str:
    """Near names, also for a setting given without its section (`epochs` -> `training.epochs`)."""
    last = name.rpartition(".")[2]
    same_last = [entry for entry in known if entry.rpartition(".")[2] == last]
    if same_last:
        return f"; did you mean {' or '.join(repr(entry) for entry in same_last)}?"
    by_last = {entry.rpartition(".")[2]: entry for entry in known}
    if "." not in name and (near := near_names(last, by_last)):
        return f"; did you mean {' or '.join(repr(by_last[entry]) for entry in near)}?"
    return (
        did_you_mean(name, known)
        or did_you_mean(last, by_last)
        or "; `goemo train --print-config` lists all settings"
    )


def _check_values(config: type[TrainConfig], values: Mapping[str, Any], source: str | Path) -> None:
    """Report a bad value against the layer that holds it; how settings fit together is seen only when merged."""
    try:
        config.model_validate(dict(values))
    except ValidationError as error:
        if problems := _sentences(error, only_located=True):
            raise SettingError(problems, source) from error


def _sentences(error: ValidationError, *, only_located: bool = False) -> list[str]:
    faults = map(_fault, error.errors())
    return [f"{place}: {text}" if place else text for place, text in faults if place or not only_located]


def _fault(found: Any) -> tuple[str, str]:
    """(dotted name of the setting, what is wrong); no name if settings do not fit together."""
    names = {"lr": "learning_rate"}
    place = ".".join(names.get(str(part), str(part)) for part in found["loc"])
    if found["type"] == "value_error" and place not in set(setting_names()):
        return "", _plain(found["msg"])  # the check of a section, which compares its settings
    is_shown = found["input"] != "" and not isinstance(found["input"], Mapping) and found["type"] != _SECRET
    given = f", not {found['input']!r}" if place and is_shown else ""
    return place, _plain(found["msg"]) + given


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").removeprefix("Input ").strip()
