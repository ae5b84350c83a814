"""What goes wrong, on demand: errors, silence, dropped connections, and answers that are not what was stored."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

HTML = b"<!doctype html><html><head><title>Sign in</title></head><body>Please sign in to this network.</body></html>"


@dataclass(kw_only=True, eq=False)
class Fault:
    """Which requests fail, and how."""

    method: str | None = None
    """GET, PUT or POST; None for all."""
    path: str = ""
    """A regular expression, searched in the path as it was asked for: percent-encoded, without query."""
    operation: str | None = None
    """The GraphQL operation, as `CommitArtifact`; None for all, and for what is not GraphQL."""
    times: int | None = None
    """How often to fail; None for ever."""
    after: int = 0
    """How many of the matching requests go well before."""

    status: int | None = None
    """Answer with this status and `message`; nothing is done."""
    message: str = "injected fault"
    retry_after: float | None = None
    """Seconds, in a Retry-After header beside the status."""
    drop: bool = False
    """Close the connection without an answer."""
    silence: bool = False
    """Do not answer until the fault is removed or the server stopped; then close the connection."""
    late: bool = False
    """With status, drop or silence: do first what was asked, so that the answer alone is lost."""

    slow: float = 0.0
    """Seconds to wait before each further 64 KiB of what is sent are read; the request goes well in the end."""

    truncate: float | None = None
    """Share of the body that is sent, under the Content-Length of the whole."""
    short: float | None = None
    """Share of the body that is sent, under the Content-Length of that share."""
    longer: int = 0
    """Bytes to send after the body, counted in Content-Length."""
    change: bool = False
    """Other bytes of the same length."""
    html: bool = False
    """A sign-in page with status 200, as a hotel's network answers."""
    rewrite: Callable[[bytes], bytes] | None = None
    """What to send instead of the body."""

    seen: int = field(default=0, init=False)
    """How many requests matched."""
    hits: int = field(default=0, init=False)
    """How many of them failed."""
    over: threading.Event = field(default_factory=threading.Event, init=False)
    """Ends the silence."""

    @property
    def answers(self) -> bool:
        """Whether the request is done and only its answer is spoilt."""
        return not (self.status or self.drop or self.silence)

    def matches(self, method: str, path: str, operation: str) -> bool:
        """Whether this request is one of those meant."""
        return (
            self.method in (None, method)
            and bool(re.search(self.path, path))
            and self.operation in (None, operation)
        )

    @property
    def fails(self) -> bool:
        """Whether it is more than slow."""
        return not self.slow

    def body(self, body: bytes) -> bytes:
        """What is sent instead of `body`."""
        if self.rewrite:
            body = self.rewrite(body)
        if self.change:
            body = bytes(byte ^ 1 for byte in body)
        if self.short is not None:
            body = body[: int(len(body) * self.short)]
        return body + b"x" * self.longer


class Faults:
    """The faults of a server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, **what: Any) -> Fault:
        """Let requests fail: the fields of `Fault`. The first fault that matches a request is taken."""
        fault = Fault(**what)
        with self._lock:
            self._faults.append(fault)
        return fault

    def next(self, method: str, path: str, operation: str) -> Fault | None:
        """The fault of this request, counted, or None."""
        with self._lock:
            for fault in self._faults:
                if fault.fails and fault.matches(method, path, operation):
                    fault.seen += 1
                    if fault.seen > fault.after and (fault.times is None or fault.hits < fault.times):
                        fault.hits += 1
                        return fault
        return None

    def slowness(self, method: str, path: str) -> float:
        """Seconds before each further piece of a body is read."""
        with self._lock:
            return max((fault.slow for fault in self._faults if fault.matches(method, path, "")), default=0.0)

    def remove(self, fault: Fault) -> None:
        """Let it go well again, also for those who wait in its silence."""
        with self._lock:
            self._faults.remove(fault)
        fault.over.set()

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.over.set()
