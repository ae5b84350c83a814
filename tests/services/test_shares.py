"""What each of several processes gets of a machine."""

import os

import pytest
import torch

from goemo_cli.core.system.processes import usable_cores
from goemo_cli.services.parallel.shares import take_gpu, thread_doubt, threads_each
from tests.processes import python


def test_more_threads_than_cores_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = usable_cores()
    monkeypatch.setenv("OMP_NUM_THREADS", str(cores))
    assert thread_doubt(1) is None
    doubt = thread_doubt(2 * cores) or ""
    if cores == 1:  # one thread each is the least
        assert doubt == ""
    else:
        assert f"OMP_NUM_THREADS is {cores}: {2 * cores} workers have {2 * cores * cores} threads" in doubt
        assert f"on {cores} cores, which is slower than 1 each" in doubt
    for allowed in ("1", "", "all"):
        monkeypatch.setenv("OMP_NUM_THREADS", allowed)
        assert thread_doubt(2 * cores) is None
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert (threads_each(cores), thread_doubt(cores)) == (1, None)


def test_a_limit_of_threads_beats_all_variables_that_torch_reads() -> None:
    program = (
        "from goemo_cli.core.system.variables import limit_threads; limit_threads(1); "
        "import torch; print(torch.get_num_threads())"
    )
    done = python("-c", program, env={"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "2"})
    assert done.stdout == "1\n", done.stderr


def test_workers_take_the_gpus_in_turn_whatever_was_asked_of_cuda_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)  # no test machine has several GPUs
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    before = dict(os.environ)
    for worker in range(4):
        take_gpu(worker)
    assert taken == [0, 1, 2, 0]
    assert dict(os.environ) == before
