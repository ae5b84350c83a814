"""What each of several processes gets of this machine: threads, and a GPU."""

from goemo_cli.core.system.variables import GPUS, environment, limit_gpus, usable_threads, wanted_threads


def threads_each(workers: int) -> int:
    """The number of threads of each process: OMP_NUM_THREADS if it is set, else a share of the cores."""
    return wanted_threads() or max(1, usable_threads() // workers)


def visible_gpus() -> list[str]:
    """The names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them; none without CUDA."""
    import torch

    named = environment(GPUS)
    count = torch.cuda.device_count()
    return [name.strip() for name in named.split(",")][:count] if named else [str(i) for i in range(count)]


def take_gpu(worker: int) -> None:
    """Let this process use the GPU of the worker of this number; nothing without GPUs."""
    if gpus := visible_gpus():
        limit_gpus(gpus[worker % len(gpus)])
