"""`--root DIR` in every command: what reads needs a folder that exists, what writes creates it."""

from pathlib import Path

import pytest

from tests.typed import goemo

READING = [
    "calibrate -c @latest",
    "compare a b",
    "errors",
    "explain text -c @latest",
    "export-metrics -c @latest",
    "export-predictions -c @latest",
    "figures",
    "lineage @latest",
    "predict text",
    "report",
    "runs best",
    "runs diff a b",
    "runs gc",
    "runs list",
    "runs pin @latest",
    "runs show @latest",
    "sweep best x",
    "sweep show x",
    "sync x",
    "tune -c @latest",
    "validate",
]


@pytest.mark.parametrize("command", READING)
def test_a_root_that_is_missing_is_an_error(tmp_path: Path, command: str) -> None:
    root = tmp_path / "typo"
    done = goemo(*command.split(), "--root", root)
    assert done.exit_code == 4, done.output
    assert f"--root {root}: this folder does not exist" in done.stderr
    assert not root.exists()


def test_a_root_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    root = tmp_path / "file"
    root.touch()
    done = goemo("validate", "--root", root)
    assert done.exit_code == 4, done.output
    assert f"--root {root}: is not a folder" in done.stderr


def test_training_creates_its_root(tmp_path: Path) -> None:
    arguments = ("train", "--model", "tiny", "--data", "sample", "--dry-run")
    assert goemo(*arguments, "--root", tmp_path / "new").exit_code == 0
