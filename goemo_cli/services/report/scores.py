"""What metrics.json says of test: headline scores, each rule, each emotion, coarser taxonomies, the paper."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents import Metrics
from goemo_cli.core.errors import GoemoError
from goemo_cli.core.labels import PAPER_F1, PAPER_F1_MACRO
from goemo_cli.core.schema import RULES
from goemo_cli.ml.data.goemotions import is_published_test
from goemo_cli.services.evaluation.compare import DISPLAY_NAMES

NAMES: Mapping[str, str] = DISPLAY_NAMES | {
    "average_precision_macro": "mean average precision",
    "lrap": "ranking precision (LRAP)",
    "precision_macro": "macro-precision",
    "recall_macro": "macro-recall",
}
BY_RULE = (
    "f1_macro",
    "f1_micro",
    "f1_weighted",
    "f1_samples",
    "precision_macro",
    "recall_macro",
    "subset_accuracy",
)
"""Headline scores that follow the run's threshold rule."""
RANKING = ("auc_micro", "auc_macro", "average_precision_macro", "lrap")
"""Headline scores that need no threshold."""


@dataclass(frozen=True)
class Score:
    """A score with its 95 % interval; None where undefined or unknown."""

    key: str
    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def name(self) -> str:
        """For people."""
        return NAMES.get(self.key, self.key)


def headline(metrics: Metrics) -> tuple[Score, ...]:
    """The scores of test: `BY_RULE` by the run's own rule, then `RANKING`."""
    return (
        *(Score(key, *metrics.test_rule.score(key)) for key in BY_RULE),
        *(Score(key, *metrics.test.score(key)) for key in RANKING),
    )


def rules(metrics: Metrics) -> dict[str, tuple[Score, ...]]:
    """Macro-F1, micro-F1 and subset accuracy of test by every threshold rule."""
    keys = ("f1_macro", "f1_micro", "subset_accuracy")
    return {rule: tuple(Score(key, *metrics.test.rule(rule).score(key)) for key in keys) for rule in RULES}


def emotions(metrics: Metrics) -> list[dict[str, Any]]:
    """The per-class rows of metrics.json, in label order.

    Raises:
        GoemoError: there are none.
    """
    if not metrics.per_class:
        raise GoemoError("metrics.json has no per_class")
    return [row.as_json() for row in metrics.per_class]


@dataclass(frozen=True)
class TaxonomyScore:
    """Macro-F1 of a taxonomy by the run's own kind of rule."""

    taxonomy: str
    roll_up: str
    f1_macro: Score
    paper: float
    """Of the paper's model trained on it; compares only if the report has the paper's F1 of each emotion too."""


def taxonomies(metrics: Metrics) -> list[TaxonomyScore]:
    """The same probabilities read as coarser labels.

    Raises:
        GoemoError: the labels have no coarser reading.
    """
    rows = [
        TaxonomyScore(name, how, Score("f1_macro", *scores.per_label.score("f1_macro")), PAPER_F1_MACRO[name])
        for name, ways in metrics.taxonomies.items()
        for how, scores in ways.items()
    ]
    if not rows:
        raise GoemoError("only the 28 labels of GoEmotions have coarser taxonomies")
    return rows


def paper_f1(checkpoint: Checkpoint) -> Mapping[str, float] | None:
    """The paper's F1 of each emotion if the run was scored on the paper's test comments; else None."""
    test = checkpoint.metrics.data.split_sha256.test
    return PAPER_F1 if is_published_test(checkpoint.labels, test) else None
