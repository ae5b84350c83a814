"""Files that are whole or absent."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from goemo_cli.core.errors import CorruptArtifactError, SettingError, StorageError
from goemo_cli.core.files import (
    atomic_path,
    library_writes,
    read_json,
    read_json_object,
    staged_files,
    write_json,
    write_text,
)


def test_what_is_written_becomes_the_file_and_nothing_else_stays(tmp_path: Path):
    with atomic_path(tmp_path / "new" / "file.txt") as partial:
        partial.write_text("whole")
        assert not (tmp_path / "new" / "file.txt").exists()
    assert (tmp_path / "new" / "file.txt").read_text() == "whole"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_file_and_no_temporary_one(tmp_path: Path, error: type[BaseException]):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as partial:  # noqa: PT012
        partial.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_gets_the_permissions_of_the_umask_and_keeps_those_it_has(tmp_path: Path):
    path = tmp_path / "file.txt"
    old = os.umask(0o027)
    try:
        write_text(path, "shared with the group")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o600)
    write_text(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_symbolic_link_stays_one_and_its_file_is_replaced(tmp_path: Path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "file.txt").write_text("old")
    (tmp_path / "near.txt").symlink_to("second.txt")
    (tmp_path / "second.txt").symlink_to("far/file.txt")
    write_text(tmp_path / "near.txt", "new")
    with staged_files(tmp_path) as stage:
        (stage / "near.txt").write_text("newer")
    assert (tmp_path / "near.txt").is_symlink()
    assert (tmp_path / "far" / "file.txt").read_text() == "newer"
    assert [path.name for path in (tmp_path / "far").iterdir()] == ["file.txt"]


@pytest.mark.parametrize("name", ["dangling", "dangling/file.txt", "loop"])
def test_a_link_that_leads_nowhere_is_a_mistake(tmp_path: Path, name: str):
    (tmp_path / "dangling").symlink_to("missing")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SettingError, match="is a symbolic link to"):
        write_text(tmp_path / name, "text")
    with pytest.raises(SettingError, match="is a symbolic link to"), staged_files(tmp_path / name):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "loop"]


def test_a_pipe_gets_the_bytes_and_stays(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.txt")
    with ThreadPoolExecutor() as pool:
        read = pool.submit((tmp_path / "pipe.txt").read_text)
        write_text(tmp_path / "pipe.txt", "whole")
        assert read.result() == "whole"
    assert (tmp_path / "pipe.txt").is_fifo()
    assert len(list(tmp_path.iterdir())) == 1


def test_an_open_file_gets_the_bytes_where_it_is(tmp_path: Path):
    """As standard output in `goemo ... -o /dev/stdout >> file`."""
    with (tmp_path / "file.txt").open("w") as stream:
        stream.write("before ")
        stream.flush()
        write_text(Path(f"/dev/fd/{stream.fileno()}"), "whole")
        stream.write(" after")
    assert (tmp_path / "file.txt").read_text() == "before whole after"


def test_staged_files_move_up_with_their_folders_and_leave_others_alone(tmp_path: Path):
    (tmp_path / "kept.txt").write_text("kept")
    (tmp_path / "a.txt").write_text("old")
    with staged_files(tmp_path) as stage:
        (stage / "deep").mkdir()
        (stage / "a.txt").write_text("new")
        (stage / "deep" / "b.txt").write_text("b")
    found = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*.*")}
    assert found == {"kept.txt": "kept", "a.txt": "new", "deep/b.txt": "b"}


def test_nothing_moves_up_from_a_stage_that_failed(tmp_path: Path):
    with pytest.raises(RuntimeError), staged_files(tmp_path) as stage:  # noqa: PT012
        (stage / "a.txt").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_json_refuses_numbers_that_are_none_and_leaves_no_file(tmp_path: Path, number: float):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "metrics.json", {"f1": [number]})
    assert list(tmp_path.iterdir()) == []


def test_json_reads_back_in_the_same_order(tmp_path: Path):
    value = {"z": 1, "a": [0.1, None, True, "é😀\u2028"], "m": {}}
    write_json(tmp_path / "file.json", value)
    assert read_json(tmp_path / "file.json") == value
    assert list(read_json(tmp_path / "file.json")) == ["z", "a", "m"]
    assert (tmp_path / "file.json").read_bytes().endswith(b"}\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"a": 1, "a": 2}', "key 'a' occurs twice"),
        (b'{"outer": {"a": 1, "a": 2}}', "key 'a' occurs twice"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b'{"a": -1e999}', "-1e999 is too large"),
        (b'{"a": -Infinity}', "-Infinity is not a number"),
        (b'{"a": [1, 2', "is not valid JSON"),
        (b"", "is not valid JSON"),
        (b'{"a": "\xff"}', "is not valid JSON"),
        (b"[" * 200_000, "is not valid JSON"),
    ],
)
def test_broken_json_is_a_corrupt_artifact(tmp_path: Path, content: bytes, reason: str):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(CorruptArtifactError, match=reason) as raised:
        read_json(path)
    assert raised.value.path == path


@pytest.mark.parametrize("content", ["[]", "3", "null", '"text"'])
def test_a_document_that_must_be_an_object_is_one(tmp_path: Path, content: str):
    (tmp_path / "file.json").write_text(content)
    with pytest.raises(CorruptArtifactError, match="instead of an object"):
        read_json_object(tmp_path / "file.json")


@pytest.mark.parametrize(
    "words",
    [
        "I/O error: No space left on device (os error 28)",
        "[enforce fail] file write failed",
        "unexpected pos 64 vs 0",
    ],
)
def test_what_libraries_say_of_a_full_disk_is_an_error_of_the_disk(tmp_path: Path, words: str):
    with (
        pytest.raises(
            StorageError,
            match=r"cannot be written to( \(No space left on device\))?; the disk has \d+ MiB free",
        ) as raised,
        library_writes(tmp_path),
    ):
        raise RuntimeError(words)
    assert raised.value.path == tmp_path


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), OSError(28, "No space left on device"), KeyError("os")]
)
def test_other_errors_of_libraries_pass_as_they_are(tmp_path: Path, error: Exception):
    with pytest.raises(type(error)) as raised, library_writes(tmp_path):
        raise error
    assert raised.value is error
