"""Several trainings at the same time: in processes, killed, stopped and continued."""

import json
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from goemo_cli.core.checkpoint import MANIFEST
from goemo_cli.core.documents.training import SeedGroup
from goemo_cli.core.errors import SettingError, TrainingStoppedError
from goemo_cli.core.events import (
    Advanced,
    Event,
    FromProcess,
    Info,
    PhaseEnded,
    PhaseStarted,
    RunBegan,
    Warning,
)
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import TrainConfig
from goemo_cli.services.parallel.event_file import EventFile, EventReader
from goemo_cli.services.runs.index import listed_runs
from goemo_cli.services.runs.locks import holder_of
from goemo_cli.services.training.resume import find_interrupted
from goemo_cli.services.training.seeds import SeedsResult, resume_run, train_seeds
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.tracking import open_tracker
from goemo_cli.services.training.train import train
from goemo_cli.services.validation import validate_artifacts
from tests.resuming import SignalAt, content_of
from tests.small_data import write_small_data
from tests.waiting import GUARD_SECONDS, wait_for

ENDLESS = ("training.epochs=9999", "training.early_stopping.patience=null")


def settings(data: Path | str, *, seed: int = 5) -> TrainConfig:
    flags = {"model.name": "tiny", "data.name": str(data), "training.seed": seed}
    return resolve_settings(None, flags, ["training.epochs=2", "training.learning_rate=1e-2"])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Few labels and rows, since each process draws as often as for users."""
    return write_small_data(tmp_path / "data", train=100)


def interrupted(layout: Layout, config: TrainConfig, group: SeedGroup) -> Path:
    """The folder of one run of a group, which a signal stopped in its second epoch."""
    tracker = open_tracker(config, layout=layout)
    with pytest.raises(TrainingStoppedError):
        train(config, layout=layout, tracker=tracker, group=group, on_event=SignalAt(6, signal.SIGTERM))
    return find_interrupted("@latest", layout)


def test_an_interrupted_seed_and_a_missing_one_continue_in_processes_with_the_bytes_of_one_process(
    data: Path, layout: Layout, tmp_path_factory: pytest.TempPathFactory, all_draws: None
) -> None:
    undisturbed = Layout(tmp_path_factory.mktemp("undisturbed"))
    config = settings(data)
    reference = train_seeds(
        config, 2, layout=undisturbed, open_tracker=partial(open_tracker, layout=undisturbed)
    )
    folder = interrupted(layout, config, SeedGroup(count=2, first_seed=5, runs=[], id="tiny-0", workers=2))
    told: list[Event] = []
    result = resume_run(
        folder, layout=layout, open_tracker=partial(open_tracker, layout=layout), on_event=told.append
    )
    assert isinstance(result, SeedsResult)
    assert result.runs[0].path == folder
    assert contents(result, layout) == contents(reference, undisturbed)
    names = {event.name for event in told if isinstance(event, FromProcess)}
    assert names == {"seed 5", "seed 6"}
    lines = [
        event.event for event in told if isinstance(event, FromProcess) and isinstance(event.event, Info)
    ]
    assert sum(line.message.startswith("Epoch 2/2") for line in lines) == 2
    report = validate_artifacts(layout)
    assert (report.problems, report.warnings) == ([], [])
    assert not layout.seeds.exists()


def contents(result: SeedsResult, layout: Layout) -> list[object]:
    ensemble = [
        layout.split_predictions(result.ensemble.run, split).read_bytes() for split in ("val", "test")
    ]
    return [*(content_of(run, layout) for run in result.runs), *ensemble]


def test_data_that_one_process_alone_can_read_is_refused(layout: Layout) -> None:
    config = settings("-")
    with pytest.raises(SettingError, match="give a file"):
        train_seeds(config, 2, layout=layout, open_tracker=partial(open_tracker, layout=layout), workers=2)


def started(root: Path, *more: str) -> subprocess.Popen[str]:
    """Two seeds at the same time."""
    flags = ["--model", "tiny", "--data", "sample", "--seeds", "2", "--workers", "2", *more]
    command = [sys.executable, "-m", "goemo_cli", "train", "--root", str(root), *flags]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def runs_with_states(layout: Layout) -> list[Path]:
    return sorted({path.parents[2] for path in layout.models.glob("*/*/state/step-*/state.json")})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("whom", "number", "code"),
    [("parent", signal.SIGINT, 130), ("parent", signal.SIGKILL, -9), ("child", signal.SIGKILL, 10)],
)
def test_all_save_their_states_when_one_command_ends(
    tmp_path: Path, whom: str, number: signal.Signals, code: int
) -> None:
    """Ctrl-C, a parent that is killed, and a training that is killed: every other training saves its state."""
    layout = Layout(tmp_path)
    process = started(tmp_path, *ENDLESS)
    wait_for(lambda: len(runs_with_states(layout)) == 2, process=process)
    children = psutil.Process(process.pid).children()
    os.kill(process.pid if whom == "parent" else children[0].pid, number)
    _, err = process.communicate(timeout=GUARD_SECONDS)
    assert process.returncode == code, err
    wait_for(lambda: not any(child.is_running() for child in children))
    assert [run.state for run in listed_runs(layout)] == ["interrupted"] * 2
    if number == signal.SIGINT:
        assert re.search(r"seed 0: the state of step [\d,]+ is saved; seed 1: the state of step", err)
    if whom == "child":
        assert re.search(r"Error: seed \d: ended by SIGKILL; out of memory\?\. seed 0: the state", err)
    if process.returncode > 0:
        assert any(f"goemo train --resume {run.run}" in err for run in listed_runs(layout))


@pytest.mark.slow
def test_a_training_whose_ray_worker_dies_continues_on_another_one(tmp_path: Path) -> None:
    """The other one is not disturbed, nothing is trained twice, and Ctrl-C saves the states of all."""
    layout = Layout(tmp_path)
    process = started(tmp_path, "--executor", "ray", "training.epochs=20")
    worker, training = wait_for(lambda: unfinished_process(layout), process=process)
    worker.kill()
    training.kill()
    _, err = process.communicate(timeout=GUARD_SECONDS)
    assert process.returncode == 0, err
    runs = [run for run in listed_runs(layout) if run.run.model == "tiny"]
    assert [run.state for run in runs] == ["finished"] * 2
    logs = [(layout.journals / f"{run.run}.jsonl").read_text() for run in runs]
    assert sorted("Resuming tiny-" in log for log in logs) == [False, True]


def unfinished_process(layout: Layout) -> list[psutil.Process]:
    """The worker of Ray and its training, which is held, of a run that has a state; empty without one."""
    for folder in runs_with_states(layout):
        if holder := holder_of(folder):
            process = psutil.Process(holder.pid)
            process.suspend()
            if not (folder / MANIFEST).exists() and (worker := process.parent()):
                return [worker, process]
            process.resume()
    return []


@pytest.mark.slow
def test_ctrl_c_saves_the_states_of_trainings_on_ray(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    process = started(tmp_path, "--executor", "ray", *ENDLESS)
    wait_for(lambda: runs_with_states(layout), process=process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=GUARD_SECONDS)
    assert process.returncode == 130, err
    assert "the state of step" in err
    assert {run.state for run in listed_runs(layout)} == {"interrupted"}


def test_events_of_a_process_are_read_while_its_file_grows(tmp_path: Path) -> None:
    """Progress is added up; a process that is killed leaves half a line and an open phase, and another one continues."""
    path = tmp_path / "events.jsonl"
    reader, first = EventReader(path), EventFile(path)
    assert list(reader.new_events()) == []
    begun = RunBegan(tmp_path / "run")
    for event in (
        Warning("odd"),
        begun,
        PhaseStarted("Epoch 1/2", 100),
        Advanced(32, "a"),
        Advanced(32, "b"),
    ):
        first(event)
    assert list(reader.new_events()) == [Warning("odd"), begun, PhaseStarted("Epoch 1/2", 100), Advanced(32, "a")]  # fmt: skip
    with path.open("a") as stream:
        stream.write(json.dumps({"kind": "Info", "message": "half"})[:9])
    second = EventFile(path)
    second(PhaseStarted("Epoch 2/2", 100))
    assert list(reader.new_events()) == [PhaseEnded(), PhaseStarted("Epoch 2/2", 100)]
    assert list(reader.remaining_events()) == [PhaseEnded()]
