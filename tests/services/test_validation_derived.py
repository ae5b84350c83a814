"""Everything that commands derive from runs: sound as it is written, and every edit of it is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.layout import Layout
from goemo_cli.services.validation import validate_artifacts

COMMANDS = (
    "tune -c @latest",
    "calibrate -c @latest",
    "errors @latest",
    "compare @tfidf @tiny --resamples 100",
    "figures --run @latest --only 07 --only 17",
    "figures --run @latest --only 11 --format svg",
    "report @latest",
    "report @latest --format md",
)


@pytest.fixture(scope="module")
def derived(two_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Path(shutil.copytree(two_runs, tmp_path_factory.mktemp("derived") / "root"))
    for command in COMMANDS:
        done = CliRunner().invoke(app, [*command.split(), "--root", str(root)])
        assert done.exit_code == 0, (command, done.output, done.exception)
    return root


@pytest.fixture
def root(derived: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(derived, tmp_path / "root"))


def problems(root: Path) -> list[str]:
    return [
        f"{one.path.relative_to(root).as_posix()}: {one.message}"
        for one in validate_artifacts(Layout(root)).problems
    ]


def one_of(root: Path, pattern: str) -> Path:
    return sorted(root.glob(pattern))[0]


def test_what_commands_write_is_sound(root: Path) -> None:
    report = validate_artifacts(Layout(root))
    assert report.problems == []
    assert report.warnings == []


def digit(text: str) -> str:
    """One digit, late in the text, is another one."""
    at = max(text.rfind(number) for number in "0123456789")
    return text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :]


TABLES = [
    "artifacts/stats/threshold_sweep/threshold_sweep_*.csv",
    "artifacts/stats/threshold_sweep/per_class_thresholds_*.csv",
    "artifacts/stats/calibration/calibration_*.csv",
    "artifacts/stats/calibration/reliability_*.csv",
    "artifacts/stats/cooccurrence/cooccurrence_pairs_*.csv",
    "artifacts/stats/significance_tests.csv",
    "artifacts/stats/multiseed_summary.csv",
    "output/figures/11_threshold_macro.svg",
    "output/figures/data/07_*.csv",
    "output/report/report.html",
    "output/report/results.md",
]
RECORDS = [
    "artifacts/stats/threshold_sweep/threshold_summary_*.json",
    "artifacts/stats/calibration/calibration_*.json",
    "artifacts/stats/cooccurrence/cooccurrence_summary_*.json",
    "artifacts/stats/significance_tests.json",
    "output/figures/data/07_*.json",
]


@pytest.mark.parametrize("patterns", [TABLES, RECORDS], ids=["tables", "records"])
def test_each_edit_is_named(root: Path, patterns: list[str]) -> None:
    (root / "artifacts/stats/multiseed_summary.csv").write_text("group\n1\n", encoding="utf-8")  # no groups
    paths = [one_of(root, pattern) for pattern in patterns]
    for path in paths:
        path.write_text(digit(path.read_text(encoding="utf-8")), encoding="utf-8")
    found = problems(root)
    for path in paths:
        assert any(line.startswith(path.relative_to(root).as_posix()) for line in found), path


def shrunk(path: Path) -> None:
    Image.new("RGB", (1, 1)).save(path)


def redrawn(path: Path) -> None:
    with Image.open(path) as picture:
        picture.load()
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)


@pytest.mark.parametrize(
    ("pattern", "damage", "said"),
    [
        ("output/figures/07_*.png", shrunk, "has 1 by 1 pixels"),
        ("output/figures/07_*.png", redrawn, "is not as 07_per_emotion_f1_scores.json says"),
        ("output/figures/07_*.png", Path.unlink, "is missing: 07_per_emotion_f1_scores.json says"),
        ("output/figures/data/07_*.json", Path.unlink, "07_per_emotion_f1_scores.json is missing"),
        ("output/figures/data/07_*.json", lambda path: path.write_text("{}"), "runs is missing"),
        ("artifacts/stats/significance_tests.json", Path.unlink, "significance_tests.json is missing"),
        ("artifacts/stats/calibration/calibration_*.csv", Path.unlink, "is missing: calibration_"),
    ],
)
def test_damage_is_named(root: Path, pattern: str, damage: Callable[[Path], object], said: str) -> None:
    damage(one_of(root, pattern))
    found = problems(root)
    assert any(said in line for line in found), found


def test_unknown_files_among_the_figures_are_named(root: Path) -> None:
    folder = Layout(root).figures
    (folder / "more").mkdir()
    for name in ("notes.txt", "99_new.png", "data/00_new.csv", "more/x"):
        (folder / name).write_text("x", encoding="utf-8")
    named = {line.partition(":")[0] for line in problems(root)}
    assert named == {
        f"output/figures/{name}" for name in ("notes.txt", "99_new.png", "data/00_new.csv", "more")
    }


def test_a_picture_of_an_earlier_drawing_is_named(root: Path) -> None:
    record = one_of(root, "output/figures/data/07_*.json")
    value = json.loads(record.read_text(encoding="utf-8"))
    del value["files"]["07_per_emotion_f1_scores.png"], value["digest"]
    record.write_text(json.dumps(value), encoding="utf-8")
    assert any("it is of an earlier drawing" in line for line in problems(root))
