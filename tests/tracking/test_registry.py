import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from goemo_cli.core.errors import BusyError, CorruptArtifactError, NotFoundError, SettingError, StorageError
from goemo_cli.core.files import PARTIAL_PREFIX, write_json
from goemo_cli.core.layout import Layout
from goemo_cli.tracking.artifacts.registry import FOLDER, Registry, files_of
from tests.conftest import REPOSITORY
from tests.waiting import GUARD_SECONDS


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str], dict[str, Path]]:
    """A model's files with some content: `model("one")`."""

    def make(content: str) -> dict[str, Path]:
        folder = tmp_path / "model"
        (folder / "deep").mkdir(parents=True, exist_ok=True)
        (folder / "weights.bin").write_text(content)
        (folder / "deep" / "config.json").write_text("{}")
        return files_of(folder)

    return make


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_the_layout_and_the_library_mean_the_same_folder(tmp_path: Path):
    assert Layout(tmp_path).registry == tmp_path / FOLDER


def test_new_content_is_a_new_version_and_the_same_content_is_not(registry, model):
    first = registry.add("net", model("one"), type="model", metadata={"lr": 1})
    again = registry.add("net", model("one"), type="model", metadata={"lr": 2})
    second = registry.add("net", model("two"), type="model")
    assert (first.reference, again.reference, second.reference) == ("net:v0", "net:v0", "net:v1")
    assert again.metadata == {"lr": 1}
    assert [one.digest for one in registry.versions("net")] == [first.digest, second.digest]
    assert registry.names() == ["net"]


def test_a_file_is_stored_once_whatever_it_belongs_to(registry, model):
    registry.add("net", model("one"), type="model")
    registry.add("net", model("two"), type="model")
    registry.add("other", model("one"), type="model")
    objects = [path for path in (registry.folder / "objects").rglob("*") if path.is_file()]
    assert len(objects) == 3  # weights one, weights two, config


def test_latest_is_what_was_logged_last_also_if_it_was_there_before(registry, model):
    registry.add("net", model("one"), type="model", aliases=["best"])
    registry.add("net", model("two"), type="model", aliases=["best"])
    assert registry.aliases("net") == {"best": "v1", "latest": "v1"}
    registry.add("net", model("one"), type="model")
    assert registry.get("net").number == 0
    assert registry.get("net:best").number == 1
    assert registry.get("net:v1").number == 1


def test_latest_is_the_newest_where_a_writer_was_killed_before_it_set_the_alias(registry, model):
    registry.add("net", model("one"), type="model")
    (registry.folder / "artifacts/net/aliases/latest").unlink()
    assert registry.get("net").reference == "net:v0"


def test_fetch_brings_the_same_bytes_and_only_what_is_missing(registry, model, tmp_path: Path):
    files = model("one")
    registry.add("net", files, type="model")
    target = tmp_path / "out"
    registry.fetch("net", target)
    assert everything(target) == {name: path.read_bytes() for name, path in files.items()}
    kept = (target / "weights.bin").stat().st_ino
    (target / "deep/config.json").write_text("changed")
    registry.fetch("net", target)
    assert everything(target) == {name: path.read_bytes() for name, path in files.items()}
    assert (target / "weights.bin").stat().st_ino == kept


@pytest.mark.parametrize("damage", ["flip", "cut", "lose"])
def test_a_damaged_object_never_comes_out_and_logging_again_repairs_it(
    registry, model, tmp_path, damage: str
):
    version = registry.add("net", model("one"), type="model")
    digest = version.files["weights.bin"].sha256
    stored = registry.folder / "objects" / digest[:2] / digest
    if damage == "lose":
        stored.unlink()
    else:
        stored.write_bytes(b"onX" if damage == "flip" else b"on")
    with pytest.raises(NotFoundError if damage == "lose" else CorruptArtifactError, match=stored.name):
        registry.fetch("net", tmp_path / "out")
    assert everything(tmp_path / "out") == {}
    registry.add("net", model("one"), type="model")
    registry.fetch("net", tmp_path / "out")
    assert (tmp_path / "out/weights.bin").read_text() == "one"


def test_a_folder_with_other_files_is_refused(registry, model, tmp_path: Path):
    registry.add("net", model("one"), type="model")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(SettingError, match=r"other files \(mine.txt\)"):
        registry.fetch("net", tmp_path / "out")
    assert everything(tmp_path / "out") == {"mine.txt": b"mine"}


def test_nothing_is_written_through_a_link(registry, model, tmp_path: Path):
    registry.add("net", model("one"), type="model")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/deep").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptArtifactError, match="is a link"):
        registry.fetch("net", tmp_path / "out")
    assert everything(tmp_path / "elsewhere") == {}


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc", ".hidden", "a b", "a\nb", "a:b:c", "x" * 129, "ü"])
def test_hostile_names_are_refused(registry, model, name: str):
    with pytest.raises(SettingError):
        registry.add(name, model("one"), type="model")
    with pytest.raises(SettingError):
        registry.get(name)
    assert not registry.folder.exists()


@pytest.mark.parametrize("alias", ["", "v3", "../x", "a/b", ".x"])
def test_aliases_that_are_none_are_refused(registry, model, alias: str):
    with pytest.raises(SettingError, match="alias"):
        registry.add("net", model("one"), type="model", aliases=[alias])
    assert registry.versions("net") == []


@pytest.mark.parametrize(
    "inside", ["../x", "/x", "a/../x", "a\\x", "a//x", "./x", "", "C:x", "a\x00", "a\n", "a/", ".."]
)
def test_hostile_file_names_are_refused_going_in_and_coming_out(registry, model, inside: str, tmp_path: Path):
    source = model("one")["weights.bin"]
    with pytest.raises(SettingError):
        registry.add("net", {inside: source}, type="model")
    registry.add("net", {"fine": source}, type="model")
    record = registry.folder / "artifacts/net/v0.json"
    text = json.loads(record.read_text())
    text["files"] = {inside: text["files"]["fine"]}
    write_json(record, text)
    with pytest.raises(CorruptArtifactError, match=r"v0\.json"):
        registry.fetch("net", tmp_path / "out" / "deep")
    assert not (tmp_path / "out").exists()


def test_names_that_differ_only_by_case_are_refused(registry, model):
    source = model("one")["weights.bin"]
    with pytest.raises(SettingError, match="only by case"):
        registry.add("net", {"A.bin": source, "a.bin": source}, type="model")


def test_a_record_that_was_edited_is_told(registry, model, tmp_path: Path):
    registry.add("net", model("one"), type="model")
    record = registry.folder / "artifacts/net/v0.json"
    text = json.loads(record.read_text())
    text["files"]["weights.bin"]["sha256"] = "0" * 64
    write_json(record, text)
    with pytest.raises(CorruptArtifactError, match="digest"):
        registry.get("net")


def test_unknown_things_are_named_with_what_there_is(registry, model):
    registry.add("net", model("one"), type="model", aliases=["best"])
    with pytest.raises(NotFoundError, match="did you mean 'net'"):
        registry.get("nett")
    with pytest.raises(NotFoundError, match="has v0 to v0"):
        registry.get("net:v7")
    with pytest.raises(NotFoundError, match="did you mean 'best'"):
        registry.get("net:bets")


def test_missing_files_empty_folders_and_links_are_errors(tmp_path: Path):
    with pytest.raises(NotFoundError):
        files_of(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError, match="empty"):
        files_of(tmp_path / "empty")
    (tmp_path / "empty/passwd").symlink_to("/etc/passwd")
    with pytest.raises(SettingError, match="link"):
        files_of(tmp_path / "empty")


def test_what_killed_writes_left_behind_is_not_stored(registry, model, tmp_path: Path):
    model("one")
    (tmp_path / "model" / f"{PARTIAL_PREFIX}x").write_text("half")
    assert set(files_of(tmp_path / "model")) == {"weights.bin", "deep/config.json"}


@pytest.mark.parametrize("metadata", [{"x": float("nan")}, {"x": object()}, {"x": {1, 2}}])
def test_metadata_that_is_no_json_is_refused_before_anything_is_stored(registry, model, metadata):
    with pytest.raises(SettingError, match="metadata"):
        registry.add("net", model("one"), type="model", metadata=metadata)
    assert not registry.folder.exists()


def test_parents_are_kept_with_their_version_and_links_are_added_once(registry, model):
    registry.add("data", model("rows"), type="dataset")
    net = registry.add("net", model("one"), type="model", parents=["data", "wandb-thing:v4"])
    assert net.parents == ("data:v0", "wandb-thing:v4")
    registry.add("base", model("two"), type="model")
    registry.link("net", "base")
    registry.link("net:v0", "base:v0")
    registry.link("net", "data")
    assert registry.parents(registry.get("net")) == ("data:v0", "wandb-thing:v4", "base:v0")
    assert len(list((registry.folder / "artifacts/net/links").iterdir())) == 1


def test_a_circle_is_refused(registry, model):
    registry.add("a", model("a"), type="model")
    registry.add("b", model("b"), type="model", parents=["a"])
    registry.add("c", model("c"), type="model", parents=["b"])
    with pytest.raises(SettingError, match="not the other way"):
        registry.link("a", "c")
    with pytest.raises(SettingError, match="itself"):
        registry.link("a", "a:v0")
    with pytest.raises(NotFoundError):
        registry.link("nobody", "a")


def test_a_file_that_changes_while_it_is_stored_is_told(registry, model, monkeypatch):
    copy = shutil.copyfile
    monkeypatch.setattr(
        shutil, "copyfile", lambda source, target: (source.write_text("newer"), copy(source, target))
    )
    with pytest.raises(BusyError, match="changed"):
        registry.add("net", model("one"), type="model")
    assert registry.versions("net") == []


def test_of_two_writers_one_gets_the_number_and_the_other_the_next(registry, model, monkeypatch):
    """The rival claims v0 between this writer's look and its claim."""
    ours, theirs = model("one"), None
    link = os.link

    def late(source: Path, target: Path) -> None:
        nonlocal theirs
        if theirs is None:
            theirs = Registry(registry.folder)
            theirs.add("net", {"weights.bin": ours["deep/config.json"]}, type="model")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert registry.add("net", ours, type="model").reference == "net:v1"
    assert [one.number for one in registry.versions("net")] == [0, 1]


def test_two_processes_that_log_the_same_make_one_version(registry, tmp_path: Path):
    program = """
import sys
from pathlib import Path
from goemo_cli.tracking.artifacts.registry import Registry
for number in range(20):
    path = Path(sys.argv[2]) / f"{number}-{sys.argv[3]}"
    path.write_text(f"content {number}")
    Registry(Path(sys.argv[1])).add("net", {"file": path}, type="model", aliases=[f"by-{sys.argv[3]}"])
"""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(registry.folder), str(tmp_path), str(worker)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        for worker in range(2)
    ]
    assert [worker.wait(GUARD_SECONDS) for worker in workers] == [0, 0]
    versions = registry.versions("net")
    assert [one.number for one in versions] == list(range(20))
    assert len({one.digest for one in versions}) == 20
    assert not list(registry.folder.rglob(f"{PARTIAL_PREFIX}*"))


def test_a_file_system_without_hard_links_is_said(registry, model, monkeypatch):
    def refuse(source: Path, target: Path) -> None:
        raise OSError(1, "Operation not permitted", str(source), None, str(target))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StorageError, match="hard links"):
        registry.add("net", model("one"), type="model")
    assert registry.versions("net") == []
