"""CPU time until goemo answers, compared with a bare Python, with `wandb --help` and with the import of torch.

    python benchmarks/startup.py [--rounds 7]

Measures whole processes, interleaved: user plus system time of each child. Prints medians and their ratios.
"""

import argparse
import resource
import statistics
import subprocess
import sys

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


def cpu_seconds(arguments: list[str]) -> float:
    """User and system time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Run the rounds and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            times[name].append(cpu_seconds(arguments))
    bare, wandb = (statistics.median(times[name]) for name in ("python -c pass", "wandb --help"))
    for name, values in times.items():
        median = statistics.median(values)
        print(
            f"{name:<32} {median:6.3f} s CPU  ({median / bare:5.1f} x a bare Python, {median / wandb:.2f} x wandb --help)"
        )


if __name__ == "__main__":
    main()
