"""Fetching several files of a W&B server at once; the first failure stops all of them."""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from goemo_cli.tracking.wandb.http import Fetcher, StoppedError, is_same
from goemo_cli.tracking.wandb.names import RemoteFile

_WORKERS = 8
"""Files fetched at once: runs are many small files and a few large ones."""
_POLL_SECONDS = 0.1
_STOP_SECONDS = 1.0


def fetch_all(
    files: Iterable[tuple[RemoteFile, Path]],
    fetcher: Fetcher,
    *,
    renew: Callable[[RemoteFile], RemoteFile],
    arrived: Callable[[int], None] = lambda amount: None,
) -> None:
    """Bring every file to its path, largest first; files that are already there, and right, are kept.

    Args:
        files: what to fetch, and the paths; folders are created.
        fetcher: fetches one file; its stop event is set at the end.
        renew: gives a file a new URL, for one that expired.
        arrived: called with the number of new bytes, in the caller's thread.

    Raises:
        GoemoError: the first file that failed; the others stop. Finished files and parts stay where they are.
    """
    waiting: queue.SimpleQueue[tuple[RemoteFile, Path]] = queue.SimpleQueue()
    news: queue.SimpleQueue[int | BaseException | None] = queue.SimpleQueue()
    for file, target in sorted(files, key=lambda one: -one[0].size):
        target.parent.mkdir(parents=True, exist_ok=True)
        waiting.put((file, target))

    def work() -> None:
        try:
            while not fetcher.stop.is_set():
                file, target = waiting.get_nowait()
                if is_same(target, file):
                    news.put(file.size)
                else:
                    target.unlink(missing_ok=True)
                    fetcher.fetch(file, target, arrived=news.put, renew=renew)
        except (queue.Empty, StoppedError):
            news.put(None)
        except BaseException as error:  # raised in the caller's thread
            news.put(error)

    # Daemons: a silent server must not keep a stopped program alive.
    workers = [threading.Thread(target=work, daemon=True) for _ in range(min(_WORKERS, waiting.qsize()))]
    try:
        for worker in workers:
            worker.start()
        _follow(news, len(workers), arrived)
    finally:
        fetcher.stop.set()
        deadline = time.monotonic() + _STOP_SECONDS
        for worker in workers:
            if worker.is_alive():  # also if Ctrl-C came before it was started
                worker.join(max(0.0, deadline - time.monotonic()))


def _follow(
    news: "queue.SimpleQueue[int | BaseException | None]", working: int, arrived: Callable[[int], None]
) -> None:
    """Report progress until all workers have ended; the first failure is raised."""
    while working:
        try:
            message = news.get(timeout=_POLL_SECONDS)  # a timeout, so that Ctrl-C is heard
        except queue.Empty:
            continue
        if message is None:
            working -= 1
        elif isinstance(message, BaseException):
            raise message
        else:
            arrived(message)
