"""Other labels, another language, one label per text: from a CSV through every command, as they are typed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions
from goemo_cli.services.runs.references import open_run
from tests.generated_texts import (
    GERMAN_EMOTIONS,
    TICKET_TOPICS,
    Row,
    german_emotions,
    support_tickets,
    write_rows,
)

EVERY_COMMAND = (
    "train --model tiny --data DATA --epochs 2 --max-length 32",
    "train --model tfidf --data DATA",
    "tune -c @tfidf --precision-floor 0.5",
    "calibrate -c @tfidf",
    "compare @tfidf @tiny",
    "errors @tfidf",
    "export-predictions -c @tfidf --split train",
    "export-metrics -c @tiny",
    "explain PROBE -c @tfidf",
    "predict PROBE -c @tfidf",
    "figures --run @tfidf --run @tiny",
    "report @tfidf @tiny",
    "validate",
    "lineage @tfidf",
    "runs list",
)  # fmt: skip


def goemo(root: Path, line: str, **replaced: str) -> str:
    arguments = [replaced.get(word, word) for word in line.split()]
    done = CliRunner().invoke(app, [*arguments, "--root", str(root)])
    assert done.exit_code == 0, (line, done.output)
    return done.stdout


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of libraries, which single commands are tested without elsewhere
@pytest.mark.parametrize(
    ("rows", "labels", "probe", "label"),
    [
        (german_emotions(1500), set(GERMAN_EMOTIONS), "ich freue mich so über das Konzert", "Freude"),
        (support_tickets(1200), set(TICKET_TOPICS), "please refund order 77", "billing"),
        (
            [
                (text, [name for name in names if name in ("Freude", "Ekel")])
                for text, names in german_emotions(900)
            ],
            {"Freude", "Ekel"},
            "ich freue mich so über das Konzert",
            "Freude",
        ),
    ],
    ids=["eleven German emotions", "one of five topics", "two labels and many texts without one"],
)
def test_other_labels_go_from_csv_to_report(
    tmp_path: Path, rows: list[Row], labels: set[str], probe: str, label: str
):
    write_rows(tmp_path / "mine.csv", rows)
    said = {
        line: goemo(tmp_path, line, DATA=str(tmp_path / "mine.csv"), PROBE=probe) for line in EVERY_COMMAND
    }
    assert label in said["explain PROBE -c @tfidf"]
    assert label in json.loads(said["predict PROBE -c @tfidf"])["pred_labels"]
    assert "All artifacts are valid" in said["validate"]
    layout = Layout(tmp_path)
    tfidf = open_run("@tfidf", layout)
    assert set(tfidf.labels) == labels
    assert len(read_predictions(layout.split_predictions(tfidf.run, "train"))) > 0.75 * len(rows)
    assert tfidf.metrics.test.fitted.f1_macro > 0.7  # templates are easy, wrong labels are few
    assert (layout.output / "report" / "report.html").stat().st_size > 10_000


def test_every_option_of_data_formats_is_used_on_standard_input(tmp_path: Path):
    ratings = [(text, ["joy", "anger"][text % 2]) for text in range(40) for _ in range(3)]
    rows = [f"k{text};schön, text {text};{label}" for text, label in ratings]
    content = "sep=;\n" + "\n".join(["id;body;tag", *rows, "x;y;-1", ""])
    typed = (
        "train --model tfidf --data - --data-format csv --encoding cp1252 --text-column body --label-column tag "
        "--group-column id --aggregate majority --unlabelled -1 --dry-run --json"
    )
    command = [*typed.split(), "--root", str(tmp_path)]
    done = CliRunner().invoke(app, command, input=content.encode("cp1252"))
    assert done.exit_code == 0, done.output
    plan = json.loads(done.stdout)
    assert (plan["labels"], sum(plan["comments"].values())) == ({"anger": 20, "joy": 20}, 40)
    with_words = CliRunner().invoke(
        app, [word for word in command if word != "--json"], input=content.encode("cp1252")
    )
    assert "left out as not labelled: 1" in with_words.stderr
    wrong = CliRunner().invoke(app, [*command, "--data-format", "fastext"], input=b"")
    assert (wrong.exit_code, "did you mean 'fasttext'?" in wrong.stderr) == (2, True)


def test_texts_without_a_common_word_propose_another_model(tmp_path: Path) -> None:
    data = tmp_path / "numbers.csv"
    write_rows(data, [(str(1000 + i), ["ab"[i % 2]]) for i in range(40)])
    line = ["train", "--data", str(data), "--model", "tfidf", "--root", str(tmp_path)]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 3
    assert "--model minilm" in done.output
    assert "--lr" not in done.output
