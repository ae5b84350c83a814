"""MLflow and trackio with their real packages and local databases, and trackers of other packages, installed as entry points."""

import json
import multiprocessing
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import SettingError, TrainingStoppedError
from goemo_cli.core.events import Event, EventHandler, Warning, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import TrainConfig
from goemo_cli.services.doctor.examine import examine
from goemo_cli.services.training.resume import find_interrupted, resume
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.tracking import logged_settings, open_tracker
from goemo_cli.services.training.train import train
from goemo_cli.tracking import separate
from goemo_cli.tracking.journal import LogLine, journal_path, read_journal
from goemo_cli.tracking.registered import GROUP
from tests.csv_rows import rows_of
from tests.resuming import SignalAt, content_of
from tests.small_data import write_small_data
from tests.waiting import GUARD_SECONDS, wait_for

REPOSITORY = Path(__file__).parents[2]
RUN = RunName("tiny", "20260101-000000")
STEPS = 10
"""Of one epoch: 300 comments in batches of 32."""


NOTES = "logging.wandb.notes=https://me:secret-of-a-url@host/x"


@pytest.fixture(scope="module")
def patient() -> Iterator[pytest.MonkeyPatch]:
    """The first start of MLflow creates a database, which takes long on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separate, "FAILED_RUN_SECONDS", GUARD_SECONDS)
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
            patch.delenv(name, raising=False)
        yield patch


def settings(*overrides: str, data: Path | str = "sample") -> TrainConfig:
    """Two epochs of a tiny model, with every step logged."""
    flags = {
        "model.name": "tiny",
        "data.name": str(data),
        "data.max_train_samples": 300,
        "training.epochs": 2,
    }
    given = {"logging.wandb.log_every": 1, "logging.wandb.upload_timeout": GUARD_SECONDS}
    own = {override.partition("=")[0] for override in overrides}
    flags |= {name: value for name, value in given.items() if name not in own}
    return resolve_settings(None, flags, overrides)


@dataclass
class Tracked:
    layout: Layout
    run: Checkpoint
    warnings: list[str]
    states: list[str]
    """Of the MLflow run after the interruption, and at the end."""
    found: Any
    steps: dict[str, list[tuple[int, float]]]


def mlflow_runs(layout: Layout, experiment: str = "goemo") -> Any:
    """The client of MLflow, and all runs that it finds in the local database."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # of MLflow's own dependencies
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        import mlflow

        client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{layout.trackers}/mlflow/mlflow.db")
        return client, client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory, patient: pytest.MonkeyPatch) -> Tracked:
    """A run that Ctrl-C interrupted, and that was resumed."""
    layout, said = Layout(tmp_path_factory.mktemp("tracked")), list[Event]()
    data = write_small_data(tmp_path_factory.mktemp("data") / "small", train=300)
    trackers = ("logging.trackers=[mlflow, trackio]", "logging.mlflow.experiment=emotions")
    wanted = settings(*trackers, NOTES, data=data)
    tracker = open_tracker(wanted, layout=layout, on_event=said.append)
    with pytest.raises(TrainingStoppedError):
        train(wanted, layout=layout, tracker=tracker, on_event=SignalAt(13, signal.SIGINT))
    _, (interrupted,) = mlflow_runs(layout, "emotions")
    result = resume(
        find_interrupted("@latest", layout),
        layout=layout,
        open_tracker=lambda again, log: open_tracker(
            again, layout=layout, continued=log, on_event=said.append
        ),
        on_event=ignore,
    )
    client, (found,) = mlflow_runs(layout, "emotions")
    assert found.info.run_id == interrupted.info.run_id
    steps = {
        name: [(metric.step, metric.value) for metric in client.get_metric_history(found.info.run_id, name)]
        for name in found.data.metrics
    }
    told = [event.message for event in said if isinstance(event, Warning)]
    return Tracked(layout, result, told, [interrupted.info.status, found.info.status], found, steps)


def test_mlflow_has_every_number_once_of_a_run_that_was_interrupted_and_resumed(tracked: Tracked) -> None:
    journal = read_journal(journal_path(tracked.layout.journals, tracked.run.run))
    expected: dict[str, list[tuple[int, float]]] = {}
    for line in journal.lines:
        if isinstance(line, LogLine):
            for name, value in line.values.items():
                expected.setdefault(name, []).append((line.epoch or line.step, value))
    last = journal.last_step
    of_time = ("train/epoch_time", "train/samples_per_sec")  # an epoch that was repeated took another time
    for name, final in journal.summary.items():
        assert final is not None
        expected.setdefault(name, [(last, final)])
    assert {name: sorted(steps) for name, steps in tracked.steps.items() if name not in of_time} == {
        name: steps for name, steps in expected.items() if name not in of_time
    }
    assert [step for step, _ in tracked.steps["step/loss"]] == list(range(1, 2 * STEPS + 1))
    assert tracked.steps["test/f1_macro"] == [(2 * STEPS + 1, tracked.run.metrics.test_rule.f1_macro)]
    assert [step for step, _ in tracked.steps["val/f1_macro"]] == [1, 2]
    assert tracked.states == ["KILLED", "FINISHED"]
    assert tracked.warnings == []


def test_trackio_has_every_number_once_and_the_settings(tracked: Tracked) -> None:
    name, folder = str(tracked.run.run), tracked.layout.trackers / "trackio"
    program = (
        "import json; from trackio.sqlite_storage import SQLiteStorage as storage; "
        f"print(json.dumps([storage.get_logs('goemo', {name!r}), storage.get_run_config('goemo', {name!r})]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"TRACKIO_DIR": str(folder)},
        check=True,
        capture_output=True,
        text=True,
    )
    logs, config = json.loads(done.stdout)
    found = [(key, line["step"], value) for line in logs for key, value in line.items()]
    found = [one for one in found if one[0] not in ("step", "timestamp")]
    journal = read_journal(journal_path(tracked.layout.journals, tracked.run.run))
    expected = [
        (key, line.step, value)
        for line in journal.lines
        if isinstance(line, LogLine)
        for key, value in line.values.items()
    ]
    assert len({one[:2] for one in found}) == len(found)
    of_time = ("train/epoch_time", "train/samples_per_sec")
    assert {one for one in expected if one[0] not in of_time} <= set(found)
    assert [value for key, _, value in found if key == "epoch"] == [1, 2]
    assert [value for key, _, value in found if key == "exit_code"] == [130, 0]
    assert ("test/f1_macro", journal.last_step, tracked.run.metrics.test_rule.f1_macro) in found
    assert config["training"]["epochs"] == 2
    assert config["goemo"]["data_facts"]["sha256"] == tracked.run.metrics.data.sha256
    shown = str([logs, config])
    assert [hidden for hidden in ("secret-of-a-url", os.uname().nodename) if hidden in shown] == []


def test_mlflow_has_settings_hashes_and_paths_without_secrets(tracked: Tracked) -> None:
    data, info, run = tracked.found.data, tracked.found.info, tracked.run.run
    assert info.run_name == str(run)
    assert data.params["training.epochs"] == "2"
    assert data.params["training.early_stopping.metric"] == "val_f1_macro"
    assert data.params["logging.trackers"] == '["mlflow", "trackio"]'
    assert data.tags["goemo.run"] == str(run)
    assert data.tags["goemo.data_facts.sha256"] == tracked.run.metrics.data.sha256
    assert data.tags["goemo.versions.torch"]
    files = {name: path for name, path in data.tags.items() if name.startswith("files/")}
    assert files[f"files/checkpoint/{run}/manifest.json"] == f"artifacts/models/tiny/{run}/manifest.json"
    assert all((tracked.layout.root / path).is_file() for path in files.values())
    shown = str({**data.params, **data.tags})
    assert "[redacted]@host" in shown
    for hidden in ("secret-of-a-url", str(tracked.layout.root), os.uname().nodename):
        assert hidden not in shown
    assert info.user_id == "unknown"


def test_a_tracker_changes_no_byte_of_a_run(tracked: Tracked, tmp_path: Path) -> None:
    wanted = settings(NOTES, data=str(tracked.run.config.data.name))
    layout = Layout(tmp_path)
    ours = content_of(tracked.run, tracked.layout)
    theirs = content_of(train(wanted, layout=layout, tracker=open_tracker(wanted, layout=layout)), layout)
    for document in (ours, theirs):
        del document["train_config.yaml"]
    assert ours == theirs


def begin(
    layout: Layout,
    trackers: str,
    *overrides: str,
    run: RunName = RUN,
    on_event: EventHandler = ignore,
    patience: float = GUARD_SECONDS,
) -> Any:
    """Trackers of a run without a training: one epoch's number."""
    given = (f"logging.trackers=[{trackers}]", f"logging.wandb.upload_timeout={patience}")
    wanted = settings(*given, *overrides)
    tracker = open_tracker(wanted, layout=layout, on_event=on_event)
    tracker.start(run, logged_settings(wanted), {})
    tracker.log({"val/f1_macro": 0.25}, step=1, epoch=1)
    return tracker


def states_in(database: Path) -> list[tuple[str]]:
    """The states of MLflow runs, read without MLflow, which would create the tables of a new database too."""
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as read,
    ):
        return list(read.execute("select status from runs"))
    return []


def fail_and_be_killed(layout: Layout) -> None:
    """Two runs that find no database: the first one fails, then the process is killed."""
    first, _ = [begin(layout, "mlflow", run=run) for run in (RUN, RunName("tiny", "20260101-000001"))]
    first.finish({}, exit_code=1)
    os.kill(os.getpid(), signal.SIGKILL)


def test_failed_and_killed_runs_are_marked_failed_in_mlflow(
    layout: Layout, patient: pytest.MonkeyPatch
) -> None:
    process = multiprocessing.get_context("fork").Process(target=fail_and_be_killed, args=(layout,))
    process.start()
    process.join()
    wait_for(lambda: states_in(layout.trackers / "mlflow" / "mlflow.db") == [("FAILED",)] * 2)
    runs = mlflow_runs(layout)[1]
    assert sorted(run.info.run_name for run in runs) == [str(RUN), "tiny-20260101-000001"]
    assert [run.data.metrics for run in runs] == [{"val/f1_macro": 0.25}] * 2


@pytest.mark.parametrize("setting", [(), ("logging.mlflow.tracking_uri=http://127.0.0.1:9",)])
def test_a_server_that_is_gone_costs_one_warning_without_its_secrets(
    setting: tuple[str, ...], layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    said: list[Event] = []
    begin(layout, "mlflow", *setting, on_event=said.append).finish({"best_epoch": 1})
    (warning,) = said
    assert isinstance(warning, Warning)
    assert "port=9" in warning.message
    assert warning.message.startswith("MLflow is disabled for this run (")
    assert warning.message.endswith("; local files are complete")
    assert "secret" not in warning.message
    with pytest.raises(SettingError, match="contains a secret") as refused:
        settings("logging.mlflow.tracking_uri=http://me:secret@127.0.0.1:9")
    assert "me:secret" not in str(refused.value)


def install(
    folder: Path, *, name: str, version: str, entries: dict[str, str], modules: dict[str, str]
) -> None:
    """Install a package as pip does: its modules, and a folder of metadata with entry points."""
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text, encoding="utf-8")
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
    )
    lines = [f"[{GROUP}]", *(f"{key} = {value}" for key, value in entries.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for packages that are found by this process and its children."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def test_the_example_of_the_guide_tracks_a_training(packages: Path, layout: Layout) -> None:
    guide = (REPOSITORY / "docs" / "guides" / "tracking.md").read_text(encoding="utf-8")
    project = tomllib.loads(*re.findall(r"```toml\n(.*?)```", guide, re.DOTALL))["project"]
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    install(
        packages,
        name=project["name"],
        version=project["version"],
        entries=project["entry-points"][GROUP],
        modules={"goemo_csv_tracker": code},
    )
    said: list[Event] = []
    wanted = settings("logging.trackers=[csv]", data=write_small_data(layout.root / "data", train=300))
    result = train(wanted, layout=layout, tracker=open_tracker(wanted, layout=layout, on_event=said.append))
    file = layout.trackers / "csv" / str(result.run) / "numbers.csv"
    assert [str(event) for event in said if file.name in str(event)] != []
    assert [event for event in said if isinstance(event, Warning)] == []
    rows = rows_of(file)
    scores = [float(row["value"]) for row in rows if row["name"] == "val/f1_macro"]
    assert scores == [epoch.val_f1_macro for epoch in result.metrics.history]
    assert len([row for row in rows if row["name"] == "step/loss"]) == 2 * STEPS
    final = {row["name"]: float(row["value"]) for row in rows if not row["step"]}
    assert final["best_epoch"] == result.metrics.best_epoch


FAULTY = """
import os, threading
from goemo_cli.tracking import Tracker

class Raises(Tracker):
    def __init__(self, context): pass
    def log(self, values, *, step, epoch=None): raise KeyError("a mistake")

class Blocks(Raises):
    def log(self, values, *, step, epoch=None): threading.Event().wait()

class Crashes(Raises):
    def log(self, values, *, step, epoch=None): os._exit(7)
"""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises", "KeyError: 'a mistake'"),
        ("blocks", "made no progress for 3 s"),
        ("crashes", r"upload process ended unexpectedly \(status 7\)"),
        ("broken", "ModuleNotFoundError: No module named 'not_there'"),
        ("wrong", "AttributeError: module 'faulty' has no attribute 'Missing'"),
    ],
)
def test_a_tracker_of_another_package_that_fails_costs_one_warning_with_its_name(
    name: str, reason: str, packages: Path, layout: Layout
) -> None:
    install_faulty(packages)
    said: list[Event] = []
    tracker = begin(layout, name, on_event=said.append, patience=3 if name == "blocks" else GUARD_SECONDS)
    tracker.finish({"best_epoch": 1})
    (warning,) = said
    assert isinstance(warning, Warning)
    assert re.fullmatch(
        rf"The tracker {name} of faulty-trackers 2\.0 is disabled for this run \(.*{reason}\); local files are complete",
        warning.message,
    )
    assert read_journal(journal_path(layout.journals, RUN)).is_finished


def install_faulty(packages: Path) -> None:
    entries = {one: f"faulty:{one.title()}" for one in ("raises", "blocks", "crashes")}
    entries |= {"broken": "not_there:Tracker", "wrong": "faulty:Missing"}
    install(packages, name="faulty-trackers", version="2.0", entries=entries, modules={"faulty": FAULTY})


IN_TURN = """
import atexit
from goemo_cli.tracking import Tracker

class Quick(Tracker):
    def __init__(self, context):
        atexit.register((context.root / "quick has ended").touch)

class Late(Tracker):
    def __init__(self, context):
        self.root = context.root
    def finish(self, summary, *, exit_code=0):
        while not (self.root / "quick has ended").exists():
            pass
"""


def test_a_tracker_may_finish_while_another_one_is_waited_for(packages: Path, layout: Layout) -> None:
    entries = {"late": "in_turn:Late", "quick": "in_turn:Quick"}
    install(packages, name="trackers", version="1.0", entries=entries, modules={"in_turn": IN_TURN})
    said: list[Event] = []
    begin(layout, "late, quick", on_event=said.append).finish({"best_epoch": 1})
    assert said == []


def test_a_tracker_that_is_missing_costs_a_warning_when_a_run_starts(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, packages: Path
) -> None:
    install_faulty(packages)
    wanted = settings("logging.trackers=[mlflow, raises]")
    for entry in packages.glob("*.dist-info/entry_points.txt"):
        entry.unlink()
    monkeypatch.setitem(sys.modules, "mlflow", None)
    said: list[Event] = []
    tracker: Any = open_tracker(wanted, layout=layout, on_event=said.append)
    assert tracker.names == ["The journal"]
    assert [event.message for event in said if isinstance(event, Warning)] == [
        "MLflow needs the package mlflow: pip install 'goemo[mlflow]'; the run continues without this tracker",
        "unknown tracker 'raises'; known are tensorboard, mlflow, trackio; the run continues without this tracker",
    ]


def test_an_unknown_tracker_is_a_usage_error_and_loads_nothing_slow(tmp_path: Path) -> None:
    slow = ("torch", "pandas", "wandb", "mlflow")
    program = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print([name for name in {slow} if name in sys.modules]))\n"
        "from goemo_cli.app import app\n"
        "for arguments in (['--tracker', 'mlfow'], ['logging.trackers=[wandb]']):\n"
        "    try:\n"
        f"        app(['train', '--root', {str(tmp_path)!r}, *arguments])\n"
        "    except SystemExit as ended:\n"
        "        assert ended.code == 2\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "unknown tracker 'mlfow'; did you mean 'mlflow'?; known are tensorboard, mlflow, trackio" in said
    assert "W&B is switched on with --wandb, not with --tracker wandb" in said
    assert done.stdout == "[]\n"


def test_doctor_says_which_trackers_are_available(layout: Layout, packages: Path) -> None:
    install_faulty(packages)
    trackers = {finding.name: finding for finding in examine(layout) if finding.group == "trackers"}
    assert list(trackers) == [
        "tensorboard",
        "mlflow",
        "trackio",
        "blocks",
        "broken",
        "crashes",
        "raises",
        "wrong",
    ]
    assert (trackers["mlflow"].value, trackers["mlflow"].state) == ("available", "ok")
    assert trackers["raises"].value == "available (faulty:Raises)"
    assert trackers["broken"].state == "note"
    assert "ModuleNotFoundError: No module named 'not_there'" in trackers["broken"].value
