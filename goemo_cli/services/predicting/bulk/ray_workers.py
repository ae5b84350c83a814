"""Workers on a Ray cluster: each actor loads the model once and computes one part after another."""

from collections import deque
from collections.abc import Generator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from goemo_cli.core.documents.bulk import BulkPart
from goemo_cli.core.errors import WorkerLostError
from goemo_cli.core.events import EventHandler, Info
from goemo_cli.services.parallel.ray_cluster import connected
from goemo_cli.services.predicting.bulk.plans import TRIES, BulkJob

if TYPE_CHECKING:
    from goemo_cli.services.predicting.bulk.parts import PartWriter


def compute_on_ray(
    job: BulkJob, shards: Sequence[int], workers: int | None, threads: int, on_event: EventHandler
) -> Generator[BulkPart, None, None]:
    """Compute parts on a Ray cluster whose machines share the folders of the project, the inputs and the output.

    The cluster is the one of RAY_ADDRESS or of `ray start` on this machine; without one, this machine is the cluster.

    Args:
        workers: number of actors; by default one for each GPU, else for each `threads` processors.
        threads: processors of each actor.

    Yields:
        The markers, in the order in which parts are complete.

    Raises:
        MissingPackageError: Ray is not installed.
        RemoteError: the cluster cannot be reached.
        WorkerLostError: several workers ended while they computed the same part.
        As `PartWriter`.
    """
    with connected("--executor ray") as ray:
        try:
            yield from _computed(ray, job, shards, workers, threads, on_event)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayActorError as error:
            raise WorkerLostError(f"a Ray worker ended {TRIES} times ({error})") from error


def _computed(
    ray: Any,
    job: BulkJob,
    shards: Sequence[int],
    workers: int | None,
    threads: int,
    on_event: EventHandler,
) -> Generator[BulkPart, None, None]:
    resources = ray.cluster_resources()
    needs_gpu = job.model.options["device"] == "cuda" or (
        job.model.options["device"] == "auto" and "GPU" in resources
    )
    place = resources.get("GPU", 0) if needs_gpu else resources.get("CPU", 1) // threads
    count = min(workers or max(int(place), 1), len(shards))
    on_event(Info(f"{count} workers on {len(ray.nodes())} machine(s) of the Ray cluster"))
    actor = ray.remote(
        num_cpus=threads, num_gpus=int(needs_gpu), max_restarts=TRIES - 1, max_task_retries=TRIES - 1
    )(_RayWorker)
    waiting = deque(shards)
    # An actor for which the cluster has no place yet gets no part.
    calls = {worker.ready.remote(): worker for worker in (actor.remote(job) for _ in range(count))}
    n_left = len(shards)
    while n_left:
        done, _ = ray.wait(list(calls), num_returns=1)
        worker = calls.pop(done[0])
        part = ray.get(done[0])
        if part is not None:
            n_left -= 1
            yield part
        if waiting:
            calls[worker.write.remote(waiting.popleft())] = worker


class _RayWorker:
    """An actor. It is restarted if its process ends, and its current part is computed again."""

    def __init__(self, job: BulkJob) -> None:
        self._job = job

    @cached_property
    def writer(self) -> "PartWriter":
        """The model; not loaded when the actor starts, since Ray hides the errors of that."""
        from goemo_cli.services.predicting.bulk.parts import (
            PartWriter,  # which the first process does without
        )

        return PartWriter(self._job)

    def ready(self) -> None:
        """Load the model."""
        _ = self.writer

    def write(self, shard: int) -> BulkPart:
        """Compute a part."""
        return self.writer.write(shard)
