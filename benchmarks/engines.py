"""Latency, throughput and memory of goemo's engines, transformers' pipeline and plain onnxruntime, on the same comments.

    python -m benchmarks.engines [--checkpoint RUN] [--data-dir DIR] [--comments N] [--rounds 3]

Each program has a process, which answers one comment at a time, then 8, then 64; only one process computes at a time. Times are
those of the clock, and of the processor, which other work on the machine affects less. By default the checkpoint is a MiniLM that was trained for a few steps; one that is given is exported if that is still to do.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import read_comments
from benchmarks.measure import Quantities, Table, interleaved, new_result, option_parser
from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.checkpoint import MANIFEST, Checkpoint
from goemo_cli.core.layout import Layout

SIZES = (1, 8, 64)
"""Comments per request."""
LATENCIES = ("p50 in ms", "p99 in ms", "p50 in CPU ms", "p99 in CPU ms")
"""Of one comment."""
MEMORY = "peak memory in MiB"
DIFFERENT = "labels that differ from goemo, torch"
BASE = "goemo, torch"
OTHERS = ("pipeline", "pipeline, batched")

Classify = Callable[[Sequence[str]], FloatArray]
"""Probabilities of texts, (n_examples, n_labels)."""


def goemo(folder: Path, engine: str, _: int) -> Classify:
    """Goemo's Predictor."""
    from goemo_cli.services.predicting.predictor import Predictor

    predictor = Predictor.load(folder, device="cpu", engine=engine)
    return lambda texts: predictor.predict(texts).y_prob


def transformers_pipeline(folder: Path, is_batched: bool, size: int) -> Classify:
    """Transformers' pipeline: at its defaults, or with batches as large as the requests."""
    from transformers import pipeline

    from benchmarks.predict import pipeline_probabilities
    from goemo_cli.ml.models.pretrained import quiet_transformers

    labels = Checkpoint.open(folder).labels
    settings: dict[str, Any] = {"batch_size": size} if is_batched else {}
    with quiet_transformers():
        classify = pipeline("text-classification", str(folder), top_k=None, device="cpu", **settings)
    return lambda texts: pipeline_probabilities(classify, texts, labels)


def plain_onnxruntime(folder: Path, max_length: int, _: int) -> Classify:
    """A session with onnxruntime's defaults; comments of a request are padded to the longest."""
    import onnxruntime
    from tokenizers import Tokenizer

    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(max_length)
    tokenizer.enable_padding()

    def classify(texts: Sequence[str]) -> FloatArray:
        rows = tokenizer.encode_batch(list(texts))
        inputs = {
            "input_ids": np.array([row.ids for row in rows]),
            "attention_mask": np.array([row.attention_mask for row in rows]),
        }
        logits = session.run(None, inputs)[0]
        found: FloatArray = 1 / (1 + np.exp(-logits))
        return found

    return classify


def serve(connection: Connection, build: Callable[[int], Classify]) -> None:
    """Answer requests until None comes: (texts, size) to (seconds of each request, CPU seconds of each, probabilities, memory)."""
    programs: dict[int, Classify] = {}
    while (request := connection.recv()) is not None:
        texts, size = request
        if size not in programs:
            programs[size] = build(size)
            programs[size](texts[:size])
        seconds, cpu, found = [], [], []
        for start in range(0, len(texts), size):
            started, began = time.perf_counter(), time.process_time()
            found.append(programs[size](texts[start : start + size]))
            seconds.append(time.perf_counter() - started)
            cpu.append(time.process_time() - began)
        connection.send((seconds, cpu, np.concatenate(found), peak_memory()))


def peak_memory() -> float:
    """The most memory that this process had, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def programs(checkpoint: Checkpoint, layout: Layout) -> dict[str, Callable[[int], Classify]]:
    """Each program by its name."""
    fp32, int8 = (layout.export(checkpoint.run, "onnx", precision) for precision in ("fp32", "int8"))
    export = Checkpoint.open(fp32).manifest.export
    assert export is not None
    return {
        BASE: partial(goemo, checkpoint.path, "torch"),
        "goemo, onnx": partial(goemo, fp32, "onnx"),
        "goemo, onnx int8": partial(goemo, int8, "onnx"),
        "pipeline": partial(transformers_pipeline, checkpoint.path, False),
        "pipeline, batched": partial(transformers_pipeline, checkpoint.path, True),
        "plain onnxruntime": partial(plain_onnxruntime, fp32, export.max_length),
        "plain onnxruntime int8": partial(plain_onnxruntime, int8, export.max_length),
    }


def compare(checkpoint: Checkpoint, layout: Layout, texts: Sequence[str], rounds: int) -> Table:
    """All programs in turn."""
    expected: list[FloatArray] = []
    with ExitStack() as stack:
        measures = {
            name: _started(stack, build, checkpoint, texts, expected)
            for name, build in programs(checkpoint, layout).items()
        }
        table = interleaved(f"{len(texts):,} comments", "program", measures, rounds)
    for quantity in (
        LATENCIES[-2],
        _throughputs(SIZES[-1])[-1],
        MEMORY,
    ):  # time of the processor, not of the clock
        for name in measures:
            if name.startswith("goemo"):
                for other in (*OTHERS, BASE):
                    if name != other:
                        table.compare(name, other, quantity)
    return table


def _started(
    stack: ExitStack,
    build: Callable[[int], Classify],
    checkpoint: Checkpoint,
    texts: Sequence[str],
    expected: list[FloatArray],
) -> Callable[[int], Quantities]:
    """Start the process of a program; what measures one round of it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, build))
    process.start()
    stack.callback(process.join)
    stack.callback(ours.send, None)

    def measure(_: int) -> Quantities:
        found: dict[str, float] = {}
        for size in SIZES:
            ours.send((texts, size))
            seconds, cpu, y_prob, memory = ours.recv()
            if size == 1:
                values = [np.percentile(one, share) for one in (seconds, cpu) for share in (50, 99)]
                found |= {name: 1000 * float(value) for name, value in zip(LATENCIES, values, strict=True)}
            for name, one in zip(_throughputs(size), (seconds, cpu), strict=True):
                found[name] = len(texts) / sum(one)
            expected.append(y_prob)
        different = int((checkpoint.rules.decide(y_prob) != checkpoint.rules.decide(expected[0])).sum())
        return {**found, MEMORY: memory, DIFFERENT: different}

    return measure


def _throughputs(size: int) -> tuple[str, str]:
    return f"comments/s, {size} at a time", f"comments per CPU second, {size} at a time"


def main() -> None:
    """Run the rounds and write the result."""
    parser = option_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, help="by default a MiniLM, trained for a few steps")
    parser.add_argument("--data-dir", type=Path, help="GoEmotions' files; by default the sample")
    parser.add_argument("--comments", type=int, default=256)
    options = parser.parse_args()
    result = new_result(
        "engines",
        "Engines of prediction",
        "One process per program with the same checkpoint and comments, in turn: one comment at a time, then 8, then 64.",
    )
    texts = read_comments(options.data_dir).test.texts[: options.comments]
    with exported_run(options.checkpoint) as (checkpoint, layout):
        result.tables.append(compare(checkpoint, layout, texts, options.rounds))
    result.write(options.results)


@contextmanager
def exported_run(path: Path | None) -> Iterator[tuple[Checkpoint, Layout]]:
    """A run with its exported models, and the layout of its project; a briefly trained one by default."""
    from benchmarks.predict import briefly_trained  # torch, which would count in the memory of each process

    with ExitStack() as stack:
        path = path or stack.enter_context(briefly_trained())
        checkpoint, layout = Checkpoint.open(path), Layout(path.resolve().parents[3])
        export_if_missing(checkpoint, layout)
        yield checkpoint, layout


def export_if_missing(checkpoint: Checkpoint, layout: Layout) -> None:
    """Export a run in fp32 and int8."""
    from goemo_cli.services.exporting.export_model import export_model

    for int8 in (False, True):
        folder = layout.export(checkpoint.run, "onnx", "int8" if int8 else "fp32")
        if not (folder / MANIFEST).is_file():
            export_model(checkpoint, layout=layout, int8=int8, force=int8)


if __name__ == "__main__":
    main()
