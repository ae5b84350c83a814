"""`goemo train --seeds N`: one configuration under several seeds, and their ensemble as a further model."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.events import EventHandler, Info, ignore, working
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.predictions import Predictions, read_predictions
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.core.settings import TrainConfig
from goemo_cli.ml.models.ensemble import mean_probability
from goemo_cli.services.runs.index import listed_runs
from goemo_cli.services.training.environment import peak_memory_bytes, processor, versions
from goemo_cli.services.training.evaluate import evaluate
from goemo_cli.services.training.summaries import multiseed_rows
from goemo_cli.services.training.train import claimed, read_data, train
from goemo_cli.services.training.write_run import utc_now, write_run
from goemo_cli.tracking.base import Tracker


@dataclass(frozen=True)
class SeedsResult:
    """A finished group of runs."""

    runs: tuple[Checkpoint, ...]
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
        n_seeds: number of runs, at least two.
        layout: where to write.
        open_tracker: makes the tracker of each run.
        on_event: called with each event.

    Raises:
        As `services.training.train.train`; runs that are finished by then stay.
    """
    with working(on_event, "Reading the data"):
        data = read_data(config, layout, on_event)
    runs = []
    for i in range(n_seeds):
        seed = config.training.seed + i
        on_event(Info(f"Seed {seed}, run {i + 1} of {n_seeds}"))
        training = config.training.model_copy(update={"seed": seed})
        settings = config.model_copy(update={"training": training})
        tracker = open_tracker(settings)
        try:
            runs.append(train(settings, layout=layout, data=data, tracker=tracker, on_event=on_event))
        except (KeyboardInterrupt, SystemExit):
            finished = ", ".join(str(run.run) for run in runs)
            on_event(Info(f"{i} of {n_seeds} seeds are finished and kept{': ' if runs else ''}{finished}"))
            raise
    with working(on_event, "Scoring the ensemble"):
        ensemble = write_ensemble(runs, layout=layout, on_event=on_event)
    spread = [row for row in multiseed_rows(listed_runs(layout)) if row["group"] == str(ensemble.run)]
    return SeedsResult(tuple(runs), ensemble, tuple(spread), layout.multiseed_summary)


def write_ensemble(
    members: list[Checkpoint], *, layout: Layout, on_event: EventHandler = ignore
) -> Checkpoint:
    """Write the mean of the probabilities of several runs as a run without weights.

    Args:
        members: runs of one model on the same data.
        layout: of the project with their predictions.
        on_event: called with each event.
    """
    first = members[0]
    entry = model_entry(first.config.model.name)
    started = time.monotonic()
    with claimed(layout, f"{entry.name}-ensemble", entry.family) as (run, folder):
        val, test = (
            _mean([read_predictions(layout.split_predictions(member.run, split)) for member in members])
            for split in ("val", "test")
        )
        return write_run(
            run,
            folder,
            "ensemble",
            first.config,
            _facts(run, members, started),
            evaluate(val, test, first.config),
            parents={
                "data": first.manifest.parents.data,
                "base_model": first.manifest.parents.base_model,
                "members": [str(member.run) for member in members],
            },
            layout=layout,
            on_event=on_event,
        )


def _mean(members: list[Predictions]) -> Predictions:
    first = members[0]
    y_prob = mean_probability([member.y_prob for member in members])
    return Predictions(first.labels, first.texts, first.y_true, first.y_pred, y_prob, first.ids)


def _facts(run: RunName, members: list[Checkpoint], started: float) -> dict[str, Any]:
    first = members[0].metrics.as_json()
    metrics = [member.metrics for member in members]
    return {
        "schema_version": SCHEMA_VERSION,
        "run": str(run),
        "model": run.model,
        "base_model": first["base_model"],
        "seed": None,
        "best_epoch": None,
        "history": [],
        "data": first["data"],
        "members": [{"run": member.run, "seed": member.seed} for member in metrics],
        "training_seconds": sum(member.training_seconds for member in metrics) + time.monotonic() - started,
        "peak_memory_bytes": peak_memory_bytes(),
        "device": {**first["device"], "processor": processor()},
        "versions": versions(),
        "finished": utc_now(),
        "wandb_run_id": None,
    }
