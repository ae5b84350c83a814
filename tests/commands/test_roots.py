"""`--root DIR` in every command: what reads needs a folder that exists, what writes creates it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from goemo_cli.app import app

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
@pytest.mark.parametrize(
    ("root", "said"), [("typo", "this folder does not exist"), ("file", "is not a folder")]
)
def test_a_root_that_is_missing_is_an_error(tmp_path: Path, command: str, root: str, said: str) -> None:
    (tmp_path / "file").touch()
    done = CliRunner().invoke(app, [*command.split(), "--root", str(tmp_path / root)])
    assert done.exit_code == 4, done.output
    assert f"--root {tmp_path / root}: {said}" in done.stderr
    assert not (tmp_path / "typo").exists()


def test_training_creates_its_root(tmp_path: Path) -> None:
    arguments = ["train", "--model", "tiny", "--data", "sample", "--dry-run", "--root", str(tmp_path / "new")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
