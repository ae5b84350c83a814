"""`goemo compare` as it is typed."""

import csv
import io
import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from typer.testing import Result

from goemo_cli.core.predictions import Predictions, write_predictions
from goemo_cli.core.schema import SIGNIFICANCE_COLUMNS, ComparedScore
from goemo_cli.ml.metrics.comparison import SCORES
from tests.typed import goemo

pytestmark = pytest.mark.usefixtures("all_draws")


LABELS = ("an|ger", "joy", "neutral")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with predictions of a weak and a strong model on the same comments, and of others."""
    root = tmp_path_factory.mktemp("compare")
    y_true = np.random.default_rng(0).random((120, len(LABELS))) < 0.35
    for name, skill in (("weak", 0.2), ("strong", 0.45), ("elsewhere", 0.45)):
        noise = np.random.default_rng(len(name)).random(y_true.shape)
        y_prob = (noise * (1 - skill) + skill * y_true).astype(np.float32)
        texts = [f"comment {row}{name if name == 'elsewhere' else ''}" for row in range(len(y_true))]
        write_predictions(root / f"{name}.csv", Predictions(LABELS, texts, y_true, y_prob >= 0.5, y_prob))
    return root


def compared(root: Path, *more: object, names: tuple[str, ...] = ("weak", "strong")) -> Result:
    files = [root / f"{name}.csv" for name in names]
    return goemo("compare", *files, "--root", root, "--resamples", 200, *more)


def test_tables_and_a_verdict_are_shown_and_the_file_is_written(root: Path) -> None:
    done = compared(root)
    assert done.exit_code == 0, done.output
    assert "B = strong.csv is better than A = weak.csv: macro-F1" in done.stdout
    assert "A better at 0, B better at 3, not distinguishable at 0" in done.stdout
    for word in ("f1_macro", "auc_macro", "an|ger", "Cohen's kappa", "McNemar"):
        assert word in done.stdout
    assert (root / "artifacts" / "stats" / "significance_tests.csv").is_file()
    assert done.stderr == ""


@pytest.mark.parametrize("flags", [("--json",), ("--format", "json"), ("--json", "--format", "json")])
def test_json_is_one_document(root: Path, flags: tuple[str, ...]) -> None:
    done = compared(root, *flags, "--metric", "auc_micro")
    document = json.loads(done.stdout)
    assert document["metric"] == "auc_micro"
    assert "B = strong.csv is better than A = weak.csv: micro-AUC" in document["verdicts"][0]
    assert set(document["rows"][0]) == set(SIGNIFICANCE_COLUMNS)
    assert document["rows"][0]["emotion"] is None
    assert Path(document["path"]).is_file()
    assert document["differing"] == [None]  # files of no run


def test_csv_is_what_was_written(root: Path) -> None:
    done = compared(root, "--format", "csv")
    path = root / "artifacts" / "stats" / "significance_tests.csv"
    assert done.stdout == path.read_text(encoding="utf-8")
    assert len(list(csv.DictReader(io.StringIO(done.stdout)))) == len(SCORES) + len(LABELS)
    assert "strong.csv is better" in done.stderr
    assert compared(root, "--format", "csv", "--quiet").stderr == ""


def test_markdown_has_a_row_per_score_and_emotion(root: Path) -> None:
    done = compared(root, "--format", "md")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("B = strong.csv is better than A = weak.csv")
    table = [line for line in lines if line.startswith("|")]
    assert "| score | A | B | B - A | 95 % interval | p | better |" in table
    assert sum(line.endswith("| B |") for line in table) == len(SCORES) + len(LABELS)
    assert any(line.startswith("| an\\|ger |") for line in table)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["{root}/weak.csv"], 2, "two or more"),
        ([], 2, "Missing argument"),
        (["{root}/weak.csv", "{root}/strong.csv", "--metric", "f2"], 2, "--metric"),
        (["{root}/weak.csv", "{root}/strong.csv", "--format", "html"], 2, "--format"),
        (["{root}/weak.csv", "{root}/strong.csv", "--resamples", "10"], 2, "--resamples"),
        (["{root}/weak.csv", "{root}/strong.csv", "--json", "--format", "md"], 2, "exclude each other"),
        (["{root}/weak.csv", "{root}/strong.csv", "--split", "tset"], 2, "is not a split: train, val, test"),
        (["{root}/weak.csv", "{root}/strong.csv", "--split", "val"], 2, "only files are compared"),
        (["{root}/weak.csv", "{root}/elsewhere.csv"], 3, "row 1 differs"),
        (["{root}/weak.csv", "{root}/nowhere.csv"], 4, "nowhere.csv: no such file"),
        (["{root}/weak.csv", "@latest"], 4, "no finished run"),
        (["{root}/weak.csv", "tiny-20200101-000000"], 4, "no run 'tiny-20200101-000000'"),
    ],
)
def test_mistakes_get_a_sentence_and_their_exit_code(
    root: Path, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    done = goemo("compare", *(one.format(root=root) for one in arguments), "--root", tmp_path)
    assert done.exit_code == code, done.output
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_every_score_can_decide_the_verdict() -> None:
    assert get_args(ComparedScore) == SCORES
