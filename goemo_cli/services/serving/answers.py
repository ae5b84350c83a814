"""The answers of one model: the label rule that a request chooses, and its JSON."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from goemo_cli import __version__
from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.checkpoint import CALIBRATION, MANIFEST
from goemo_cli.core.documents.bulk import BatchStatistics
from goemo_cli.core.errors import GoemoError
from goemo_cli.core.files import sha256_file
from goemo_cli.core.labels import TaxonomyName, applicable
from goemo_cli.ml.metrics.calibrator import open_calibrator
from goemo_cli.services.predicting.label_rule import label_rule
from goemo_cli.services.predicting.predictor import Predictor, TextPredictions, facts_of
from goemo_cli.services.predicting.sources import TextRow
from goemo_cli.services.predicting.writers import JsonLines
from goemo_cli.services.serving.documents import ModelFacts, PredictRequest

_RULES_IN_MEMORY = 128
_NO_COLUMNS = TextRow("", {}, 0)


@dataclass(frozen=True)
class ChosenRule:
    """A model with the label rule of a request."""

    predictor: Predictor
    most: int | None
    """Maximum number of probabilities per text."""

    def answer(self, y_prob: FloatArray) -> bytes:
        """The JSON document of a request.

        Args:
            y_prob: of the model, float32, (n_texts, n_model_labels).
        """
        rule = self.predictor.rule
        predictions = TextPredictions(rule.labels, *rule(y_prob), BatchStatistics())
        rows = JsonLines(self.predictor, self.most).lines([_NO_COLUMNS] * len(y_prob), predictions)
        facts = json.dumps(facts_of(self.predictor), ensure_ascii=False)
        return f'{facts[:-1]}, "predictions": [{", ".join(rows)}]}}'.encode()


class Answers:
    """Rules and facts of a loaded model.

    All files are read now, so that a tuning or calibration of the run changes no answer of a server.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor, self._checkpoint = predictor, predictor.checkpoint
        has_calibrator = CALIBRATION in self._checkpoint.manifest.files
        self._calibrator = open_calibrator(self._checkpoint) if has_calibrator else None
        self._rule = lru_cache(_RULES_IN_MEMORY)(self._new_rule)
        self.facts = self._facts()

    def rule_for(self, request: PredictRequest) -> ChosenRule:
        """The label rule of a request, which is that of `goemo predict` with the same options.

        Raises:
            GoemoError: choices that do not go together, or that the run has nothing for.
        """
        return self._rule(request.model_copy(update={"text": ""}))

    def _new_rule(self, choices: PredictRequest) -> ChosenRule:
        rule = label_rule(self._checkpoint, **choices.choices, calibrator=self._calibrator)
        return ChosenRule(self.predictor.with_rule(rule), choices.top_k)

    def _facts(self) -> ModelFacts:
        checkpoint, own = self._checkpoint, label_rule(self._checkpoint)
        return ModelFacts(
            run=str(checkpoint.run),
            kind=checkpoint.kind,
            engine=self.predictor.engine,
            precision=self.predictor.precision,
            labels=list(checkpoint.labels),
            threshold_rule=own.decision.rule,
            thresholds=own.decision.by_label(own.labels),
            taxonomies=dict(self._thresholds_of_groups()),
            has_calibrator=self._calibrator is not None,
            manifest_sha256=sha256_file(checkpoint.path / MANIFEST),
            goemo_version=__version__,
        )

    def _thresholds_of_groups(self) -> Iterator[tuple[TaxonomyName, dict[str, float]]]:
        for taxonomy in applicable(self._checkpoint.labels):
            try:
                rule = label_rule(self._checkpoint, taxonomy=taxonomy)
            except GoemoError:  # a run without scores, or of an earlier version
                continue
            yield taxonomy, rule.decision.by_label(rule.labels)
