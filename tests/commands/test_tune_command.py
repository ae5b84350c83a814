"""goemo tune, and the flags of goemo train that make several runs or coarser labels."""

import json
import shlex
from pathlib import Path

import pytest

from goemo_cli.core.labels import TAXONOMIES
from tests.typed import goemo

TINY = ["--model", "tiny", "--data", "sample", "--max-train-samples", "64", "--epochs", "1"]


@pytest.fixture(scope="module")
def root(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with two seeds and their ensemble."""
    root = tmp_path_factory.mktemp("tune")
    words = ["--model", "tiny", "--data", small_data, "--epochs", "1", "--seeds", "2", "--seed", "7"]
    done = goemo("train", *words, "--root", root)
    assert done.exit_code == 0, done.output
    assert "2 seeds, test" in done.stdout
    return root


def test_tune_says_thresholds_and_scores_and_changes_the_run(root: Path) -> None:
    done = goemo("tune", "--checkpoint", "@tiny-ensemble", "--never-empty", "--top-k", "1", "--root", root)
    assert done.exit_code == 0, done.output
    assert "Thresholds (val)" in done.stdout
    assert "Tuned tiny-ensemble-" in done.stdout
    (folder,) = (root / "artifacts/models/tiny").glob("tiny-ensemble-*")
    assert json.loads((folder / "thresholds.json").read_text())["top_k"] == 1
    assert "at most 1 labels, the most probable ones" in (folder / "README.md").read_text()
    assert goemo("validate", "--root", root).exit_code == 0


def test_tune_and_validate_count_the_files_that_need_to_be_renewed(root: Path) -> None:
    # not the newest, which commands need not name
    run = min(path.name for path in (root / "artifacts/models/tiny").glob("tiny-2*"))
    assert goemo("figures", "--run", run, "--only", "07,12", "--root", root).exit_code == 0
    assert goemo("report", run, "--root", root).exit_code == 0
    tuned = goemo("tune", "-c", run, "--objective", "f1_micro", "--root", root, "--json")
    renew = f"goemo figures --run {run} --root {root} && goemo report {run} --root {root}"
    warning = f"2 figures and the report are out of date: {renew}"
    assert warning in tuned.stderr
    assert len(json.loads(tuned.stdout)["out_of_date"]) == 3
    checked = goemo("validate", "--root", root, "--json")
    assert checked.exit_code == 0
    found = json.loads(checked.stdout)
    assert found["warnings"] == [warning]
    assert {Path(one["path"]).suffix for one in found["out_of_date"]} == {".png", ".html"}
    figures, report = renew.split(" && ")
    for command in (f"{figures} --only 07,12", report):  # the others are not drawn yet
        assert goemo(*shlex.split(command)[1:]).exit_code == 0
    assert json.loads(goemo("validate", "--root", root, "--json").stdout)["warnings"] == []


def test_tune_as_json_is_one_document(root: Path) -> None:
    path = next((root / "artifacts/predictions").glob("val_predictions_tiny_*.csv"))
    found = json.loads(goemo("tune", "--predictions", path, "--beta", "2", "--root", root, "--json").stdout)
    assert found["objective"] == "f_beta"
    assert len(found["per_label"]) == 3
    assert 0 <= found["val_after"]["f1_macro"] <= 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "give either --checkpoint RUN or --predictions FILE"),
        (["--checkpoint", "@latest", "--beta", "2", "--recall-floor", "0.5"], 2, "are different objectives"),
        (["--checkpoint", "@latest", "--objective", "auc"], 2, "'auc' is not one of"),
        (
            ["--checkpoint", "@latest", "--precision-floor", "1.5"],
            2,
            "'--precision-floor': should be less than 1",
        ),
        (["--checkpoint", "@latest", "--guarantee", "recall=2"], 2, "'recall=2' is not recall=X"),
        (["--checkpoint", "@latest", "--guarantee", "precision=0.8"], 2, "precision cannot be guaranteed"),
        (
            ["--checkpoint", "@latest", "--guarantee", "recall=0.8", "--beta", "2"],
            2,
            "are different objectives",
        ),
        (
            ["--checkpoint", "@latest", "--guarantee", "recall=0.8", "--rule", "fixed_0.5"],
            2,
            "fixed thresholds have no guarantee",
        ),
        (
            ["--checkpoint", "@latest", "--guarantee", "recall=0.8", "--top-k", "2"],
            2,
            "no recall can be guaranteed",
        ),
        (["--checkpoint", "@latest", "--rule", "best"], 2, "'--rule': 'best' is not one of"),
        (["--checkpoint", "@nobody"], 4, "no run '@nobody'"),
        (["--predictions", "missing.csv"], 4, "no such file"),
    ],
)
def test_mistakes_are_named_and_change_nothing(
    root: Path, arguments: list[str], code: int, message: str
) -> None:
    before = {path: path.read_bytes() for path in (root / "artifacts/models").rglob("*.json")}
    done = goemo("tune", *arguments, "--root", root)
    assert done.exit_code == code, done.output
    assert message in done.stderr
    assert {path: path.read_bytes() for path in (root / "artifacts/models").rglob("*.json")} == before


def test_a_guarantee_is_said_and_written(root: Path) -> None:
    path = next((root / "artifacts/predictions").glob("val_predictions_tiny_*.csv"))
    done = goemo("tune", "--predictions", path, "--guarantee", "recall=0.8", "--root", root, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["guarantee"]["level"] == 0.8
    shown = goemo("tune", "--predictions", path, "--guarantee", "recall=0.8", "--root", root)
    assert "at least 0.8 of the new texts with it" in shown.output.replace("\n", " ")


def test_one_seed_is_no_group(root: Path) -> None:
    assert goemo("train", *TINY, "--seeds", "1", "--root", root).exit_code == 2


def test_a_taxonomy_is_trained_on(tmp_path: Path) -> None:
    done = goemo("train", *TINY, "--taxonomy", "grouped", "--root", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    metrics = json.loads((Path(json.loads(done.stdout)["checkpoint"]) / "metrics.json").read_text())
    assert [row["emotion"] for row in metrics["per_class"]] == list(TAXONOMIES["grouped"])
    assert metrics["data"]["taxonomy"] == "grouped"
    assert metrics["taxonomies"] == {}
    assert goemo("validate", "--root", tmp_path).exit_code == 0


def test_labels_of_ones_own_have_no_taxonomy(tmp_path: Path) -> None:
    data = tmp_path / "mine.csv"
    data.write_text("text,labels\n" + "".join(f"word {at},{'ab'[at % 2]}\n" for at in range(60)))
    done = goemo("train", "--model", "tiny", "--data", data, "--taxonomy", "ekman", "--root", tmp_path)
    assert done.exit_code == 3
    assert "only the 28 labels of GoEmotions have the taxonomy ekman" in done.stderr
