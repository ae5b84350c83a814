"""What a card may say of a run: its files, and the few things that follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.thresholds import Thresholds
from goemo_cli.ml.data.goemotions import is_published_test

GOEMOTIONS_ON_HUB = "google-research-datasets/go_emotions"
PAPER = "https://arxiv.org/abs/2005.00547"


@dataclass(frozen=True)
class Facts:
    """A run, as its card sees it."""

    metrics: Mapping[str, Any]
    thresholds: Thresholds
    config: TrainConfig

    @property
    def data(self) -> Mapping[str, Any]:
        """What metrics.json says of the data."""
        found: Mapping[str, Any] = self.metrics["data"]
        return found

    @property
    def rule(self) -> str:
        """The threshold rule that the run's labels follow."""
        return str(self.metrics["threshold_rule"])

    @property
    def kind(self) -> str:
        """transformer, tiny, tfidf or ensemble."""
        return "ensemble" if "members" in self.metrics else str(self.metrics["base_model"]["kind"])

    @property
    def is_transformer(self) -> bool:
        """Whether the checkpoint's folder is one that `from_pretrained` loads."""
        return self.kind in ("transformer", "tiny")

    @property
    def base_model(self) -> str | None:
        """The Hub id of the weights that training started from; None for weights from elsewhere, or none."""
        base = self.metrics["base_model"].get("id")
        return base if base and base.count("/") == 1 and not base.startswith((".", "/", "~")) else None

    @property
    def is_sample(self) -> bool:
        """Whether it was trained on goemo's embedded sample."""
        return bool(self.data["name"] == "sample")

    @property
    def is_papers_test(self) -> bool:
        """Whether it was scored on the published test split, so that the paper's scores compare."""
        return is_published_test(self.thresholds.labels, self.data["split_sha256"]["test"])

    @property
    def is_goemotions(self) -> bool:
        """Whether its comments are those of GoEmotions; by content, or by name if labels were rolled up."""
        return self.is_papers_test or (self.data["name"] == "goemotions" and bool(self.data.get("taxonomy")))

    @property
    def data_name(self) -> str:
        """What people call the data."""
        return "GoEmotions" if self.is_goemotions else str(self.data["name"])
