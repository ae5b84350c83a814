"""`make torture`: one line for each trial, and the number of trials that were survived."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from goemo_cli.core.settings import TrainConfig
from goemo_cli.services.training.settings import resolve_settings
from tests.torture import faults, full_disk, kills, surroundings
from tests.torture.commands import Base
from tests.torture.faults import DEEDS, Trial
from tests.torture.operations import OPERATIONS


def main() -> int:
    """Run the trials that are asked for; 0 if all were survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="trainings of the tiny model that are killed")
    parser.add_argument("--minilm", type=int, default=0, help="trainings of MiniLM that are killed")
    parser.add_argument("--data-dir", type=Path, help="GoEmotions, for --minilm")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    options = parser.parse_args()
    # A shell that starts this with & has SIGINT ignored, also in the trainings that it is sent to.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    done, survived = 0, 0
    with tempfile.TemporaryDirectory(prefix="goemo-torture-") as scratch:
        for trial in _trials(options, Path(scratch)):
            done, survived = done + 1, survived + (not trial.faults)
            print(
                f"{'survived' if not trial.faults else 'FAILED  '}  {trial.name}", *trial.faults, sep="\n    "
            )
    print(f"{survived} of {done} survived")
    return 0 if survived == done else 1


def _trials(options: argparse.Namespace, scratch: Path) -> Iterator[Trial]:
    if options.kills:
        yield from _killed(_settings("tiny", "sample", 300), options.kills, options.seed, scratch / "tiny")
    if options.minilm:
        config = _settings("minilm", "goemotions", 2000, **{"data.dir": options.data_dir})
        yield from _killed(config, options.minilm, options.seed, scratch / "minilm")
    base = Base.make(scratch / "base")
    for number, surrounding in enumerate((*surroundings.TRIALS, *full_disk.TRIALS)):
        if reason := surrounding.missing:
            print(f"skipped   {surrounding.name}: {reason}")
        else:
            case = base.case(scratch / str(number))
            case.folder.mkdir()
            yield Trial(surrounding.name, tuple(surrounding.act(case)))
    if not faults.is_available():
        print("skipped   injected faults: strace is missing, or may not attach to processes")
        return
    for make in OPERATIONS:
        operation = make(scratch / make.__name__)
        for deed in DEEDS:
            yield from faults.trials(operation, deed)


def _killed(config: TrainConfig, count: int, seed: int, folder: Path) -> Iterator[Trial]:
    reference = kills.undisturbed(config, folder / "reference")
    yield from kills.trials(config, reference, count, folder / "trials", seed)


def _settings(model: str, data: str, size: int, **flags: object) -> TrainConfig:
    overrides = [f"data.max_train_samples={size}", "training.save_every_minutes=0.002", "training.epochs=2"]
    return resolve_settings(None, {"model.name": model, "data.name": data, **flags}, overrides)


if __name__ == "__main__":
    sys.exit(main())
