import json
import os
import re
import struct
import subprocess
import sys
import textwrap
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from goemo_cli.core.csv_files import open_csv
from goemo_cli.core.errors import CorruptArtifactError, NotFoundError, SettingError
from goemo_cli.tracking import ArtifactManager, LoggerConfig, TrackingWarning
from goemo_cli.tracking.artifacts.facts import media_facts
from goemo_cli.tracking.artifacts.local_runs import read_metrics
from goemo_cli.tracking.artifacts.saving import read_table
from tests.conftest import REPOSITORY
from tests.forks import forked_python
from tests.processes import python
from tests.wandb_server import WandbServer

LOCAL = LoggerConfig(mode="local")


@pytest.fixture
def manager(tmp_path: Path):
    with ArtifactManager(LOCAL, root=tmp_path) as manager:
        yield manager


def record_of(root: Path, run_id: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((root / "artifacts/registry/runs" / run_id / "run.json").read_text())
    return record


def in_a_process(
    program: str, *arguments: object, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program as users do: a process of its own, with the library importable."""
    return python("-c", textwrap.dedent(program), *arguments, env=env, without="WANDB_")


def test_importing_the_package_and_a_local_run_load_nothing_heavy(tmp_path: Path):
    done = in_a_process(
        """
        import sys
        import goemo_cli.tracking
        for name in goemo_cli.tracking.__all__:
            getattr(goemo_cli.tracking, name)
        root = sys.argv[1]
        with goemo_cli.tracking.ArtifactManager(goemo_cli.tracking.LoggerConfig(mode="local"), root=root) as manager:
            manager.log_metrics({"loss": 1})
            manager.log_model_artifact(sys.executable, "net")
        print(sorted({"wandb", "torch", "numpy", "transformers"} & set(sys.modules)))
        """,
        tmp_path,
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_model_comes_back_as_it_was_logged(manager, tmp_path: Path):
    weights = {"layer": np.arange(6, dtype=np.float32).reshape(2, 3)}
    logged = manager.save_model_artifact(
        weights, "net", aliases=["best"], metadata={"f1": 0.5}, description="six weights"
    )
    assert (logged.reference, logged.type, logged.where) == ("net:v0", "model", "local")
    assert logged.metadata["parameters"] == 6
    assert logged.metadata["framework"] == "safetensors"
    assert logged.metadata["total_bytes"] == logged.size > 0
    assert logged.metadata["versions"]["numpy"] == np.__version__
    assert logged.metadata["f1"] == 0.5
    assert (logged.description, manager.registry.get("net").description) == ("six weights",) * 2

    from safetensors.numpy import load_file

    again = manager.load_model_artifact(
        "net", "best", load=lambda folder: load_file(folder / "model.safetensors")
    )
    assert np.array_equal(again["layer"], weights["layer"])


def test_a_transformers_folder_is_told_by_its_files(manager, make_tiny, tmp_path: Path):
    classifier = make_tiny()
    logged = manager.save_model_artifact(classifier.model, "tiny")
    assert logged.metadata["framework"] == "transformers"
    assert logged.metadata["n_labels"] == 3
    assert logged.metadata["parameters"] == sum(one.numel() for one in classifier.model.parameters())
    from transformers import AutoModelForSequenceClassification as Auto

    loaded = manager.load_model_artifact("tiny", load=Auto.from_pretrained)
    assert loaded.config.id2label == classifier.model.config.id2label


def test_a_model_that_nobody_knows_how_to_write_is_refused_and_never_pickled(manager):
    with pytest.raises(SettingError, match="save="):
        manager.save_model_artifact(object(), "net")
    logged = manager.save_model_artifact(
        {"a": 1}, "net", save=lambda model, folder: (folder / "m.txt").write_text(str(model))
    )
    assert (manager.get_model_artifact("net") / "m.txt").read_text() == "{'a': 1}"
    assert logged.metadata["n_files"] == 1


def test_data_is_counted_by_label(manager, tmp_path: Path):
    rows = [
        {"text": 'a, "b"\n', "labels": ["joy", "fear"]},
        {"text": "", "labels": []},
        {"text": "=1", "labels": ["joy"]},
    ]
    logged = manager.save_dataset_artifact({"train": rows, "val": rows[:1]}, "mine")
    assert logged.metadata["rows_by_file"] == {"train.csv": 3, "val.csv": 1}
    assert logged.metadata["label_distribution"] == {"fear": 2, "joy": 3}
    with open_csv(manager.get_model_artifact("mine") / "train.csv") as (header, read):
        assert (header, [fields for _, fields in read]) == (
            ["text", "labels"],
            [['a, "b"\n', "joy,fear"], ["", ""], ["=1", "joy"]],
        )
    broken = tmp_path / "broken.csv"
    broken.write_text("text,labels\nonly one field\n")
    facts = manager.log_dataset_artifact(broken, "broken").metadata
    assert "1 fields instead of 2" in facts["unreadable"]["broken.csv"]
    assert "rows" not in facts


def test_data_frames_and_arrays_are_data(manager):
    frame = pd.DataFrame(
        {"text": ["a", "b"], "labels": [["joy", "fear"], None], "n": pd.array([1, None], dtype="Int64")}
    )
    frame["x"] = np.array([0.1, np.nan], dtype=np.float32)
    logged = manager.save_dataset_artifact({"train": frame, "val": frame[:1]}, "frames")
    assert logged.metadata["rows_by_file"] == {"train.csv": 2, "val.csv": 1}
    written = (manager.get_model_artifact("frames") / "train.csv").read_text()
    assert written == 'text,labels,n,x\na,"joy,fear",1,0.1\nb,,,\n'

    array = np.array([[0.1, np.nan], [2, 3], [4, 5]], dtype=np.float32)
    logged = manager.save_dataset_artifact(array, "array", description="floats")
    assert (logged.metadata["rows"], logged.description) == (3, "floats")
    assert logged.metadata["arrays"] == {"data.npy": {"shape": [3, 2], "dtype": "float32"}}
    again = np.load(manager.get_model_artifact("array") / "data.npy")
    assert again.dtype == array.dtype
    assert np.array_equal(again, array, equal_nan=True)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.array([{"a": 1}]), "pickled"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "same name"),
        (pd.DataFrame({"a": []}), "at least one"),
        ("a text", "has no rows"),
        (3, "has no rows"),
    ],
)
def test_data_of_other_kinds_is_refused(manager, data: Any, said: str):
    with pytest.raises(SettingError, match=said):
        manager.save_dataset_artifact(data, "mine")
    assert manager.registry.names() == []


def test_rows_with_other_keys_are_refused(manager):
    with pytest.raises(SettingError, match="row 2 has other keys"):
        manager.log_predictions([{"text": "a"}, {"txt": "b"}], "preds")
    with pytest.raises(SettingError, match="at least one"):
        manager.log_predictions([], "preds")


def test_predictions_in_goemos_own_form_are_written_in_goemos_own_form(manager, make_predictions):
    from goemo_cli.core.predictions import read_predictions

    predictions = make_predictions(5)
    logged = manager.log_predictions(predictions, "preds", split="val")
    assert (logged.metadata["rows"], logged.metadata["split"]) == (5, "val")
    again = read_predictions(manager.get_model_artifact("preds") / "val_predictions.csv")
    assert np.array_equal(again.y_prob, predictions.y_prob)


def test_a_table_keeps_texts_that_look_like_numbers(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("id,text,p,n\n007,1,0.5,\n008,x,1e-05,3\n")
    assert read_table(path, 10) == (
        ["id", "text", "p", "n"],
        [["007", "1", 0.5, None], ["008", "x", 1e-05, 3.0]],
    )
    assert read_table(path, 1) == (["id", "text", "p", "n"], [["007", 1.0, 0.5, ""]])
    path.write_text("a,b\n1\n")
    assert read_table(path, 10) is None


def test_missing_files_are_errors_and_leave_nothing(manager, tmp_path: Path):
    for log in (
        manager.log_model_artifact,
        manager.log_dataset_artifact,
        manager.log_video_artifact,
        manager.log_predictions,
    ):
        with pytest.raises(NotFoundError):
            log(tmp_path / "nothing", "name")
    assert manager.registry.names() == []


def test_lineage_reaches_back_to_the_data(manager, tmp_path: Path):
    manager.save_dataset_artifact([{"text": "a"}], "mine")
    manager.save_model_artifact({"w": np.zeros(2)}, "net", parents=["mine"])
    manager.log_predictions([{"text": "a"}], "preds")
    manager.link_artifacts("preds", "net:latest")
    manager.link_artifacts("preds", "net")
    tree = manager.lineage("preds")
    assert [tree.reference, tree.parents[0].reference, tree.parents[0].parents[0].reference] == [
        "preds:v0",
        "net:v0",
        "mine:v0",
    ]
    assert [line.split()[:2] for line in tree.lines()] == [
        ["preds:v0", "predictions"],
        ["net:v0", "model"],
        ["mine:v0", "dataset"],
    ]
    run = record_of(tmp_path, manager.run_id)
    assert run["inputs"] == ["mine:v0", "net:v0"]
    assert run["outputs"] == ["mine:v0", "net:v0", "preds:v0"]
    with pytest.raises(NotFoundError):
        manager.lineage("nothing")


def test_a_run_keeps_its_numbers_and_goes_on_when_asked(tmp_path: Path):
    config = LoggerConfig(
        mode="local", config={"lr": 1e-3, "api_key": "SECRET", "url": "https://me:pw@host/x"}
    )
    manager = ArtifactManager(config, root=tmp_path)
    run_id = manager.init_run("first", config={"seed": 3, "nested": {"password": "SECRET"}})
    manager.log_metrics({"loss": np.float32(1.5)})
    manager.log_metrics({"loss": float("nan")})
    with pytest.raises(SettingError, match="'loss' is 'x'"):
        manager.log_metrics({"loss": "x"})
    manager.finish_run({"f1": np.float32(0.5)})
    assert manager.run_id is None
    folder = tmp_path / "artifacts/registry/runs" / run_id
    assert [(line["step"], line["loss"]) for line in read_metrics(folder / "metrics.jsonl")] == [
        (0, 1.5),
        (1, None),
    ]
    run = record_of(tmp_path, run_id)
    assert (run["state"], run["summary"], run["config"]["seed"]) == ("finished", {"f1": 0.5}, 3)
    assert "SECRET" not in (folder / "run.json").read_text()
    assert "pw" not in run["config"]["url"]

    with (folder / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 7')  # torn by a crash
    again = ArtifactManager(LoggerConfig(mode="local", resume=run_id), root=tmp_path)
    assert again.init_run() == run_id
    again.log_metrics({"loss": 0.5})
    run = record_of(tmp_path, run_id)
    assert (run["state"], run["name"], run["config"]["seed"]) == ("running", "first", 3)
    again.finish_run({"f1_test": 0.25})
    assert record_of(tmp_path, run_id)["summary"] == {"f1": 0.5, "f1_test": 0.25}
    assert [line["step"] for line in read_metrics(folder / "metrics.jsonl")] == [0, 1, 2]


def test_a_project_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with ArtifactManager("mood", root=tmp_path) as manager:
        assert record_of(tmp_path, manager.run_id or "")["project"] == "mood"
    with pytest.raises(SettingError, match="a/b"):
        ArtifactManager("a/b")


def test_steps_never_go_backwards(tmp_path: Path):
    config = LoggerConfig(mode="local", resume="one")
    for steps, backwards in (([0, 3, 3, None], 3), ([5, 9], 4)):
        with ArtifactManager(config, root=tmp_path) as manager:
            for step in steps:
                manager.log_metrics({"loss": 1}, step=step)
            with pytest.raises(SettingError, match=f"step {backwards} is lower"):
                manager.log_metrics({"loss": 1}, step=backwards)
    lines = read_metrics(tmp_path / "artifacts/registry/runs/one/metrics.jsonl")
    assert [line["step"] for line in lines] == [0, 3, 3, 4, 5, 9]


def test_what_only_wandb_can_show_is_noted_here(tmp_path: Path):
    import wandb

    warnings: list[str] = []
    with ArtifactManager(LOCAL, root=tmp_path, warn=warnings.append) as manager:
        for _ in range(2):
            manager.log_metrics(
                {
                    "val": {"f1": np.float32(0.5), "by": {"joy": float("inf")}, "h": wandb.Histogram([1, 2])},
                    "tables": [wandb.Table(columns=["a"], data=[[1]])] * 2,
                }
            )
        for wrong in ({"val": {"f1": "x"}}, {"a": [1, 2]}, {"a": None}, {"step": 3}):
            with pytest.raises(SettingError, match=r"val\.f1|'a'|'step'"):
                manager.log_metrics(wrong)
        line = read_metrics(tmp_path / "artifacts/registry/runs" / (manager.run_id or "") / "metrics.jsonl")[
            0
        ]
    histogram = {"type": "wandb.Histogram", "on_wandb": False}
    assert line["val"] == {"f1": 0.5, "by": {"joy": None}, "h": histogram}
    assert line["tables"] == {"type": "2 x wandb.Table", "on_wandb": False}
    assert warnings == ["val.h, tables: without W&B, objects of wandb are not kept"]


@pytest.mark.parametrize(("ending", "state"), [("", "finished"), ("raise ValueError", "failed")])
def test_a_run_that_is_open_at_the_end_of_the_program_is_finished(tmp_path: Path, ending: str, state: str):
    program = f"""
import sys
from goemo_cli.tracking import ArtifactManager, LoggerConfig
ArtifactManager(LoggerConfig(mode="local", resume="one"), root=sys.argv[1]).init_run()
{ending}
"""
    in_a_process(program, tmp_path)
    assert record_of(tmp_path, "one")["state"] == state


def test_without_wandb_registry_collections_are_kept_here(manager, tmp_path: Path):
    manager.save_model_artifact({"w": np.zeros(2)}, "net", collection="model/emotions", aliases=["staging"])
    manager.save_model_artifact({"w": np.ones(2)}, "net", collection="model/emotions")
    manager.link_to_registry("net:v0", "mine", aliases=["production"])
    collections = [
        manager.registry.collection(one) for one in ("wandb-registry-model/emotions", "mine", "none")
    ]
    assert collections == [
        {"latest": "net:v1", "staging": "net:v0"},
        {"latest": "net:v0", "production": "net:v0"},
        {},
    ]
    for reference, collection, aliases in (
        ("none", "mine", ()),
        ("net", "../x", ()),
        ("net", "a/b/c", ()),
        ("net", "a", ("v1",)),
    ):
        with pytest.raises((NotFoundError, SettingError)):
            manager.link_to_registry(reference, collection, aliases=aliases)
    with pytest.raises(SettingError):
        manager.save_model_artifact({"w": np.zeros(3)}, "other", collection="../x")
    assert manager.registry.names() == ["net"]


def test_calls_without_a_run_and_two_runs_at_once_are_refused(tmp_path: Path):
    manager = ArtifactManager(LOCAL, root=tmp_path)
    with pytest.raises(SettingError, match="init_run first"):
        manager.log_metrics({"loss": 1})
    manager.init_run()
    with pytest.raises(SettingError, match="finish_run first"):
        manager.init_run()


@pytest.mark.parametrize(
    "wrong",
    [{"mode": "onlin"}, {"log_every_n_steps": 0}, {"tags": "one"}, {"project": "a/b"}, {"resume": "../x"}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]):
    with pytest.raises(SettingError):
        LoggerConfig(**wrong)


def mp4(path: Path, *, seconds: float, width: int, height: int, frames: int) -> Path:
    """The boxes of a video without its pictures, as ISO/IEC 14496-12 has them."""

    def box(kind: bytes, *parts: bytes) -> bytes:
        body = b"".join(parts)
        return struct.pack(">I4s", 8 + len(body), kind) + body

    scale = 1000
    mvhd = box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, scale, int(seconds * scale)), bytes(80))
    tkhd = box(b"tkhd", bytes(76), struct.pack(">II", width << 16, height << 16))
    hdlr = box(b"hdlr", bytes(8), b"vide", bytes(12))
    stts = box(b"stts", struct.pack(">IIII", 0, 1, frames, 40))
    media = box(b"mdia", hdlr, box(b"minf", box(b"stbl", stts)))
    path.write_bytes(
        box(b"ftyp", b"isom", bytes(4))
        + box(b"mdat", bytes(100))
        + box(b"moov", mvhd, box(b"trak", tkhd, media))
    )
    return path


def test_media_say_themselves_what_they_are(manager, tmp_path: Path):
    video = manager.log_video_artifact(
        mp4(tmp_path / "v.mp4", seconds=2.5, width=640, height=360, frames=50), "clip"
    )
    assert video.type == "video"
    assert {key: video.metadata[key] for key in ("format", "width", "height", "duration_seconds", "frames_per_second")} == {
        "format": "mp4", "width": 640, "height": 360, "duration_seconds": 2.5, "frames_per_second": 20.0
    }  # fmt: skip
    with wave.open(str(tmp_path / "s.wav"), "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(4 * 4000))
    assert media_facts(tmp_path / "s.wav") == {
        "kind": "audio", "format": "wav", "sample_rate": 8000, "channels": 2, "duration_seconds": 0.5
    }  # fmt: skip
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue", "green")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=200)
    gif = media_facts(tmp_path / "a.gif")
    assert (gif["kind"], gif["frames"], gif["width"], gif["height"]) == ("video", 3, 20, 10)
    assert gif["duration_seconds"] == pytest.approx(0.6)
    for form in ("png", "jpeg"):
        frames[0].save(tmp_path / f"p.{form}")
        assert media_facts(tmp_path / f"p.{form}") == {
            "kind": "image",
            "format": form,
            "width": 20,
            "height": 10,
        }


def test_what_a_header_does_not_say_is_taken_from_the_caller_or_not_there(tmp_path: Path):
    warnings: list[str] = []
    (tmp_path / "v.avi").write_bytes(b"RIFF\x00\x00\x00\x00AVI whatever")
    with ArtifactManager(LOCAL, root=tmp_path, warn=warnings.append) as manager:
        bare = manager.log_video_artifact(tmp_path / "v.avi", "clip")
        assert (bare.type, bare.metadata["format"]) == ("media", "avi")
        assert "duration_seconds" not in bare.metadata
        told = manager.log_video_artifact(
            tmp_path / "v.avi", "told", metadata={"kind": "video", "duration_seconds": 3}
        )
        assert (told.type, told.metadata["duration_seconds"]) == ("video", 3)
        path = mp4(tmp_path / "v.mp4", seconds=1, width=8, height=8, frames=5)
        assert manager.log_video_artifact(path, "mp4", metadata={"width": 9}).metadata["width"] == 8
    assert warnings == ["v.mp4: width is 8 by its header, not 9"]


@pytest.mark.parametrize("kind", ["mp4", "wav", "png"])
def test_damaged_headers_are_errors(tmp_path: Path, kind: str):
    path = tmp_path / f"x.{kind}"
    if kind == "mp4":
        mp4(path, seconds=1, width=8, height=8, frames=5)
    elif kind == "wav":
        path.write_bytes(b"RIFF\x10\x00\x00\x00WAVEfmt ")
    else:
        Image.new("RGB", (20, 10)).save(path)
    path.write_bytes(path.read_bytes()[:-60] if kind != "wav" else path.read_bytes())
    if kind == "png":
        path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(CorruptArtifactError):
        media_facts(path)


def test_without_the_package_one_warning_and_the_local_store(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    manager = ArtifactManager(LoggerConfig(mode="online"), root=tmp_path)
    with pytest.warns(
        TrackingWarning, match=r"pip install 'goemo\[wandb\]'; artifacts go to the local store"
    ) as warned:
        manager.init_run()
    assert manager.save_model_artifact({"w": np.zeros(2)}, "net").where == "local"
    manager.finish_run()
    assert len(warned) == 1


PIPELINE = """
import json, sys
from pathlib import Path
from goemo_cli.tracking import ArtifactManager, LoggerConfig
root, steps = Path(sys.argv[1]), sys.argv[2:]
warned = []
config = LoggerConfig(project="mood", name="mine", tags=("a",), config={"lr": 1, "api_key": "SECRET"})
manager = ArtifactManager(config, root=root, warn=warned.append)
run_id = manager.init_run(job_type="train")
said = {"run_id": run_id, "where": manager.where, "url": manager.url}
"""
ENDING = """
said |= {"warned": warned, "where_at_the_end": manager.where}
manager.finish_run({"f1": 0.5})
print(json.dumps(said))
"""


def pipeline(body: str, root: Path, env: dict[str, str]) -> dict[str, Any]:
    done = forked_python(PIPELINE + textwrap.dedent(body) + ENDING, root, env=env)
    assert done.returncode == 0, done.stderr
    assert "SECRET" not in done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@dataclass
class Logged:
    """A pipeline that logged everything to W&B: what it told, the server, the local root."""

    said: dict[str, Any]
    server: WandbServer
    root: Path

    @property
    def run(self) -> Any:
        return self.server.runs[f"tester/mood/{self.said['run_id']}"]


USER = "user-of-this-test"
EVERYTHING = """
import wandb
from PIL import Image
Image.new("RGB", (20, 10)).save(root / "i.png")
manager.log_metrics({"loss": 1.0, "val": {"f1": 0.5, "h": wandb.Histogram([1, 2])}, "h": wandb.Histogram([1, 2, 2]), "i": [wandb.Image(str(root / "i.png"))]}, step=4)
manager.log_metrics({"loss": 0.5})
manager.save_dataset_artifact([{"text": "a", "labels": ["joy"]}], "mine")
model = root / "model"
model.mkdir()
(model / "weights.bin").write_bytes(b"weights" * 1000)
first = manager.log_model_artifact(model, "net", parents=["mine"], aliases=["best"])
again = manager.log_model_artifact(model, "net", parents=["mine"])
(model / "weights.bin").write_bytes(b"others" * 1000)
second = manager.log_model_artifact(model, "net")
logged = manager.log_predictions([{"text": "a", "p": 0.5}, {"text": "b", "p": None}], "preds", description="two rows")
manager.link_artifacts("preds", "net:best")
manager.link_to_registry("preds", "model/emotions", aliases=["production"])
manager.link_to_registry("preds:v0", "mine")
folder = manager.get_model_artifact("net", "best", to=root / "out")
tree = manager.lineage("preds")
said["versions"] = [one.reference for one in (first, again, second)]
said["description"] = logged.description
said["bytes"] = (folder / "weights.bin").read_bytes() == b"weights" * 1000
said["lineage"] = [tree.reference, tree.parents[0].reference, tree.parents[0].parents[0].reference]
"""


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    root = tmp_path_factory.mktemp("logged")
    with WandbServer(organization="acme") as server:
        server.keeps_bodies = True
        names = dict.fromkeys(("USER", "LOGNAME", "USERNAME"), USER)
        said = pipeline(EVERYTHING, root, server.environment(root / "sdk") | names)
        yield Logged(said, server, root)
        assert server.bugs == []


def test_on_wandb_everything_goes_up_and_comes_down_verified(logged: Logged):
    said, run, artifacts = logged.said, logged.run, logged.server.artifacts
    assert (said["warned"], said["where"], said["where_at_the_end"]) == ([], "wandb", "wandb")
    assert said["bytes"]
    assert said["versions"] == ["net:v0", "net:v0", "net:v1"]
    assert said["lineage"] == ["preds:v0", "net:v0", "mine:v0"]
    assert (run.state, run.summary["f1"], [row["loss"] for row in run.history]) == ("finished", 0.5, [1, 0.5])
    assert run.config == {"lr": 1, "api_key": "[redacted]"}
    net = artifacts["tester/mood/net"]
    assert {alias: version.files for alias, version in net.aliases.items()} == {
        "best": {"weights.bin": b"weights" * 1000}, "latest": {"weights.bin": b"others" * 1000}
    }  # fmt: skip
    assert net.versions[0].metadata["total_bytes"] == 7000
    assert artifacts["tester/mood/mine"].versions[0].used_by
    assert not (logged.root / "artifacts/registry/objects").exists()


def test_on_wandb_tables_media_descriptions_and_registry_collections_arrive(logged: Logged):
    run, artifacts = logged.run, logged.server.artifacts
    row = run.history[0]
    assert (row["_step"], row["val"]["f1"], row["val"]["h"]["_type"]) == (4, 0.5, "histogram")
    assert [name for name in run.files if name.startswith("media/images/i")]
    (tables,) = (one["predictions/preds"] for one in run.history if "predictions/preds" in one)
    table = json.loads(run.files[tables["path"]])
    assert (table["columns"], table["data"]) == (["text", "p"], [["a", 0.5], ["b", None]])
    assert logged.said["description"] == artifacts["tester/mood/preds"].versions[0].description == "two rows"
    for collection in ("acme/wandb-registry-model/emotions", "tester/mood/mine"):
        assert artifacts[collection].aliases["latest"].name == "preds:v0"
    assert "production" in artifacts["acme/wandb-registry-model/emotions"].aliases
    line = read_metrics(logged.root / "artifacts/registry/runs" / logged.said["run_id"] / "metrics.jsonl")[0]
    histogram = {"type": "wandb.Histogram", "on_wandb": True}
    assert (line["val"], line["h"]) == ({"f1": 0.5, "h": histogram}, histogram)


def test_nothing_that_is_sent_names_host_user_folder_or_program(logged: Logged):
    assert (logged.run.host, logged.run.program) == (None, None)
    sent = logged.server.sent
    assert len(sent) > 10
    for name in (USER, str(logged.root), "<string>"):
        assert not any(name.encode() in body for body in sent), name


def test_what_wandb_does_not_have_is_an_error_or_comes_from_the_store_with_a_warning(
    wandb_server: WandbServer, tmp_path: Path
):
    with ArtifactManager(LOCAL, root=tmp_path) as local:
        local.save_model_artifact({"w": np.zeros(2)}, "old")
    said = pipeline(
        """
        from goemo_cli.core.errors import NotFoundError
        try:
            manager.get_model_artifact("nothing")
        except NotFoundError as error:
            said["error"] = str(error)
        said["old"] = manager.get_model_artifact("old").name
        said["net"] = manager.save_model_artifact(
            {}, "net", save=lambda m, f: (f / "x").write_text(""), collection="model/emotions"
        ).where
        """,
        tmp_path,
        wandb_server.environment(tmp_path),
    )
    assert "nothing" in said["error"]
    assert (said["old"], said["net"], said["where_at_the_end"]) == ("v0", "wandb", "wandb")
    store, registry = said["warned"]
    assert "local store" in store
    assert "not linked to model/emotions" in registry


def test_digests_are_compared_by_the_algorithm_of_the_manifest(wandb_server: WandbServer, tmp_path: Path):
    """What is right is kept, and bytes that are wrong in the SDK's cache are not used again."""
    files = {"w.bin": b"weights" * 1000, "a/config.json": b"{}"}
    wandb_server.add_artifact("tester/mood/net", files, algorithm="XXH128")
    body = """
    from goemo_cli.core.errors import CorruptArtifactError
    out = root / "out"
    fetch = lambda: manager.get_model_artifact("net", to=out)
    fetch()
    said["right"] = [(out / "w.bin").read_bytes() == b"weights" * 1000, (out / "a/config.json").read_text() == "{}"]
    (out / "w.bin").write_bytes(b"damaged")
    try:
        fetch()
    except CorruptArtifactError as error:
        said["error"] = str(error)
    said["kept"] = (out / "w.bin").read_text()
    fetch()
    said["repaired"] = (out / "w.bin").read_bytes() == b"weights" * 1000
    """
    wandb_server.faults.add(method="GET", path=r"w\.bin", change=True, times=2, after=1)
    said = pipeline(body, tmp_path, wandb_server.environment(tmp_path))
    assert said["right"] == [True, True]
    assert "does not have the declared XXH128 (net:v0)" in said["error"]
    assert (said["kept"], said["repaired"], said["warned"]) == ("damaged", True, [])
    assert sum("config.json" in path for path in wandb_server.fetched) == 1


@pytest.mark.slow  # as one run, twice
def test_runs_that_are_open_at_once_stay_apart(wandb_server: WandbServer, tmp_path: Path):
    """Also next to one of the user's."""
    body = """
    import wandb
    own = wandb.init(project="mood", id="own", reinit="create_new", dir=root)
    other = ArtifactManager("mood", root=root, warn=warned.append)
    said["other"] = other.init_run()
    for number, one in enumerate((manager, other)):
        one.log_metrics({"loss": float(number)})
    own.log({"loss": 2.0})
    own.finish()
    other.finish_run()
    third = ArtifactManager("mood", root=root, warn=warned.append)
    said["third"] = third.init_run()
    third.log_metrics({"loss": 3.0})
    """
    said = pipeline(body, tmp_path, wandb_server.environment(tmp_path))
    runs = [said["run_id"], said["other"], "own", said["third"]]
    logged = [[row["loss"] for row in wandb_server.runs[f"tester/mood/{run}"].history] for run in runs]
    assert (logged, said["warned"]) == ([[0.0], [1.0], [2.0], [3.0]], [])
    assert {wandb_server.runs[f"tester/mood/{run}"].state for run in runs} == {"finished"}


def test_a_run_that_something_else_finishes_on_wandb_continues_here(
    wandb_server: WandbServer, tmp_path: Path
):
    body = """
    import wandb
    wandb.init(project="mood", reinit="finish_previous", dir=root).finish()  # as every init in a notebook
    manager.log_metrics({"loss": 1.0})
    """
    said = pipeline(body, tmp_path, wandb_server.environment(tmp_path))
    assert (said["where_at_the_end"], len(said["warned"])) == ("local", 1)
    assert record_of(tmp_path, said["run_id"])["state"] == "finished"


def test_a_continued_run_goes_on_after_the_last_step_on_wandb(wandb_server: WandbServer, tmp_path: Path):
    """Also on a machine that has no record of it; its name stays."""
    for machine in ("one", "two"):
        program = """
        import sys
        from goemo_cli.core.errors import SettingError
        from goemo_cli.tracking import ArtifactManager, LoggerConfig
        name = "mine" if sys.argv[2] == "one" else None
        with ArtifactManager(LoggerConfig(project="mood", resume="abc", name=name), root=sys.argv[1]) as manager:
            if sys.argv[2] == "two":
                try:
                    manager.log_metrics({"loss": 0}, step=7)
                    sys.exit("a step that is there already was taken")
                except SettingError:
                    pass
            manager.log_metrics({"loss": 1}, step=7 if sys.argv[2] == "one" else None)
        """
        environment = wandb_server.environment(tmp_path)
        done = forked_python(textwrap.dedent(program), tmp_path / machine, machine, env=environment)
        assert done.returncode == 0, done.stderr
    run = wandb_server.runs["tester/mood/abc"]
    assert ([row["_step"] for row in run.history], run.name) == ([7, 8], "mine")


def test_a_server_that_dies_loses_nothing(wandb_server: WandbServer, tmp_path: Path):
    """Everything after the warning is in the local store, and the run ends well and soon."""
    wandb_server.faults.add(operation="CreateArtifact", after=1, status=403)
    wandb_server.keeps_bodies = True
    body = """
    manager.save_model_artifact({"a": 1}, "one", save=lambda model, folder: (folder / "x").write_text("1"))
    lost = manager.save_model_artifact({"a": 1}, "two", save=lambda model, folder: (folder / "x").write_text("2"))
    manager.log_metrics({"loss": 1.0})
    after = manager.save_model_artifact({"a": 1}, "three", save=lambda model, folder: (folder / "x").write_text("3"))
    said["logged"] = [lost.reference, lost.where, after.where]
    said["two"] = (manager.get_model_artifact("two") / "x").read_text()
    """
    said = pipeline(body, tmp_path, wandb_server.environment(tmp_path))
    assert said["logged"] == ["two:v0", "local", "local"]
    assert (said["two"], said["where_at_the_end"], len(said["warned"])) == ("2", "local", 1)
    assert "local store" in said["warned"][0]
    assert record_of(tmp_path, said["run_id"])["outputs"] == ["one:v0", "two:v0", "three:v0"]
    staged = {path for body in wandb_server.sent for path in re.findall(rb'"local_path":"(.*?)"', body)}
    assert [Path(os.fsdecode(path)).parent.exists() for path in staged] == [False]


@pytest.mark.slow
def test_a_silent_server_is_not_waited_for_without_end(wandb_server: WandbServer, tmp_path: Path):
    wandb_server.faults.add(operation="ArtifactMembershipByName", silence=True)
    said = pipeline(
        """
        from goemo_cli.core.errors import RemoteError
        from goemo_cli.tracking.wandb import artifacts as wandb_artifacts
        wandb_artifacts.ANSWER_SECONDS = 1
        try:
            manager.get_model_artifact("net")
        except RemoteError as error:
            said["error"] = str(error)
        """,
        tmp_path,
        wandb_server.environment(tmp_path),
    )
    assert "net" in said["error"]


def test_a_server_that_is_not_there_is_one_warning_and_the_local_store(
    wandb_server: WandbServer, tmp_path: Path
):
    wandb_server.stop()
    said = pipeline("", tmp_path, wandb_server.environment(tmp_path))
    assert (said["where"], len(said["warned"])) == ("local", 1)
    assert "does not answer" in said["warned"][0]
    assert not (tmp_path / "output").exists()


@pytest.mark.slow  # as training without a key, in the tests of the tracker
def test_no_key_at_all_is_one_warning_without_a_question(wandb_server: WandbServer, tmp_path: Path):
    environment = {**wandb_server.environment(tmp_path), "HOME": str(tmp_path)}
    del environment["WANDB_API_KEY"]
    said = pipeline("", tmp_path, environment)
    assert (said["where"], len(said["warned"])) == ("local", 1)
    assert "API key" in said["warned"][0]


def test_offline_artifacts_are_in_the_store_now_and_in_wandbs_files_for_later(tmp_path: Path):
    environment = {
        "WANDB_MODE": "offline", "WANDB_CACHE_DIR": str(tmp_path / "c"), "WANDB_DATA_DIR": str(tmp_path / "d"),
        "WANDB_CONFIG_DIR": str(tmp_path / "e"), "WANDB_ERROR_REPORTING": "false",
    }  # fmt: skip
    said = pipeline(
        """
        manager.log_metrics({"loss": 1.0})
        (root / "w.bin").write_bytes(b"weights")
        said["net"] = manager.log_model_artifact(root / "w.bin", "net").reference
        said["bytes"] = (manager.get_model_artifact("net") / "w.bin").read_text()
        """,
        tmp_path,
        environment,
    )
    assert (said["where"], said["net"], said["bytes"], said["warned"]) == ("local", "net:v0", "weights", [])
    [offline] = (tmp_path / "output/wandb/wandb").glob("offline-run-*/*.wandb")
    assert said["run_id"] in offline.name
    assert b"net" in offline.read_bytes()


def test_the_example_runs_as_it_stands(tmp_path: Path):
    done = python(REPOSITORY / "examples/track_own_pipeline.py", cwd=tmp_path, env={"WANDB_MODE": "disabled"})
    assert done.returncode == 0, done.stderr
    shown = [line.split() for line in done.stdout.splitlines()[-3:]]
    assert [line[:2] for line in shown] == [
        ["mood-predictions:v0", "predictions"], ["mood-words:v0", "model"], ["mood-data:v0", "dataset"]
    ]  # fmt: skip
    assert (tmp_path / "artifacts/registry/artifacts/mood-predictions/v0.json").is_file()
