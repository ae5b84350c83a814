"""The end of a training: score the saved weights, conclude, and hand the files to the tracker."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goemo_cli.core.catalogue import ModelEntry
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.events import Event, EventHandler, FileWritten
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.core.settings import TrainConfig
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.services.evaluation.export import predicted
from goemo_cli.services.training.environment import peak_memory_bytes, processor, versions
from goemo_cli.services.training.evaluate import RunRecord, evaluate, write_run
from goemo_cli.services.training.fitting import Fitted, Prepared, load_fitted
from goemo_cli.services.training.tracker_pictures import result_pictures
from goemo_cli.services.training.tracker_tables import embedded_sample
from goemo_cli.services.training.tracking import log_results
from goemo_cli.tracking.base import Tracker


@dataclass(frozen=True)
class RunContext:
    """What is known of a run once its weights are fitted."""

    config: TrainConfig
    entry: ModelEntry
    run: RunName
    folder: Path
    data: Dataset
    data_facts: Mapping[str, Any]
    """What metrics.json says of the data; hashing it takes a second."""
    prepared: Prepared
    fitted: Fitted
    training_seconds: float


def finish_run(
    context: RunContext,
    *,
    layout: Layout,
    tracker: Tracker,
    on_event: EventHandler,
    written: Sequence[Path],
    step: int,
) -> Checkpoint:
    """Score val and test with the weights as they were saved, and write all that belongs to the run.

    Args:
        context: what is known by now.
        layout: where to write.
        tracker: told of everything, and closed.
        on_event: called with each event.
        written: files outside the checkpoint that are there already.
        step: the last optimizer step.
    """
    data, config = context.data, context.config
    classifier = load_fitted(
        context.entry.kind, context.folder, data.labels, config.model, context.prepared.device
    )
    val, test = (predicted(classifier, data, split, on_event) for split in ("val", "test"))
    wants_embeddings = config.logging.wandb.log_embeddings
    embedded = embedded_sample(classifier, test.texts, on_event) if wants_embeddings else None
    del classifier
    record = RunRecord(
        run=context.run,
        folder=context.folder,
        kind=context.entry.kind,
        config=_with_named_data(config, data),
        parents={"data": context.data_facts["sha256"], "base_model": context.prepared.base},
        facts=_facts(context, tracker) | {"data": dict(context.data_facts)},
    )

    files = list(written)

    def tell(event: Event) -> None:
        on_event(event)
        if isinstance(event, FileWritten):
            files.append(event.path)

    conclusion = evaluate(val, test, config.thresholds)
    checkpoint = write_run(record, conclusion, layout=layout, on_event=tell)
    pictures = result_pictures(checkpoint, embedded, layout=layout, on_event=on_event) if embedded else ()
    log_results(
        tracker,
        checkpoint,
        conclusion.test,
        files,
        layout=layout,
        step=step,
        embedded=embedded,
        pictures=pictures,
    )
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
