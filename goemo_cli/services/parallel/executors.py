"""Where several trainings run: in processes of this machine, or as tasks of a Ray cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from goemo_cli.core.events import EventHandler, Warning
from goemo_cli.core.schema import Executor
from goemo_cli.services.parallel.shares import thread_doubt, threads_each, visible_gpus
from goemo_cli.services.parallel.task import Task
from goemo_cli.services.parallel.training_process import Training, TrainingProcess


class Trainer(Protocol):
    """Starts trainings."""

    workers: int
    """The number of trainings at a time."""
    threads: int
    """The number of threads of each."""

    def start(self, task: Task) -> Training:
        """Start a training."""
        ...


class LocalTrainer:
    """Starts processes on this machine. Each has its share of the cores; if there are several GPUs, each has one of them.

    Args:
        workers: the number of trainings at a time.
    """

    def __init__(self, workers: int) -> None:
        self.workers, self.threads = workers, threads_each(workers)
        self._gpus = visible_gpus()
        self._started: list[TrainingProcess] = []

    def start(self, task: Task) -> Training:
        """Start a process, on the GPU that the fewest others use."""
        self._started = [one for one in self._started if one.poll() is None]
        used = [one.gpu for one in self._started]
        gpu = min(self._gpus, key=used.count) if len(self._gpus) > 1 else None
        process = TrainingProcess(task, gpu=gpu)
        self._started.append(process)
        return process


@contextmanager
def trainer(executor: Executor, workers: int, on_event: EventHandler) -> Iterator[Trainer]:
    """What starts the trainings of a command.

    Args:
        workers: the number of trainings at a time.
        on_event: is told if the workers have more threads than there are cores.

    Raises:
        MissingPackageError: Ray.
        RemoteError: the Ray cluster cannot be reached.
    """
    if executor == "local":
        if doubt := thread_doubt(workers):
            on_event(Warning(doubt))
        yield LocalTrainer(workers)
        return
    from goemo_cli.services.parallel.ray_cluster import connected

    with connected("--executor ray"):
        from goemo_cli.services.parallel.ray_training import RayTrainer

        yield RayTrainer(workers)
