"""A training as a task of Ray: if its worker dies, another one continues it from its saved state."""

import time
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from goemo_cli.core.system.processes import KILL
from goemo_cli.core.system.variables import wanted_threads
from goemo_cli.services.parallel.task import STOP, Task, finished_run
from goemo_cli.services.parallel.training_process import Training, TrainingProcess, stop

MAX_RETRIES = 3
"""Workers that may die during one training."""
_POLL_SECONDS = 0.2


class ProcessKilledError(Exception):
    """The process of a training was killed by a signal; the training is tried again.

    Args:
        code: the negative number of the signal.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


class RayTraining(Training):
    """A training as a task of Ray.

    Args:
        task: what is trained; its folder is shared by all machines.
        resources: what Ray reserves for it: num_cpus, num_gpus.
    """

    def __init__(self, task: Task, resources: dict[str, Any]) -> None:
        super().__init__(task)
        remote = ray.remote(max_retries=MAX_RETRIES, retry_exceptions=[ProcessKilledError], **resources)
        self._answer = remote(train_task).remote(task, Path.cwd())
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs or waits for a worker."""
        if self._code is None:
            self._code = self._wait(0)
        return self._code

    def ask_to_stop(self) -> None:
        """Leave a file that the worker looks for; a task without a worker is cancelled."""
        (self.task.folder / STOP).touch()
        if not self.task.is_started:
            self.end()

    def end(self) -> None:
        """Cancel the task."""
        ray.cancel(self._answer, force=True)
        self._code = -KILL

    def _wait(self, seconds: float) -> int | None:
        try:
            return int(ray.get(self._answer, timeout=seconds))
        except GetTimeoutError:
            return None
        except ProcessKilledError as error:
            return error.code
        except RayError:  # workers or their machines died more often than Ray may try again
            return -KILL


class RayTrainer:
    """Starts trainings as tasks of Ray. Each reserves its threads as CPUs, and a GPU if the cluster has some.

    Args:
        workers: the number of trainings at a time.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        largest = max((int(node.get("CPU", 0)) for node in nodes), default=1)
        share = int(sum(node.get("CPU", 0) for node in nodes)) // workers
        self.threads = wanted_threads() or max(1, min(largest, share))
        self._has_gpus = any(node.get("GPU") for node in nodes)

    def start(self, task: Task) -> Training:
        """Hand a training to the cluster."""
        gpus = {"num_gpus": 1} if self._has_gpus else {}
        return RayTraining(task, {"num_cpus": task.threads, **gpus})


def train_task(task: Task, directory: Path) -> int:
    """Run the process of a training on a worker of Ray, or continue it after another worker died.

    Args:
        directory: the folder of the command.

    Returns:
        The exit code.

    Raises:
        ProcessKilledError: a signal ended the process, which was not asked to stop.
    """
    if finished_run(task.folder):  # before the other worker died
        return 0
    process = TrainingProcess(task, directory=directory)
    is_asked = False
    try:
        while (code := process.poll()) is None:
            if is_asked := (task.folder / STOP).exists():
                stop([process])
            time.sleep(_POLL_SECONDS)
    finally:
        stop([process])
    if code < 0 and not is_asked:
        raise ProcessKilledError(code)
    return code
