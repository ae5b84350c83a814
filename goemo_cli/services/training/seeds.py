"""`goemo train --seeds N`: one configuration under several seeds, and their ensemble as a further model."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.checkpoint import MANIFEST, Checkpoint
from goemo_cli.core.documents.training import SeedGroup
from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.events import EventHandler, Info, ignore, working
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.predictions import Predictions, read_predictions
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.core.settings import TrainConfig
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.models.ensemble import mean_probability
from goemo_cli.ml.training.frozen import FrozenStore
from goemo_cli.services.runs.index import listed_runs
from goemo_cli.services.runs.references import open_run
from goemo_cli.services.training.evaluate import evaluate
from goemo_cli.services.training.resume import OpenTracker, resume
from goemo_cli.services.training.saved_states import StateStore
from goemo_cli.services.training.summaries import multiseed_rows
from goemo_cli.services.training.train import claimed, read_data, train
from goemo_cli.services.training.write_run import utc_now, write_run
from goemo_cli.tracking.base import Tracker
from goemo_cli.tracking.environment import peak_memory_bytes, processor, versions


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
    return _train_rest(
        config,
        SeedGroup(count=n_seeds, first_seed=config.training.seed, runs=[]),
        [],
        data,
        layout=layout,
        open_tracker=lambda one, _: open_tracker(one),
        on_event=on_event,
    )


def resume_run(
    folder: Path,
    *,
    layout: Layout,
    open_tracker: OpenTracker,
    data: Dataset | None = None,
    allow_changes: bool = False,
    on_event: EventHandler = ignore,
) -> Checkpoint | SeedsResult:
    """Continue an interrupted training: of one run, or with several seeds. Arguments and errors are those of `resume`."""
    continues = resume if StateStore(folder).record().seeds is None else resume_seeds
    return continues(
        folder,
        layout=layout,
        open_tracker=open_tracker,
        data=data,
        allow_changes=allow_changes,
        on_event=on_event,
    )


def resume_seeds(
    folder: Path,
    *,
    layout: Layout,
    open_tracker: OpenTracker,
    data: Dataset | None = None,
    allow_changes: bool = False,
    on_event: EventHandler = ignore,
) -> SeedsResult:
    """Continue a training with several seeds: the interrupted run, then the seeds that are missing, then the ensemble.

    Args:
        folder: the interrupted run of the group, or its last finished one.
        layout: where the runs are.
        open_tracker: makes the tracker of each run, from its settings and the log of the run so far.
        data: as `resume` has it.
        allow_changes: as `resume` has it.
        on_event: called with each event.

    Raises:
        As `resume`; CorruptArtifactError: the run belongs to no group.
    """
    store = StateStore(folder)
    group, config = store.record().seeds, store.settings()
    if group is None:
        raise CorruptArtifactError(store.folder, "does not belong to a training with several seeds")
    if data is None:
        with working(on_event, "Reading the data"):
            data = read_data(config, layout, on_event)
    runs = [open_run(name, layout) for name in group.runs]
    if (folder / MANIFEST).is_file():
        runs.append(Checkpoint.open(folder))
    else:
        runs.append(
            resume(
                folder,
                layout=layout,
                data=data,
                open_tracker=open_tracker,
                allow_changes=allow_changes,
                on_event=on_event,
            )
        )
    return _train_rest(config, group, runs, data, layout=layout, open_tracker=open_tracker, on_event=on_event)


def _train_rest(
    config: TrainConfig,
    group: SeedGroup,
    runs: list[Checkpoint],
    data: Dataset,
    *,
    layout: Layout,
    open_tracker: OpenTracker,
    on_event: EventHandler,
) -> SeedsResult:
    """Train the seeds of a group that are missing, then write the ensemble."""
    frozen = FrozenStore()
    for i in range(len(runs), group.count):
        seed = group.first_seed + i
        on_event(Info(f"Seed {seed}, run {i + 1} of {group.count}"))
        settings = config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})
        now = SeedGroup(count=group.count, first_seed=group.first_seed, runs=[str(run.run) for run in runs])
        tracker = open_tracker(settings, None)
        run = train(
            settings, layout=layout, data=data, tracker=tracker, group=now, frozen=frozen, on_event=on_event
        )
        runs.append(run)
    del frozen  # its file is as large as the texts
    with working(on_event, "Scoring the ensemble"):
        ensemble = write_ensemble(runs, layout=layout, on_event=on_event)
    for run in runs:
        StateStore(run.path).remove()
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
