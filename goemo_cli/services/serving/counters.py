"""What a server counts, as Prometheus reads it. No text and no label of a text is counted."""

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Counters:
    """The metrics of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "goemo_requests", "Answered requests.", ["path", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "goemo_request_seconds",
            "Time from a request to its answer.",
            ["path"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._texts = Counter("goemo_texts", "Texts that the model computed.", registry=self._registry)
        self._cut = Counter(
            "goemo_texts_cut", "Texts that exceeded the maximum length of the model.", registry=self._registry
        )
        self._batches = Histogram(
            "goemo_batch_texts", "Texts of a batch.", buckets=_TEXTS, registry=self._registry
        )
        self._model_seconds = Histogram(
            "goemo_batch_seconds", "Time of the model for a batch.", buckets=_SECONDS, registry=self._registry
        )
        self._waiting = Gauge("goemo_waiting_texts", "Texts in the queue.", registry=self._registry)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            path: of an operation, or `other`, so that clients cannot create metrics.
        """
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def computed(self, texts: int, seconds: float) -> None:
        """Count a batch."""
        self._texts.inc(texts)
        self._batches.observe(texts)
        self._model_seconds.observe(seconds)

    def cut(self, texts: int) -> None:
        """Count truncated texts."""
        self._cut.inc(texts)

    def watch_queue(self, waiting: Callable[[], int]) -> None:
        """Ask for the number of waiting texts when the metrics are read."""
        self._waiting.set_function(waiting)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
