"""Texts of several requests in one batch: a bounded queue, and one thread that computes."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain

from goemo_cli.core.arrays import FloatArray

Compute = Callable[[Sequence[str]], FloatArray]
"""Probabilities of texts, float32, (n_texts, n_labels)."""


class QueueFullError(Exception):
    """The texts of a request do not fit into the queue."""


@dataclass(frozen=True)
class _Request:
    texts: Sequence[str]
    answer: "Future[FloatArray]" = field(default_factory=Future)


class BatchQueue:
    """Requests that arrive while the model computes become its next batch, so an idle model answers without delay.

    Use it as a context manager: at the end, all requests in the queue are answered.

    Args:
        compute: called by one thread.
        capacity: maximum number of waiting texts.
        batch: number of texts from which on no request joins a batch.
    """

    def __init__(self, compute: Compute, *, capacity: int, batch: int) -> None:
        self._compute, self._capacity, self._batch = compute, capacity, batch
        self._waiting: deque[_Request] = deque()
        self._n_waiting = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="goemo-model", daemon=True)

    def __enter__(self) -> "BatchQueue":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    @property
    def n_waiting(self) -> int:
        """Number of texts in the queue."""
        return self._n_waiting

    async def probabilities(self, texts: Sequence[str]) -> FloatArray:
        """Probabilities of the texts of one request, float32, (n_texts, n_labels).

        If the caller is cancelled, the texts are not computed, unless their batch has begun.

        Raises:
            QueueFullError: more texts wait than the queue has room for.
        """
        request = _Request(texts)
        with self._changed:
            if self._n_waiting + len(texts) > self._capacity:
                raise QueueFullError
            self._waiting.append(request)
            self._n_waiting += len(texts)
            self._changed.notify()
        return await asyncio.wrap_future(request.answer)

    def _run(self) -> None:
        while requests := self._next_batch():
            open_ones = [one for one in requests if one.answer.set_running_or_notify_cancel()]
            self._answer(open_ones)

    def _next_batch(self) -> list[_Request]:
        """At least one request; none if the queue is closed and empty."""
        requests: list[_Request] = []
        n_texts = 0
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            while self._waiting and n_texts < self._batch:
                requests.append(self._waiting.popleft())
                n_texts += len(requests[-1].texts)
            self._n_waiting -= n_texts
        return requests

    def _answer(self, requests: Sequence[_Request]) -> None:
        if not requests:
            return
        try:
            y_prob = self._compute(list(chain.from_iterable(request.texts for request in requests)))
        except Exception as error:
            if len(requests) == 1:
                requests[0].answer.set_exception(error)
                return
            for request in requests:  # the fault of one request is not that of the others
                self._answer([request])
            return
        start = 0
        for request in requests:
            end = start + len(request.texts)
            request.answer.set_result(y_prob[start:end])
            start = end
