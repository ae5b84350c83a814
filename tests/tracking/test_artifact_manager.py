import json
import os
import struct
import subprocess
import sys
import textwrap
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import goemo_cli.tracking
from goemo_cli.core.csv_files import open_csv
from goemo_cli.core.errors import CorruptArtifactError, NotFoundError, SettingError
from goemo_cli.tracking import ArtifactManager, LoggerConfig, TrackingWarning
from goemo_cli.tracking.local_runs import read_metrics
from goemo_cli.tracking.media import media_facts
from tests.waiting import GUARD_SECONDS
from tests.wandb_server import WandbServer

REPOSITORY = Path(__file__).resolve().parents[2]
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
    variables = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**variables, "PYTHONPATH": str(REPOSITORY), **(env or {})},
        timeout=GUARD_SECONDS,
        check=False,
    )


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


def test_the_public_names_are_those_listed():
    for name in goemo_cli.tracking.__all__:
        assert getattr(goemo_cli.tracking, name).__name__ == name
    with pytest.raises(AttributeError, match="Nothing"):
        goemo_cli.tracking.Nothing  # noqa: B018


def test_a_model_comes_back_as_it_was_logged(manager, tmp_path: Path):
    weights = {"layer": np.arange(6, dtype=np.float32).reshape(2, 3)}
    logged = manager.save_model_artifact(weights, "net", aliases=["best"], metadata={"f1": 0.5})
    assert (logged.reference, logged.type, logged.where) == ("net:v0", "model", "local")
    assert logged.metadata["parameters"] == 6
    assert logged.metadata["framework"] == "safetensors"
    assert logged.metadata["total_bytes"] == logged.size > 0
    assert logged.metadata["versions"]["numpy"] == np.__version__
    assert logged.metadata["f1"] == 0.5

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
        manager.log_metrics({"loss": "x"})  # type: ignore[dict-item]
    manager.finish_run({"f1": 0.5})
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
    assert record_of(tmp_path, run_id)["state"] == "running"


def test_calls_without_a_run_and_two_runs_at_once_are_refused(tmp_path: Path):
    manager = ArtifactManager(LOCAL, root=tmp_path)
    with pytest.raises(SettingError, match="init_run first"):
        manager.log_metrics({"loss": 1})
    manager.init_run()
    with pytest.raises(SettingError, match="finish_run first"):
        manager.init_run()


def test_a_run_that_fails_is_recorded_as_failed(tmp_path: Path):
    manager = ArtifactManager(LOCAL, root=tmp_path)
    run_id = manager.init_run()
    with pytest.raises(RuntimeError), manager:
        raise RuntimeError("out of memory")
    assert record_of(tmp_path, run_id)["state"] == "failed"


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
    done = in_a_process(PIPELINE + textwrap.dedent(body) + ENDING, root, env=env)
    assert done.returncode == 0, done.stderr
    assert "SECRET" not in done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_on_wandb_everything_goes_up_and_comes_down_verified(wandb_server: WandbServer, tmp_path: Path):
    body = """
    manager.log_metrics({"loss": 1.0})
    manager.log_metrics({"loss": 0.5})
    manager.save_dataset_artifact([{"text": "a", "labels": ["joy"]}], "mine")
    model = root / "model"
    model.mkdir()
    (model / "weights.bin").write_bytes(b"weights" * 1000)
    first = manager.log_model_artifact(model, "net", parents=["mine"], aliases=["best"])
    again = manager.log_model_artifact(model, "net", parents=["mine"])
    (model / "weights.bin").write_bytes(b"others" * 1000)
    second = manager.log_model_artifact(model, "net")
    manager.log_predictions([{"text": "a"}], "preds")
    manager.link_artifacts("preds", "net:best")
    folder = manager.get_model_artifact("net", "best", to=root / "out")
    tree = manager.lineage("preds")
    said["versions"] = [one.reference for one in (first, again, second)]
    said["bytes"] = (folder / "weights.bin").read_bytes() == b"weights" * 1000
    said["lineage"] = [tree.reference, tree.parents[0].reference, tree.parents[0].parents[0].reference]
    """
    said = pipeline(body, tmp_path, wandb_server.environment(tmp_path))
    assert said["warned"] == []
    assert (said["where"], said["where_at_the_end"], said["bytes"]) == ("wandb", "wandb", True)
    assert said["versions"] == ["net:v0", "net:v0", "net:v1"]
    assert said["lineage"] == ["preds:v0", "net:v0", "mine:v0"]
    run = wandb_server.runs[f"tester/mood/{said['run_id']}"]
    assert (run.state, run.summary["f1"], [row["loss"] for row in run.history]) == (
        "finished",
        0.5,
        [1.0, 0.5],
    )
    assert run.config == {"lr": 1, "api_key": "[redacted]"}
    net = wandb_server.artifacts["tester/mood/net"]
    assert {alias: version.files for alias, version in net.aliases.items()} == {
        "best": {"weights.bin": b"weights" * 1000}, "latest": {"weights.bin": b"others" * 1000}
    }  # fmt: skip
    assert net.versions[0].metadata["total_bytes"] == 7000
    assert wandb_server.artifacts["tester/mood/mine"].versions[0].used_by
    assert not (tmp_path / "artifacts/registry/objects").exists()


def test_a_server_that_dies_loses_nothing(wandb_server: WandbServer, tmp_path: Path):
    """Everything after the warning is in the local store, and the run ends well and soon."""
    wandb_server.faults.add(operation="CreateArtifact", after=1, status=403)
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


def test_wrong_bytes_are_refused_once_and_repaired_where_the_server_recovers(
    wandb_server: WandbServer, tmp_path: Path
):
    """The SDK keeps wrong bytes in its cache and hands them out again; a second download must repair them."""
    body = """
    from goemo_cli.core.errors import CorruptArtifactError
    (root / "w.bin").write_bytes(b"weights" * 1000)
    manager.log_model_artifact(root / "w.bin", "net")
    import shutil, os
    shutil.rmtree(os.environ["WANDB_CACHE_DIR"] + "/artifacts/obj", ignore_errors=True)
    try:
        manager.get_model_artifact("net", to=root / "out")
    except CorruptArtifactError as error:
        said["error"] = str(error)
    said["left"] = [path.name for path in (root / "out").rglob("*")]
    folder = manager.get_model_artifact("net", to=root / "out")
    said["right"] = (folder / "w.bin").read_bytes() == b"weights" * 1000
    """
    wandb_server.faults.add(method="GET", path=r"w\.bin", change=True, times=2)
    said = pipeline(body, tmp_path, wandb_server.environment(tmp_path))
    assert "does not have the declared MD5 (net:v0)" in said["error"]
    assert (said["left"], said["right"]) == ([], True)


@pytest.mark.parametrize("algorithm", ["MD5", "XXH128"])
def test_digests_are_compared_by_the_algorithm_of_the_manifest(
    wandb_server: WandbServer, tmp_path: Path, algorithm: str
):
    pytest.importorskip("xxhash")
    files = {"w.bin": b"weights" * 1000, "a/config.json": b"{}"}
    wandb_server.add_artifact("tester/mood/net", files, algorithm=algorithm)
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
    assert f"does not have the declared {algorithm} (net:v0)" in said["error"]
    assert (said["kept"], said["repaired"], said["warned"]) == ("damaged", True, [])
    asked = [path for path in wandb_server.fetched if "config.json" in path]
    assert len(asked) == 1  # what is right is not fetched again


@pytest.mark.slow
def test_a_silent_server_is_not_waited_for_without_end(wandb_server: WandbServer, tmp_path: Path):
    wandb_server.faults.add(operation="ArtifactMembershipByName", silence=True)
    said = pipeline(
        """
        from goemo_cli.core.errors import RemoteError
        from goemo_cli.tracking import wandb_artifacts
        wandb_artifacts._ANSWER_SECONDS = 1
        try:
            manager.get_model_artifact("net")
        except RemoteError as error:
            said["error"] = str(error)
        """,
        tmp_path,
        wandb_server.environment(tmp_path),
    )
    assert "net" in said["error"]


@pytest.mark.slow  # as without a key
def test_a_bad_key_is_one_warning_and_the_local_store(wandb_server: WandbServer, tmp_path: Path):
    said = pipeline(
        """
        said["net"] = manager.save_model_artifact({}, "net", save=lambda m, f: (f / "x").write_text("")).reference
        """,
        tmp_path,
        wandb_server.environment(tmp_path) | {"WANDB_API_KEY": "f" * 40},
    )
    assert (said["where"], said["net"], len(said["warned"])) == ("local", "net:v0", 1)
    assert "f" * 40 not in said["warned"][0]
    assert wandb_server.runs == {}


def test_a_server_that_is_not_there_is_one_warning_and_the_local_store(
    wandb_server: WandbServer, tmp_path: Path
):
    wandb_server.stop()
    said = pipeline("", tmp_path, wandb_server.environment(tmp_path))
    assert (said["where"], len(said["warned"])) == ("local", 1)
    assert "does not answer" in said["warned"][0]


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


def test_an_unknown_artifact_is_not_found_and_the_store_steps_in_where_it_has_it(
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
        """,
        tmp_path,
        wandb_server.environment(tmp_path),
    )
    assert "nothing" in said["error"]
    assert said["old"] == "v0"
    assert ["local store" in one for one in said["warned"]] == [True]


def test_the_example_runs_as_it_stands(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples/track_own_pipeline.py")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "WANDB_MODE": "disabled"},
        timeout=GUARD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = [line.split() for line in done.stdout.splitlines()[-3:]]
    assert [line[:2] for line in shown] == [
        ["mood-predictions:v0", "predictions"], ["mood-words:v0", "model"], ["mood-data:v0", "dataset"]
    ]  # fmt: skip
    assert (tmp_path / "artifacts/registry/artifacts/mood-predictions/v0.json").is_file()


def test_the_guide_shows_what_works(tmp_path: Path, monkeypatch):
    """Every Python block of the guide, one after the other, as a reader would type them."""
    page = (REPOSITORY / "docs/guides/tracking-library.md").read_text()
    blocks = [part.partition("```")[0] for part in page.split("```python\n")[1:]]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "tracking-library.md", "exec"), names)
    assert len(blocks) >= 3
    assert names["tree"].parents
