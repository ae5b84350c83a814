"""The cost of saved states and of seeding each step, as shares of the training time, measured in one run.

    python -m benchmarks.saving [--comments 768] [--model minilm]

One training saves a state after every step. The share of the default settings is that of one state at each epoch of
GoEmotions and one for every 10 minutes, at the measured speed.
"""

import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.measure import Quantities, interleaved, new_result, option_parser
from goemo_cli.core.layout import Layout
from goemo_cli.ml.training import loop, state
from goemo_cli.services.training.saved_states import StateStore
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.train import train

GOEMOTIONS_COMMENTS, EPOCHS, MINUTES = 43_410, 4, 10


def measure(flags: Mapping[str, object], comments: int) -> Quantities:
    """One training that saves after every step."""
    saves: list[float] = []
    seeds: list[float] = []
    config = resolve_settings(None, flags, ["training.save_every_minutes=1e-9", "training.epochs=1"])
    with (
        tempfile.TemporaryDirectory() as root,
        patch.object(StateStore, "save", timed(StateStore.save, saves)),
        patch.object(loop, "seed_step", timed(state.seed_step, seeds)),
    ):
        metrics = train(config, layout=Layout(Path(root))).metrics
    seconds = metrics.history[0].epoch_seconds  # of the steps alone, without the states
    training = EPOCHS * seconds / comments * GOEMOTIONS_COMMENTS
    states = EPOCHS + training / (60 * MINUTES)
    save = statistics.median(saves)
    return {
        "comments/s": comments / seconds,
        "a state in s": save,
        "states, % of training": 100 * states * save / training,
        "seeding, % of training": 100 * sum(seeds) / seconds,
    }


def main() -> None:
    """Train, and write the shares."""
    parser = option_parser(__doc__)
    parser.add_argument("--comments", type=int, default=768)
    parser.add_argument("--model", default="minilm")
    options = parser.parse_args()
    flags = {"model.name": options.model, "data.name": "sample", "data.max_train_samples": options.comments}
    result = new_result("saving", "Saved states", __doc__.rpartition("\n\n")[2])
    measures = {options.model: lambda _: measure(flags, options.comments)}
    result.tables.append(interleaved("Cost of saving and seeding", "model", measures, options.rounds))
    result.write(options.results)


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
