"""Servers of predictions, in this process and in another one, and requests to them."""

import http.client
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from goemo_cli.services.predicting.predictor import Predictor
from goemo_cli.services.serving.limits import Limits
from goemo_cli.services.serving.server import address_of, bind, server_of
from tests.conftest import REPOSITORY
from tests.waiting import GUARD_SECONDS, wait_for


@dataclass(frozen=True)
class Client:
    """Sends requests to a server."""

    address: str

    def connect(self) -> http.client.HTTPConnection:
        """A connection."""
        return http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=GUARD_SECONDS)

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and content of an answer; JSON is parsed. A body that is not bytes is sent as JSON."""
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = self.connect()
        try:
            connection.request(method, path, sent, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            content: Any = answer.read().decode()
        finally:
            connection.close()
        if answer.getheader("Content-Type") == "application/json":
            content = json.loads(content)
        return answer.status, content


@contextmanager
def served(predictor: Predictor, limits: Limits | None = None, token: str | None = None) -> Iterator[Client]:
    """A server in a thread, on a free port of the loopback."""
    with bind("127.0.0.1", 0, token=token) as bound:
        server = server_of(predictor, bound, limits=limits, token=token)
        thread = threading.Thread(target=server.run, args=([bound],))
        thread.start()
        try:
            wait_for(lambda: server.started)
            yield Client(address_of(bound))
        finally:
            server.should_exit = True
            thread.join(GUARD_SECONDS)


@contextmanager
def serving_process(folder: Path, program: str) -> Iterator[Client]:
    """Requests to a process of its own, which is killed at the end.

    Args:
        folder: the current one of the process; its output goes to a file there.
        program: in Python, that runs `goemo serve`.
    """
    log = folder / "serve.log"
    with log.open("wb") as stream:
        running = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            cwd=folder,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        addresses = wait_for(lambda: re.findall(r"Answering at (\S+);", log.read_text()), process=running)
        yield Client(addresses[0])
    finally:
        running.kill()
        running.wait(GUARD_SECONDS)
