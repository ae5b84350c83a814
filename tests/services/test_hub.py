"""`goemo push` and `goemo download --hub`: the real huggingface_hub client against repositories on the loopback."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.checkpoint import CARD, CONFIG, MANIFEST, Checkpoint
from goemo_cli.core.layout import Layout
from goemo_cli.services.predicting.predictor import Predictor
from tests.hub_repositories import TOKEN, Repository, WritableHub
from tests.prediction_checkpoints import TEXTS, add_calibrator, write_ensemble, write_tfidf

Goemo = Callable[..., Any]
REPO = "org/emotions"
pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning"
)  # of the client's own upload


@pytest.fixture
def hub() -> Iterator[WritableHub]:
    server = WritableHub()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    made = write_tfidf(Layout(tmp_path / "here"))
    add_calibrator(made)
    return Checkpoint.open(made.path)


@pytest.fixture
def goemo(hub: WritableHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Goemo:
    """Runs a command and returns its JSON document, or its message if it fails with the expected code."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)  # the server has no Xet storage
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.delenv("GOEMO_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", hub.address)

    def run(*words: object, root: str = "here", code: int = 0, token: str = TOKEN) -> Any:
        monkeypatch.setenv("HF_TOKEN", token)
        (tmp_path / root).mkdir(exist_ok=True)
        done = CliRunner().invoke(app, [*map(str, words), "--root", str(tmp_path / root), "--json"])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if code == 0 else " ".join(done.stderr.split())

    return run


def test_a_run_comes_back_as_it_was_pushed(
    hub: WritableHub, goemo: Goemo, checkpoint: Checkpoint, tmp_path: Path
):
    (checkpoint.path / "notes.txt").write_text("not of the run")
    dry = goemo("push", "@latest", REPO, "--dry-run")
    assert hub.repositories == {}
    names = {*checkpoint.manifest.files, MANIFEST}
    assert set(dry["uploaded"]) == names
    assert "notes.txt" not in names

    first = goemo("push", "@latest", REPO)
    pushed = hub.repositories[REPO]
    assert pushed.private
    assert (first["url"], first["visibility"]) == (f"{hub.address}/{REPO}", "private")
    assert first["commit"] == pushed.head
    assert pushed.files == {name: (checkpoint.path / name).read_bytes() for name in names}
    again = goemo("push", "@latest", REPO, "--public")
    assert (again["uploaded"], again["unchanged"], again["commit"]) == ([], len(names), pushed.head)
    assert len(pushed.commits) == 1
    assert not pushed.private

    (checkpoint.path / CARD).write_text("# An edited card\n")
    assert goemo("push", "@latest", REPO)["uploaded"] == [CARD]
    assert not pushed.private, "it stays as it is"

    found = goemo("download", "--hub", REPO, root="there")
    there = Layout(tmp_path / "there")
    assert found["fetched"] == len(names)
    assert Path(found["checkpoints"][0]) == there.checkpoint(checkpoint.run, "tfidf")
    loaded = Predictor.load("@latest", root=there.root, calibrated=True).predict(TEXTS)
    assert (loaded.y_prob == Predictor.load(checkpoint, calibrated=True).predict(TEXTS).y_prob).all()
    assert goemo("download", "--hub", REPO, root="there")["fetched"] == 0

    older = f"{REPO}@{first['commit']}"
    assert goemo("download", "--hub", older, root="there")["files"][0].endswith(CARD)


def test_another_run_replaces_all_files_of_the_first(
    hub: WritableHub, goemo: Goemo, checkpoint: Checkpoint, tmp_path: Path
):
    goemo("push", "@latest", REPO)
    hub.repositories[REPO].files["of-the-owner.txt"] = b"stays"
    other = write_tfidf(Layout(tmp_path / "other"))
    assert goemo("push", "@latest", REPO, root="other")["removed"] == ["calibration.json"]
    assert set(hub.repositories[REPO].files) == {*other.manifest.files, MANIFEST, "of-the-owner.txt"}
    assert goemo("download", "--hub", REPO, root="there")["fetched"] == len(other.manifest.files) + 1


@pytest.mark.parametrize(
    ("words", "token", "code", "message"),
    [
        (["push", "@latest", REPO], "hf_wrong", 6, "refuses the token (HTTP 401) hf auth login"),
        (["push", "@latest", "a/b/c"], TOKEN, 2, "not the name of a Hub repository"),
        (["push", "@latest", "org/taken"], TOKEN, 9, "has config.json, and is not a run of goemo"),
        (["download", "--hub", "org/missing"], TOKEN, 4, "does not exist, or is private"),
        (["download", "--hub", "org/taken"], TOKEN, 4, "goemo import org/taken"),
        (["download", "--hub", "org/taken@none"], TOKEN, 4, "org/taken: RevisionNotFound"),
        (["download", "--hub", "org/taken", "--what", "stats"], TOKEN, 2, "no --what"),
        (["download", "--hub", "@main"], TOKEN, 2, "owner/name@main"),
    ],
)
def test_what_is_refused(
    hub: WritableHub,
    goemo: Goemo,
    checkpoint: Checkpoint,
    words: list[str],
    token: str,
    code: int,
    message: str,
):
    hub.repositories["org/taken"] = Repository(private=False)
    hub.repositories["org/taken"].commit({"tfidf.json": b"{}", "config.json": b"{}"})
    if "taken" in words[-1]:
        message = message.replace("config.json", "tfidf.json")
    assert message in goemo(*words, code=code, token=token)
    assert set(hub.repositories) == {"org/taken"}


def test_only_complete_runs_with_files_of_models_are_pushed(
    goemo: Goemo, checkpoint: Checkpoint, tmp_path: Path, hub: WritableHub
):
    ensemble = write_ensemble(Layout(tmp_path / "here"), [checkpoint])
    assert f"push its members: {checkpoint.run}" in goemo("push", ensemble.run, REPO, code=2)
    (checkpoint.path / CONFIG).write_text("changed: true\n")
    assert CONFIG in goemo("push", checkpoint.run, REPO, code=5)
    assert hub.asked == []


@pytest.mark.parametrize("name", ["tfidf.safetensors", "thresholds.json"])
def test_a_download_that_does_not_fit_its_manifest_installs_nothing(
    hub: WritableHub, goemo: Goemo, checkpoint: Checkpoint, tmp_path: Path, name: str
):
    goemo("push", "@latest", REPO)
    files = dict(hub.repositories[REPO].files)
    hub.repositories[REPO].commit({**files, name: files[name] + b" "})
    assert name in goemo("download", "--hub", REPO, root="there", code=5)
    assert not list(Layout(tmp_path / "there").checkpoints())


def test_a_manifest_cannot_name_files_of_other_folders(
    hub: WritableHub, goemo: Goemo, checkpoint: Checkpoint, tmp_path: Path
):
    goemo("push", "@latest", REPO)
    files = dict(hub.repositories[REPO].files)
    manifest = json.loads(files[MANIFEST])
    for run in ("../../outside", "no run"):
        changed = json.dumps({**manifest, "run": run}).encode()
        hub.repositories[REPO].commit({**files, MANIFEST: changed})
        assert MANIFEST in goemo("download", "--hub", REPO, root="there", code=5)
    entry = manifest["files"]["thresholds.json"]
    manifest["files"]["../../../outside.json"] = entry
    outside = {
        **files,
        MANIFEST: json.dumps(manifest).encode(),
        "../../../outside.json": files["thresholds.json"],
    }
    hub.repositories[REPO].commit(outside)
    goemo("download", "--hub", REPO, root="there", code=5)
    assert not list((tmp_path / "there").rglob("outside.json"))
    assert not list(tmp_path.glob("outside*"))


def test_only_missing_files_are_fetched(
    hub: WritableHub, goemo: Goemo, checkpoint: Checkpoint, tmp_path: Path
):
    goemo("push", "@latest", REPO)
    goemo("download", "--hub", REPO, root="there")
    weights = Layout(tmp_path / "there").checkpoint(checkpoint.run, "tfidf") / "tfidf.safetensors"
    weights.unlink()
    again = goemo("download", "--hub", REPO, root="there")
    assert list(map(Path, again["files"])) == [weights]
    assert weights.is_file()
