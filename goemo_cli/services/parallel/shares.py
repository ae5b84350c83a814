"""What each of several processes gets of this machine: threads, and a GPU."""

from goemo_cli.core.system.processes import usable_cores
from goemo_cli.core.system.variables import GPUS, environment, usable_threads, wanted_threads


def threads_each(workers: int) -> int:
    """The number of threads of each process: OMP_NUM_THREADS if it is set, else a share of the cores."""
    return wanted_threads() or max(1, usable_threads() // workers)


def thread_doubt(workers: int) -> str | None:
    """What is wrong with OMP_NUM_THREADS for several processes: more threads than cores; None if they fit."""
    wanted, cores = wanted_threads(), usable_cores()
    share = max(1, cores // workers)
    if workers == 1 or wanted is None or wanted <= share:
        return None
    return (
        f"OMP_NUM_THREADS is {wanted}: {workers} workers have {workers * wanted} threads on {cores} cores, which is slower "
        f"than {share} each; without OMP_NUM_THREADS each worker has its share of the cores"
    )


def visible_gpus() -> list[str]:
    """The names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them; none without CUDA."""
    import torch

    named = environment(GPUS)
    count = torch.cuda.device_count()
    return [name.strip() for name in named.split(",")][:count] if named else [str(i) for i in range(count)]


def take_gpu(worker: int) -> None:
    """Let this thread compute on the GPU of the worker of this number; CUDA must be available.

    CUDA_VISIBLE_DEVICES has an effect only until CUDA is used, and it is used if torch cannot count the GPUs without it.
    """
    import torch

    torch.cuda.set_device(worker % torch.cuda.device_count())
