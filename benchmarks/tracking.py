"""The cost of trackers: time inside their calls as a share of the training time, measured in one run each.

    python -m benchmarks.tracking [--comments 384] [--epochs 2] [--model minilm]

Trackers: the journal alone, which is always on; with TensorBoard; with W&B, the real SDK against the loopback server of
the tests; with all of them and `log_every=1`; with histograms of all gradients and parameters. Three numbers each:

- calls: seconds in which training waited for its trackers up to the last epoch and counted histograms, as a share of
  training time;
- elsewhere: processor seconds of the W&B process and wandb-core during training, as the same share; about one second
  of it is their start, for any length of training;
- end: seconds from the finished files to the end of the run; with W&B this is the upload.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from benchmarks.measure import Quantities, interleaved, new_result, option_parser
from goemo_cli.core.events import Event, Warning
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import TrainConfig
from goemo_cli.ml.training import loop
from goemo_cli.ml.training.histograms import model_histograms
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.tracking import open_tracker
from goemo_cli.services.training.train import train
from goemo_cli.tracking.base import Tracker
from tests.wandb_server import WandbServer

TRACKERS: Mapping[str, tuple[str, ...]] = {
    "journal": (),
    "journal, TensorBoard": ("logging.tensorboard=true",),
    "journal, W&B": ("logging.wandb.enabled=true",),
    "all, every step": (
        "logging.tensorboard=true",
        "logging.wandb.enabled=true",
        "logging.wandb.log_every=1",
    ),
    "histograms, every 12th": (
        "logging.wandb.log_gradients=true",
        "logging.wandb.watch_model=true",
        "logging.wandb.log_every=12",
    ),
}


class Timed:
    """A tracker that counts the seconds spent in each of another's calls."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self.seconds: dict[str, float] = {}
        self.elsewhere = 0.0
        """Processor seconds of child processes when the first result was told."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._tracker, name)
        if not callable(value):
            return value

        def timed(*arguments: Any, **named: Any) -> Any:
            if name in ("log", "event"):
                self.elsewhere = processor_seconds_of_children()
            return self.timed(name, value)(*arguments, **named)

        return timed

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, its seconds counted under a name."""

        def counted(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

        return counted


def processor_seconds_of_children() -> float:
    """Of all running descendants of this process, as /proc tells."""
    stats: dict[int, tuple[int, int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            stats[int(path.parent.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    below, found = {os.getpid()}, 0
    while found < len(below):
        found = len(below)
        below |= {pid for pid, (parent, _) in stats.items() if parent in below}
    ticks = sum(stats[pid][1] for pid in below - {os.getpid()} if pid in stats)
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(config: TrainConfig, root: Path) -> Quantities:
    """Training seconds; calls and other processes as shares of them; seconds at the end."""
    layout = Layout(root)

    def on_event(event: Event) -> None:
        if isinstance(event, Warning) and "tokens" not in event.message:
            raise RuntimeError(event.message)

    timed = Timed(open_tracker(config, layout=layout, on_event=on_event))
    with patch.object(loop, "model_histograms", timed.timed("histograms counted", model_histograms)):
        training = train(config, layout=layout, tracker=cast(Tracker, timed), on_event=on_event)
    seconds = training.metrics.training_seconds
    end = timed.seconds.pop("finish")
    return {
        "training in s": seconds,
        "calls, % of training": 100 * sum(timed.seconds.values()) / seconds,
        "elsewhere, % of training": 100 * timed.elsewhere / seconds,
        "end in s": end,
    }


def main() -> None:
    """Measure each set of trackers and write the result."""
    parser = option_parser(__doc__)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--comments", type=int, default=384)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    flags = {
        "model.name": options.model,
        "data.name": "sample",
        "data.max_train_samples": options.comments,
        "training.epochs": options.epochs,
    }
    result = new_result("tracking", "Tracking", __doc__.partition("\n\nTrackers: ")[2])
    with tempfile.TemporaryDirectory() as folder, WandbServer() as server:
        os.environ.update(server.environment(Path(folder)))
        train(resolve_settings(None, flags | {"model.name": "tiny"}), layout=Layout(Path(folder, "warm")))

        def measure_trackers(overrides: tuple[str, ...], number: int) -> Quantities:
            root = Path(folder, f"{number} {' '.join(overrides)}")
            return measure(resolve_settings(None, flags, overrides), root)

        title = f"{options.model}, {options.comments:,} comments, {options.epochs} epochs"
        variants = {name: partial(measure_trackers, overrides) for name, overrides in TRACKERS.items()}
        result.tables.append(interleaved(title, "trackers", variants, options.rounds))
    result.write(options.results)


if __name__ == "__main__":
    main()
