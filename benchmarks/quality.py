"""Wall time from typing a command to a trained and checked model, and the scores of that model, on all of GoEmotions.

    python -m benchmarks.quality --data-dir DIR [--trainer-epochs 1 2 4] [--comments N] [--rounds 1]
        [--without-best] [--variant NAME=SETTING:VALUE,SETTING:VALUE]...

goemo: the processes `goemo train` and `goemo validate`, with the default settings, with those for time (`--recipe fast`), and
with those of each --variant. Trainer: one process (`python -m benchmarks.hf_trainer`) at its best settings for several numbers
of epochs, with a learning rate that suits all layers and goemo's first bias of the head, without which it scores almost 0 after one
epoch. It scores val after each epoch, and val and test once at the end. Thresholds of all are fitted on val by goemo. Test scores
are shown for information; nothing is chosen by them.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import Quantities, interleaved, new_result, option_parser
from benchmarks.throughput import GOEMO, contest_options
from goemo_cli.core.layout import Layout
from goemo_cli.services.runs.references import open_run


def process(*arguments: str) -> str:
    """Standard output of a Python program."""
    done = subprocess.run([sys.executable, "-m", *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def goemo(settings: Sequence[str], options: Any, _: int) -> Quantities:
    """Train and validate."""
    chosen = [*settings]
    if options.comments:
        chosen.append(f"data.max_train_samples={options.comments}")
    if options.max_isa:
        chosen.append("training.precision=fp32")
    with tempfile.TemporaryDirectory() as folder:
        root = ("--root", folder, "--quiet")
        started = time.perf_counter()
        data = ("--data", "goemotions", "--data-dir", str(options.data_dir))
        process("goemo_cli", "train", *data, "--no-wandb", *chosen, *root)
        process("goemo_cli", "validate", *root)
        seconds = time.perf_counter() - started
        metrics = open_run("@latest", Layout(Path(folder))).metrics
    best = next(one for one in metrics.history if one.epoch == metrics.best_epoch)
    test = metrics.test.rule(metrics.threshold_rule).f1_macro
    return _quantities(seconds, best.val_f1_macro, best.val_auc_micro, test)


def trainer(epochs: int, options: Any, _: int) -> Quantities:
    """One process that trains and scores."""
    arguments = ["--data-dir", str(options.data_dir), "--epochs", str(epochs)]
    if options.comments:
        arguments += ["--comments", str(options.comments)]
    if options.max_isa:
        arguments += ["--precision", "fp32"]
    started = time.perf_counter()
    found = json.loads(process("benchmarks.hf_trainer", *arguments).splitlines()[-1])
    seconds = time.perf_counter() - started
    return _quantities(seconds, found["val_f1_macro"], found["val_auc_micro"], found["test_f1_macro"])


def _quantities(seconds: float, val_f1: float, val_auc: float, test_f1: float) -> Quantities:
    return {
        "seconds in all": seconds,
        "val macro-F1 at .3": val_f1,
        "val micro-AUC": val_auc,
        "test macro-F1": test_f1,
    }


def main() -> None:
    """Measure all and write the result."""
    parser = option_parser(__doc__)
    parser.set_defaults(rounds=1)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--comments", type=int, help="of train; by default all")
    parser.add_argument("--trainer-epochs", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument(
        "--without-best",
        action="store_true",
        help="leave out the settings for score, which need the most time",
    )
    options = contest_options(parser)
    result = new_result("quality", "Time to quality", (__doc__ or "").rpartition("\n\n")[2])
    measures = {
        name: partial(goemo, settings, options)
        for name, settings in [*GOEMO.items(), *options.variant]
        if settings or not options.without_best
    }
    measures |= {
        f"Trainer, best, {epochs} epoch{'s' * (epochs > 1)}": partial(trainer, epochs, options)
        for epochs in options.trainer_epochs
    }
    result.tables.append(
        interleaved("From the command to a checked model", "program", measures, options.rounds)
    )
    result.write(options.results)


if __name__ == "__main__":
    main()
