"""`goemo evaluate`: scores on other data, labels by name, provenance, and what validate says of its files."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pandas import DataFrame
from sklearn.metrics import f1_score, jaccard_score
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.csv_files import atomic_csv
from goemo_cli.core.documents.metrics import EvaluationRecord
from goemo_cli.core.errors import BusyError, DataError, SettingError
from goemo_cli.core.events import Event, Warning
from goemo_cli.core.labels import EMOTIONS
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions
from goemo_cli.services.evaluation.evaluate import EvaluationResult, evaluate_run
from goemo_cli.services.runs.lineage import trace_lineage
from goemo_cli.services.runs.outdated import summary_command
from goemo_cli.services.runs.references import open_run
from goemo_cli.services.validation import validate_artifacts
from tests.conftest import trained_root
from tests.metrics_documents import change_metrics

ROWS = (
    ("I love this so much, thank you", "love,gratitude"),
    ("this is awful and I hate it", "anger"),
    ("what a lovely surprise", "surprise"),
    ("I am so sad today", "sadness"),
    ("the train leaves at nine", "neutral"),
    ("nothing to see", ""),
)


@pytest.fixture(scope="module")
def on_the_sample(tiny_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a run of tiny and one of tfidf, on few comments with the labels of GoEmotions."""
    root = Path(shutil.copytree(tiny_root, tmp_path_factory.mktemp("evaluate") / "root"))
    return trained_root(root, "tfidf", 100)


@pytest.fixture
def root(on_the_sample: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(on_the_sample, tmp_path / "root"))


@pytest.fixture
def run(root: Path) -> Checkpoint:
    return open_run("@tfidf", Layout(root))


def data_file(
    folder: Path, rows: Any = ROWS, name: str = "New Data.csv", header: Any = ("text", "labels")
) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    with atomic_csv(path) as writer:
        writer.writerows([header, *rows])
    return path


def evaluated(run: Checkpoint, root: Path, path: Path, **options: Any) -> tuple[EvaluationResult, list[str]]:
    events: list[Event] = []
    result = evaluate_run(run, str(path), layout=Layout(root), on_event=events.append, **options)
    return result, [event.message for event in events if isinstance(event, Warning)]


def problems(root: Path) -> list[str]:
    return [f"{one.path.name}: {one.message}" for one in validate_artifacts(Layout(root)).problems]


def test_scores_are_those_of_scikit_learn_by_the_thresholds_of_the_run(run: Checkpoint, root: Path) -> None:
    result, warnings = evaluated(run, root, data_file(root))
    written = read_predictions(result.predictions)
    assert result.predictions.name == f"eval-new-data_predictions_{run.run.file_stem}.csv"
    assert written.texts == [text for text, _ in ROWS]
    assert written.labels == EMOTIONS
    assert np.array_equal(written.y_pred, run.rules.decide(written.y_prob))
    gold = [[EMOTIONS[at] for at in np.flatnonzero(row)] for row in written.y_true]
    assert gold == [sorted(filter(None, labels.split(","))) for _, labels in ROWS]
    own = result.scores
    for score, ours in (("macro", own.f1_macro), ("micro", own.f1_micro)):
        assert ours == pytest.approx(
            f1_score(written.y_true, written.y_pred, average=score, zero_division=0), abs=1e-12
        )
    jaccard = jaccard_score(written.y_true, written.y_pred, average="samples", zero_division=0)
    assert own.jaccard_samples == pytest.approx(jaccard, abs=1e-12)
    assert own.f1_macro_ci is not None
    assert result.record.data.sha256 == written.sha256()
    assert any("count as 0 in macro averages; macro-F1 of the others" in one for one in warnings)


def test_numbers_columns_and_members_of_a_taxonomy_are_mapped_by_name(run: Checkpoint, root: Path) -> None:
    path = data_file(root, [("what a day", "27"), ("so happy", "17")])
    result, _ = evaluated(run, root, path)
    gold = read_predictions(result.predictions).y_true
    assert [EMOTIONS[row.argmax()] for row in gold] == ["neutral", "joy"]

    path = data_file(root, [("a", 1, 0), ("b", 1, 1)], "hot.csv", ("comment", "joy", "anger"))
    settings = {"text_column": "comment", "label_columns": ["joy", "anger"]}
    result, _ = evaluated(run, root, path, settings=settings)
    gold = read_predictions(result.predictions).y_true
    assert gold.sum(axis=0)[[EMOTIONS.index("joy"), EMOTIONS.index("anger")]].tolist() == [2, 1]


def test_unknown_labels_are_an_error_or_left_out_with_a_warning(run: Checkpoint, root: Path) -> None:
    path = data_file(root, [*ROWS, ("hm", "boredom,joy"), ("ha", "Joyful")])
    with pytest.raises(
        DataError, match=r"labels that tfidf-.* does not have: 'Joyful' \(1 rows\), 'boredom'"
    ):
        evaluated(run, root, path)
    assert not [*Layout(root).predictions.glob("eval-*")]
    result, warnings = evaluated(run, root, path, ignore_unknown_labels=True)
    assert any("left out labels" in one and "'boredom' (1 rows)" in one for one in warnings)
    assert read_predictions(result.predictions).y_true.sum() == 7
    with pytest.raises(DataError, match="no row has a label"):
        evaluated(run, root, data_file(root, [("a", "x"), ("b", "")], "x.csv"), ignore_unknown_labels=True)


def test_a_data_set_is_scored_on_a_split_and_the_runs_own_rows_are_doubted(
    run: Checkpoint, root: Path
) -> None:
    result, warnings = evaluated(run, root, Path("sample"))
    assert result.record.data.name == "sample-test"
    assert result.scores.f1_macro == pytest.approx(run.metrics.test_rule.f1_macro, abs=1e-12)
    assert not warnings
    _, warnings = evaluated(run, root, Path("sample"), split="val")
    assert any("are the val split" in one for one in warnings)
    with pytest.raises(SettingError, match="is one table"):
        evaluated(run, root, data_file(root), split="test")
    own = data_file(root)
    change_metrics(run, lambda it: it["data"].update(source=str(own)))
    _, warnings = evaluated(run, root, own)
    assert any("was trained on rows of this data" in one for one in warnings)


def test_a_data_frame_and_standard_input_are_data_too(run: Checkpoint, root: Path) -> None:
    frame = DataFrame([*ROWS], columns=["text", "labels"])
    result = evaluate_run(run, frame, layout=Layout(root))
    with data_file(root).open("rb") as stream:
        other = evaluate_run(run, "-", layout=Layout(root), stdin=stream, settings={"format": "csv"})
    assert result.record.data.sha256 == other.record.data.sha256
    assert (result.record.data.name, other.record.data.name) == ("frame", "stdin")


def test_other_data_of_the_same_name_replaces_nothing(run: Checkpoint, root: Path) -> None:
    evaluated(run, root, data_file(root / "a", name="new.csv"))
    evaluated(run, root, data_file(root / "a", ROWS[:4], name="new.csv"))  # the same file, edited
    other = data_file(root / "b", ROWS[:3], name="new.csv")
    with pytest.raises(BusyError, match="--name gives this data another name"):
        evaluated(run, root, other)
    result, _ = evaluated(run, root, other, name="Other")
    assert result.record.data.name == "other"


def test_validate_and_lineage_know_the_files(run: Checkpoint, root: Path) -> None:
    result, _ = evaluated(run, root, data_file(root), rule="fixed_0.3")
    assert problems(root) == []
    names = {node.name: node.state for node in trace_lineage(run, layout=Layout(root)).nodes}
    assert names[result.path.name] == "ok"
    text = result.predictions.read_text(encoding="utf-8")
    result.predictions.write_text(text.replace("love,gratitude", "gratitude", 1).replace("gratitude,", "", 1))
    found = problems(root)
    assert any(result.predictions.name in one and "not those of the evaluated data" in one for one in found)
    result.predictions.write_text(text, encoding="utf-8")
    record = json.loads(result.path.read_text(encoding="utf-8"))
    record["scores"]["fixed_0.3"]["f1_macro"] = 0.9
    result.path.write_text(json.dumps(record), encoding="utf-8")
    found = problems(root)
    assert any("was edited since" in one and "goemo evaluate" in one and "--data" in one for one in found)
    assert any("scores.fixed_0.3.f1_macro is 0.9, should be" in one for one in found)
    result.path.unlink()
    assert any(f"{result.path.name} is missing" in one for one in problems(root))


def test_tuned_thresholds_make_an_evaluation_stale_and_nothing_else(run: Checkpoint, root: Path) -> None:
    evaluated(run, root, data_file(root))
    done = CliRunner().invoke(app, ["tune", "-c", "@tfidf", "--shrinkage", "50", "--root", str(root)])
    assert done.exit_code == 0, done.output
    report = validate_artifacts(Layout(root))
    assert not report.problems
    (command,) = {file.renew for file in report.outdated if "eval-" in file.path.name}
    assert command.startswith(f"goemo evaluate {run.run} --data ")


@pytest.mark.parametrize(
    ("source", "shown"), [("my data.csv", "'my data.csv'"), ("data frame", "DATA"), ("-", "DATA")]
)
def test_the_command_that_renews_an_evaluation_can_be_typed(source: str, shown: str) -> None:
    command = summary_command("goemo evaluate", {"run": "tfidf-20260101-000000", "data": {"source": source}})
    assert command == f"goemo evaluate tfidf-20260101-000000 --data {shown}"


def test_errors_compare_and_report_take_the_predictions(root: Path) -> None:
    path, runner = data_file(root, name="new.csv"), CliRunner()
    for model in ("tfidf", "tiny"):
        command = ["evaluate", f"@{model}", "--data", str(path), "--root", str(root)]
        done = runner.invoke(app, [*command, "--json"])
        assert done.exit_code == 0, done.output
        document = json.loads(done.stdout)
        assert document["data"]["rows"] == len(ROWS)
        assert set(document["scores"]) >= {"auc_micro", "per_label"}
    files = sorted(map(str, Layout(root).predictions.glob("eval-new_*")))
    done = runner.invoke(app, ["errors", files[0], "--root", str(root), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rule"] == open_run("@tfidf", Layout(root)).rules.rule
    done = runner.invoke(app, ["compare", *files, "--resamples", "100", "--root", str(root), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"][0]["a"].startswith("tfidf-")
    done = runner.invoke(app, ["tune", "--predictions", files[0], "--root", str(root)])
    assert done.exit_code == 3
    for form in ("md", "html"):
        done = runner.invoke(app, ["report", *files, "--format", form, "--root", str(root), "--json"])
        assert done.exit_code == 0, done.output
        names = json.loads(done.stdout)["runs"]
        assert [name.partition("-")[0] for name in names] == ["tfidf", "tiny"]
        assert all(name.endswith(" on new") for name in names)
    results = Layout(root).report_results.read_text(encoding="utf-8")
    macro = EvaluationRecord.read(next(Layout(root).evaluations.glob("*tfidf*.json"))).scores
    assert f"{macro.rule(open_run('@tfidf', Layout(root)).rules.rule).f1_macro:.3f}" in results
    test = str(next(Layout(root).predictions.glob("test_*")))
    done = runner.invoke(app, ["report", test, "--root", str(root)])
    assert done.exit_code == 2
    assert "name the run" in done.output
    assert problems(root) == []
