"""How time and memory of goemo's commands grow with rows, labels, text length, threads and model size.

    python -m benchmarks.growth [rows] [labels] [length] [threads] [model] [--quick] [--values 28 1000] [--limit 600]

Each cell is one process of `goemo`. Texts are made by seed. A run is trained for each line of a table; predict reads a file
with as many rows as the whole data, and the other commands use the run. A command that exceeds the limit is stopped and not
tried with larger values; predict then goes on with the last trained run. Transformers train for one epoch. Times are
processor seconds, those of threads seconds on the clock; memory is the largest resident set. Figures are drawn for the
table of labels, since their number grows with labels only.
"""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.data import write_generated
from benchmarks.measure import Table, new_result, option_parser
from goemo_cli.core.layout import Layout

COMMANDS = ("train", "predict", "tune", "validate", "report", "compare")
POLL = 0.05
"""Seconds between two looks at a process."""


@dataclass(frozen=True)
class Case:
    """What one line of a table measures."""

    rows: int = 2000
    labels: int = 28
    length: int = 16
    """Mean number of words; most are one token."""
    threads: int = 1
    model: str = "tfidf"


@dataclass(frozen=True)
class Used:
    """What a process used; None for one that was stopped at the limit."""

    seconds: float
    cpu_seconds: float
    mebibytes: float


@dataclass(frozen=True)
class Growth:
    """One quantity that grows, and all others fixed."""

    title: str
    base: Case
    values: tuple[int | str, ...]
    quick: tuple[int | str, ...]
    time: str = "CPU s"
    commands: tuple[str, ...] = COMMANDS


GROWTHS = {
    "rows": Growth("Rows (tfidf)", Case(), (1_000, 10_000, 100_000, 1_000_000), (500, 2_000)),
    "labels": Growth(
        "Labels (tfidf, 6,000 rows)",
        Case(rows=6000),
        (2, 28, 100, 300, 1_000),
        (2, 28),
        commands=(*COMMANDS, "figures"),
    ),
    "length": Growth("Words (tiny)", Case(model="tiny"), (8, 32, 128, 512), (8, 32)),
    "threads": Growth("Threads (minilm)", Case(model="minilm"), (1, 2), (), "s"),
    "model": Growth("Models (500 rows)", Case(rows=500), ("tiny", "minilm", "base"), ("tfidf", "tiny")),
}


@dataclass
class Measurement:
    """Runs the commands of all lines of one table."""

    folder: Path
    limit: float
    commands: tuple[str, ...]
    stopped: dict[str, str] = field(default_factory=dict)
    """Commands that exceeded the limit, with the value at which they did."""
    run: Path | None = None
    """The project of the last trained run."""

    def line(self, case: Case, value: str) -> dict[str, Used | None]:
        """All commands of one line; without those that cannot run."""
        data = write_generated(
            self.folder / "data.csv", rows=case.rows, labels=case.labels, words=case.length
        )
        project = self.folder / value
        found: dict[str, Used | None] = {}
        for command in self.commands:
            if command in self.stopped:
                continue
            if command == "train":
                found[command] = self.goemo(case, project, *self.training(case, data))
                if found[command]:
                    self.run = project
            elif self.run == project or (command == "predict" and self.run):
                found[command] = self.goemo(case, self.run, command, *self.arguments(command, data))
            if command in found and found[command] is None:
                self.stopped[command] = value
        if self.run != project:  # predict needs the last run if the training of the next line is stopped
            shutil.rmtree(project, ignore_errors=True)
        return found

    def training(self, case: Case, data: Path) -> list[str]:
        """The arguments of `goemo train`."""
        model = str(base_model(self.folder / "base")) if case.model == "base" else case.model
        settings = [] if model == "tfidf" else ["training.epochs=1", "model.max_length=512"]
        return ["train", "--data", str(data), "--model", model, "--no-wandb", *settings]

    def arguments(self, command: str, data: Path) -> list[str]:
        """The arguments of the other commands."""
        if command == "predict":
            return ["--checkpoint", "@latest", "--input", str(data), "--output", str(self.folder / "out.csv")]
        if command == "tune":
            return ["--checkpoint", "@latest"]
        if command == "compare":
            assert self.run
            (predictions,) = Layout(self.run).predictions.glob("test_predictions_*.csv")
            other = shutil.copy(predictions, self.folder / "other.csv")
            return ["@latest", str(other)]
        return []

    def goemo(self, case: Case, root: Path, *arguments: str) -> Used | None:
        """One process; None if it was stopped.

        Raises:
            CalledProcessError: it failed.
        """
        environment = os.environ | {"OMP_NUM_THREADS": str(case.threads), "WANDB_MODE": "disabled"}
        command = [sys.executable, "-m", "goemo_cli", *arguments, "--root", str(root), "--quiet"]
        started = time.perf_counter()
        with (self.folder / "messages").open("w+") as messages:
            process = subprocess.Popen(command, env=environment, stdout=messages, stderr=messages)
            finished = 0
            while not finished:
                finished, status, used = os.wait4(process.pid, os.WNOHANG)
                time.sleep(0 if finished else POLL)
                if not finished and time.perf_counter() - started > self.limit:
                    process.send_signal(signal.SIGKILL)
                    os.wait4(process.pid, 0)
                    return None
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                messages.seek(0)
                raise subprocess.CalledProcessError(process.returncode, command, messages.read())
        return Used(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def base_model(folder: Path) -> Path:
    """A random BERT of the size of bert-base, with MiniLM's tokenizer."""
    # By a process: the kernel counts the memory of this one as that of the processes that it starts later.
    if not folder.exists():
        writer = multiprocessing.get_context("spawn").Process(target=write_base_model, args=(folder,))
        writer.start()
        writer.join()
        if writer.exitcode:
            raise SystemExit("the model of base size could not be written")
    return folder


def write_base_model(folder: Path) -> None:
    """Write a random BERT and its tokenizer."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    from goemo_cli.core.catalogue import model_entry
    from goemo_cli.ml.models.weights import find_weights

    tokenizer = AutoTokenizer.from_pretrained(find_weights("minilm", model_entry("minilm")).folder)
    BertModel(BertConfig(vocab_size=len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def measure(name: str, growth: Growth, values: Sequence[int | str], *, limit: float) -> list[Table]:
    """The tables of one growing quantity: times and memory."""
    times = Table(title=f"{growth.title}: time", heading=name)
    memory = Table(title=f"{growth.title}: memory", heading=name)
    with tempfile.TemporaryDirectory() as folder:
        measurement = Measurement(Path(folder), limit, growth.commands)
        for value in values:
            shown = f"{value:,}" if isinstance(value, int) else value
            changed: dict[str, Any] = {name: value}
            found = measurement.line(replace(growth.base, **changed), str(value))
            for command in growth.commands:
                used = found.get(command)
                seconds, mebibytes = f"{command}, {growth.time}", f"{command}, MiB"
                if used:
                    times.add(shown, {seconds: used.cpu_seconds if "CPU" in growth.time else used.seconds})
                    memory.add(shown, {mebibytes: used.mebibytes})
                else:
                    times.cell(shown, seconds).remark = _reason(command, found, limit)
                    memory.cell(shown, mebibytes)
            print(name, shown, _line(found), flush=True)
    return [times, memory] if times.cells else []


def _reason(command: str, found: Mapping[str, Used | None], limit: float) -> str:
    return f"more than {limit:g} s" if command in found else "not tried"


def _line(found: Mapping[str, Used | None]) -> str:
    return ", ".join(
        f"{command} {used.cpu_seconds:.1f} s {used.mebibytes:.0f} MiB" if used else f"{command} stopped"
        for command, used in found.items()
    )


def main() -> None:
    """Measure the chosen tables and write the result."""
    parser = option_parser(__doc__)
    parser.add_argument("names", nargs="*", metavar="TABLE", help=f"by default all: {', '.join(GROWTHS)}")
    parser.add_argument("--quick", action="store_true", help="few small values")
    parser.add_argument(
        "--values", type=int, nargs="+", help="instead of those of the one table that is named"
    )
    parser.add_argument("--limit", type=float, default=600, help="seconds of one process")
    options = parser.parse_args()
    if unknown := set(options.names) - set(GROWTHS):
        parser.error(f"unknown table: {', '.join(sorted(unknown))}")
    if options.values and len(options.names) != 1:
        parser.error("--values are those of one table")
    result = new_result("growth", "How cost grows", (__doc__ or "").rpartition("\n\n")[2])
    for name in options.names or GROWTHS:
        growth = GROWTHS[name]
        values = options.values or (growth.quick if options.quick else growth.values)
        result.tables += measure(name, growth, values, limit=options.limit)
        result.write(options.results)


if __name__ == "__main__":
    main()
