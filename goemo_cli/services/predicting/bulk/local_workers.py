"""Worker processes of this machine: each loads the model once and computes one part after another."""

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.bulk import BulkPart
from goemo_cli.core.errors import WorkerLostError
from goemo_cli.core.system.processes import (
    INTERRUPT,
    end_at_once_if_asked,
    ignore_signals,
    leave_if_terminated,
)
from goemo_cli.core.system.variables import limit_threads
from goemo_cli.services.exporting.engines import engine_of, may_have_gpu
from goemo_cli.services.predicting.bulk.plans import TRIES, BulkJob
from goemo_cli.services.predicting.bulk.starter import FRESH, Starter, start_fresh, started


@dataclass
class _Worker:
    """A process, and the shard that it computes."""

    job: BulkJob
    number: int
    threads: int
    starter: Starter | None
    shard: int | None = None
    process: Any = field(init=False)
    connection: Any = field(init=False)

    def start(self) -> None:
        """Start the process; it ends when its connection closes."""
        self.connection, far_end = FRESH.Pipe()
        start = self.starter.start if self.starter else start_fresh
        self.process = start(_serve, far_end, self.job, self.number, self.threads)
        far_end.close()

    def stop(self) -> None:
        """End the process, also in the middle of a part; a starter ends its forks itself."""
        self.connection.close()
        if self.starter is None:
            if self.shard is not None:
                self.process.terminate()
            self.process.join()


def compute_locally(
    job: BulkJob, shards: Sequence[int], workers: int, threads: int
) -> Generator[BulkPart, None, None]:
    """Compute parts in processes; a process that ends costs its current part, which another one computes.

    Yields:
        The markers, in the order in which parts are complete.

    Raises:
        WorkerLostError: several workers ended while they computed the same part.
        As `PartWriter`.
    """
    n_workers = min(workers, len(shards))
    with started(threads) if n_workers > 1 and _may_fork(job) else nullcontext() as starter:
        yield from _compute(job, shards, n_workers, threads, starter)


def _may_fork(job: BulkJob) -> bool:
    """Whether workers import torch, and CUDA cannot be in use before a fork."""
    return not may_have_gpu() and "torch" in engine_of(Checkpoint.read(job.model.checkpoint))


def _compute(
    job: BulkJob, shards: Sequence[int], workers: int, threads: int, starter: Starter | None
) -> Generator[BulkPart, None, None]:
    waiting, ended = deque(shards), dict.fromkeys(shards, 0)
    staff: list[_Worker] = []
    try:
        for number in range(workers):
            worker = _Worker(job, number, threads, starter)
            worker.start()
            staff.append(worker)
            _give(worker, waiting)
        while busy := {worker.connection: worker for worker in staff if worker.shard is not None}:
            for connection in wait(list(busy)):
                worker = busy[connection]
                assert worker.shard is not None
                try:
                    found = worker.connection.recv()
                except (EOFError, ConnectionError):
                    worker.process.join()
                    ended[worker.shard] += 1
                    _require_tries(worker.shard, ended[worker.shard], worker.process.exitcode)
                    waiting.appendleft(worker.shard)
                    worker.connection.close()
                    worker.start()
                else:
                    if isinstance(found, Exception):
                        raise found
                    yield found
                _give(worker, waiting)
    finally:
        for worker in staff:
            worker.stop()


def _give(worker: _Worker, waiting: "deque[int]") -> None:
    worker.shard = waiting.popleft() if waiting else None
    if worker.shard is not None:
        with suppress(ConnectionError):  # a process that has ended is found when its marker is read
            worker.connection.send(worker.shard)


def _require_tries(shard: int, ended: int, exit_code: int | None) -> None:
    if ended == TRIES:
        raise WorkerLostError(
            f"{TRIES} worker processes ended while they computed part {shard} (the last with exit code {exit_code}); "
            "the memory may be too small for this number of workers"
        )


def _serve(connection: "Connection[Any, Any]", job: BulkJob, number: int, threads: int) -> None:
    """The life of a worker: a shard comes, its marker or an error goes back."""
    ignore_signals(INTERRUPT)
    leave_if_terminated()
    limit_threads(threads)
    from goemo_cli.services.predicting.bulk.parts import PartWriter  # after the limit, which torch reads once

    try:
        writer = None
        while True:
            shard = connection.recv()
            try:
                writer = writer or PartWriter(job, number)
                found: BulkPart | Exception = writer.write(shard)
            except Exception as error:
                found = error
            connection.send(found)
    except (EOFError, ConnectionError):
        return  # the first process has ended, or ends this one
    finally:
        end_at_once_if_asked()
