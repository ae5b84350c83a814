"""Where `--output` may lead: files, links, pipes, devices, standard output."""

import csv
import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.predictions import Predictions, write_predictions
from tests.commands.test_streams import shell

EXPORT = "$GOEMO export-metrics -p p.csv -q"


@pytest.fixture
def folder(tmp_path: Path, make_predictions) -> Path:
    """A folder with predictions, from which metrics follow without a model."""
    predictions: Predictions = make_predictions(40)
    write_predictions(tmp_path / "p.csv", predictions)
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        f"{EXPORT} -o - --json 2>/dev/null",
        f"echo -n >> kept; {EXPORT} -o /dev/stdout >> kept 2>/dev/null; cat kept",
        pytest.param(
            f"{EXPORT} -o >(cat > taken) > /dev/null 2>&1; wait $!; cat taken", marks=pytest.mark.slow
        ),
    ],
)
def test_streams_get_the_table_and_nothing_else(folder: Path, line: str) -> None:
    rows = list(csv.DictReader(io.StringIO(shell(line, folder))))
    assert [row["emotion"] for row in rows] == ["anger", "joy", "neutral"]


def test_a_reader_that_leaves_is_141(folder: Path) -> None:
    assert shell(f"{EXPORT} -o - | head -0; echo ${{PIPESTATUS[0]}}", folder).splitlines()[0] == "141"


def test_a_full_device_is_8_and_stays_a_link(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "full").symlink_to("/dev/full")
    done = CliRunner().invoke(app, ["export-metrics", "-p", "p.csv", "-q", "-o", "full"])
    assert done.exit_code == 8
    assert "Error: full: No space left" in done.stderr
    assert (folder / "full").is_symlink()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["predict", "hello", "-f", "csv", "-o"], "file"),
        (["export-metrics", "-p", "p.csv", "-o"], "file"),
        (["explain", "hello", "--html"], "file"),
        (["report", "-o"], "file"),
        (["export-predictions", "-c", "@best", "-o"], "folder"),
        (["data", "download", "-o"], "folder"),
        (["train", "--model", "tfidf", "--data", "sample", "--root"], "folder"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], name: str
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "300")
    (folder / "dangling").symlink_to("missing")
    (folder / "folder").mkdir()
    (folder / "file").touch()
    other = "folder" if name == "file" else "file"
    for target, said in (("dangling", "is a symbolic link to missing"), (other, "folder")):
        done = CliRunner().invoke(app, [*arguments, target])
        assert done.exit_code == 2, done.output
        assert said in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["dangling", "file", "folder", "p.csv"]


def test_a_link_in_the_place_of_a_projects_folder_is_named(folder: Path) -> None:
    (folder / "artifacts").symlink_to("/nowhere/else")
    done = CliRunner().invoke(
        app, ["train", "--model", "tfidf", "--data", "sample", "--root", str(folder), "-q"]
    )
    assert done.exit_code == 2, done.output
    assert "artifacts: is a symbolic link to /nowhere/else" in done.stderr
