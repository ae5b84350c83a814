"""Runs while other processes write them, and after such a process was killed: real processes, real signals."""

import errno
import fcntl
import json
import multiprocessing
import os
import pty
import shutil
import signal
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from goemo_cli.app import app
from goemo_cli.core.layout import Layout
from goemo_cli.services.runs.references import open_run
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.train import train
from tests.torture.commands import Command
from tests.waiting import GUARD_SECONDS

FORK = multiprocessing.get_context("fork")
"""A copy of this process has its packages loaded already: a command starts in an instant, and dies as any process."""


def command(root: Path, at: str, deed: str, answers: Any, arguments: tuple[str, ...]) -> None:
    """The main function of a fork: a command that waits, dies or finds the disk full before a file gets its name."""
    replace = os.replace

    def reached(source: Any, target: Any, **options: Any) -> None:
        if Path(target).name == at:
            if deed == "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
            if deed == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            answers.send("reached")
            answers.recv()
        replace(source, target, **options)

    os.replace = reached  # type: ignore[assignment]
    done = goemo(root, *arguments)
    if not isinstance(done.exception, SystemExit | None):
        raise done.exception
    sys.exit(done.exit_code)


@pytest.fixture
def typed(small_data: Path) -> list[str]:
    """The words of a training."""
    return ["train", "--model", "tfidf", "--data", str(small_data)]


@pytest.fixture(scope="module")
def finished(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("finished")
    flags = {"model.name": "tfidf", "data.name": str(small_data)}
    train(resolve_settings(None, flags), layout=Layout(root))
    return root


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    """A root with one finished run."""
    return Path(shutil.copytree(finished, tmp_path / "root"))


class Stopped:
    """A command in a process of its own, stopped before a file gets its final name."""

    def __init__(self, root: Path, at: str, *arguments: str) -> None:
        self._answers, theirs = FORK.Pipe()
        self.process = FORK.Process(target=command, args=(root, at, "wait", theirs, arguments))
        self.process.start()
        theirs.close()
        assert self._answers.poll(GUARD_SECONDS)
        assert self._answers.recv() == "reached"

    def go_on(self) -> int | None:
        self._answers.send("go on")
        self.process.join(GUARD_SECONDS)
        return self.process.exitcode

    def kill(self) -> None:
        """As the kernel does when memory runs out. The process stays a zombie."""
        assert self.process.pid
        os.kill(self.process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self._answers.close()


@pytest.fixture
def stopped(root: Path) -> Iterator[Any]:
    processes: list[Stopped] = []

    def start(at: str, *arguments: str) -> Stopped:
        processes.append(Stopped(root, at, *arguments))
        return processes[-1]

    yield start
    for one in processes:
        one.end()


def ended(root: Path, at: str, deed: str, *arguments: str) -> int | None:
    """The exit code of a command that dies, or finds the disk full, before a file gets its final name."""
    process = FORK.Process(target=command, args=(root, at, deed, None, arguments))
    process.start()
    process.join(GUARD_SECONDS)
    return process.exitcode


def goemo(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--root", str(root)])


def states(root: Path) -> list[str]:
    """Of the runs, the oldest first."""
    return [
        one["state"] for one in reversed(json.loads(goemo(root, "runs", "list", "--json").stdout)["runs"])
    ]


def test_a_running_training_is_told_from_a_killed_one(root: Path, stopped: Any, typed: list[str]) -> None:
    training = stopped("tfidf.safetensors", *typed)
    holder = f"goemo train (process {training.process.pid} on "
    assert states(root) == ["finished", "running"]
    checked = goemo(root, "validate")
    assert checked.exit_code == 0, checked.stderr
    assert f"running: {holder}" in checked.stderr
    plan = json.loads(
        goemo(root, "runs", "gc", "--unfinished-after", "0", "--keep", "0", "--yes", "--json").stdout
    )
    assert plan["removed"] == []
    assert any(holder in why for why in plan["kept"].values())

    training.kill()
    assert states(root) == ["finished", "unfinished"]
    checked = goemo(root, "validate")
    assert checked.exit_code == 0
    assert "unfinished" in checked.stderr
    assert "running:" not in checked.stderr
    removed = json.loads(goemo(root, "runs", "gc", "--unfinished-after", "0", "--yes", "--json").stdout)[
        "removed"
    ]
    assert len(removed) == 1
    assert states(root) == ["finished"]


def test_a_training_that_goes_on_ends_well(root: Path, stopped: Any, typed: list[str]) -> None:
    training = stopped("manifest.json", *typed)
    goemo(root, "runs", "gc", "--unfinished-after", "0", "--yes")
    assert training.go_on() == 0
    assert states(root) == ["finished", "finished"]
    assert goemo(root, "validate").exit_code == 0
    assert not list(Layout(root).models.rglob(".goemo-lock-*"))


def test_two_processes_do_not_change_one_run(root: Path, stopped: Any) -> None:
    run = str(open_run("@latest", Layout(root)).run)
    tuning = stopped("metrics.json", "tune", "-c", run, "--objective", "f1_micro")
    for command in (["calibrate", "-c", run], ["tune", "-c", run], ["export-predictions", "-c", run]):
        refused = goemo(root, *command)
        assert refused.exit_code == 9, refused.output
        assert f"{run} is in use by goemo tune (process {tuning.process.pid} on " in refused.stderr
    kept = json.loads(goemo(root, "runs", "gc", "--keep", "0", "--yes", "--json").stdout)["kept"]
    assert "in use by goemo tune" in kept[run]
    checked = goemo(root, "validate")
    assert checked.exit_code == 0, checked.stderr
    assert "not checked: goemo tune" in checked.stderr
    assert goemo(root, "predict", "hello", "-c", run).exit_code == 0
    assert tuning.go_on() == 0
    assert goemo(root, "calibrate", "-c", run).exit_code == 0
    assert goemo(root, "validate").exit_code == 0


def test_a_killed_tuning_is_named_and_can_be_repeated(root: Path) -> None:
    run = str(open_run("@latest", Layout(root)).run)
    again = ("tune", "-c", run, "--objective", "f1_micro")
    assert ended(root, "metrics.json", "die", *again) == -signal.SIGKILL
    assert goemo(root, "predict", "hello", "-c", run).exit_code == 0
    checked = goemo(root, "validate")
    assert checked.exit_code == 3
    assert "goemo tune was killed while it wrote this run; repeat: goemo tune" in checked.stderr
    assert goemo(root, *again).exit_code == 0
    checked = goemo(root, "validate")
    assert checked.exit_code == 0, checked.stderr


@pytest.mark.parametrize(
    ("at", "deed", "code", "is_first"),
    [
        ("metric_summary.csv", "die", -signal.SIGKILL, True),
        ("metric_summary.csv", "full", 8, False),
        ("summaries.json", "die", -signal.SIGKILL, True),
    ],
)
def test_summaries_heal_after_a_training_that_ended_before_them(
    root: Path, typed: list[str], tmp_path: Path, at: str, deed: str, code: int, is_first: bool
) -> None:
    here = tmp_path / "new" if is_first else root
    assert ended(here, at, deed, *typed) == code
    run = str(open_run("@latest", Layout(here)).run)
    checked = goemo(here, "validate")
    assert checked.exit_code == 0, checked.stderr
    assert run in Layout(here).metric_summary.read_text(encoding="utf-8")
    again = goemo(here, "validate")
    assert again.exit_code == 0
    assert "Renewed" not in again.stderr


def test_the_next_training_of_another_model_brings_all_summaries_up_to_date(
    root: Path, typed: list[str], small_data: Path
) -> None:
    assert ended(root, "metric_summary.csv", "die", *typed) == -signal.SIGKILL
    newest = str(open_run("@latest", Layout(root)).run)
    tiny = {"model.name": "tiny", "data.name": str(small_data), "training.epochs": 1}
    train(resolve_settings(None, tiny), layout=Layout(root))
    assert json.loads(Layout(root).test_metrics("tfidf").read_text(encoding="utf-8"))["run"] == newest
    checked = json.loads(goemo(root, "validate", "--json").stdout)
    assert (checked["problems"], checked["repaired"]) == ([], [])


def test_an_edited_card_accuses_nothing_else(root: Path) -> None:
    card = open_run("@latest", Layout(root)).path / "README.md"
    card.write_text("mine", encoding="utf-8")
    checked = json.loads(goemo(root, "validate", "--json").stdout)
    assert [problem["path"] for problem in checked["problems"]] == [str(card)]
    assert goemo(root, "predict", "hello", "-c", "@latest").exit_code == 0


def test_quiet_training_prints_its_result_in_one_line(typed: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [*typed, "--quiet", "--root", str(tmp_path)])
    run = open_run("@latest", Layout(tmp_path))
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"Trained {run.run}: macro-F1 1.0")


def test_a_terminal_shows_every_phase_of_a_training(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    rows = "".join(f"word {at % 7} {at},{'joy' if at % 2 else 'anger'}\n" for at in range(60))
    (tmp_path / "mine.csv").write_text(f"text,labels\n{rows}", encoding="utf-8")
    words = ["train", "--model", "tfidf", "--data", str(tmp_path / "mine.csv"), "--root", str(tmp_path)]

    def on_the_terminal() -> None:
        os.environ["TERM"] = "xterm-256color"
        for number in (1, 2):
            os.dup2(slave, number)

    training = Command(*words, folder=tmp_path, limit=on_the_terminal)
    os.close(slave)
    written = b""
    with suppress(OSError):  # Linux reports the end of a terminal as an error
        while piece := os.read(master, 65536):
            written += piece
    os.close(master)
    assert training.code == 0
    shown = written.decode()
    phases = (
        "Starting",
        "Reading the data",
        "Fitting",
        "Loading the saved model",
        "Scoring test",
        "Writing the results",
    )
    places = [shown.find(phase) for phase in phases]
    assert -1 not in places
    assert places == sorted(places)
