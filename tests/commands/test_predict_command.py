"""`goemo predict` as it is typed: what it prints, what it writes, what it exits with."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from goemo_cli.app import app
from goemo_cli.core.layout import Layout
from tests.prediction_checkpoints import TEXTS, write_tiny
from tests.waiting import GUARD_SECONDS, wait_for

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    layout = Layout(tmp_path_factory.mktemp("predict"))
    write_tiny(layout, f1_macro=0.2)
    write_tiny(layout, seed=1, f1_macro=0.1)
    return layout.root


def goemo(root: Path, *arguments: object, stdin: str | bytes | None = None) -> Result:
    typed = ["predict", *map(str, arguments), "--root", str(root)]
    return CliRunner().invoke(app, typed, input=stdin)


def test_texts_of_the_command_line_become_json_lines(root: Path) -> None:
    done = goemo(root, "so happy", "")
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["text"] for row in rows] == ["so happy", ""]
    assert len(rows[0]["pred_prob"]) == 28
    assert "@best: " in done.stderr
    assert "2 texts, mean confidence" in done.stderr


def test_texts_that_look_like_a_run_or_a_file_are_noted(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("text\nhappy\n", encoding="utf-8")
    done = goemo(root, tmp_path / "mine.csv", "@latest", "x" * 9000, "null \x00")
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 4
    said = "".join(done.stderr.splitlines())
    assert f"--input {tmp_path / 'mine.csv'} reads the file" in said
    assert "'@latest' is predicted as a text; --checkpoint @latest chooses a run" in said
    assert said.count("is predicted as a text") == 2


def test_the_best_run_answers_unless_another_is_named(root: Path) -> None:
    best = goemo(root, "happy").stderr
    latest = goemo(root, "happy", "-c", "@latest").stderr
    assert best.split("(")[0] != latest.split("(")[0]


def test_lines_of_standard_input_and_a_table(root: Path) -> None:
    done = goemo(root, "--format", "table", "--top-k", 3, stdin="so happy\n\x1b[31mred\n")
    assert done.exit_code == 0
    assert "\x1b[31m" not in done.stdout
    assert "so happy" in done.stdout
    assert done.stdout.count("0.") == 6


def test_json_is_one_document(root: Path) -> None:
    done = goemo(root, "--json", "--top-k", 2, "so happy", "sad")
    document = json.loads(done.stdout)
    assert [len(row["pred_prob"]) for row in document["predictions"]] == [2, 2]
    assert document["statistics"]["texts"] == 2
    assert document["precision"] == "fp32"
    assert json.loads(goemo(root, "--json", stdin="").stdout)["predictions"] == []


def test_a_file_becomes_a_file(root: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,body\n7,so happy\n", encoding="utf-8")
    typed = ("-i", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--text-column", "body")
    done = goemo(root, *typed, "--taxonomy", "ekman")
    assert done.exit_code == 0, done.output
    header, row = (tmp_path / "out.csv").read_text().splitlines()
    assert header.startswith("id,body,pred_labels,pred_prob_anger,")
    assert row.startswith("7,so happy,")
    assert str(tmp_path / "out.csv") in done.stdout
    assert json.loads(goemo(root, *typed, "--json").stdout)["texts"] == 1


def test_a_pattern_becomes_parts_in_a_folder(root: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"id,body\n{name},so happy\n", encoding="utf-8")
    typed = ("-i", tmp_path / "*.csv", "-o", tmp_path / "out", "--text-column", "body", "--json")
    done = goemo(root, *typed, "--shards", 2, "--format", "jsonl")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["rows"], document["parts"], document["texts"]) == (2, 2, 2)
    rows = [json.loads(path.read_text()) for path in sorted((tmp_path / "out").glob("part-*"))]
    assert [(row["goemo_file"], row["goemo_row"], row["id"]) for row in rows] == [
        ("a.csv", 0, "a"),
        ("b.csv", 0, "b"),
    ]
    again = goemo(root, "--finalize", "-o", tmp_path / "out", "--json")
    assert json.loads(again.stdout) == document
    done = goemo(root, *typed, "--shards", 2, "--format", "jsonl", "--shard", 1)
    assert json.loads(done.stdout)["rows"] == 1


def test_a_conversation_ends_quietly(root: Path) -> None:
    done = goemo(root, "--interactive", stdin="so happy\nvery sad\n")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 2
    ended = goemo(root, "--interactive", stdin="\nvery sad\n")
    assert (ended.exit_code, ended.stdout) == (0, "")


def test_predictions_are_logged_where_asked_for(root: Path) -> None:
    done = goemo(root, "so happy", "--wandb-mode", "local")
    assert done.exit_code == 0
    assert "-predict:v" in done.stderr
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (["x", "--input", "y.txt"], 2, "one of them"),
        (["x", "--format", "xml"], 2, "'jsonl', 'csv', 'parquet'"),
        (["x", "--format", "parquet"], 2, "needs --output"),
        (["x", "--output", "out.doc"], 2, ".jsonl, .ndjson, .csv, .parquet"),
        (["x", "--json", "--format", "csv"], 2, "is a format already"),
        (["x", "--formula-safe"], 2, "belongs to CSV"),
        (["x", "--interactive"], 2, "one of them"),
        (["--interactive", "--json"], 2, "on the terminal"),
        (["--interactive", "--wandb"], 2, "on the terminal"),
        (["x", "--text-column", "body"], 2, "belong to --input"),
        (["--input", "-", "--input-format", "parquet"], 3, "standard input: not a Parquet file"),
        (["--input", "-", "--data-format", "fastext"], 2, "did you mean 'fasttext'"),
        (["--input", "-", "--encoding", "cp12520"], 2, "unknown encoding"),
        (["--input", "-", "--text-column", "body"], 2, "have no columns"),
        (["x", "--taxonomy", "ekmann"], 2, "'ekman', 'grouped'"),
        (["x", "--precision", "fp16"], 2, "'fp32', 'bf16'"),
        (["x", "--device", "foo"], 2, "'auto', 'cpu', 'cuda', 'mps'"),
        (["x", "--wandb-mode", "sideways"], 2, "'offline', 'local', 'disabled'"),
        (["x", "--shards", "2", "--output", "folder"], 2, "shards need --input"),
        (["--input", "x.csv", "--shards", "2"], 2, "need --output FOLDER"),
        (["--input", "x.csv", "--shard", "0", "--output", "folder"], 2, "needs --shards N"),
        (["--input", "x.csv", "--shard", "2", "--shards", "2", "--output", "folder"], 2, "it is 0 to 1"),
        (
            ["--input", "x.csv", "--workers", "2", "--output", "folder", "--format", "table"],
            2,
            "parts are jsonl",
        ),
        (["--input", "x.csv", "--workers", "2", "--output", "folder", "--wandb"], 2, "of one file"),
        (["--finalize", "--output", "folder", "--input", "x.csv"], 2, "--output FOLDER only"),
        (["--finalize", "--output", "folder"], 4, "no plan of a bulk prediction"),
        (["--input", "no-such/*.csv", "--output", "folder"], 4, "no files with texts"),
        (["--input", "no-such.csv", "--shards", "2", "--output", "folder"], 4, "no such file"),
        (["--input", "memory://no-such/*.csv", "--output", "folder"], 4, "no files with texts"),
        (["--input", "no-such.csv"], 4, "no such file"),
        (["x", "-c", "nobody"], 4, "goemo runs list"),
        (["x", "--calibrated"], 4, "goemo calibrate"),
    ],
)
def test_mistakes_are_named_and_have_their_code(
    typed: list[str], code: int, said: str, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    done = goemo(root, *typed)
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert done.stdout == ""


def test_without_runs_the_next_step_is_named(tmp_path: Path) -> None:
    done = goemo(tmp_path, "x")
    assert done.exit_code == 4
    assert "goemo train" in done.stderr


def test_bytes_that_are_no_text_are_named_by_line(root: Path) -> None:
    done = goemo(root, stdin=b"good\ncaf\xe9\n")
    assert done.exit_code == 3
    assert "standard input:2: not UTF-8" in done.stderr


def started(root: Path, *typed: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "goemo_cli", "predict", *map(str, typed), "--root", str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


@pytest.mark.slow
def test_ctrl_c_leaves_the_old_file_and_no_half_one(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("old")
    with started(root, "-i", "-", "-o", tmp_path / "out.jsonl") as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write("\n".join(TEXTS * 60).encode())  # more than a window, and the input stays open
        process.stdin.flush()
        wait_for(
            lambda: any(
                path.name.startswith(".goemo") and path.stat().st_size for path in tmp_path.iterdir()
            ),
            process=process,
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(GUARD_SECONDS) == 130
        assert b"Traceback" not in process.stderr.read()
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    assert (tmp_path / "out.jsonl").read_text() == "old"
