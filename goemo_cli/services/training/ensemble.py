"""The ensemble of several runs: the mean of their probabilities, as a run without weights."""

import time
from dataclasses import replace
from typing import Any

from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.events import EventHandler, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.predictions import Predictions, read_predictions
from goemo_cli.ml.models.ensemble import mean_probability
from goemo_cli.services.training.evaluate import evaluate
from goemo_cli.services.training.write_run import claimed, facts_of_now, write_run
from goemo_cli.tracking.environment import processor


def write_ensemble(
    members: list[Checkpoint], *, layout: Layout, on_event: EventHandler = ignore
) -> Checkpoint:
    """Write the mean of the probabilities of several runs of one model on the same data."""
    first = members[0]
    excluded = first.manifest.parents.excluded
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
                **({"excluded": excluded.as_json()} if excluded else {}),
            },
            layout=layout,
            on_event=on_event,
        )


def _mean(members: list[Predictions]) -> Predictions:
    first = members[0]
    y_prob = mean_probability([member.y_prob for member in members])
    return replace(first, y_prob=y_prob)


def _facts(run: RunName, members: list[Checkpoint], started: float) -> dict[str, Any]:
    first = members[0].metrics.as_json()
    metrics = [member.metrics for member in members]
    return {
        **facts_of_now(run),
        "base_model": first["base_model"],
        "seed": None,
        "best_epoch": None,
        "history": [],
        "data": first["data"],
        "members": [{"run": member.run, "seed": member.seed} for member in metrics],
        "training_seconds": sum(member.training_seconds for member in metrics) + time.monotonic() - started,
        "device": {**first["device"], "processor": processor()},
        "wandb_run_id": None,
    }
