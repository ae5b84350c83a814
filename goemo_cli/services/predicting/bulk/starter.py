"""A process that imports torch once and is forked for each worker, since every import takes a second of CPU time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import current_process, get_context, reduction
from multiprocessing.connection import Connection
from typing import Any

from goemo_cli.core.errors import WorkerLostError
from goemo_cli.core.system import processes
from goemo_cli.core.system.variables import limit_threads

FRESH = get_context("spawn")


def start_fresh(target: Callable[..., None], *arguments: Any) -> Any:
    """Start a process that imports its packages itself."""
    process = FRESH.Process(target=target, args=arguments, daemon=True)
    with processes.interrupts_blocked():  # Ctrl-C is for this process, which ends the other
        process.start()
    return process


@dataclass(frozen=True)
class Starter:
    """That process, seen from the one that it works for."""

    pid: int
    connection: Any

    def start(self, target: Callable[..., None], far_end: Any, *arguments: Any) -> "Fork":
        """Call a function in a fork, with a connection and further arguments."""
        return Fork(self, self.ask((target, arguments), far_end))

    def ask(self, request: Any, far_end: Any = None) -> Any:
        """Send a request to `_lead`, perhaps with a connection, and wait for the answer.

        Raises:
            WorkerLostError: the starter has ended, and its forks with it.
        """
        try:
            self.connection.send(request)
            if far_end is not None:
                reduction.send_handle(self.connection, far_end.fileno(), self.pid)
            return self.connection.recv()
        except (EOFError, ConnectionError) as error:
            raise WorkerLostError("the starter of the workers ended; the memory may be too small") from error


@dataclass
class Fork:
    """What `multiprocessing.Process` is for a child of this process."""

    starter: Starter
    pid: int
    exitcode: int | None = None

    def join(self) -> None:
        """Wait until it has ended."""
        self.exitcode = self.starter.ask(self.pid)


@contextmanager
def started(threads: int) -> Iterator[Starter | None]:
    """The process during a block; it ends with this one, and its forks, each with some threads, end with it.

    It is None if a package has started a thread, which forks would not have.
    """
    connection, far_end = FRESH.Pipe()
    process = start_fresh(_lead, far_end, threads)
    far_end.close()
    starter = Starter(process.pid, connection)
    try:
        if starter.ask(None):
            yield starter
            return
    finally:
        process.terminate()
        connection.close()
        process.join()
    yield None


def _lead(connection: Any, threads: int) -> None:
    """The life of the process; after it, `multiprocessing` ends its forks and waits for them."""
    processes.ignore_signals(processes.INTERRUPT)
    processes.leave_if_terminated()
    processes.end_with_parent()
    limit_threads(threads)
    current_process().daemon = False  # a daemon may not start processes
    context: Any = get_context("fork")
    forks: dict[int, Any] = {}
    try:
        with suppress(Exception):  # a worker imports it again, and reports what is wrong
            import goemo_cli.ml.models.transformer
            import goemo_cli.services.predicting.bulk.parts  # noqa: F401
        while True:
            request = connection.recv()
            if request is None:
                connection.send(processes.can_fork())
            elif isinstance(request, int):
                forks[request].join()
                connection.send(forks.pop(request).exitcode)
            else:
                with Connection(reduction.recv_handle(connection)) as far_end:
                    fork = context.Process(target=_serve, args=(connection, far_end, *request), daemon=True)
                    fork.start()
                forks[fork.pid] = fork
                connection.send(fork.pid)
    except (EOFError, OSError):
        return  # the first process has ended, or the system starts no further process
    finally:
        processes.ignore_signals(processes.TERMINATE)


def _serve(connection: Any, far_end: Any, target: Callable[..., None], arguments: Any) -> None:
    """The life of a fork."""
    processes.end_with_parent()
    connection.close()  # only the starter answers
    target(far_end, *arguments)
