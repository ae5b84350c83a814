"""CPU time until goemo answers, compared with a bare Python, `wandb --help`, and the imports of torch and transformers.

    python -m benchmarks.startup [--rounds 7] [--root DIR]

Measures whole processes, interleaved: user plus system time of each child. The commands that read runs read those below
--root: by default a tiny transformer and a TF-IDF model that are trained on the sample first.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Quantities, children_cpu_seconds, interleaved, new_result, option_parser

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "goemo --help": ["-m", "goemo_cli", "--help"],
    "goemo --version": ["-m", "goemo_cli", "--version"],
    "goemo train --bogus": ["-m", "goemo_cli", "train", "--bogus"],
    "goemo train training.epoch=3": ["-m", "goemo_cli", "train", "training.epoch=3"],
    "goemo train --help": ["-m", "goemo_cli", "train", "--help"],
    "wandb --help": ["-m", "wandb", "--help"],
    "import torch": ["-c", "import torch"],
    "import torch, transformers": ["-c", "import torch, transformers"],
}
WITH_RUNS = {
    "goemo runs list": ["runs", "list"],
    "goemo predict, a transformer": ["predict", "thank you", "--checkpoint", "@tiny"],
    "goemo predict, TF-IDF": ["predict", "thank you", "--checkpoint", "@tfidf"],
    "goemo validate": ["validate"],
    "goemo figures": ["figures", "@tfidf"],
    "goemo report": ["report", "@tfidf"],
}
"""Arguments of goemo, in an order in which figures and report of the round before are there to be validated."""
SECONDS = "CPU seconds"


def process(arguments: Sequence[str]) -> Quantities:
    """User and system time of one process."""
    before = children_cpu_seconds()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    return {SECONDS: children_cpu_seconds() - before}


def trained(root: Path) -> Path:
    """The folder, with a run of tiny and one of tfidf."""
    for model in ("tiny", "tfidf"):
        given = ["train", "--model", model, "--data", "sample", "--no-wandb", "--quiet", "--root", str(root)]
        subprocess.run([sys.executable, "-m", "goemo_cli", *given], check=True)
    return root


def main() -> None:
    """Run the rounds and write the result."""
    parser = option_parser(__doc__)
    parser.add_argument("--root", type=Path, help="a project with a run of tiny and one of tfidf")
    options = parser.parse_args()
    result = new_result(
        "startup",
        "Start",
        "User plus system time of whole processes, started in turn.",
    )
    with tempfile.TemporaryDirectory() as temporary:
        root = options.root or trained(Path(temporary))
        with_runs = {
            name: ["-m", "goemo_cli", *given, "--root", str(root)] for name, given in WITH_RUNS.items()
        }
        commands = COMMANDS | with_runs
        measures = {name: lambda _, given=given: process(given) for name, given in commands.items()}
        table = interleaved("Until a command answers", "command", measures, options.rounds)
    for name in COMMANDS:
        if name.startswith("goemo"):
            table.compare(name, "wandb --help", SECONDS)
    for name in WITH_RUNS:
        for imports in ("import torch", "import torch, transformers"):
            table.compare(name, imports, SECONDS)
    result.tables.append(table)
    result.write(options.results)


if __name__ == "__main__":
    main()
