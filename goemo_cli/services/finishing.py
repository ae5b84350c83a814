"""The end of a run: score the saved weights, fit thresholds on val, write everything, the manifest last."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goemo_cli.core.catalogue import ModelEntry
from goemo_cli.core.checkpoint import CARD, CONFIG, METRICS, THRESHOLDS, Checkpoint, write_manifest
from goemo_cli.core.config import TrainConfig
from goemo_cli.core.events import FileWritten, Listener
from goemo_cli.core.files import write_json, write_text
from goemo_cli.core.layout import Layout
from goemo_cli.core.metric_tables import write_per_class_metrics
from goemo_cli.core.names import RunName
from goemo_cli.core.predictions import write_predictions
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.ml.data import Dataset
from goemo_cli.ml.scoring import per_class_rows, test_scores
from goemo_cli.ml.tuning import fit_thresholds
from goemo_cli.services.environment import peak_memory_bytes, processor, versions
from goemo_cli.services.fitting import Fitted, Prepared, load_fitted
from goemo_cli.services.model_card import model_card
from goemo_cli.services.predictions import decided, predict_split
from goemo_cli.services.summaries import write_metric_summary, write_test_metrics
from goemo_cli.tracking.base import Tracker


@dataclass(frozen=True)
class RunContext:
    """What is known of a run once its weights are fitted."""

    config: TrainConfig
    entry: ModelEntry
    run: RunName
    folder: Path
    data: Dataset
    prepared: Prepared
    fitted: Fitted
    training_seconds: float


def finish_run(context: RunContext, *, layout: Layout, tracker: Tracker, listen: Listener) -> Checkpoint:
    """Score val and test with the weights as they were saved, and write all that belongs to the run.

    Nothing that is fitted here sees the test split: thresholds come from val alone.
    """
    data, run, config = context.data, context.run, context.config
    classifier = load_fitted(
        context.entry.kind, context.folder, data.labels, config.model, context.prepared.device
    )
    val_prob = predict_split(classifier, data.val, "val", listen)
    test_prob = predict_split(classifier, data.test, "test", listen)
    del classifier
    thresholds = fit_thresholds(
        data.labels,
        data.val.y_true,
        val_prob,
        shrinkage=config.thresholds.shrinkage,
        rule=config.thresholds.rule,
    )
    chosen = thresholds.of_rule(thresholds.rule)
    val, test = (
        decided(data.labels, data.val, val_prob, chosen),
        decided(data.labels, data.test, test_prob, chosen),
    )
    rows = per_class_rows(data.labels, test.y_true, test.y_prob, test.y_pred, chosen)
    metrics = _metrics(context, tracker, per_class=rows) | {
        "val": test_scores(val.y_true, val.y_prob, thresholds),
        "test": test_scores(test.y_true, test.y_prob, thresholds),
    }

    written = [
        layout.split_predictions(run, "val"),
        layout.split_predictions(run, "test"),
        layout.per_class_metrics(run),
    ]
    write_predictions(written[0], val)
    write_predictions(written[1], test)
    write_per_class_metrics(written[2], rows)
    thresholds.write(context.folder / THRESHOLDS, run=str(run))
    write_text(context.folder / CONFIG, _config_text(context))
    write_json(context.folder / METRICS, metrics)
    write_text(context.folder / CARD, model_card(metrics, thresholds, config))
    checkpoint = write_manifest(
        context.folder,
        run=run,
        kind=context.entry.kind,
        labels=data.labels,
        parents={"data": metrics["data"]["sha256"], "base_model": context.prepared.base},
    )
    written += [
        path for path in (write_test_metrics(layout, run.model), write_metric_summary(layout)) if path
    ]
    for path in written:
        listen(FileWritten(path))
        tracker.save(path)
    tracker.finish(_tracked_summary(metrics))
    return checkpoint


def _metrics(context: RunContext, tracker: Tracker, *, per_class: list[dict[str, Any]]) -> dict[str, Any]:
    config, fitted = context.config, context.fitted
    return {
        "schema_version": SCHEMA_VERSION,
        "run": str(context.run),
        "model": context.run.model,
        "base_model": context.prepared.base,
        "seed": config.training.seed,
        "best_epoch": fitted.best_epoch,
        "threshold_rule": config.thresholds.rule,
        "history": fitted.history,
        "per_class": per_class,
        "data": context.data.facts(),
        "training_seconds": context.training_seconds,
        "peak_memory_bytes": peak_memory_bytes(),
        "device": {
            "type": context.prepared.device.type,
            "precision": context.prepared.precision,
            "processor": processor(),
        },
        "versions": versions(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "wandb_run_id": tracker.run_id,
    }


def _config_text(context: RunContext) -> str:
    """The resolved settings; the data's name is pinned where the user had named none."""
    config = context.config
    named = config.model_copy(
        update={"data": config.data.model_copy(update={"name": config.data.name or context.data.name})}
    )
    return f"# Every setting of {context.run}. Repeat the run:\n#   goemo train --config {CONFIG}\n{named.to_yaml()}"


def _tracked_summary(metrics: Mapping[str, Any]) -> dict[str, float]:
    test, rule = metrics["test"], metrics["test"][metrics["threshold_rule"]]
    summary = {f"test/{key}": test[key] for key in ("auc_micro", "auc_macro")}
    summary |= {
        f"test/{key}": rule[key] for key in ("f1_macro", "f1_micro", "precision_macro", "recall_macro")
    }
    summary |= {
        "best_epoch": metrics["best_epoch"],
        "final_epoch": len(metrics["history"]),
        "total_training_time": metrics["training_seconds"],
    }
    return {key: value for key, value in summary.items() if value is not None}
