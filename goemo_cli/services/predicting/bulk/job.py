"""Run a bulk prediction: plan it, compute the missing parts with workers, and finalize it."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.bulk import BulkManifest, BulkPart
from goemo_cli.core.errors import SettingError
from goemo_cli.core.events import Advance, Advanced, EventHandler, Info, Warning, progress
from goemo_cli.core.schema import Executor
from goemo_cli.core.system.variables import wanted_threads
from goemo_cli.services.parallel.shares import thread_doubt, threads_each
from goemo_cli.services.predicting.bulk.finalizing import finalize
from goemo_cli.services.predicting.bulk.folder import BulkFolder
from goemo_cli.services.predicting.bulk.local_workers import compute_locally
from goemo_cli.services.predicting.bulk.plans import COMMAND, BulkJob, BulkRequest, plan_job
from goemo_cli.services.predicting.bulk.ray_workers import compute_on_ray
from goemo_cli.services.runs.locks import held


def predict_in_bulk(
    request: BulkRequest,
    checkpoint: Checkpoint,
    *,
    root: Path,
    options: Mapping[str, Any],
    workers: int | None = None,
    executor: Executor = "local",
    on_event: EventHandler,
) -> BulkManifest:
    """Predict all rows of many files; an interrupted prediction continues with the parts that are missing.

    Args:
        options: of `Predictor.load`.
        workers: number of processes that predict; by default this one, on Ray as many as the cluster has room for.
        executor: this machine or a Ray cluster.

    Raises:
        BusyError: another process predicts into this folder.
        WorkerLostError: several workers ended while they computed the same part.
        As `plan_job`, `PartWriter` and `finalize`.
    """
    job = plan_job(request, checkpoint, root, options, least_shards=workers or 1, on_event=on_event)
    folder = BulkFolder(job.output)
    with held(folder.records, COMMAND):
        missing, plan = folder.missing(), folder.plan
        if done := plan.shards - len(missing):
            on_event(Info(f"{done} of {plan.shards} parts are complete already"))
        rows = sum(map(plan.shard_rows, missing))
        with progress(on_event, "Predicting", rows, "rows") as advance:
            if missing:
                _compute(job, missing, workers, executor, advance, on_event)
        return finalize(folder.path, on_event)


def predict_shard(
    request: BulkRequest,
    checkpoint: Checkpoint,
    shard: int,
    *,
    root: Path,
    options: Mapping[str, Any],
    on_event: EventHandler,
) -> tuple[BulkPart, bool]:
    """Compute one part of a prediction whose parts other processes compute.

    Args:
        request: inputs, output and number of shards.
        shard: counted from 0.
        options: of `Predictor.load`.

    Returns:
        The marker, and whether the part was complete before.

    Raises:
        SettingError: no such shard.
        As `plan_job` and `PartWriter`.
    """
    if not 0 <= shard < (request.shards or 0):
        raise SettingError(
            [f"--shard {shard}: with --shards {request.shards} it is 0 to {(request.shards or 0) - 1}"]
        )
    job = plan_job(request, checkpoint, root, options, has_to_hash=False, on_event=on_event)
    if part := BulkFolder(job.output).complete_part(shard):
        return part, True
    from goemo_cli.services.predicting.bulk.parts import PartWriter

    return PartWriter(job).write(shard, on_event), False


def _compute(
    job: BulkJob,
    shards: Sequence[int],
    workers: int | None,
    executor: Executor,
    advance: Advance,
    on_event: EventHandler,
) -> None:
    if executor == "local" and workers in (None, 1):
        from goemo_cli.services.predicting.bulk.parts import PartWriter  # which workers import themselves

        writer = PartWriter(job)
        for shard in shards:
            writer.write(shard, lambda event: advance(event.amount) if isinstance(event, Advanced) else None)
        return
    if executor == "ray":
        parts = compute_on_ray(job, shards, workers, wanted_threads() or 1, on_event)
    else:
        n_workers = workers or 1
        if doubt := thread_doubt(min(n_workers, len(shards))):
            on_event(Warning(doubt))
        parts = compute_locally(job, shards, n_workers, threads_each(n_workers))
    with closing(parts):  # workers end before an error or Ctrl-C goes further up
        for part in parts:
            advance(part.rows)
