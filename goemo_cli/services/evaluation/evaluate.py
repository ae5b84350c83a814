"""`goemo evaluate`: the scores of a run on labelled data that it was not trained with. Nothing is fitted on the data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO

from goemo_cli.core.checkpoint import THRESHOLDS, Checkpoint
from goemo_cli.core.documents.metrics import (
    EvaluatedData,
    EvaluationRecord,
    LabelScores,
    RuleScores,
    SplitScores,
)
from goemo_cli.core.errors import BusyError
from goemo_cli.core.events import EventHandler, FileWritten, Warning, ignore
from goemo_cli.core.files import read_json_object, sha256_file, write_sealed_json
from goemo_cli.core.labels import SPLITS, Split
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions, write_predictions
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.ml.metrics.scoring import score_split
from goemo_cli.ml.models.classifier import load_classifier
from goemo_cli.services.evaluation.evaluated_rows import EvaluatedRows, data_settings, rows_to_evaluate
from goemo_cli.services.evaluation.export import predict_rows
from goemo_cli.services.evaluation.metrics import doubt_of_macro_f1
from goemo_cli.services.evaluation.per_class_metrics import write_per_class_metrics
from goemo_cli.services.predicting.label_rule import pick_decision

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class EvaluationResult:
    """The scores of a run on other data, and the files that contain them."""

    record: EvaluationRecord
    predictions: Path
    table: Path
    path: Path
    """The record."""
    is_reportable: bool = True
    """Whether `goemo report` can show it, which needs the scores of the run."""

    @property
    def scores(self) -> RuleScores:
        """By the rule that the labels follow."""
        return self.record.scores.rule(self.record.threshold_rule)


def evaluate_run(
    checkpoint: Checkpoint,
    data: "str | Path | DataFrame",
    *,
    layout: Layout,
    settings: Mapping[str, Any] = MappingProxyType({}),
    split: Split | None = None,
    name: str | None = None,
    rule: str | None = None,
    ignore_unknown_labels: bool = False,
    device: str = "auto",
    stdin: BinaryIO | None = None,
    source: str = "command line",
    on_event: EventHandler = ignore,
) -> EvaluationResult:
    """Predict labelled data with a run, score the predictions, and write both.

    Args:
        checkpoint: the run; its thresholds, which were fitted on its val split, decide labels.
        data: a file, URL or data frame with labelled rows, or a data set with splits as `load_data` finds it.
        settings: of the section `data` by name, such as `text_column`; what is not given is as in the run's own data.
        split: of a data set; test by default.
        name: what files call the data; by default its file name, or `{data set}-{split}`.
        rule: another threshold rule of the run.
        ignore_unknown_labels: leave out labels that the run does not have.
        device: auto, cpu, cuda or mps.
        stdin: standard input, for the data `-`.
        source: what errors call `settings`.

    Raises:
        NotFoundError: no such data.
        DataError: it cannot be read, or has labels that the run does not have.
        SettingError: an unknown rule, or settings that do not fit.
        BusyError: other data was evaluated under this name.
        CorruptArtifactError: a file of the run is damaged.
    """
    decision = pick_decision(checkpoint, threshold=None, rule=rule, on_event=on_event)
    named = {"name": str(data)} if isinstance(data, (str, Path)) else {}
    wanted = data_settings(checkpoint, {**settings, **named}, source=source)
    evaluated = rows_to_evaluate(
        checkpoint,
        wanted,
        split=split,
        name=name,
        ignore_unknown_labels=ignore_unknown_labels,
        root=layout.root,
        frame=None if isinstance(data, (str, Path)) else data,
        stdin=stdin,
        on_event=on_event,
    )
    _require_free_name(evaluated, checkpoint, layout)
    rows = evaluated.rows
    y_prob = predict_rows(load_classifier(checkpoint, device=device), rows.texts, evaluated.name, on_event)
    y_pred = decision(y_prob)
    predictions = Predictions(checkpoint.labels, rows.texts, rows.y_true, y_pred, y_prob, rows.ids)
    return _write(predictions, evaluated, checkpoint, decision.rule, layout, on_event)


def weight_sources(checkpoint: Checkpoint, layout: Layout) -> dict[str, str]:
    """SHA-256 of a run's weights by path from the root, as its manifest says; of an ensemble, those of its members."""
    if checkpoint.kind == "ensemble":
        of_members = [weight_sources(member, layout) for member in checkpoint.members()]
        return {path: digest for sources in of_members for path, digest in sources.items()}
    files = checkpoint.manifest.files
    weights = [name for name in files if name.endswith(".safetensors")] or [
        name for name in files if name.endswith(".bin")
    ]
    return {layout.shown(checkpoint.path / name): files[name].sha256 for name in weights}


def _require_free_name(evaluated: EvaluatedRows, checkpoint: Checkpoint, layout: Layout) -> None:
    """Data that is evaluated again replaces the earlier result; other data of the same name does not."""
    path = layout.evaluation_record(checkpoint.run, evaluated.name)
    if not path.is_file():
        return
    before = read_json_object(path).get("data")
    if not isinstance(before, dict) or before.get("source") == evaluated.source:
        return
    if before.get("sha256") != evaluated.rows.sha256():
        raise BusyError(
            f"{path} has the scores of {before.get('source')} under the name {evaluated.name!r}; "
            "--name gives this data another name"
        )


def _doubts(evaluated: EvaluatedRows, digest: str, checkpoint: Checkpoint) -> Iterator[str]:
    """Why the scores may be too good; `digest` is the SHA-256 of the rows."""
    if checkpoint.is_unscored:
        return
    recorded = checkpoint.metrics.data.split_sha256
    for split in SPLITS:
        if split != "test" and recorded.of(split) == digest:
            yield (
                f"{evaluated.source}: these rows are the {split} split of {checkpoint.run}; "
                "its scores on them are too good"
            )
    if evaluated.source == checkpoint.metrics.data.source and Path(evaluated.source).exists():
        yield f"{evaluated.source}: {checkpoint.run} was trained on rows of this data; its scores on them are too good"


def _write(
    predictions: Predictions,
    evaluated: EvaluatedRows,
    checkpoint: Checkpoint,
    rule: str,
    layout: Layout,
    on_event: EventHandler,
) -> EvaluationResult:
    """The predictions, then the table, then the record that names both."""
    run, y_true, y_prob = checkpoint.run, predictions.y_true, predictions.y_prob
    scored = score_split(y_true, y_prob, checkpoint.rules, rule)
    digest = predictions.sha256()
    warnings = list(_doubts(evaluated, digest, checkpoint))
    if doubt := doubt_of_macro_f1(scored.per_class, y_true, evaluated.source):
        warnings.append(doubt)
    for warning in warnings:
        on_event(Warning(warning))
    paths = (
        layout.evaluation_predictions(run, evaluated.name),
        layout.evaluation_table(run, evaluated.name),
        layout.evaluation_record(run, evaluated.name),
    )
    write_predictions(paths[0], predictions)
    write_per_class_metrics(paths[1], scored.per_class)
    thresholds_file = checkpoint.path / THRESHOLDS
    record = EvaluationRecord(
        schema_version=SCHEMA_VERSION,
        run=str(run),
        data=EvaluatedData(
            name=evaluated.name,
            source=evaluated.source,
            sha256=digest,
            rows=len(predictions),
        ),
        threshold_rule=rule,
        scores=SplitScores.model_validate(scored.summary),
        per_class=[LabelScores.model_validate(row) for row in scored.per_class],
        warnings=warnings,
        sources={
            layout.shown(paths[0]): sha256_file(paths[0]),
            layout.shown(thresholds_file): sha256_file(thresholds_file),
            **weight_sources(checkpoint, layout),
        },
        files={paths[1].name: sha256_file(paths[1])},
    )
    write_sealed_json(paths[2], record.as_json())
    for path in paths:
        on_event(FileWritten(path))
    return EvaluationResult(record, *paths, is_reportable=not checkpoint.is_unscored)
