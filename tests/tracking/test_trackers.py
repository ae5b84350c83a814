"""Mirrors without a network: the journal, real event files, the real wandb SDK offline; none can hurt or change a run."""

import base64
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import GoemoError, MissingPackageError, RemoteError
from goemo_cli.core.events import EpochEnded, Event, Warning
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import TrainConfig
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.tracking import open_tracker
from goemo_cli.services.training.train import train
from goemo_cli.tracking.base import Tracker
from goemo_cli.tracking.guarded import GuardedTrackers
from goemo_cli.tracking.journal import (
    EventLine,
    FinishLine,
    HistogramsLine,
    LogLine,
    PictureLine,
    TableLine,
    journal_path,
    read_journal,
)
from goemo_cli.tracking.redaction import without_places, without_secrets


def config(*overrides: str, epochs: int = 2, model: str = "tiny", data: Path | str = "sample") -> TrainConfig:
    flags = {
        "model.name": model,
        "data.name": str(data),
        "data.max_train_samples": 64,
        "training.epochs": epochs,
    }
    return resolve_settings(None, flags, overrides)


def run(root: Path, *overrides: str, **choices: Any) -> tuple[Checkpoint, list[str]]:
    said: list[Event] = []
    settings, layout = config(*overrides, **choices), Layout(root)
    tracker = open_tracker(settings, layout=layout, on_event=said.append)
    result = train(settings, layout=layout, tracker=tracker, on_event=said.append)
    return result, [
        event.message for event in said if isinstance(event, Warning) and "tokens" not in event.message
    ]


def test_the_journal_is_always_on_and_tells_all_of_the_run(tmp_path: Path, small_data: Path) -> None:
    result, warnings = run(tmp_path, "logging.wandb.log_every=1", "training.early_stopping.min_delta=0.9",
                           "training.early_stopping.patience=1", epochs=5, data=small_data)  # fmt: skip
    journal = read_journal(journal_path(Layout(tmp_path).journals, result.run))
    history = result.metrics.history
    logged = [line for line in journal.lines if isinstance(line, LogLine)]
    assert warnings == []
    assert result.metrics.wandb_run_id is None
    epochs = [line for line in logged if line.epoch]
    assert [line.values["val/f1_macro"] for line in epochs] == [scores.val_f1_macro for scores in history]
    assert [line.step for line in epochs] == [2, 4]  # 64 comments in batches of 32
    steps = [line.step for line in logged if "step/loss" in line.values]
    assert steps == [1, 2, 3, 4]
    (stopped,) = (line for line in journal.lines if isinstance(line, EventLine))
    mean = sum(scores.epoch_seconds for scores in history) / 2
    assert stopped.name == "early_stopping"
    assert stopped.values == {
        "epoch": 2, "best_epoch": 1, "best_value": history[0].val_f1_macro, "epochs_saved": 3,
        "seconds_saved": pytest.approx(3 * mean),
    }  # fmt: skip
    assert journal.facts["data_facts"]["sha256"] == result.metrics.data.sha256
    assert journal.facts["versions"]["torch"]
    assert journal.settings["training"]["seed"] == 0
    assert journal.summary["test/f1_joy"] == next(
        row.f1_score for row in result.metrics.per_class if row.emotion == "joy"
    )
    assert {"best_epoch", "final_epoch", "total_training_time"} <= set(journal.summary)
    files = journal.files(tmp_path)
    assert all(path.is_file() for path in files.values())
    assert {name.split("/")[0] for name in files} == {"checkpoint", "predictions", "stats"}
    assert f"checkpoint/{result.run}/manifest.json" in files


def test_a_model_that_is_fitted_at_once_has_embeddings_and_nothing_to_watch(
    tmp_path: Path, small_data: Path
) -> None:
    asked = [f"logging.wandb.{name}=true" for name in ("log_gradients", "watch_model", "log_embeddings")]
    result, warnings = run(tmp_path, *asked, model="tfidf", data=small_data)
    lines = read_journal(journal_path(Layout(tmp_path).journals, result.run)).lines
    assert warnings == []
    assert not [line for line in lines if isinstance(line, HistogramsLine)]
    pictures = {line.name: line.png for line in lines if isinstance(line, PictureLine)}
    assert list(pictures) == ["label_confusion", "embedding_projection"]
    assert all(base64.b64decode(png).startswith(b"\x89PNG") for png in pictures.values())
    (embeddings,) = (line for line in lines if isinstance(line, TableLine) and line.chart == "projector")
    assert len(embeddings.rows) == result.metrics.data.sizes.test


def test_a_picture_that_cannot_be_drawn_costs_a_warning(tmp_path: Path) -> None:
    """Here because there are too few comments."""
    for split in ("train", "val", "test"):
        rows = "".join(f"so {label} {split} {at},{label}\n" for at in range(4) for label in ("joy", "fear"))
        (tmp_path / f"{split}.csv").write_text(f"text,labels\n{rows}", encoding="utf-8")
    result, warnings = run(tmp_path, "logging.wandb.log_embeddings=true", model="tfidf", data=tmp_path)
    lines = read_journal(journal_path(Layout(tmp_path).journals, result.run)).lines
    assert [line.name for line in lines if isinstance(line, PictureLine)] == ["label_confusion"]
    (said,) = (one for one in warnings if "picture" in one)
    assert said.startswith("picture embedding_projection is not logged")


def test_a_journal_that_cannot_be_written_is_said_once_and_ends_the_mirror_that_reads_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "output").write_text("a file, no folder", encoding="utf-8")
    said: list[Event] = []
    tracker = open_tracker(
        config("logging.wandb.enabled=true"), layout=Layout(tmp_path), on_event=said.append
    )
    tracker.start(RunName("tiny", "20260101-000000"), {}, {})
    for epoch in (1, 2):
        tracker.log({"val/auc": 0.5}, step=epoch, epoch=epoch)
    tracker.finish({})
    assert [event.message.split(" (")[0] for event in said if isinstance(event, Warning)] == [
        "The journal is disabled for this run",
        "W&B reads the journal, which is missing; this run is not uploaded",
    ]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(143), RuntimeError("x")])
def test_a_run_that_does_not_end_is_told_of_with_its_exit_code(
    tmp_path: Path, small_data: Path, stop: BaseException
) -> None:
    layout, settings = Layout(tmp_path), config(data=small_data)

    def on_event(event: Event) -> None:
        if isinstance(event, EpochEnded):
            raise stop

    with pytest.raises(type(stop)):
        train(settings, layout=layout, tracker=open_tracker(settings, layout=layout), on_event=on_event)
    (path,) = layout.journals.iterdir()
    codes = {KeyboardInterrupt: 130, SystemExit: 143, RuntimeError: 1}
    assert read_journal(path).lines[-1] == FinishLine(kind="finish", summary={}, exit_code=codes[type(stop)])


def same_results(one: Checkpoint, other: Checkpoint) -> bool:
    """Weights, predictions and scores are the same to the byte."""

    def results(run: Checkpoint) -> tuple[object, ...]:
        files, metrics = run.manifest.files, run.metrics
        return (
            [files[name].sha256 for name in ("model.safetensors", "pytorch_model.bin")],
            (metrics.val, metrics.test, metrics.per_class),
            [digest for path, digest in run.manifest.outputs.items() if "predictions" in path],
        )

    return results(one) == results(other)


class _Failing(Tracker):
    """Works until the first epoch."""

    calls = 0

    def log(self, values: Mapping[str, float], *, step: int, epoch: int | None = None) -> None:
        self.calls += 1
        raise ConnectionError("the server is gone\nsecond line")


def test_a_tracker_that_fails_is_warned_of_once_and_left_out() -> None:
    said: list[str] = []
    failing, works = _Failing(), Tracker()
    trackers = GuardedTrackers({"Bad": failing, "Good": works}, said.append)
    trackers.start(RunName("tiny", "20260101-000000"), {}, {})
    for step in (1, 2, 3):
        trackers.log({"val/auc": 0.5}, step=step)
    assert failing.calls == 1
    assert trackers.names == ["Good"]
    assert said == [
        "Bad is disabled for this run (ConnectionError: the server is gone); local files are complete"
    ]


class _Required(Tracker):
    def start(self, run: RunName, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        raise RemoteError("no server")


def test_a_required_tracker_that_cannot_begin_ends_the_run_and_leaves_no_folder(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(RemoteError, match="no server"):
        train(config(), layout=Layout(tmp_path), tracker=GuardedTrackers({"W&B": _Required()}, said.append))
    assert said == []
    assert [path for path in Layout(tmp_path).models.glob("*/*")] == []


def test_a_missing_package_costs_a_warning_or_where_it_is_required_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    said: list[Event] = []
    tracker = open_tracker(config("logging.wandb.enabled=true"), layout=Layout(), on_event=said.append)
    assert said == [
        Warning(
            "--wandb needs the package wandb: pip install 'goemo[wandb]'; the run continues without W&B, and "
            "`goemo sync RUN` sends it later"
        )
    ]
    assert isinstance(tracker, GuardedTrackers)
    assert tracker.names == ["The journal"]
    with pytest.raises(MissingPackageError):
        open_tracker(config("logging.wandb.enabled=true", "logging.wandb.required=true"), layout=Layout())


def test_an_old_wandb_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda package: "0.20.1")
    with pytest.raises(GoemoError, match=r"wandb 0\.29 or newer \(here is 0\.20\.1\)"):
        open_tracker(config("logging.wandb.enabled=true", "logging.wandb.required=true"), layout=Layout())


def test_log_packages_and_machine_are_told_unless_they_are_switched_off(
    tmp_path: Path, small_data: Path
) -> None:
    result, _ = run(tmp_path / "on", epochs=1, data=small_data)
    texts = read_journal(journal_path(Layout(tmp_path / "on").journals, result.run)).texts
    assert set(texts) == {"output.log", "requirements.txt", "wandb-metadata.json"}
    result, _ = run(tmp_path / "off", "logging.wandb.environment=false", epochs=1, data=small_data)
    assert read_journal(journal_path(Layout(tmp_path / "off").journals, result.run)).texts == {}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("/home/me/data/x.csv", "x.csv"),
        (Path("/home/me/data"), "data"),
        ("~/data/x.csv", "x.csv"),
        (r"C:\Users\me\x.csv", "x.csv"),
        ("read 'a b' from /home/me/x.csv.", "read 'a b' from x.csv."),
        ({"name": "/m/net", "n": [1, "/m/b.c"]}, {"name": "net", "n": [1, "b.c"]}),
        (
            "http://127.0.0.1:80/me/p and data/x.csv, 3 comments/s",
            "http://127.0.0.1:80/me/p and data/x.csv, 3 comments/s",
        ),
        ("a / b, and/or", "a / b, and/or"),
        (None, None),
    ],
)
def test_paths_of_this_machine_are_cut_to_their_last_part(given: Any, told: Any) -> None:
    assert without_places(given) == told


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        ("https://me:pw@host/a.csv", "https://[redacted]@host/a.csv"),
        (
            "https://host/a.csv?raw=true&X-Amz-Signature=f00&n=1",
            "https://host/a.csv?raw=true&X-Amz-Signature=[redacted]&n=1",
        ),
        ("https://host/a.csv?token=f00", "https://host/a.csv?token=[redacted]"),
        ("s3://bucket/key.csv", "s3://bucket/key.csv"),
    ],
)
def test_secrets_in_addresses_are_not_sent(address: str, sent: str):
    assert without_secrets({"data": {"name": address}}) == {"data": {"name": sent}}
