"""Trainings that are killed at random moments and resumed must end with the bytes of an undisturbed one."""

import os
import random
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import NotFoundError
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import TrainConfig
from goemo_cli.services.training.resume import find_interrupted, resume
from goemo_cli.services.training.tracking import open_tracker
from goemo_cli.services.training.train import train
from goemo_cli.services.validation import validate_artifacts
from tests.resuming import content_of, logged_steps
from tests.torture.faults import Trial

MAX_KILLS = 3


@dataclass(frozen=True)
class Reference:
    """An undisturbed run."""

    layout: Layout
    run: Checkpoint
    seconds: float
    """Its duration, which the moments of the kills are drawn from."""


def undisturbed(config: TrainConfig, folder: Path) -> Reference:
    """Train without a kill."""
    layout, started = Layout(folder), time.monotonic()
    _in_child(partial(_train_or_resume, config, layout))()
    (path,) = layout.checkpoints()
    return Reference(layout, Checkpoint.open(path), time.monotonic() - started)


def trials(
    config: TrainConfig, reference: Reference, count: int, folder: Path, seed: int = 0
) -> Iterator[Trial]:
    """Train `count` times, each with one to three kills, and compare with the reference.

    Args:
        config: settings of all trainings.
        reference: an undisturbed run with them.
        count: number of trainings.
        folder: for their roots, which are removed if all is well.
        seed: of the number and the moments of the kills.
    """
    seconds = reference.seconds
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        layout = Layout(folder / str(number))
        go_on = partial(_train_or_resume, config, layout)
        while not (
            killed := _kill(go_on, rng, seconds)
        ):  # the machine is faster now than when it was measured
            shutil.rmtree(layout.root)
            seconds *= 0.8
        _in_child(go_on)()
        faults = _faults(layout, reference)
        yield Trial(f"training {number}, killed {killed} times", tuple(faults))
        if not faults:
            shutil.rmtree(layout.root)


def _kill(go_on: Callable[[], object], rng: random.Random, seconds: float) -> int:
    """Start a training and kill it, one to three times; returns how often it was killed before its end."""
    moments = [rng.uniform(0, seconds) for _ in range(rng.randint(1, MAX_KILLS))]
    return sum(_in_child(go_on)(moment) for moment in moments)


def _train_or_resume(config: TrainConfig, layout: Layout) -> None:
    """Continue the run below a root, also one that was killed after its manifest was written; train if it has none."""
    try:
        folder = find_interrupted("@latest", layout)
    except NotFoundError:
        if not any((run / "manifest.json").is_file() for run in layout.checkpoints()):
            train(config, layout=layout, tracker=open_tracker(config, layout=layout))
        return
    resume(
        folder,
        layout=layout,
        open_tracker=partial(open_tracker, layout=layout),
    )


def _faults(layout: Layout, reference: Reference) -> list[str]:
    finished = [path for path in layout.checkpoints() if (path / "manifest.json").is_file()]
    if len(finished) != 1:
        return [f"{len(finished)} finished runs"]
    run = Checkpoint.open(finished[0])
    found = [str(problem) for problem in validate_artifacts(layout).problems]
    ours, theirs = content_of(run, layout), content_of(reference.run, reference.layout)
    found += [f"{name} differs" for name in theirs if ours.get(name) != theirs[name]]
    if logged_steps(run, layout) != logged_steps(reference.run, reference.layout):
        found.append("the journal differs")
    return found


def _in_child(act: Callable[[], object]) -> Callable[..., bool]:
    """`run(seconds)`: act in a forked process, which is killed after some seconds; whether it was killed."""

    def run(seconds: float | None = None) -> bool:
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            try:
                act()
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        timer = threading.Timer(seconds or 0, lambda: os.kill(pid, signal.SIGKILL))
        if seconds is not None:
            timer.start()
        _, status = os.waitpid(pid, 0)
        timer.cancel()
        code = os.waitstatus_to_exitcode(status)
        if code not in (0, -signal.SIGKILL):
            raise RuntimeError("the training failed")
        return code != 0

    return run
