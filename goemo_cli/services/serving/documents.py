"""The JSON documents of requests and answers."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from goemo_cli.core.documents.base import Fraction
from goemo_cli.core.labels import TaxonomyName
from goemo_cli.core.settings import NamedRule


class PredictRequest(BaseModel):
    """Texts, and the options of `goemo predict` that change labels."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        json_schema_extra={"examples": [{"text": "I love this so much, thank you"}]},
    )

    text: str | list[str] = Field(description="One text, or a list of texts.")
    top_k: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Maximum number of labels and of probabilities per text."
    )
    taxonomy: TaxonomyName | None = Field(
        None, description="Groups of GoEmotions labels, with thresholds that were fitted on val."
    )
    calibrated: bool = Field(False, description="Calibrated probabilities (`goemo calibrate`).")
    threshold: Fraction | None = Field(
        None, description="One threshold for all labels instead of those of the run."
    )
    threshold_rule: NamedRule | None = Field(None, description="Another threshold rule of the run.")

    @property
    def texts(self) -> list[str]:
        """All texts."""
        return [self.text] if isinstance(self.text, str) else self.text

    @property
    def choices(self) -> dict[str, Any]:
        """The options, as `label_rule` takes them."""
        return {
            "top_k": self.top_k,
            "taxonomy": self.taxonomy,
            "calibrated": self.calibrated,
            "threshold": self.threshold,
            "rule": self.threshold_rule,
        }


class Prediction(BaseModel):
    """The prediction of one text."""

    pred_labels: list[str] = Field(description="The predicted labels, in label order.")
    pred_prob: dict[str, Fraction] = Field(
        description="The probability of each label; with `top_k` the highest ones."
    )
    precision: str | None = Field(None, description="If it is not fp32.")


class PredictAnswer(BaseModel):
    """What `goemo predict --json` writes, without texts and statistics."""

    run: str
    precision: str
    engine: str
    taxonomy: TaxonomyName | None
    calibrated: bool
    threshold_rule: str
    thresholds: dict[str, float] = Field(description="By label; empty for a single-label run.")
    never_empty: bool
    top_k: int | None
    predictions: list[Prediction] = Field(description="In the order of the texts.")


class ModelFacts(BaseModel):
    """The model that answers."""

    run: str
    kind: str
    engine: str
    precision: str
    labels: list[str]
    threshold_rule: str
    thresholds: dict[str, float] = Field(description="By label; empty for a single-label run.")
    taxonomies: dict[TaxonomyName, dict[str, float]] = Field(
        description="Thresholds of the groups of each taxonomy that applies."
    )
    has_calibrator: bool
    manifest_sha256: str = Field(description="Of manifest.json, which has the hashes of all files.")
    goemo_version: str


class Health(BaseModel):
    """The server answers."""

    status: Literal["ok"]


class Fault(BaseModel):
    """Why a request was refused."""

    detail: str
