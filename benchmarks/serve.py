"""Requests per second and latency of `goemo serve` and of a plain server with transformers' pipeline, at 1, 8 and 64 clients.

    python -m benchmarks.serve [--checkpoint RUN] [--data-dir DIR] [--requests N] [--rounds 3]

Each server is a process on the loopback with the same checkpoint. Only one of them gets requests at a time, each with one comment.
The plain server is what most tutorials show: FastAPI, and a function that calls the pipeline with its defaults. Times are those of
the clock, and of the server's processor, which other work on the machine affects less. By default the checkpoint is a MiniLM that
was trained for a few steps.
"""

import http.client
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil

from benchmarks.data import read_comments
from benchmarks.measure import Quantities, Table, interleaved, new_result, option_parser
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.layout import Layout

CLIENTS = (1, 8, 64)
PLAIN = "FastAPI and pipeline"
START_SECONDS = 300.0


def serve_plain(folder: Path) -> None:
    """Answer requests as tutorials do, until a signal ends it."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel
    from transformers import pipeline

    from goemo_cli.services.serving.server import address_of, bind

    classify = pipeline("text-classification", str(folder), top_k=None, device="cpu")
    app = FastAPI()

    class Comment(BaseModel):
        text: str

    @app.post("/predict")
    def predict(comment: Comment) -> list[dict[str, str | float]]:
        found: list[list[dict[str, str | float]]] = classify([comment.text])
        return found[0]

    with bind("127.0.0.1", 0, token=None) as bound:
        print(f"Answering at {address_of(bound)};", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False)).run([bound])


@contextmanager
def started(command: Sequence[object]) -> Iterator[tuple[psutil.Process, str]]:
    """A server in a process, and its host and port."""
    with tempfile.NamedTemporaryFile("r", suffix=".log") as log, Path(log.name).open("w") as stream:
        running = subprocess.Popen(list(map(str, command)), stdout=stream, stderr=subprocess.STDOUT)
        try:
            yield psutil.Process(running.pid), _address(running, Path(log.name))
        finally:
            running.terminate()
            running.wait()


def _address(running: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while not (found := re.search(r"Answering at (\S+);", log.read_text())):
        if running.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"a server did not start: {log.read_text()}")
        time.sleep(0.1)
    return urlsplit(found[1]).netloc


def measure(server: tuple[psutil.Process, str], texts: Sequence[str], _: int) -> Quantities:
    """One round of one server."""
    process, address = server
    answered(address, texts[: CLIENTS[-1]], CLIENTS[-1])  # warm
    found: dict[str, float] = {}
    for clients in CLIENTS:
        before, began = sum(process.cpu_times()[:2]), time.perf_counter()
        latencies = answered(address, texts, clients)
        seconds = time.perf_counter() - began
        cpu = sum(process.cpu_times()[:2]) - before
        found[_rate(clients)] = len(texts) / seconds
        found[f"p50 in ms, {_named(clients)}"] = 1000 * float(np.percentile(latencies, 50))
        found[f"p99 in ms, {_named(clients)}"] = 1000 * float(np.percentile(latencies, 99))
        found[_cpu_rate(clients)] = len(texts) / cpu
    return found


def answered(address: str, texts: Sequence[str], clients: int) -> list[float]:
    """Seconds of each request; each client keeps its connection and waits for an answer before its next request."""
    local = threading.local()

    def ask(text: str) -> float:
        began = time.perf_counter()
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection(address)
        body = json.dumps({"text": text}).encode()
        local.connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        answer = local.connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{address} answered {answer.status}: {content[:200]!r}")
        return time.perf_counter() - began

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(ask, texts))


def _named(clients: int) -> str:
    return f"{clients} client{'' if clients == 1 else 's'}"


def _rate(clients: int) -> str:
    return f"requests/s, {_named(clients)}"


def _cpu_rate(clients: int) -> str:
    return f"requests per CPU second, {_named(clients)}"


def compare(checkpoint: Checkpoint, layout: Layout, texts: Sequence[str], rounds: int) -> Table:
    """All servers in turn."""
    goemo = [sys.executable, "-m", "goemo_cli", "serve", "--root", layout.root, "--port", 0]
    commands = {
        PLAIN: [sys.executable, "-m", "benchmarks.serve", "--plain", checkpoint.path],
        "goemo serve, torch": [*goemo, checkpoint.path, "--engine", "torch"],
        "goemo serve, onnx": [*goemo, checkpoint.path, "--engine", "onnx"],
    }
    with ExitStack() as stack:
        measures: dict[str, Callable[[int], Quantities]] = {
            name: partial(measure, stack.enter_context(started(command)), texts)
            for name, command in commands.items()
        }
        table = interleaved(f"{len(texts):,} requests for each number of clients", "server", measures, rounds)
    for clients in CLIENTS:
        for quantity in (_rate(clients), _cpu_rate(clients), f"p99 in ms, {_named(clients)}"):
            for name in list(measures)[1:]:
                table.compare(name, PLAIN, quantity)
    return table


def main() -> None:
    """Run the rounds and write the result."""
    parser = option_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, help="by default a MiniLM, trained for a few steps")
    parser.add_argument("--data-dir", type=Path, help="GoEmotions' files; by default the sample")
    parser.add_argument("--requests", type=int, default=256, help="for each number of clients")
    parser.add_argument(
        "--plain", type=Path, metavar="FOLDER", help="only be the plain server of a checkpoint"
    )
    options = parser.parse_args()
    if options.plain:
        serve_plain(options.plain)
        return
    from benchmarks.engines import exported_run

    result = new_result(
        "serve",
        "Serving",
        "`goemo serve` and a plain FastAPI server with transformers' pipeline, in turn, with one comment per request.",
    )
    texts = read_comments(options.data_dir).test.texts[: options.requests]
    with exported_run(options.checkpoint) as (checkpoint, layout):
        result.tables.append(compare(checkpoint, layout, texts, options.rounds))
    result.write(options.results)


if __name__ == "__main__":
    main()
