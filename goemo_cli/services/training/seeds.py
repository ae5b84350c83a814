"""`goemo train --seeds N`: one configuration under several seeds, and their ensemble as a further model."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.events import EventHandler, Info, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.predictions import Predictions, read_predictions
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.core.settings import TrainConfig
from goemo_cli.ml.models.ensemble import mean_probability
from goemo_cli.services.runs.index import listed_runs
from goemo_cli.services.training.environment import peak_memory_bytes, processor, versions
from goemo_cli.services.training.evaluate import RunRecord, evaluate, write_run
from goemo_cli.services.training.multiseed import multiseed_rows
from goemo_cli.services.training.train import TrainResult, claimed, train
from goemo_cli.tracking.base import Tracker


@dataclass(frozen=True)
class SeedsResult:
    """A finished group of runs."""

    runs: tuple[TrainResult, ...]
    ensemble: Checkpoint
    spread: tuple[Mapping[str, Any], ...]
    """One row per score of this group, by `MULTISEED_COLUMNS`."""
    summary: Path
    """multiseed_summary.csv, with every group below the root."""


def train_seeds(
    config: TrainConfig,
    n_seeds: int,
    *,
    layout: Layout,
    open_tracker: Callable[[TrainConfig], Tracker],
    on_event: EventHandler = ignore,
) -> SeedsResult:
    """Train under the settings' seed and the ones after it, one after the other, then score their mean.

    Args:
        config: resolved settings.
        n_seeds: runs, at least two.
        layout: where to write.
        open_tracker: makes the mirror of each run.
        on_event: called with each event.

    Raises:
        As `services.training.train`; runs that had finished by then stay as they are.
    """
    runs = []
    for at in range(n_seeds):
        seed = config.training.seed + at
        on_event(Info(f"Seed {seed}, run {at + 1} of {n_seeds}"))
        one = config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})
        runs.append(train(one, layout=layout, tracker=open_tracker(one), on_event=on_event))
    ensemble = write_ensemble([run.checkpoint for run in runs], layout=layout, on_event=on_event)
    spread = [row for row in multiseed_rows(listed_runs(layout)) if row["group"] == str(ensemble.run)]
    return SeedsResult(tuple(runs), ensemble, tuple(spread), layout.multiseed_summary)


def write_ensemble(
    members: list[Checkpoint], *, layout: Layout, on_event: EventHandler = ignore
) -> Checkpoint:
    """Write the mean of several runs' probabilities as a run of its own: everything but weights.

    Args:
        members: runs of one model on the same data.
        layout: where their predictions lie.
        on_event: called with each event.
    """
    first = members[0]
    entry = model_entry(first.config.model.name)
    started = time.monotonic()
    with claimed(layout, f"{entry.name}-ensemble", entry.family) as (run, folder):
        val, test = (
            _mean([read_predictions(layout.split_predictions(one.run, split)) for one in members])
            for split in ("val", "test")
        )
        record = RunRecord(
            run=run,
            folder=folder,
            kind="ensemble",
            config=first.config,
            parents={
                "data": first.manifest.parents.data,
                "base_model": first.manifest.parents.base_model,
                "members": [str(one.run) for one in members],
            },
            facts=_facts(run, members, started),
        )
        return write_run(
            record, evaluate(val, test, first.config.thresholds), layout=layout, on_event=on_event
        )


def _mean(members: list[Predictions]) -> Predictions:
    first = members[0]
    y_prob = mean_probability([one.y_prob for one in members])
    return Predictions(first.labels, first.texts, first.y_true, first.y_pred, y_prob, first.ids)


def _facts(run: RunName, members: list[Checkpoint], started: float) -> dict[str, Any]:
    metrics = [one.metrics_json for one in members]
    return {
        "schema_version": SCHEMA_VERSION,
        "run": str(run),
        "model": run.model,
        "base_model": metrics[0]["base_model"],
        "seed": None,
        "best_epoch": None,
        "history": [],
        "data": metrics[0]["data"],
        "members": [{"run": one["run"], "seed": one["seed"]} for one in metrics],
        "training_seconds": sum(one["training_seconds"] for one in metrics) + time.monotonic() - started,
        "peak_memory_bytes": peak_memory_bytes(),
        "device": {**metrics[0]["device"], "processor": processor()},
        "versions": versions(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "wandb_run_id": None,
    }
