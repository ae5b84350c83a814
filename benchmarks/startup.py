"""CPU time until goemo answers, compared with a bare Python, with `wandb --help` and with the import of torch.

    python -m benchmarks.startup [--rounds 7]

Measures whole processes, interleaved: user plus system time of each child.
"""

import subprocess
import sys
from collections.abc import Sequence

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
}
SECONDS = "CPU seconds"


def process(arguments: Sequence[str]) -> Quantities:
    """User and system time of one process."""
    before = children_cpu_seconds()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    return {SECONDS: children_cpu_seconds() - before}


def main() -> None:
    """Run the rounds and write the result."""
    options = option_parser(__doc__).parse_args()
    result = new_result(
        "startup",
        "Start",
        "User plus system time of whole processes, started in turn.",
    )
    measures = {name: lambda _, given=given: process(given) for name, given in COMMANDS.items()}
    table = interleaved("Until a command answers", "command", measures, options.rounds)
    for name in COMMANDS:
        if name.startswith("goemo"):
            table.compare(name, "wandb --help", SECONDS)
    result.tables.append(table)
    result.write(options.results)


if __name__ == "__main__":
    main()
