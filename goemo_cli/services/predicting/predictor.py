"""The predictor: a loaded checkpoint that gives probabilities, labels and statistics of texts."""

import copy
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from goemo_cli.core.arrays import BoolArray, FloatArray
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.bulk import BatchStatistics
from goemo_cli.core.errors import SettingError, known_name
from goemo_cli.core.events import EventHandler, ignore
from goemo_cli.core.hints import errors_in_python
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import PROBABILITY_PREFIX
from goemo_cli.ml.data.dataset import without_surrogates
from goemo_cli.ml.models.classifier import PRECISIONS, Classifier, load_classifier
from goemo_cli.services.exporting.engines import engine_of, with_engine
from goemo_cli.services.predicting.label_rule import LabelRule, label_rule
from goemo_cli.services.runs.references import open_predicting
from goemo_cli.tracking.artifacts.config import LoggerConfig

if TYPE_CHECKING:
    from pandas import DataFrame

    from goemo_cli.services.predicting.prediction_log import PredictionLog


@dataclass(frozen=True)
class TextPrediction:
    """The prediction of one text."""

    labels: tuple[str, ...]
    """The predicted ones, in label order."""
    probabilities: Mapping[str, float]
    """Of every label, each in [0, 1]."""


@dataclass(frozen=True)
class TextPredictions:
    """Predictions of several texts, in their order.

    Attributes:
        labels: label names in column order.
        y_prob: probabilities, float32, (n_examples, n_labels).
        y_pred: predicted labels, bool, (n_examples, n_labels); decided from `y_prob`.
        statistics: of all predictions.
        texts: the predicted texts.
    """

    labels: tuple[str, ...]
    y_prob: FloatArray
    y_pred: BoolArray
    statistics: BatchStatistics
    texts: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.y_prob)

    def __getitem__(self, row: int) -> TextPrediction:
        """One text's prediction."""
        return TextPrediction(
            self.label_names(row), dict(zip(self.labels, self.y_prob[row].tolist(), strict=True))
        )

    def label_names(self, row: int) -> tuple[str, ...]:
        """The labels predicted for one text, in label order."""
        return tuple(self.labels[at] for at in np.flatnonzero(self.y_pred[row]))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each text as a row: `text`, `pred_labels`, and `pred_prob_{label}` of every label."""
        columns = [f"{PROBABILITY_PREFIX}{label}" for label in self.labels]
        for row, text in enumerate(self.texts):
            probabilities = dict(zip(columns, self.y_prob[row], strict=True))
            yield {"text": text, "pred_labels": self.label_names(row), **probabilities}


class Predictor:
    """A model in memory with the rule that decides its labels; several threads may share one.

    Calls run one after another: the model uses all cores, and tokenizers are not thread-safe.
    With tracking, use it as a context manager, or call `close` at the end.

    Example:
        >>> predictor = goemo_cli.Predictor.load("@latest")
        >>> predictor.predict(["I love this", "so unfair"]).y_prob.shape
        (2, 28)
        >>> predictor.predict_frame(["I love this"]).columns[:2].tolist()
        ['text', 'pred_labels']

    Attributes:
        checkpoint: the run, or the exported model that predicts instead of it.
        rule: from probabilities to displayed probabilities and labels.
        precision: fp32, bf16, or int8 of an exported model.
        engine: what computes: torch, onnx or scikit-learn.
        log: the log of its predictions; None without tracking.
    """

    def __init__(
        self,
        classifier: Classifier,
        rule: LabelRule,
        *,
        checkpoint: Checkpoint,
        precision: str = "fp32",
        engine: str = "torch",
    ) -> None:
        self.checkpoint, self.rule, self.precision, self.engine = checkpoint, rule, precision, engine
        self.log: PredictionLog | None = None
        self._classifier = classifier
        self._lock = threading.Lock()

    @classmethod
    @errors_in_python
    def load(
        cls,
        checkpoint: Checkpoint | Path | str,
        *,
        root: Path | str = Path(),
        device: str = "auto",
        precision: str = "fp32",
        engine: str = "auto",
        calibrated: bool = False,
        taxonomy: str | None = None,
        threshold: float | None = None,
        threshold_rule: str | None = None,
        top_k: int | None = None,
        tracking: LoggerConfig | str | None = None,
        on_event: EventHandler = ignore,
    ) -> Self:
        """Load a checkpoint: a transformer, its exported model, tfidf or an ensemble.

        Args:
            checkpoint: its folder (a path), or a run: its name, @best, @latest, @MODEL. A model folder of another tool
                and a Hub id are imported first. An exported model is named by its folder.
            root: the folder of the project with the runs.
            device: auto, cpu, cuda or mps.
            precision: fp32, or bf16 for bulk work: faster, and probabilities are off by up to some hundredths.
            engine: auto, torch or onnx. `onnx` uses the exported fp32 model of the run (`goemo export-model`), `auto`
                does so if there is one that is up to date, onnxruntime is installed, and no GPU could be used.
            calibrated: the probabilities of the checkpoint's calibrator (`goemo calibrate`).
            taxonomy: ekman or grouped: labels of GoEmotions rolled up, by thresholds that were fitted on val.
            threshold: one for all labels instead of the checkpoint's.
            threshold_rule: another rule of the checkpoint: per_label, global, fixed_0.5 or fixed_0.3.
            top_k: the maximum number of labels per text.
            tracking: settings of the log, or the name of a project: on W&B, or without it in the local store below
                `root`. Each call logs its statistics; the predictions become an artifact and a table when the
                predictor is closed, and after every 10,000.

        Raises:
            NotFoundError: no such run, or no calibrator.
            CorruptArtifactError: a file is not what the manifest says.
            SettingError: choices that make no sense or do not go together.
        """
        predictor = cls.of_checkpoint(
            _opened(checkpoint, Layout(Path(root)), on_event),
            root=root,
            device=device,
            precision=precision,
            engine=engine,
            calibrated=calibrated,
            taxonomy=taxonomy,
            threshold=threshold,
            threshold_rule=threshold_rule,
            top_k=top_k,
            on_event=on_event,
        )
        if tracking is not None:
            from goemo_cli.services.predicting.prediction_log import PredictionLog

            facts = facts_of(predictor)
            predictor.log = PredictionLog(tracking, root=root, run=str(predictor.run), facts=facts)
        return predictor

    @classmethod
    def of_checkpoint(
        cls,
        checkpoint: Checkpoint,
        *,
        root: Path | str = Path(),
        device: str = "auto",
        precision: str = "fp32",
        engine: str = "auto",
        threshold_rule: str | None = None,
        on_event: EventHandler = ignore,
        **choices: Any,
    ) -> Self:
        """`load` for commands: errors name options, `choices` are those of `label_rule`.

        Raises:
            As `load`.
        """
        chosen = known_name(precision, PRECISIONS, "precision")
        opened = with_engine(checkpoint, Layout(Path(root)), engine, device=device, precision=precision)
        rule = label_rule(opened, rule=threshold_rule, on_event=on_event, **choices)
        classifier = load_classifier(opened, device=device, precision=chosen, keep_members=True)
        export = opened.manifest.export
        computed = export.precision if export else chosen
        return cls(classifier, rule, checkpoint=opened, precision=computed, engine=engine_of(opened))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the run of `tracking`, if there is one."""
        if self.log is not None:
            self.log.close()

    @property
    def run(self) -> RunName:
        """The run of the model."""
        return self.checkpoint.run

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in column order."""
        return self.rule.labels

    def with_rule(self, rule: LabelRule) -> "Predictor":
        """The same model in memory with another rule; without a log."""
        other = copy.copy(self)
        other.rule, other.log = rule, None
        return other

    def probabilities(
        self,
        texts: Sequence[str],
        *,
        on_progress: Callable[[int], None] = lambda rows: None,
        on_cut: Callable[[int], None] = lambda texts: None,
    ) -> FloatArray:
        """What the model gives, before `rule`.

        Args:
            on_progress: called with the number of rows done since the last call.
            on_cut: called with the number of texts that exceeded the model's maximum length and were truncated.

        Returns:
            float32, (n_examples, n_model_labels).

        Raises:
            TypeError: a single string, or an element that is not a string.
        """
        clean = _checked(texts)
        with self._lock:
            return self._classifier.predict_proba(clean, on_progress, on_cut)

    def predict(
        self, texts: Sequence[str], *, on_progress: Callable[[int], None] = lambda rows: None
    ) -> TextPredictions:
        """Predict labels of texts.

        Args:
            texts: any number of them; an empty one is a text too.
            on_progress: called with the number of rows done since the last call.

        Raises:
            TypeError: a single string, or an element that is not a string.
        """
        clean = _checked(texts)
        cut: list[int] = []
        y_prob = self.probabilities(clean, on_progress=on_progress, on_cut=cut.append)
        shown, y_pred = self.rule(y_prob)
        statistics = _statistics(self.labels, shown, y_pred, sum(cut))
        predictions = TextPredictions(self.labels, shown, y_pred, statistics, clean)
        if self.log is not None:
            self.log.add(predictions)
        return predictions

    def predict_frame(self, texts: "Sequence[str] | DataFrame", *, text_column: str = "text") -> "DataFrame":
        """Predict labels of texts, as a data frame of pandas.

        Example:
            >>> comments = pandas.read_csv("comments.csv", dtype=str, keep_default_na=False)
            >>> predictor.predict_frame(comments, text_column="comment").to_parquet("labelled.parquet")

        Args:
            texts: strings, or a data frame with a column of strings; fill or drop missing values first.
            text_column: the column of the data frame that is predicted.

        Returns:
            The columns and the index of the data frame (for a list: one column `text`), then `pred_labels` (a tuple of
            names) and `pred_prob_{label}` (float32) of each label.

        Raises:
            TypeError: a single string, or a text that is not a string.
            SettingError: the text column is missing or occurs twice, or a column already has the name of a result.
        """
        import pandas

        if isinstance(texts, str):
            raise TypeError("predict_frame takes a list of texts or a data frame; predict_one takes one text")
        if isinstance(texts, Mapping):
            raise TypeError(
                f"predict_frame takes a list of texts or a data frame, not a {type(texts).__name__}"
            )
        if isinstance(texts, pandas.DataFrame):
            given = texts
        else:
            given, text_column = pandas.DataFrame({"text": [*texts]}, dtype=object), "text"
        columns = [*given.columns]
        if columns.count(text_column) != 1:
            fault = "occurs twice" if text_column in columns else "is missing"
            known = ", ".join(map(repr, columns)) or "none"
            raise SettingError([f"column {text_column!r} {fault}; there are {known}"], "predict_frame")
        added = ["pred_labels", *(f"{PROBABILITY_PREFIX}{label}" for label in self.labels)]
        if taken := [name for name in added if name in columns]:
            fault = f"column {taken[0]!r} has the name of a result; rename it first"
            raise SettingError([fault], "predict_frame")
        found = self.predict(given[text_column].tolist())
        labels = [found.label_names(row) for row in range(len(found))]
        named = pandas.Series(labels, index=given.index, dtype=object)  # also without rows
        results = dict(zip(added, [named, *found.y_prob.T], strict=True))
        return pandas.concat([given, pandas.DataFrame(results, index=given.index)], axis=1)

    def predict_one(self, text: str) -> TextPrediction:
        """Predict labels of one text."""
        return self.predict([text])[0]


def facts_of(predictor: Predictor) -> dict[str, Any]:
    """The settings of predictions, for records."""
    decision = decision_facts(predictor.rule, precision=predictor.precision, engine=predictor.engine)
    return {"run": str(predictor.run), **decision}


def decision_facts(rule: LabelRule, *, precision: str, engine: str) -> dict[str, Any]:
    """How labels are predicted, for records."""
    return {
        "precision": precision,
        "engine": engine,
        "taxonomy": rule.taxonomy,
        "calibrated": rule.calibrator is not None,
        "threshold_rule": rule.decision.rule,
        "thresholds": rule.decision.by_label(rule.labels),
        "never_empty": rule.decision.never_empty,
        "top_k": rule.decision.top_k,
    }


def _opened(checkpoint: Checkpoint | Path | str, layout: Layout, on_event: EventHandler) -> Checkpoint:
    if isinstance(checkpoint, Checkpoint):
        return checkpoint
    if not isinstance(checkpoint, (str, Path)):
        kind = type(checkpoint).__name__
        raise TypeError(
            f"checkpoint is a {kind}, not a name, a folder or a Checkpoint; a FinishedRun has predictor()"
        )
    return open_predicting(checkpoint, layout, on_event)


def _checked(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise TypeError("predict takes a list of texts; predict_one takes one")
    if isinstance(texts, Mapping) or hasattr(texts, "columns"):  # whose items are the names of columns
        raise TypeError(
            f"predict takes a list of texts, not a {type(texts).__name__}; predict_frame takes a DataFrame"
        )
    given = [*texts]  # once: it may be a generator
    for row, text in enumerate(given):
        if not isinstance(text, str):
            raise TypeError(f"text {row} is {text!r}, not a string")
    return [without_surrogates(text) for text in given]


def _statistics(labels: tuple[str, ...], y_prob: FloatArray, y_pred: BoolArray, cut: int) -> BatchStatistics:
    return BatchStatistics(
        texts=len(y_prob),
        confidence_sum=float(y_prob.max(axis=1).sum(dtype=np.float64)) if len(y_prob) else 0.0,
        label_counts=dict(zip(labels, y_pred.sum(axis=0).tolist(), strict=True)),
        unlabelled=int((~y_pred.any(axis=1)).sum()),
        cut=cut,
    )
