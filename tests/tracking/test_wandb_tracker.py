"""W&B as a mirror: the real SDK against the loopback server, from a good run to every way the server can fail one."""

import json
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from goemo_cli.app import app
from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import RemoteError, SettingError
from goemo_cli.core.events import EpochEnded, Event, EventHandler, Info, Warning, ignore
from goemo_cli.core.files import write_text
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.predictions import read_predictions
from goemo_cli.core.settings import WandbSettings
from goemo_cli.ml.models.classifier import load_classifier
from goemo_cli.ml.models.embedding import embed
from goemo_cli.ml.training.loop import seed_everything
from goemo_cli.services.training.build import build_model, pick_hardware
from goemo_cli.services.training.tracking import logged_settings, open_tracker
from goemo_cli.services.training.train import read_data, train, training_data
from goemo_cli.services.wandb.sync import sync_run
from goemo_cli.tracking.journal import JournalTracker, journal_path
from goemo_cli.tracking.wandb import process as wandb_process
from tests.services.test_downloads import Goemo, environment, file_requests, tree
from tests.tracking.test_trackers import config, same_results
from tests.waiting import GUARD_SECONDS, wait_for
from tests.wandb_server import WandbServer

REPOSITORY = Path(__file__).parents[2]
USER = "user-of-this-test"
HEAVY = (
    "logging.tensorboard=true", "logging.wandb.log_predictions=true", "logging.wandb.log_gradients=true",
    "logging.wandb.watch_model=true", "logging.wandb.log_embeddings=true",
)  # fmt: skip
WANTED = ("logging.wandb.enabled=true", "logging.wandb.project=emotions")


@dataclass
class Said:
    """What a run told its listener."""

    events: list[Event]

    @property
    def warnings(self) -> list[str]:
        return [
            one.message for one in self.events if isinstance(one, Warning) and "tokens" not in one.message
        ]

    @property
    def notes(self) -> list[str]:
        return [one.message for one in self.events if isinstance(one, Info)]


def run(root: Path, data: Path, *overrides: str, on_epoch: Any = lambda: None) -> tuple[Checkpoint, Said]:
    settings, layout, said = config(*overrides, data=data), Layout(root), Said([])

    def on_event(event: Event) -> None:
        said.events.append(event)
        if isinstance(event, EpochEnded):
            on_epoch()

    tracker = open_tracker(settings, layout=layout, on_event=on_event)
    return train(settings, layout=layout, tracker=tracker, on_event=on_event), said


RUN = RunName("tiny", "20260101-000000")


def mirror_briefly(
    root: Path, *overrides: str, said: Said | None = None, on_event: EventHandler = ignore
) -> Said:
    """A run without a training: one epoch's number and one file."""
    settings, said = config(*overrides), said or Said([])

    def told(event: Event) -> None:
        said.events.append(event)
        on_event(event)

    tracker = open_tracker(settings, layout=Layout(root), on_event=told)
    tracker.start(RUN, logged_settings(settings), {})
    tracker.log({"val/auc": 0.5}, step=1, epoch=1)
    path = Layout(root).predictions / "x.csv"
    write_text(path, "text\n")
    tracker.save(path, name="predictions/x.csv")
    tracker.finish({"best_epoch": 1})
    return said


@pytest.fixture(scope="module")
def plain(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The run without any mirror."""
    return run(tmp_path_factory.mktemp("plain"), small_data)[0]


@dataclass
class Mirrored:
    server: WandbServer
    layout: Layout
    result: Checkpoint
    said: Said

    @property
    def path(self) -> str:
        return f"tester/emotions/{self.result.metrics.wandb_run_id}"

    def artifact(self, what: str) -> Any:
        return self.server.artifacts[f"tester/emotions/tiny-{what}-{self.result.metrics.wandb_run_id}"]


@pytest.fixture(scope="module")
def mirrored(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    """A run that W&B and TensorBoard took, with all that may be logged."""
    folder = tmp_path_factory.mktemp("mirrored")
    with WandbServer() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment(folder / "sdk").items():
            patch.setenv(name, value)
        # The service of an SDK in this process, here one that has gone: the mirror has its own.
        patch.setenv("WANDB_SERVICE", "3-1-unix-/nowhere/socket")
        patch.setattr(sys, "argv", ["goemo", "--secret-of-the-command-line"])
        for name in ("USER", "LOGNAME", "USERNAME"):
            patch.setenv(name, USER)
        patch.chdir(folder)
        server.keeps_bodies = True
        result, said = run(folder, small_data, *WANTED, "logging.wandb.name=first", "logging.wandb.tags=[a, b]",
                           "logging.wandb.notes=why", "logging.wandb.log_every=1", *HEAVY)  # fmt: skip
        yield Mirrored(server, Layout(folder), result, said)


@pytest.fixture(scope="module")
def event_files(mirrored: Mirrored) -> Any:
    """What TensorBoard's own reader finds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tensorboard warns of its own dependencies
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        return EventAccumulator(
            str(mirrored.layout.tensorboard / str(mirrored.result.run)), size_guidance={"histograms": 0}
        ).Reload()


def first_model(mirrored: Mirrored) -> Any:
    """The model as the run began with it."""
    settings = mirrored.result.config
    data = training_data(settings, read_data(settings, mirrored.layout, ignore), ignore)
    seed_everything(settings.training.seed)
    entry = model_entry(settings.model.name)
    model, _ = build_model(settings, entry, data, *pick_hardware(settings, entry), on_event=ignore)
    assert model is not None
    return model.model


def tables(mirrored: Mirrored, name: str) -> list[Any]:
    """The W&B tables of a name."""
    files = mirrored.server.runs[mirrored.path].files
    return [
        json.loads(data) for path, data in files.items() if path.startswith(f"media/table/tables/{name}_")
    ]


def test_nothing_is_warned_of_and_the_address_is_said(mirrored: Mirrored) -> None:
    assert mirrored.said.warnings == []
    assert (
        f"W&B: {mirrored.server.url}/{mirrored.path.replace('emotions/', 'emotions/runs/')}"
        in mirrored.said.notes
    )
    assert mirrored.server.unanswered == []


def test_mirroring_changes_no_weight_prediction_or_score(mirrored: Mirrored, plain: Checkpoint) -> None:
    assert same_results(mirrored.result, plain)


def test_settings_and_circumstances_are_the_runs_config(mirrored: Mirrored) -> None:
    there, metrics = mirrored.server.runs[mirrored.path], mirrored.result.metrics
    assert (there.name, there.tags, there.notes) == ("first", ["a", "b"], "why")
    assert there.config["training"] == config().training.model_dump(mode="json")
    assert there.config["run"] == str(mirrored.result.run)
    assert there.config["data_facts"]["split_sha256"] == metrics.data.split_sha256.as_json()
    assert there.config["versions"] == metrics.versions
    assert "git_commit" in there.config


def test_every_metric_of_the_contract_is_in_the_history(mirrored: Mirrored) -> None:
    rows, metrics = mirrored.server.runs[mirrored.path].history, mirrored.result.metrics
    epochs = [row for row in rows if "epoch" in row]
    assert [row["val/f1_macro"] for row in epochs] == [scores.val_f1_macro for scores in metrics.history]
    assert {
        "train/loss", "train/learning_rate", "train/epoch_time", "train/samples_per_sec", "train/grad_norm",
        "val/loss", "val/auc", "val/f1_micro", "val/f1_macro",
    } <= set(epochs[0])  # fmt: skip
    assert [row["_step"] for row in rows if "step/loss" in row] == [1, 2, 3, 4]
    (final,) = (row for row in rows if "test/auc_micro" in row)
    assert final["test/f1_macro"] == metrics.test.fitted.f1_macro
    assert {"test/auc_macro", "test/f1_micro", "test/precision_macro", "test/recall_macro"} <= set(final)
    assert {"tables/per_emotion", "charts/gold_and_predicted_table", "charts/precision_recall_table"} <= set(
        final
    )


def test_histograms_are_those_of_the_weights_wherever_they_are_shown(
    mirrored: Mirrored, event_files: Any
) -> None:
    model = first_model(mirrored)
    rows = [row for row in mirrored.server.runs[mirrored.path].history if "step/loss" in row]
    for name, parameter in model.named_parameters():
        shown, values = rows[0][f"parameters/{name}"], parameter.detach().double()
        assert shown["_type"] == "histogram"
        assert sum(shown["values"]) == parameter.numel()
        assert (shown["bins"][0], shown["bins"][-1]) == (float(values.min()), float(values.max()))
        drawn = event_files.Histograms(f"parameters/{name}")
        assert [one.step for one in drawn] == [1, 2, 3, 4]
        assert drawn[0].histogram_value.sum == pytest.approx(float(values.sum()))
        assert sum(drawn[0].histogram_value.bucket) == parameter.numel()
        assert all(f"gradients/{name}" in row for row in rows)
    (structure,) = tables(mirrored, "model")
    assert structure["columns"] == ["parameter", "shape", "count"]
    assert sum(count for *_, count in structure["data"]) == sum(one.numel() for one in model.parameters())


def test_embeddings_are_those_of_the_saved_model_with_its_labels(mirrored: Mirrored) -> None:
    (shown,) = tables(mirrored, "embeddings")
    test = read_predictions(mirrored.layout.split_predictions(mirrored.result.run, "test"))
    assert shown["columns"][:4] == ["text", "gold", "predicted", "d1"]
    assert [row[0] for row in shown["data"]] == test.texts
    for column, labels in ((1, test.y_true), (2, test.y_pred)):
        told = [[label in row[column].split(",") for label in test.labels] for row in shown["data"]]
        assert np.array_equal(told, labels)
    vectors = embed(load_classifier(mirrored.result, device="cpu"), test.texts)
    assert np.allclose([row[3:] for row in shown["data"]], vectors, atol=1e-5)
    projector = mirrored.layout.tensorboard / str(mirrored.result.run)
    (tensors,) = projector.rglob("tensors.tsv")
    assert np.allclose(np.loadtxt(tensors), vectors, atol=1e-5)
    (metadata,) = projector.rglob("metadata.tsv")
    assert len(metadata.read_text(encoding="utf-8").splitlines()) == len(test) + 1


def test_confusions_and_embeddings_are_pictures_wherever_they_are_shown(
    mirrored: Mirrored, event_files: Any
) -> None:
    run = mirrored.server.runs[mirrored.path]
    (final,) = (row for row in run.history if "media/label_confusion" in row)
    for name in ("label_confusion", "embedding_projection"):
        image = final[f"media/{name}"]
        assert image["_type"] == "image-file"
        assert run.files[image["path"]].startswith(b"\x89PNG")
        (drawn,) = event_files.Images(f"media/{name}")
        assert (drawn.width, drawn.height) == (image["width"], image["height"])


def test_tensorboard_has_the_same_numbers_beside_it(mirrored: Mirrored, event_files: Any) -> None:
    history = mirrored.result.metrics.history
    scalars = event_files.Scalars("val/f1_macro")
    assert [one.value for one in scalars] == pytest.approx(
        [scores.val_f1_macro for scores in history], abs=1e-6
    )
    assert [one.step for one in scalars] == [1, 2]
    assert [one.step for one in event_files.Scalars("step/loss")] == [1, 2, 3, 4]
    for page, words in (("facts", b"git_commit"), ("tables/per_emotion", b"f1_score")):
        assert words in event_files.Tensors(f"{page}/text_summary")[0].tensor_proto.string_val[0]


def test_the_summary_has_every_label(mirrored: Mirrored) -> None:
    summary, metrics = mirrored.server.runs[mirrored.path].summary, mirrored.result.metrics
    assert summary["best_epoch"] == metrics.best_epoch
    assert summary["final_epoch"] == 2
    assert summary["total_training_time"] == pytest.approx(metrics.training_seconds)
    for row in metrics.per_class:
        for name, key in (
            ("f1", "f1_score"),
            ("precision", "precision"),
            ("recall", "recall"),
            ("support", "support"),
        ):
            assert summary[f"test/{name}_{row.emotion}"] == getattr(row, key)


def test_the_files_tab_has_the_layout_of_the_contract_to_the_byte(mirrored: Mirrored) -> None:
    run, folder = mirrored.result.run, mirrored.result.path
    expected = {f"checkpoint/{run}/{path.name}": path for path in folder.iterdir()}
    for part in (mirrored.layout.predictions, mirrored.layout.stats):
        expected |= {f"{part.name}/{path.name}": path for path in part.iterdir()}
    del expected["stats/summaries.json"]  # says what the summaries below this root were made from
    there = mirrored.server.runs[mirrored.path].files
    assert {name for name in there if name.split("/")[0] in ("checkpoint", "predictions", "stats")} == set(
        expected
    )
    assert [name for name, path in expected.items() if there[name] != path.read_bytes()] == []


def test_artifacts_and_their_lineage_are_complete(mirrored: Mirrored) -> None:
    run, metrics = mirrored.server.runs[mirrored.path], mirrored.result.metrics
    kinds = {"checkpoint": "model", "test-predictions": "predictions", "val-predictions": "predictions",
             "per-class-metrics": "metrics", "evaluation": "evaluation"}  # fmt: skip
    for what, kind in kinds.items():
        collection = mirrored.artifact(what)
        assert collection.type == kind
        assert set(collection.aliases) == {"latest", "best"}
        (version,) = collection.versions
        assert version.logged_by is run
        assert version.metadata["data_sha256"] == metrics.data.sha256
    weights = mirrored.artifact("checkpoint").versions[0].files
    folder = mirrored.result.path
    assert weights == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(mirrored.artifact("val-predictions").versions[0].files) == 3  # two epochs and the final one
    (data,) = run.used
    assert data.name == "data-data:v0"
    assert data.metadata["sha256"] == metrics.data.sha256
    assert list(data.files) == ["data.json"]


def test_nothing_that_is_sent_names_host_user_folder_or_command_line(mirrored: Mirrored) -> None:
    """Request lines, headers and bodies of everything that was sent."""
    run, sent = mirrored.server.runs[mirrored.path], mirrored.server.sent
    assert len(sent) > 50
    marks = [USER, str(mirrored.layout.root), "secret-of-the-command-line", "wandb_mirror", sys.executable]
    assert [mark for mark in marks if any(mark.encode() in body for body in sent)] == []
    strings = {text for body in sent for text in strings_in(body)}
    assert run.name in strings
    assert socket.gethostname() not in strings
    assert (run.host, run.program) == (None, None)
    assert not [name for name in run.files if name.startswith("code/")]
    local = [path for path in mirrored.layout.root.rglob("*") if path.is_file()]
    assert local
    assert [path for path in local if mirrored.server.key.encode() in path.read_bytes()] == []


def strings_in(sent: bytes) -> Iterator[str]:
    """Every string in a JSON body, and in JSON inside of it."""
    waiting: list[Any] = [sent.partition(b"\n\n")[2].decode(errors="replace")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            yield value
            with suppress(ValueError):
                if value[:1] in ("{", "["):
                    waiting.append(json.loads(value))


def test_the_files_tab_has_a_log_the_packages_and_the_machine(mirrored: Mirrored) -> None:
    run = mirrored.server.runs[mirrored.path]
    log = run.files["output.log"].decode()
    for line in ("Training on CPU", "Epoch 1/2  loss", "Epoch 2/2  loss", "Scoring test"):
        assert line in log
    shown = "".join(line.partition(" ")[2] + "\n" for line in run.lines["output.log"])
    assert shown == log  # the Logs tab, as the run went on
    packages = dict(line.split("==") for line in run.files["requirements.txt"].decode().splitlines())
    assert packages["torch"] == mirrored.result.metrics.versions["torch"]
    assert packages == {package.metadata["Name"]: package.version for package in distributions()}
    machine = json.loads(run.files["wandb-metadata.json"])
    assert {"os", "python", "startedAt", "cpu", "cpu_count_logical", "memory"} <= set(machine)
    assert not {"host", "username", "email", "root", "program", "args", "executable", "codePath"} & set(
        machine
    )


def test_a_sync_of_what_is_all_there_sends_nothing(
    mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in mirrored.server.environment(mirrored.layout.root / "sdk").items():
        monkeypatch.setenv(name, value)
    before = len(mirrored.server.requests)
    assert sync_run(str(mirrored.result.run), layout=mirrored.layout).sent == ()
    asked = {one.operation for one in mirrored.server.requests[before:]}
    assert "Run" in asked
    assert not asked & {"UpsertBucket", "CreateRunFiles", "CreateArtifact"}


def test_what_was_trained_comes_down_byte_for_byte_and_then_nothing_more(
    mirrored: Mirrored, tmp_path: Path
) -> None:
    goemo = Goemo(environment(mirrored.server, tmp_path / "sdk"))
    here = Layout(tmp_path / "here")
    assert goemo("download", "--run-id", mirrored.path, "--root", here.root).code == 0
    artifacts = {name: data for name, data in tree(mirrored.layout).items() if name.startswith("artifacts/")}
    assert tree(here) == artifacts
    mirrored.server.requests.clear()
    assert goemo("download", "--run-id", mirrored.path, "--root", here.root).code == 0
    assert file_requests(mirrored.server) == []
    for root in (mirrored.layout.root, here.root):
        assert goemo("validate", "--wandb", "@latest", "--root", root).code == 0
    goemo.end()


def test_a_server_that_dies_costs_a_warning_and_sync_completes_the_run(
    server: WandbServer, tmp_path: Path, small_data: Path, plain: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_process, "LOST_SECONDS", 0.5)
    epochs = iter((1, 2))

    def die_after_the_first() -> None:
        if next(epochs) == 1:
            wait_for(lambda: any(run.config for run in server.runs.values()))
        else:
            server.stop()

    result, said = run(tmp_path, small_data, *WANTED, on_epoch=die_after_the_first)
    (warning,) = said.warnings
    assert warning.startswith(f"W&B no longer answers at {server.url}; nothing is lost: `goemo sync")
    assert f"{result.run}`" in warning
    assert same_results(result, plain)
    assert server.runs[f"tester/emotions/{result.metrics.wandb_run_id}"].state == "running"
    server.start()
    synced = sync_run("@latest", layout=Layout(tmp_path))
    there = server.runs[f"tester/emotions/{synced.mirror_id}"]
    assert synced.mirror_id == result.metrics.wandb_run_id
    assert synced.sent
    assert there.state == "finished"
    assert [row["epoch"] for row in there.history if "epoch" in row] == [1, 2]
    assert there.summary["best_epoch"] == result.metrics.best_epoch
    weights = result.path / "model.safetensors"
    assert there.files[f"checkpoint/{result.run}/model.safetensors"] == weights.read_bytes()
    assert len(server.artifacts[f"tester/emotions/tiny-checkpoint-{synced.mirror_id}"].versions) == 1


def goemo_train(root: Path, data: Path, *arguments: str) -> Result:
    """`goemo train` with the settings of `config`, as it is typed."""
    words = ["train", "--model", "tiny", "--data", str(data), "--max-train-samples", "64", "--epochs", "2"]
    return CliRunner().invoke(app, [*words, "--root", str(root), "--json", *arguments])


@pytest.mark.parametrize(
    ("variables", "code", "text"),
    [
        pytest.param({"WANDB_API_KEY": "f" * 40}, 6, "wandb login", marks=pytest.mark.slow),
        ({"WANDB_API_KEY": ""}, 6, "wandb login"),
        pytest.param(
            {"WANDB_BASE_URL": "http://127.0.0.1:9"},
            7,
            "W&B does not answer at http://127.0.0.1:9",
            marks=pytest.mark.slow,
        ),
        ({"no package": ""}, 4, "needs the package wandb: pip install 'goemo[wandb]'"),
    ],
    ids=["wrong key", "no key", "no server", "no package"],
)
def test_what_cannot_begin_is_one_warning_or_an_early_error_where_required(
    server: WandbServer, tmp_path: Path, small_data: Path, monkeypatch: pytest.MonkeyPatch, plain: Checkpoint,
    variables: dict[str, str], code: int, text: str,
) -> None:  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if "no package" in variables:
        monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    warned = goemo_train(tmp_path / "warned", small_data, "--wandb")
    assert warned.exit_code == 0, warned.output
    (warning,) = (line for line in warned.stderr.splitlines() if "W&B" in line or "wandb" in line)
    assert text in warning
    assert f"`goemo sync --root {tmp_path / 'warned'} " in warning
    assert "f" * 40 not in warned.output
    found = json.loads(warned.stdout)
    checkpoint = Checkpoint.open(Path(found["checkpoint"]))
    assert same_results(checkpoint, plain)
    required = goemo_train(tmp_path / "required", small_data, "--wandb-required")
    assert required.exit_code == code, required.output
    assert text in required.stderr
    assert required.stdout == ""
    assert list((tmp_path / "required").rglob("*")) == []
    if "package" in " ".join(variables):
        assert not Layout(tmp_path / "warned").wandb.exists()
    assert server.runs == {}


def test_a_project_name_that_wandb_refuses_is_a_setting(server: WandbServer, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="project"):
        mirror_briefly(
            tmp_path, "logging.wandb.enabled=true", "logging.wandb.project=a/b", "logging.wandb.required=true"
        )


def test_a_folder_that_cannot_be_written_costs_one_warning(server: WandbServer, tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "wandb").write_text("no folder", encoding="utf-8")
    (warning,) = mirror_briefly(tmp_path, *WANTED).warnings
    assert "goemo sync" in warning
    assert server.runs == {}


def test_a_refused_upload_is_noticed_though_the_sdk_is_silent(server: WandbServer, tmp_path: Path) -> None:
    refusal = server.faults.add(method="PUT", path="x.csv", status=403)
    (warning,) = mirror_briefly(tmp_path, *WANTED).warnings
    assert "W&B is missing the file predictions/x.csv" in warning
    server.faults.remove(refusal)
    assert sync_run(str(RUN), layout=Layout(tmp_path)).sent == ("the file predictions/x.csv",)


def test_an_upload_that_hangs_is_given_up(server: WandbServer, tmp_path: Path) -> None:
    server.faults.add(method="PUT", path="x.csv", silence=True)
    (warning,) = mirror_briefly(tmp_path, *WANTED, "logging.wandb.upload_timeout=1").warnings
    assert warning.startswith("W&B made no progress for 1 s; ")
    assert f"`goemo sync --root {tmp_path} {RUN}`" in warning
    with pytest.raises(RemoteError, match="no progress for 1 s"):
        sync_run(str(RUN), layout=Layout(tmp_path))


def test_ctrl_c_while_uploading_names_the_command_that_completes_the_run(
    server: WandbServer, tmp_path: Path
) -> None:
    server.faults.add(method="PUT", path="x.csv", silence=True)

    def stop(event: Event) -> None:
        if isinstance(event, Info) and event.message.startswith("Waiting"):
            raise KeyboardInterrupt

    said = Said([])
    with pytest.raises(KeyboardInterrupt):
        mirror_briefly(tmp_path, *WANTED, said=said, on_event=stop)
    (warning,) = said.warnings
    assert f"`goemo sync --root {tmp_path} {RUN}`" in warning


def test_a_slow_upload_is_progress(server: WandbServer, tmp_path: Path) -> None:
    """Each piece of it is news for whoever waits, so that slow is told from dead."""
    layout = Layout(tmp_path)
    large = tmp_path / "large.bin"
    large.write_bytes(os.urandom(8 << 20))
    journal = JournalTracker(layout.journals, root=tmp_path, mirror_id="slow0001")
    journal.start(RUN, logged_settings(config()), {})
    journal.save(large, name="large.bin")
    journal.finish({})
    server.faults.add(method="PUT", path="large.bin", slow=0.02)
    target = WandbSettings(project="slow", mode="online")
    mirror = wandb_process.Mirror(
        wandb_process.Job(
            journal=journal_path(layout.journals, RUN),
            root=tmp_path,
            directory=layout.wandb,
            target=target,
            follow=True,
        )
    )
    heard: list[str] = []
    try:
        ended = mirror.wait(GUARD_SECONDS, lambda answer: heard.append(answer["what"]), "finished")
    finally:
        mirror.stop()
    assert ended == {"what": "finished", "missing": [], "sent": []}
    assert heard.count("going on") >= 3


def test_a_killed_training_is_closed_as_failed(server: WandbServer, tmp_path: Path) -> None:
    program = f"""
import os, signal, sys
from pathlib import Path
from goemo_cli.core.names import RunName
from goemo_cli.tracking.journal import JournalTracker
from goemo_cli.core.settings import WandbSettings
from goemo_cli.tracking.wandb.tracker import WandbTracker
root = Path({str(tmp_path)!r})
run = RunName("tiny", "20260101-000000")
journal = JournalTracker(root / "journal", root=root, mirror_id="killed01")
mirror = WandbTracker(target=WandbSettings(project="p"), run_id="killed01", journals=root / "journal", root=root,
    folder=root / "wandb", required=True, patience=120, later="goemo sync", on_event=print)
for tracker in (journal, mirror):
    tracker.start(run, {{}}, {{}})
for epoch in (1, 2, 3):
    journal.log({{"val/auc": epoch / 10}}, step=epoch, epoch=epoch)
assert "wandb" not in sys.modules
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, env=os.environ, timeout=GUARD_SECONDS, check=False
    )
    assert done.returncode == -9
    there = server.runs["tester/p/killed01"]
    wait_for(lambda: there.state == "failed" and len(there.history) == 3)
    assert [row["val/auc"] for row in there.history] == [0.1, 0.2, 0.3]


def test_offline_nothing_is_asked_and_sync_brings_it_all(server: WandbServer, tmp_path: Path) -> None:
    said = mirror_briefly(tmp_path, *WANTED, "logging.wandb.mode=offline")
    assert said.warnings == []
    assert said.notes == [f"W&B: offline, in {Layout(tmp_path).wandb}"]
    assert server.requests == []
    (logged,) = Layout(tmp_path).wandb.rglob("*.wandb")
    # the SDK's process writes the file, which may be a moment after the run has ended
    wait_for(
        lambda: all(name in logged.read_bytes() for name in (b"val/auc", b"best_epoch", b"predictions/x.csv"))
    )
    mirror_id = sync_run(str(RUN), layout=Layout(tmp_path)).mirror_id
    there = server.runs[f"tester/emotions/{mirror_id}"]
    assert mirror_id.encode() in logged.name.encode()
    assert there.files["predictions/x.csv"] == b"text\n"
    assert (there.state, there.summary["best_epoch"]) == ("finished", 1)
