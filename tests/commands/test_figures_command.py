import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.catalogue import catalogue
from goemo_cli.core.config import TrainConfig
from goemo_cli.core.layout import Layout
from goemo_cli.services.training import train


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project root with one tfidf run."""
    root = tmp_path_factory.mktemp("root")
    config = TrainConfig.from_layers(
        ("tfidf", catalogue()["tfidf"].defaults),
        ("test", {"model": {"name": "tfidf"}, "data": {"name": "sample"}}),
    )
    train(config, layout=Layout(root))
    return root


def test_figures_are_drawn_and_listed(root: Path) -> None:
    result = CliRunner().invoke(app, ["figures", "--root", str(root)])
    assert result.exit_code == 0
    assert "Drew 7 figures of tfidf-" in result.stdout
    assert "07_per_emotion_f1_scores.png" in result.stdout
    assert "Warning: figure 05_token_length_distributions was not drawn" in result.stderr
    assert f"goemo validate --root {root}" in result.stderr


def test_json_is_one_document(root: Path) -> None:
    result = CliRunner().invoke(
        app, ["figures", "--root", str(root), "--only", "07,15", "--only", "10", "--json"]
    )
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert [Path(path).name[:2] for path in document["drawn"]] == ["07", "15", "10"]
    assert document["skipped"] == []
    assert all(Path(path).is_file() for path in document["drawn"])


def test_a_wanted_figure_that_cannot_be_drawn_exits_4(root: Path) -> None:
    result = CliRunner().invoke(app, ["figures", "--root", str(root), "--only", "05,07"])
    assert result.exit_code == 4
    assert "Drew 1 figure of" in result.stdout
    assert "tokenizer.json is missing" in result.stderr


def test_an_unknown_figure_exits_2(root: Path) -> None:
    result = CliRunner().invoke(app, ["figures", "--root", str(root), "--only", "99"])
    assert result.exit_code == 2
    assert "known: 00_class_distribution" in result.stderr


def test_an_unknown_run_exits_4(root: Path) -> None:
    result = CliRunner().invoke(app, ["figures", "--root", str(root), "--run", "tfidf-20200101-000000"])
    assert result.exit_code == 4
    assert "no run 'tfidf-20200101-000000'" in result.stderr


def test_no_run_exits_4(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["figures", "--root", str(tmp_path)])
    assert result.exit_code == 4
    assert "no finished run" in result.stderr
