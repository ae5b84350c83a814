"""`goemo data audit`, the work list that it writes, and trainings that leave out rows of it."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas
import pytest
import transformers

from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions
from goemo_cli.core.settings import DataSettings
from goemo_cli.ml.data.leaks import normalised
from goemo_cli.ml.models.weights import find_weights
from goemo_cli.services.data.find import load_data
from goemo_cli.services.runs.outdated import outdated_files
from tests.csv_rows import rows_of
from tests.typed import goemo

GOOD, BAD = ("great", "lovely", "superb", "wonderful", "fine"), ("awful", "bad", "terrible", "poor", "sad")
FLIPPED = (8, 31, 90)
FORMULA = '=HYPERLINK("x") lovely and superb'


def texts_with_labels() -> list[tuple[str, str]]:
    generator = np.random.default_rng(3)
    found = []
    for row in range(200):
        words = generator.choice(GOOD if row % 2 else BAD, 3)
        place = "".join(generator.choice(list("abcdefghijklmnopqrstuvw"), 24))
        is_good = bool(row % 2) != (row in FLIPPED)
        found.append((f"{' '.join(words)} {place}", "good" if is_good else "bad"))
    return found


def write_rows(path: Path, rows: list[tuple[str, str]]) -> None:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([("text", "labels"), *rows])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data with three wrong labels, an equal text in train and test, two copies in train, and a contradiction."""
    data = tmp_path_factory.mktemp("mine")
    rows = texts_with_labels()
    train, val, test = rows[:160], rows[160:180], rows[180:]
    train += [test[4], train[5], (train[6][0].upper(), "good"), (FORMULA, "good")]
    for name, part in (("train", train), ("val", val), ("test", test)):
        write_rows(data / f"{name}.csv", part)
    return data


@pytest.fixture(scope="module")
def audited(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    result = goemo("data", "audit", "--data", folder, "--exclude", "leak", "--root", root, "--json")
    assert result.exit_code == 0, result.output
    return root


def work_list(root: Path) -> list[dict[str, str]]:
    return rows_of(Layout(root).audit("mine0").work_list)


def edited(root: Path, path: Path, *, delimiter: str = ",", **changes: str) -> Path:
    """The list with other cells in its first row."""
    rows = work_list(root)
    rows[0] |= changes
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_an_audit_lists_what_was_planted(audited: Path):
    rows = work_list(audited)
    by_kind = {kind: [row for row in rows if row["kind"] == kind] for kind in {row["kind"] for row in rows}}
    assert [(row["row"], row["partner"], row["partner_labels"]) for row in by_kind["leak"]] == [
        ("161", "test:5", "")
    ]
    assert [(row["row"], row["partner"]) for row in by_kind["duplicate"]] == [
        ("162", "train:6"),
        ("163", "train:7"),
    ]
    assert [(row["row"], row["labels"], row["partner"]) for row in by_kind["contradiction"]] == [
        ("7", "bad", "train:163"),
        ("163", "good", "train:7"),
    ]
    doubted = [int(row["row"]) - 1 for row in by_kind["label"]]
    assert set(doubted) <= {*FLIPPED, 6, 162}  # the last two contradict each other
    assert len(set(doubted) & set(FLIPPED)) >= 2
    assert {row["suggested"] for row in by_kind["label"] if row["labels"] == "bad"} == {"good"}
    assert {row["split"] for row in rows if row["labels"] or row["suggested"]} <= {"train", "val"}
    assert [row["kind"] for row in rows if row["action"]] == ["leak"]


def test_the_page_loads_nothing_and_texts_in_it_do_nothing(tmp_path: Path):
    rows = [("<script>alert(1)</script> \u202e one two", "bad")] * 2 + texts_with_labels()
    write_rows(tmp_path / "mine.csv", rows)
    assert goemo("data", "audit", "--data", tmp_path / "mine.csv", "--root", tmp_path).exit_code == 0
    page = Layout(tmp_path).audit("mine").page.read_text()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")
    assert "\u202e" not in page


def test_training_leaves_out_the_excluded_rows(folder: Path, audited: Path, tmp_path: Path):
    """A spreadsheet may write the list with semicolons, in another order, and with capitals."""
    list_file = edited(audited, tmp_path / "list.csv", delimiter=";", action="Exclude")
    train = ("train", "--model", "tfidf", "--data", folder, "--root", tmp_path)
    assert goemo(*train, "--exclude-audited", list_file).exit_code == 0
    [path] = Layout(tmp_path).checkpoints()
    checkpoint = Checkpoint.open(path)
    excluded = checkpoint.manifest.parents.excluded
    assert excluded
    assert (excluded.rows, checkpoint.metrics.data.sizes.train) == (1, 163)
    assert checkpoint.metrics.data.excluded == excluded
    assert "After an audit, 1 rows of train were left out." in (path / "README.md").read_text()
    data = load_data(DataSettings(name=str(folder), exclude_audited=list_file))
    leaked = normalised(data.test.texts[4])
    assert leaked not in map(normalised, data.train.texts)
    assert data.train.sha256() == checkpoint.metrics.data.split_sha256.train
    assert goemo("validate", "--root", tmp_path).exit_code == 0
    list_file.unlink()  # val and test do not need it
    assert goemo("export-predictions", "-c", "@latest", "--split", "val", "--root", tmp_path).exit_code == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"action": "delete"}, ":2: action is 'delete'"),
        (
            {"action": "exclude", "split": "test"},
            ":2: row 161 of test is excluded: only rows of train can be",
        ),
        ({"action": "exclude", "split": "x"}, ":2: split 'x' and row '161' do not name a row"),
        ({"action": "exclude", "row": "1"}, ":2: row 1 of train has another text in"),
        ({"action": "exclude", "row": "9999"}, ":2: row 9999 of train has another text in"),
        ({"action": "keep"}, ": no row is excluded"),
    ],
)
def test_a_wrong_list_is_refused_before_the_training(folder, audited, tmp_path, changes, says):
    wrong = edited(audited, tmp_path / "list.csv", **changes)
    result = goemo(
        "train", "--model", "tfidf", "--data", folder, "--root", tmp_path, "--exclude-audited", wrong
    )
    assert result.exit_code == 3
    assert f"{wrong}{says}" in " ".join(result.output.split())
    assert not list(Layout(tmp_path).checkpoints())


@pytest.mark.parametrize(("content", "code"), [(None, 4), ("text,labels\na,b\n", 3)])
def test_a_file_that_is_no_list_is_refused(folder: Path, tmp_path: Path, content: str | None, code: int):
    path = tmp_path / "list.csv"
    if content:
        path.write_text(content)
    assert goemo("train", "--data", folder, "--root", tmp_path, "--exclude-audited", path).exit_code == code


def test_an_edited_list_is_never_replaced(folder: Path, tmp_path: Path):
    audit = ("data", "audit", "--data", folder, "--root", tmp_path, "--no-near")
    assert goemo(*audit).exit_code == 0
    assert goemo(*audit).exit_code == 0
    files = Layout(tmp_path).audit("mine0")
    files.work_list.write_text(files.work_list.read_text() + "\n")
    kept = files.work_list.read_bytes()
    result = goemo(*audit)
    assert result.exit_code == 9
    assert "was edited since it was written" in " ".join(result.output.split())
    assert files.work_list.read_bytes() == kept
    assert goemo(*audit, "--name", "second").exit_code == 0


def test_an_audit_of_a_run_scores_test_without_the_leaked_rows(folder: Path, tmp_path: Path):
    assert goemo("train", "--model", "tfidf", "--data", folder, "--root", tmp_path).exit_code == 0
    result = goemo("data", "audit", "--run", "@latest", "--root", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {part["rows"]: part["n"] for part in found["scores"]} == {
        "all": 20,
        "without_leaks": 19,
        "without_near_leaks": 19,
        "only_leaks": 1,
    }
    [path] = Layout(tmp_path).checkpoints()
    checkpoint = Checkpoint.open(path)
    test = read_predictions(Layout(tmp_path).split_predictions(checkpoint.run, "test"))
    assert found["scores"][0]["scores"]["f1_macro"] == checkpoint.metrics.test_rule.f1_macro
    right = (test.y_true == test.y_pred).all(axis=1)
    assert found["scores"][1]["scores"]["subset_accuracy"] == pytest.approx(np.delete(right, 4).mean())
    listed = Layout(tmp_path).audit(f"{folder.name}-{checkpoint.run}")
    assert {row["split"] for row in rows_of(listed.work_list) if row["kind"] == "label"} <= {"val"}
    assert goemo("validate", "--root", tmp_path).exit_code == 0
    predictions = Layout(tmp_path).split_predictions(checkpoint.run, "val")
    predictions.write_text(predictions.read_text() + "\n")
    [stale] = outdated_files(Layout(tmp_path))
    assert (stale.path, stale.renew) == (listed.record, f"goemo data audit --run {checkpoint.run}")
    listed.page.write_text(listed.page.read_text() + " ")
    listed.work_list.write_text("action,split\n")
    checked = goemo("validate", "--root", tmp_path)
    assert checked.exit_code == 3
    assert "audit.html" in checked.output
    assert "column 'row' is missing" in " ".join(checked.output.split())


def test_statistics_are_those_of_pandas(tmp_path: Path):
    rows = [("one two", "a,b"), ("One  two", "a"), ("drei vier fünf", "a,b"), ("\U0001f600", "")] * 30
    for name in ("train", "val", "test"):
        write_rows(tmp_path / f"{name}.csv", rows if name == "train" else rows[2:5])
    result = goemo("data", "stats", "--data", tmp_path, "--max-length", 4, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    frame = pandas.read_csv(tmp_path / "train.csv", keep_default_na=False)
    words = frame.text.map(lambda text: len(text.split()))
    train = found["splits"]["train"]
    assert (train["rows"], train["empty"], train["repeated"]) == (120, 0, 117)
    assert (
        train["labels_per_text"] == frame.labels.map(lambda cell: len(cell.split(",")) if cell else 0).mean()
    )
    assert train["by_number_of_labels"] == {"0": 30, "1": 30, "2": 60}
    assert train["words"] == {
        "median": words.quantile(0.5, "lower"),
        "p95": words.quantile(0.95, "lower"),
        "longest": words.max(),
    }
    assert found["labels"] == {
        "a": {"train": 90, "val": 2, "test": 2},
        "b": {"train": 60, "val": 2, "test": 2},
    }
    assert found["pairs"] == [
        {"labels": ["a", "b"], "count": 60, "share": 1.0, "lift": pytest.approx(60 * 120 / (90 * 60))}
    ]
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        find_weights("minilm", model_entry("minilm"), may_fetch=False).folder
    )
    tokens = frame.text.map(lambda text: len(tokenizer(text).input_ids))
    assert (train["tokens"]["longest"], train["truncated"]) == (tokens.max(), (tokens > 4).mean())
    table = goemo("data", "stats", "--data", tmp_path, "--model", "tfidf", "--format", "md").output
    assert "| a | 90 | 75.0 % | 2 | 66.7 % | 2 | 66.7 % |" in table
