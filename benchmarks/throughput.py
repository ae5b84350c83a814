"""Training throughput of goemo's loop and of Hugging Face's Trainer, in turn in one run on the same comments.

    python -m benchmarks.throughput [--data-dir DIR] [--comments 2048] [--epochs 2] [--rounds 3]
        [--variant NAME=SETTING:VALUE,SETTING:VALUE]... [--max-isa avx2]

All train MiniLM from the same weights: goemo as `goemo train` does, with its default settings (three frozen layers), with those for time
(`training.recipe=fast`: four), with all layers, as Trainer, and with other settings, one set for each --variant; Trainer as run_classification.py sets it up by default (padding to 128
tokens, batches of 8, fp32); and Trainer at its best settings here (dynamic padding, batches grouped by length, batch size of
goemo, bf16 if goemo uses it, fused AdamW). The number is the average over all epochs without scoring; goemo's includes
tokenising and the outputs of frozen layers. Only Trainer's defaults, which are many times slower, train an eighth of the
comments for one epoch. With --max-isa avx2 libraries use AVX2 only and all compute in fp32: an imitation of an older
processor, with the caches, the memory and the clock of this one.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np

from benchmarks.data import read_comments
from benchmarks.hf_trainer import make_trainer
from benchmarks.measure import Quantities, interleaved, new_result, option_parser
from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.events import EventHandler
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import TrainConfig
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts
from goemo_cli.ml.models.pretrained import quiet_transformers
from goemo_cli.ml.training.loop import Fact, Step
from goemo_cli.services.training import train as training
from goemo_cli.services.training.build import Run, pick_hardware
from goemo_cli.services.training.fit import fit_model
from goemo_cli.services.training.settings import resolve_settings

RATE = "comments/s"
LIMITS = {
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    }
}
"""What libraries read at their start, by instruction set."""
GOEMO = {"goemo": [], "goemo, fast": ["training.recipe=fast"]}
ALL_LAYERS = {"goemo, all layers": ["training.frozen_layers=0"]}
DEFAULTS, BEST = "Trainer, defaults", "Trainer, best"
SCORED = 64
"""Comments of val and test, which goemo scores outside the measured time."""
WARM_UP = 128
"""Comments that each trains before the first round."""


def variant(text: str) -> tuple[str, list[str]]:
    """A name, and settings as `goemo train` reads them."""
    name, _, settings = text.partition("=")
    return name, [one.replace(":", "=", 1) for one in settings.split(",") if one]


def goemo(config: TrainConfig, data: Dataset, rows: LabelledTexts) -> Quantities:
    """What `goemo train` does up to its last step, without the scoring of val."""
    few = np.arange(SCORED)
    cut = replace(data, splits={"train": rows, "val": data.val.take(few), "test": data.test.take(few)})
    seconds: list[float] = []

    def timed_model(run: Run, on_event: EventHandler) -> Iterator[Fact]:
        mark = time.perf_counter()
        for fact in fit_model(run, on_event):
            if isinstance(fact, Step):
                seconds.append(time.perf_counter() - mark)
            yield fact
            mark = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder, patch.object(training, "fit_model", timed_model):
        training.train(config, layout=Layout(Path(folder)), data=cut)
    return {RATE: config.training.epochs * len(rows) / sum(seconds)}


def trainer(config: TrainConfig, data: Dataset, train: LabelledTexts, *, best: bool) -> Quantities:
    """Trainer's loop, by its own count of seconds."""
    _, precision = pick_hardware(config, model_entry(config.model.name))
    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        made = make_trainer(config, train, data.labels, precision=precision, output=Path(folder), best=best)
        seconds = made.train().metrics["train_runtime"]
    return {RATE: config.training.epochs * len(train) / seconds}


def limit_instructions(limit: str) -> None:
    """Start this program again in an environment that limits libraries, unless it has it already."""
    if not LIMITS[limit].items() <= os.environ.items():
        os.execve(sys.executable, sys.orig_argv, os.environ | LIMITS[limit])


def contest_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The command line, with --variant and --max-isa, which is in force afterwards."""
    parser.add_argument(
        "--variant", type=variant, action="append", default=[], metavar="NAME=SETTING:VALUE,..."
    )
    parser.add_argument("--max-isa", choices=tuple(LIMITS))
    options = parser.parse_args()
    if options.max_isa:
        limit_instructions(options.max_isa)
    return options


def main() -> None:
    """Run the rounds and write the result."""
    parser = option_parser(__doc__)
    parser.add_argument("--data-dir", type=Path, help="GoEmotions' files; by default the sample")
    parser.add_argument("--comments", type=int, default=2048)
    parser.add_argument("--epochs", type=int, default=2)
    options = contest_options(parser)
    result = new_result("throughput", "Training", (__doc__ or "").rpartition("\n\n")[2])
    data = read_comments(options.data_dir)
    flags = {"training.device": "cpu", "training.precision": "fp32" if options.max_isa else "auto"}
    several = flags | {"training.epochs": options.epochs}
    config, briefly = resolve_settings(None, several), resolve_settings(None, flags | {"training.epochs": 1})
    few = max(64, options.comments // 8)
    variants: dict[str, tuple[int, Callable[[LabelledTexts], Quantities]]] = {
        name: (options.comments, partial(goemo, resolve_settings(None, several, settings), data))
        for name, settings in [*GOEMO.items(), *ALL_LAYERS.items(), *options.variant]
    }
    variants[DEFAULTS] = few, partial(trainer, briefly, data, best=False)
    variants[BEST] = options.comments, partial(trainer, config, data, best=True)

    def measure(name: str, number: int) -> Quantities:
        comments, train = variants[name]
        rows = np.random.default_rng(number).permutation(len(data.train))[:comments]
        return train(data.train.take(rows))

    for comments, train in variants.values():
        train(data.train.take(np.arange(min(comments, WARM_UP))))
    table = interleaved(
        f"Average over {options.epochs} epochs of {options.comments:,} comments",
        "loop",
        {name: partial(measure, name) for name in variants},
        options.rounds,
    )
    for over in (BEST, DEFAULTS):
        for name in variants:
            if not name.startswith("Trainer"):
                table.compare(name, over, RATE)
    result.tables.append(table)
    result.write(options.results)


if __name__ == "__main__":
    main()
