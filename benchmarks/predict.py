"""Comments per second of goemo's Predictor and of transformers' pipeline with its defaults, on the GoEmotions test split.

    OMP_NUM_THREADS=1 python benchmarks/predict.py CHECKPOINT --data-dir DIR [--rows N] [--rounds 3]

Both classify the same comments with the same checkpoint in fp32, alternating within one process. For each round the program
prints the ratio of wall-clock times, the ratio of processor times (less affected by other work on the machine), and the
number of different labels. The checkpoint's thresholds are applied to the pipeline's scores. Loading is not counted. The
checkpoint must be that of a transformer.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import pipeline

from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.ml.data.goemotions import read_goemotions
from goemo_cli.ml.models.pretrained import quiet_transformers
from goemo_cli.services.predicting.predictor import Predictor


def pipeline_probabilities(classify: Any, texts: Sequence[str], labels: Sequence[str]) -> FloatArray:
    """Scores of transformers' pipeline as a matrix, float32, (n_examples, n_labels)."""
    rows = classify(list(texts))
    by_label = [{entry["label"]: entry["score"] for entry in row} for row in rows]
    return np.asarray([[scores[label] for label in labels] for scores in by_label], dtype=np.float32)


def timed(work: Callable[[], FloatArray]) -> tuple[float, float, FloatArray]:
    """Seconds on the clock, seconds of the processor, and what came out."""
    started, began = time.perf_counter(), time.process_time()
    found = work()
    return time.perf_counter() - started, time.process_time() - began, found


def main() -> None:
    """Run the rounds and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    checkpoint = Checkpoint.open(given.checkpoint)
    texts = read_goemotions(given.data_dir).test.texts[: given.rows]
    predictor = Predictor.load(checkpoint, device="cpu")
    with quiet_transformers():
        classify = pipeline("text-classification", model=str(checkpoint.path), top_k=None, device="cpu")
    ratios: list[tuple[float, float]] = []
    for number in range(1, given.rounds + 1):
        their_wall, their_cpu, their_prob = timed(
            lambda: pipeline_probabilities(classify, texts, checkpoint.labels)
        )
        our_wall, our_cpu, our_prob = timed(lambda: predictor.predict(texts).y_prob)
        ratios.append((their_wall / our_wall, their_cpu / our_cpu))
        decide = checkpoint.thresholds.decide
        different = int((decide(their_prob) != decide(our_prob)).sum())
        print(
            f"round {number}: pipeline {len(texts) / their_wall:.0f}/s, goemo {len(texts) / our_wall:.0f}/s, "
            f"{ratios[-1][0]:.2f} x by the clock, {ratios[-1][1]:.2f} x by the processor; {different} of "
            f"{our_prob.size:,} labels differ; probabilities by {np.abs(their_prob - our_prob).max():.1e} at most",
            flush=True,
        )
    wall, cpu = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"median: {wall:.2f} x by the clock, {cpu:.2f} x by the processor")


if __name__ == "__main__":
    main()
