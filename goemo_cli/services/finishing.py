"""The end of a training: score the saved weights, conclude, and hand the files to the tracker."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goemo_cli.core.catalogue import ModelEntry
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.config import TrainConfig
from goemo_cli.core.events import Event, FileWritten, Listener
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.ml.data import Dataset
from goemo_cli.services.concluding import RunRecord, conclude, write_run
from goemo_cli.services.environment import peak_memory_bytes, processor, versions
from goemo_cli.services.fitting import Fitted, Prepared, load_fitted
from goemo_cli.services.predictions import predicted
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
    """Score val and test with the weights as they were saved, and write all that belongs to the run."""
    data, config = context.data, context.config
    classifier = load_fitted(
        context.entry.kind, context.folder, data.labels, config.model, context.prepared.device
    )
    val, test = (predicted(classifier, data, split, listen) for split in ("val", "test"))
    del classifier
    data_facts = data.facts()
    record = RunRecord(
        run=context.run,
        folder=context.folder,
        kind=context.entry.kind,
        config=_with_named_data(config, data),
        parents={"data": data_facts["sha256"], "base_model": context.prepared.base},
        facts=_facts(context, tracker) | {"data": data_facts},
    )

    def tell(event: Event) -> None:
        listen(event)
        if isinstance(event, FileWritten):
            tracker.save(event.path)

    checkpoint = write_run(record, conclude(val, test, config.thresholds), layout=layout, listen=tell)
    tracker.finish(_tracked_summary(checkpoint.metrics))
    return checkpoint


def _facts(context: RunContext, tracker: Tracker) -> dict[str, Any]:
    config, fitted = context.config, context.fitted
    return {
        "schema_version": SCHEMA_VERSION,
        "run": str(context.run),
        "model": context.run.model,
        "base_model": context.prepared.base,
        "seed": config.training.seed,
        "best_epoch": fitted.best_epoch,
        "history": fitted.history,
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


def _with_named_data(config: TrainConfig, data: Dataset) -> TrainConfig:
    """The settings as they repeat the run: the data's name is pinned where the user had named none."""
    named = config.data.model_copy(update={"name": config.data.name or data.name})
    return config.model_copy(update={"data": named})


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
