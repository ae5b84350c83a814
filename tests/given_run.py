"""A run whose data, predictions, per-class metrics and token counts a test gives; the rest is read from its files."""

from dataclasses import dataclass, field
from typing import Any

from goemo_cli.core.arrays import IntArray
from goemo_cli.core.labels import Split
from goemo_cli.core.predictions import Predictions
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.services.runs.run_data import RunData


@dataclass
class GivenRun(RunData):
    """What is given replaces what would be read."""

    given_data: Dataset | None = None
    given_rows: list[dict[str, Any]] | None = None
    given_predictions: dict[Split, Predictions] = field(default_factory=dict)
    given_tokens: IntArray | None = None

    def data(self) -> Dataset:
        return self.given_data or super().data()

    def per_class(self) -> list[dict[str, Any]]:
        return super().per_class() if self.given_rows is None else self.given_rows

    def predictions(self, split: Split) -> Predictions:
        return self.given_predictions.get(split) or super().predictions(split)

    def token_counts(self, split: Split) -> IntArray:
        return super().token_counts(split) if self.given_tokens is None else self.given_tokens
