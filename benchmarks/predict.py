"""Comments per second of goemo's Predictor and of transformers' pipeline, on the GoEmotions test split or the sample's.

    python -m benchmarks.predict [--checkpoint RUN] [--data-dir DIR] [--comments N] [--rounds 3]

All classify the same comments with the same checkpoint, in turn within one process: by the clock, and by the processor,
which other work on the machine affects less. It is the case of a file: each program gets all comments at once, while
`benchmarks.engines` sends requests. The pipeline runs with its defaults and in batches of 32. Models that `goemo
export-model` has exported are measured too. The checkpoint's thresholds decide the labels of all. Loading is not counted.
The checkpoint must be that of a transformer; by default it is a MiniLM that was trained for a few steps.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from transformers import pipeline

from benchmarks.data import read_comments
from benchmarks.measure import (
    Quantities,
    Table,
    interleaved,
    new_result,
    option_parser,
    timed,
)
from goemo_cli.core.arrays import BoolArray, FloatArray
from goemo_cli.core.checkpoint import MANIFEST, Checkpoint
from goemo_cli.core.layout import Layout
from goemo_cli.ml.models.pretrained import quiet_transformers
from goemo_cli.services.predicting.predictor import Predictor
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.train import train

CLOCK, PROCESSOR = "comments/s", "comments per CPU second"
DIFFERENT = "labels that differ from goemo's"


@contextmanager
def briefly_trained() -> Iterator[Path]:
    """The checkpoint of a MiniLM after a few steps: as fast as a good one."""
    flags = {"data.name": "sample", "data.max_train_samples": 256, "training.epochs": 1}
    with tempfile.TemporaryDirectory() as folder:
        yield train(resolve_settings(None, flags), layout=Layout(Path(folder))).path


def pipeline_probabilities(classify: Any, texts: Sequence[str], labels: Sequence[str]) -> FloatArray:
    """Scores of transformers' pipeline as a matrix, float32, (n_examples, n_labels)."""
    rows = classify(list(texts))
    by_label = [{entry["label"]: entry["score"] for entry in row} for row in rows]
    return np.asarray([[scores[label] for label in labels] for scores in by_label], dtype=np.float32)


def compare_programs(checkpoint: Checkpoint, texts: Sequence[str], rounds: int) -> Table:
    """The pipeline, at its defaults and in batches, and the Predictor with the run and its exports."""
    predictors = {
        name: Predictor.load(path, device="cpu", engine=engine)
        for name, (path, engine) in models_of(checkpoint).items()
    }
    ours: BoolArray = checkpoint.thresholds.decide(predictors["goemo"].predict(texts).y_prob)

    def measure(work: Callable[[], FloatArray], _: int) -> Quantities:
        wall, cpu, found = timed(work)
        different = int((checkpoint.thresholds.decide(found) != ours).sum())
        return {CLOCK: len(texts) / wall, PROCESSOR: len(texts) / cpu, DIFFERENT: different}

    def pipelined(**settings: int) -> Callable[[int], Quantities]:
        with quiet_transformers():
            classify = pipeline(
                "text-classification", str(checkpoint.path), top_k=None, device="cpu", **settings
            )
        return partial(measure, partial(pipeline_probabilities, classify, texts, checkpoint.labels))

    others = {"pipeline": pipelined(), "pipeline, batches of 32": pipelined(batch_size=32)}
    goemo = {name: partial(measure, partial(predicted, one, texts)) for name, one in predictors.items()}
    table = interleaved(f"{len(texts):,} comments", "program", {**others, **goemo}, rounds)
    for name in goemo:
        for other in others:
            for quantity in (CLOCK, PROCESSOR):
                table.compare(name, other, quantity)
    return table


def models_of(checkpoint: Checkpoint) -> dict[str, tuple[Path, str]]:
    """The run and its exports, each with its engine, by the names of the table."""
    layout = Layout(checkpoint.path.resolve().parents[3])
    exports = {
        "goemo, onnx": layout.export(checkpoint.run, "onnx", "fp32"),
        "goemo, onnx int8": layout.export(checkpoint.run, "onnx", "int8"),
    }
    found = {name: (path, "onnx") for name, path in exports.items() if (path / MANIFEST).is_file()}
    return {"goemo": (checkpoint.path, "torch"), **found}


def predicted(predictor: Predictor, texts: Sequence[str]) -> FloatArray:
    """Probabilities of a predictor, float32, (n_examples, n_labels)."""
    return predictor.predict(texts).y_prob


def main() -> None:
    """Run the rounds and write the result."""
    parser = option_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, help="by default a MiniLM, trained for a few steps")
    parser.add_argument("--data-dir", type=Path, help="GoEmotions' files; by default the sample")
    parser.add_argument("--comments", type=int, help="by default the whole test split")
    options = parser.parse_args()
    result = new_result(
        "predict",
        "Predicting",
        (
            "goemo's `Predictor` and transformers' `pipeline` with the same checkpoint and all comments at once, as with a "
            "file, in turn in one process; fp32, but for int8."
        ),
    )
    texts = read_comments(options.data_dir).test.texts[: options.comments]
    if options.checkpoint:
        table = compare_programs(Checkpoint.open(options.checkpoint), texts, options.rounds)
    else:
        with briefly_trained() as path:
            table = compare_programs(Checkpoint.open(path), texts, options.rounds)
    result.tables.append(table)
    result.write(options.results)


if __name__ == "__main__":
    main()
