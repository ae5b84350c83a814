import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from goemo_cli.app import app
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import TrainConfig
from goemo_cli.services.training.ensemble import write_ensemble
from goemo_cli.services.training.train import train
from tests.commands.test_cli import file_size_limit
from tests.conftest import trained_root


@pytest.fixture(scope="module")
def root(small_root: Path, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project root with two tfidf runs."""
    root = Path(shutil.copytree(small_root, tmp_path_factory.mktemp("figures") / "root"))
    return trained_root(root, "tfidf", 80, small_data)


def figures(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["figures", "--root", str(root), *arguments])


def runs_of(root: Path) -> list[str]:
    return [path.name for path in Layout(root).checkpoints()]


def test_figures_are_drawn_and_listed(root: Path) -> None:
    result = figures(root, "--only", "07,10")
    assert result.exit_code == 0
    assert f"Drew 2 figures of {runs_of(root)[-1]}" in result.stdout
    assert "07_per_emotion_f1_scores.png" in result.stdout
    assert f"goemo figures --check --root {root}" in result.stderr
    assert f"goemo validate --root {root}" in result.stderr


def test_json_is_one_document(root: Path) -> None:
    result = figures(root, "--only", "07,15", "--only", "10", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["runs"] == runs_of(root)[-1:]
    assert [Path(path).name[:2] for path in document["drawn"]] == ["07", "15", "10"]
    assert document["skipped"] == document["of_first"] == []
    assert all(Path(path).is_file() for path in document["drawn"])


def test_several_runs_in_another_format_and_style(root: Path) -> None:
    first, second = runs_of(root)
    result = figures(
        root, "--run", first, "--run", second, "--only", "09,10", "--format", "svg", "--style", "dark"
    )
    assert result.exit_code == 0
    assert f"Drew 2 figures of {first} and {second}" in result.stdout
    assert "09_macro_vs_micro.svg" in result.stdout
    assert f"Figures of one run show the first, {first}: 10" in result.stderr


def test_a_wanted_figure_that_cannot_be_drawn_exits_4(root: Path) -> None:
    result = figures(root, "--only", "05,07")
    assert result.exit_code == 4
    assert "Drew 1 figure of" in result.stdout
    assert "Warning: figure 05_token_length_distributions was not drawn" in result.stderr
    assert "tokenizer.json is missing" in result.stderr


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Layout:
    """A copy of the root, to be damaged."""
    shutil.copytree(root / "artifacts", tmp_path / "artifacts")
    return Layout(tmp_path)


def test_a_disk_that_refuses_is_exit_8_and_no_more_figures_are_tried(copy: Layout) -> None:
    """The file size limit simulates a full disk: the table of 07 is small enough, its picture is not."""
    with file_size_limit(20_000):
        done = figures(copy.root, "--only", "07,10")
    assert done.exit_code == 8, done.output
    assert f"Error: {copy.figures / '07_per_emotion_f1_scores.png'}" in done.stderr
    assert [path.name for path in copy.figures.rglob("*.*")] == ["07_per_emotion_f1_scores.csv"]


@pytest.mark.parametrize(
    ("pattern", "content", "code", "drawn"),
    [
        pytest.param("models/*/*/metrics.json", "{", 5, 0, id="metrics.json"),
        pytest.param("stats/per_class_metrics_*.csv", "emotion\njoy\n", 3, 1, id="per-class"),
        pytest.param("predictions/test_predictions_*.csv", "text\n", 3, 2, id="predictions"),
    ],
)
def test_a_damaged_file_ends_with_its_code_after_the_other_figures(
    copy: Layout, pattern: str, content: str, code: int, drawn: int
) -> None:
    paths = list((copy.root / "artifacts").glob(pattern))
    for path in paths:
        path.write_text(content, "utf-8")
    result = figures(copy.root, "--only", "07,10,11" if drawn == 2 else "07,10")
    assert result.exit_code == code, result.output
    assert any(f"Error: {path}" in result.stderr for path in paths)
    assert len(list(copy.figures.glob("*.png"))) == drawn


def test_training_curves_of_an_ensemble_are_missing_not_damaged(copy: Layout) -> None:
    members = [Checkpoint.open(path) for path in sorted(copy.models.glob("*/*/"))]
    ensemble = write_ensemble(members, layout=copy)
    done = figures(copy.root, "--run", str(ensemble.run), "--only", "07,10")
    assert done.exit_code == 4, done.output
    assert "is an ensemble" in done.stderr


def test_an_unknown_figure_exits_2(root: Path) -> None:
    for more in ((), ("--check",)):
        result = figures(root, "--only", "99", *more)
        assert result.exit_code == 2
        assert "known: 00_class_distribution" in result.stderr


def test_no_run_exits_4(tmp_path: Path) -> None:
    result = figures(tmp_path)
    assert result.exit_code == 4
    assert "no finished run" in result.stderr


def test_stale_figures_are_named_and_exit_3(root: Path) -> None:
    figures(root, "--only", "07,15")
    result = figures(root, "--check", "--only", "07,15")
    assert result.exit_code == 0
    assert "none is stale" in result.stdout
    (path,) = Layout(root).stats.glob(f"per_class_metrics_*{runs_of(root)[-1].removeprefix('tfidf-')}.csv")
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    result = figures(root, "--check", "--only", "07,15", "--json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert not document["ok"]
    assert [Path(entry["path"]).name for entry in document["stale"]] == ["07_per_emotion_f1_scores.png"]
    assert "has changed since" in result.stderr
    result = figures(root, "--check", "--only", "7")
    assert result.exit_code == 3
    assert f"goemo figures --only 07 --root {root}" in result.stderr
    path.write_bytes(before)


def test_figures_of_data_that_is_not_here_are_told_and_exit_0(tmp_path: Path) -> None:
    data, root = tmp_path / "mine.csv", tmp_path / "root"
    data.write_text("text,labels\n" + "".join(f"word {at},{'ab'[at % 2]}\n" for at in range(60)), "utf-8")
    config = TrainConfig.from_layers(("test", {"model": {"name": "tfidf"}, "data": {"name": str(data)}}))
    train(config, layout=Layout(root))
    figures(root, "--only", "00")
    data.unlink()
    result = figures(root, "--check", "--json")
    assert result.exit_code == 0
    (entry,) = json.loads(result.stdout)["unknown"]
    assert Path(entry["path"]).name == "00_class_distribution.png"
    assert "data that cannot be looked at" in result.stderr


@pytest.mark.parametrize("option", [("--run", "@latest"), ("--format", "svg"), ("--style", "dark")])
def test_checking_draws_nothing(root: Path, option: tuple[str, str]) -> None:
    result = figures(root, "--check", *option)
    assert result.exit_code == 2
    assert "nothing is drawn" in result.stderr
