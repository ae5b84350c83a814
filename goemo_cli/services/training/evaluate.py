"""What follows from the probabilities of a run: thresholds from val, labels, scores, and the files that hold them.

Training concludes a run with it, and `goemo tune` concludes it again with other thresholds; both write the same files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import (
    CARD,
    CONFIG,
    METRICS,
    THRESHOLDS,
    Checkpoint,
    remove_from_manifest,
    write_manifest,
)
from goemo_cli.core.documents import FileEntry, Headline, Metrics
from goemo_cli.core.events import EventHandler, FileWritten, Warning
from goemo_cli.core.files import sha256_file, write_json, write_text
from goemo_cli.core.labels import ROLL_UPS, TAXONOMIES, applicable
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.predictions import Predictions, write_predictions
from goemo_cli.core.schema import Kind
from goemo_cli.core.settings import ThresholdSettings, TrainConfig
from goemo_cli.core.thresholds import Thresholds
from goemo_cli.ml.metrics.scoring import score_split
from goemo_cli.ml.metrics.taxonomy import roll_up_labels, roll_up_probabilities
from goemo_cli.ml.metrics.thresholds import below_floor, fit_thresholds
from goemo_cli.services.evaluation.metric_tables import write_per_class_metrics
from goemo_cli.services.model_card import model_card, repeating
from goemo_cli.services.training.summaries import write_summaries


@dataclass(frozen=True)
class Evaluation:
    """What val and test probabilities amount to."""

    thresholds: Thresholds
    val: Predictions
    test: Predictions
    metrics: dict[str, Any]
    """The part of metrics.json that follows from probabilities: val, test, per_class, taxonomies, threshold_rule."""


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run besides its probabilities."""

    run: RunName
    folder: Path
    kind: Kind
    config: TrainConfig
    parents: Mapping[str, Any]
    facts: Mapping[str, Any]
    """The rest of metrics.json."""
    other_settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of another version, which stay in train_config.yaml."""
    kept: Mapping[str, FileEntry] = field(default_factory=dict)
    """Manifest entries of files that are not written anew."""


def evaluate(val: Predictions, test: Predictions, settings: ThresholdSettings) -> Evaluation:
    """Fit thresholds on val, label and score both splits by them; nothing here is fitted on test."""
    thresholds = fit_thresholds(val.labels, val.y_true, val.y_prob, settings)
    on_test = score_split(test.y_true, test.y_prob, thresholds)
    return Evaluation(
        thresholds=thresholds,
        val=replace(val, y_pred=thresholds.decide(val.y_prob)),
        test=replace(test, y_pred=thresholds.decide(test.y_prob)),
        metrics={
            "threshold_rule": settings.rule,
            "val": score_split(val.y_true, val.y_prob, thresholds).summary,
            "test": on_test.summary,
            "per_class": on_test.per_class,
            "taxonomies": taxonomy_scores(val, test, settings),
        },
    )


def taxonomy_scores(val: Predictions, test: Predictions, settings: ThresholdSettings) -> dict[str, Any]:
    """Test scores of the same probabilities rolled up to coarser taxonomies: by taxonomy, then by way of rolling up.

    Thresholds are fitted on val, rolled up the same way. Empty where the labels are not those of GoEmotions.
    """
    found: dict[str, Any] = {}
    for taxonomy in applicable(val.labels):
        groups = tuple(TAXONOMIES[taxonomy])
        val_true, test_true = (roll_up_labels(x.y_true, x.labels, taxonomy) for x in (val, test))
        for how in ROLL_UPS:
            val_prob, test_prob = (
                roll_up_probabilities(x.y_prob, x.labels, taxonomy, how) for x in (val, test)
            )
            thresholds = fit_thresholds(groups, val_true, val_prob, settings)
            scored = score_split(test_true, test_prob, thresholds)
            found.setdefault(taxonomy, {})[how] = scored.summary | {"per_class": scored.per_class}
    return found


def floor_warning(thresholds: Thresholds, val: Predictions) -> str | None:
    """A sentence on what misses the floor that thresholds were fitted for, on val; None if nothing does."""
    missed = below_floor(thresholds, val.y_true, val.y_pred)
    if not missed:
        return None
    score, _, _ = thresholds.settings.objective.partition("_")
    undefined = "never predicted" if score == "precision" else "no val positives"
    shown = [f"{name} {undefined if value is None else f'{value:.3f}'}" for name, value in missed.items()]
    return f"below the {score} floor of {thresholds.settings.floor:g} on val: {', '.join(shown)}"


FOLLOWING = (THRESHOLDS, CONFIG, METRICS, CARD)
"""Files of a checkpoint that follow from its probabilities and threshold settings."""


def write_run(
    record: RunRecord, conclusion: Evaluation, *, layout: Layout, on_event: EventHandler
) -> Checkpoint:
    """Write everything that follows from probabilities; the manifest comes last in the checkpoint, then the summaries."""
    run, folder = record.run, record.folder
    metrics = {**record.facts, **conclusion.metrics}
    document = Metrics.model_validate(metrics)
    if record.kept:
        remove_from_manifest(
            Checkpoint.open(folder), *FOLLOWING
        )  # killed after this, the run can be used, and tuned again
    tables = [
        layout.split_predictions(run, "val"),
        layout.split_predictions(run, "test"),
        layout.per_class_metrics(run),
    ]
    write_predictions(tables[0], conclusion.val)
    write_predictions(tables[1], conclusion.test)
    write_per_class_metrics(tables[2], metrics["per_class"])
    conclusion.thresholds.write(folder / THRESHOLDS, run=str(run))
    write_text(folder / CONFIG, _config_text(document, record.config.to_yaml(record.other_settings)))
    write_json(folder / METRICS, metrics)
    write_text(folder / CARD, model_card(document, conclusion.thresholds, record.config))
    checkpoint = write_manifest(
        folder,
        run=run,
        kind=record.kind,
        labels=conclusion.val.labels,
        parents=record.parents,
        headline=Headline.of(document),
        outputs={layout.shown(path): sha256_file(path) for path in tables},
        kept=record.kept,
    )
    for path in [*tables, *write_summaries(layout, models=[run.model], on_event=on_event)]:
        on_event(FileWritten(path))
    if warning := floor_warning(conclusion.thresholds, conclusion.val):
        on_event(Warning(warning))
    return checkpoint


def _config_text(metrics: Metrics, settings: str) -> str:
    return f"# Every setting of {metrics.run}. Repeat the run:\n#   {repeating(metrics)}\n{settings}"
