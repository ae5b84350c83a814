"""`goemo errors` as it is typed: what it shows, what it exits with."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from goemo_cli.app import app
from goemo_cli.core.predictions import Predictions, write_predictions


def goemo(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["errors", *(str(argument) for argument in arguments)])


@pytest.fixture
def file(tmp_path: Path, make_predictions: Callable[..., Predictions]) -> Path:
    predictions = make_predictions(60)
    predictions.texts[int(np.argmax(predictions.y_true[:, 0] & ~predictions.y_pred[:, 0]))] = (
        "red \x1b[31m\u202etext"
    )
    path = tmp_path / "predictions.csv"
    write_predictions(path, predictions)
    return path


def test_everything_is_shown_and_the_tables_are_written(file: Path, tmp_path: Path):
    done = goemo(file, "--root", tmp_path)
    assert done.exit_code == 0, done.output
    for said in (
        "exactly right",
        "nothing predicted",
        "missed with the lowest",
        "may be wrong",
        "Looked at 60",
    ):
        assert said in done.stdout
    assert f"goemo errors {file} --emotion " in done.stderr
    assert len(list((tmp_path / "artifacts" / "stats" / "cooccurrence").iterdir())) == 6


def test_an_emotion_is_looked_at_alone_and_no_control_character_is_printed(file: Path, tmp_path: Path):
    done = goemo(file, "--root", tmp_path, "--emotion", "anger", "--top", 60)
    assert "anger missed, lowest probability first" in done.stdout
    assert "anger is predicted" in done.stdout
    assert "joy missed" not in done.stdout
    assert "red" in done.stdout
    assert not {"\x1b", "\u202e"} & set(done.output)


def test_json_is_one_document_with_everything(file: Path, tmp_path: Path):
    done = goemo(file, "--root", tmp_path, "--json", "--top", 3)
    document = json.loads(done.stdout)
    assert document["outcomes"]["rows"] == 60
    assert [row["emotion"] for row in document["mistakes"]] == ["anger", "joy", "neutral"]
    assert all(len(row["missed"]) == 3 for row in document["mistakes"])
    assert {"balance", "confusions", "doubtful", "rule", "sha256"} <= set(document)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["FILE", "--emotion", "angr"], 2, "did you mean 'anger'"),
        (["FILE", "--split", "val"], 2, "one split already"),
        (["FILE", "--split", "tset"], 2, "tset"),
        (["FILE", "--top", "0"], 2, "--top"),
        (["nothing.csv"], 4, "no such file"),
        (["no-such-run"], 4, "no-such-run"),
        (["@latest"], 4, "no finished run"),
    ],
)
def test_mistakes_get_a_sentence_and_their_exit_code(
    file: Path, tmp_path: Path, arguments: list[str], code: int, said: str
):
    root = tmp_path / "root"
    root.mkdir()
    done = goemo(*(str(file) if word == "FILE" else word for word in arguments), "--root", root)
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert done.stdout == ""
    assert list(root.iterdir()) == []


def test_a_file_that_is_no_predictions_file_is_exit_3(tmp_path: Path):
    (tmp_path / "p.csv").write_text("text,label\na,b\n", encoding="utf-8")
    done = goemo(tmp_path / "p.csv", "--root", tmp_path)
    assert done.exit_code == 3
    assert "is not a predictions file" in done.stderr
