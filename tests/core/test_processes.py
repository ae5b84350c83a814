"""What a process may do on this system."""

import sys

import pytest

from tests.processes import python

PROGRAM = """
import threading
import numpy
from goemo_cli.core.system.processes import can_fork
ended = threading.Event()
before = can_fork()
threading.Thread(target=ended.wait).start()
print(before, can_fork())
ended.set()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only processes of Linux are forked")
def test_a_process_is_forked_only_without_other_threads_than_those_that_end_before_a_fork() -> None:
    done = python("-c", PROGRAM, env={"OPENBLAS_NUM_THREADS": "4"})
    assert done.stdout == "True False\n", done.stderr
