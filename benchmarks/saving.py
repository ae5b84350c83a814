"""The cost of saved states and of seeding each step, as shares of the training time, measured in one run.

    python benchmarks/saving.py [--comments 768] [--model minilm]

One training saves a state after every step. The share of the default settings is that of one state at each epoch of
GoEmotions and one for every 10 minutes, at the measured speed.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from goemo_cli.core.layout import Layout
from goemo_cli.ml.training import loop, state
from goemo_cli.services.training.saved_states import StateStore
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.train import train

GOEMOTIONS_COMMENTS, EPOCHS, MINUTES = 43_410, 4, 10


def main() -> None:
    """Train, and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comments", type=int, default=768)
    parser.add_argument("--model", default="minilm")
    options = parser.parse_args()
    saves: list[float] = []
    seeds: list[float] = []
    flags = {"model.name": options.model, "data.name": "sample", "data.max_train_samples": options.comments}
    config = resolve_settings(None, flags, ["training.save_every_minutes=1e-9", "training.epochs=1"])
    with (
        tempfile.TemporaryDirectory() as root,
        patch.object(StateStore, "save", timed(StateStore.save, saves)),
        patch.object(loop, "seed_step", timed(state.seed_step, seeds)),
    ):
        metrics = train(config, layout=Layout(Path(root))).metrics
    seconds = metrics.history[0].epoch_seconds  # of the steps alone, without the states
    epoch = seconds / options.comments * GOEMOTIONS_COMMENTS
    training = EPOCHS * epoch
    states = EPOCHS + training / (60 * MINUTES)
    save = statistics.median(saves)
    print(f"{len(saves)} states, median {save:.2f} s each; {options.comments / seconds:.0f} comments/s")
    print(f"states at the default, GoEmotions: {100 * states * save / training:.2f} % of training time")
    print(f"seeding each step: {100 * sum(seeds) / seconds:.3f} % of training time")


def timed(call: Any, seconds: list[float]) -> Any:
    """The call, each duration added to a list."""

    def counted(*arguments: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return call(*arguments, **named)
        finally:
            seconds.append(time.perf_counter() - started)

    return counted


if __name__ == "__main__":
    main()
