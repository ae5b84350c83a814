"""goemo calibrate, as it is typed."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from goemo_cli.app import app
from goemo_cli.core.layout import Layout
from goemo_cli.services.validation import validate_artifacts


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["calibrate", *map(str, arguments)], env={"COLUMNS": "120"})


@pytest.fixture
def root(tfidf_root: Path, tmp_path: Path) -> Path:
    """A project root with one tfidf run."""
    return Path(shutil.copytree(tfidf_root, tmp_path / "root"))


def checkpoint(root: Path) -> Path:
    return next((root / "artifacts" / "models" / "tfidf").iterdir())


def test_it_shows_before_and_after_and_where_it_wrote(root: Path) -> None:
    done = run("--checkpoint", checkpoint(root), "--root", root)
    assert done.exit_code == 0, done.output
    assert f"Calibrated {checkpoint(root).name} with platt" in done.stdout
    for words in ("val, before", "val, after", "test, before", "test, after", "test, base rate"):
        assert words in done.stdout
    assert "a small calibration error means nothing there" in done.stderr.replace("\n", " ")
    assert (checkpoint(root) / "calibration.json").is_file()
    report = validate_artifacts(Layout(root))
    assert report.problems == []
    assert not [warning for warning in report.warnings if "calibration" in warning.path.name]


def test_json_is_one_document(root: Path) -> None:
    done = run("-c", checkpoint(root), "--root", root, "--method", "temperature", "--json")
    document = json.loads(done.stdout)
    assert document["method"] == "temperature"
    for name in ("calibrator", "labels", "bins", "summary"):
        assert Path(document[name]).is_file()
    written = json.loads(Path(document["summary"]).read_text(encoding="utf-8"))
    for key in ("overall", "kept", "few_positives", "warnings"):
        assert document[key] == written[key]


def test_without_val_predictions_it_exits_4_and_says_what_to_type(root: Path) -> None:
    next((root / "artifacts" / "predictions").glob("val_predictions_*")).unlink()
    done = run("-c", checkpoint(root), "--root", root)
    assert done.exit_code == 4
    assert f"goemo export-predictions --checkpoint {checkpoint(root)} --split val" in done.stderr


def test_an_unknown_method_exits_2(root: Path) -> None:
    done = run("-c", checkpoint(root), "--root", root, "--method", "isotonic")
    assert done.exit_code == 2
    assert "'platt', 'temperature'" in done.stderr
