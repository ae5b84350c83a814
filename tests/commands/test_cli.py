"""The commands as they are typed: happy paths, likely mistakes, exit codes, stdout and stderr."""

import json
import os
import resource
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import Result

from goemo_cli import __version__
from tests.torture.commands import Command
from tests.typed import goemo
from tests.waiting import wait_for

TINY = ["--model", "tiny", "--max-train-samples", "64", "--epochs", "1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A root with one finished run, and what its training showed."""
    root = tmp_path_factory.mktemp("cli")
    done = goemo("train", *TINY, "--data", "sample", "--root", root)
    assert done.exit_code == 0, done.output
    return root, done


@pytest.fixture
def root(trained: tuple[Path, Result]) -> Path:
    return trained[0]


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """No file of this process can become larger."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def checkpoint(root: Path) -> Path:
    return next((root / "artifacts" / "models" / "tiny").iterdir())


def test_version_and_help() -> None:
    assert goemo("--version").stdout == f"goemo {__version__}\n"
    shown = goemo("--help")
    assert shown.exit_code == 0
    for command in ("train", "export-predictions", "export-metrics", "figures", "validate", "models", "data"):
        assert command in shown.stdout


def test_train_shows_scores_where_it_wrote_and_what_comes_next(trained: tuple[Path, Result]) -> None:
    _, done = trained
    assert " * " in done.stdout
    assert "Trained tiny-" in done.stdout
    assert "goemo errors tiny-" in done.stderr
    assert "Epoch 1/1" in done.stderr
    assert done.stderr.startswith(
        "Data: goemo's embedded sample, 64 train (of 1,427) / 304 val / 309 test; 28 labels, "
    )


def test_json_is_one_document_on_stdout(small_data: Path, tmp_path: Path) -> None:
    done = goemo("train", *TINY, "--data", small_data, "--root", tmp_path, "--json")
    result = json.loads(done.stdout)
    assert Path(result["checkpoint"]).is_dir()
    assert 0 <= result["test"]["per_label"]["f1_macro"] <= 1


def test_dry_run_plans_and_writes_nothing(tmp_path: Path) -> None:
    done = goemo("train", "--model", "tiny", "--data", "sample", "--root", tmp_path, "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    plan = json.loads(done.stdout)
    assert plan["steps"] == plan["steps_per_epoch"] * 2 == 90
    assert plan["estimated_training_seconds"] >= 0
    assert plan["estimated_peak_memory_mib"] > plan["memory_mib"]["model_and_data"] > 0
    assert plan["labels"]["amusement"] > plan["labels"]["grief"] > 0
    assert list(tmp_path.iterdir()) == []


def test_dry_run_does_not_start_a_training_that_needs_more_memory_than_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=0))
    done = goemo("train", "--model", "tiny", "--data", "sample", "--root", tmp_path, "--dry-run", "--json")
    plan = json.loads(done.stdout)
    assert plan["estimated_training_seconds"] is None
    assert "raise training.accumulation" in done.stderr


def test_dry_run_says_first_what_it_understood_of_the_data(tmp_path: Path) -> None:
    rows = "".join(f"text {at},{at % 2},{at % 3 == 0:d}\n" for at in range(60))
    (tmp_path / "mine.csv").write_text(f"text,joy,awe\n{rows}", encoding="utf-8")
    options = [
        "train",
        "--model",
        "tiny",
        "--dry-run",
        "--data",
        tmp_path / "mine.csv",
        "--root",
        tmp_path / "new",
    ]
    first, *_ = goemo(*options, "--label-columns", "joy,awe").stderr.splitlines()
    assert first == (
        f"Data: {tmp_path / 'mine.csv'}, 49 train / 6 val (split off train, seed 0) / 5 test (split off train, seed 0); "
        "2 labels, 0.8 per text: joy 50 %, awe 33 %; 20 texts without a label"
    )
    refused = goemo(*options)
    assert refused.exit_code == 3
    assert "--label-columns joy,awe" in refused.stderr


def test_print_config_shows_every_setting_as_resolved() -> None:
    done = goemo("train", "--model", "tiny", "--lr", "0.5", "training.epochs=7", "--print-config")
    assert "learning_rate: 0.5" in done.stdout
    assert "epochs: 7" in done.stdout
    assert "max_length: 64" in done.stdout  # the catalogue's default for tiny


def test_flag_beats_file_beats_catalogue(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("model: {name: tiny}\ntraining: {lr: 2e-5, epochs: 9, batch_size: 8}\n", encoding="utf-8")
    done = goemo("train", "--config", file, "--epochs", "3", "--print-config", "--json")
    training = json.loads(done.stdout)["training"]
    assert (training["learning_rate"], training["epochs"], training["batch_size"]) == (2e-5, 3, 8)


def test_no_wandb_beats_the_config(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("logging: {wandb: {enabled: true}}\n", encoding="utf-8")

    def enabled(*flags: str) -> bool:
        shown = goemo("train", "--config", file, *flags, "--print-config", "--json")
        return bool(json.loads(shown.stdout)["logging"]["wandb"]["enabled"])

    assert enabled()
    assert not enabled("--no-wandb")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["train", "--bogus"], 2, "No such option"),
        (["train", "--epochs", "three"], 2, "--epochs"),
        (["train", "--epochs", "0"], 2, "'--epochs': should be greater than or equal to 1, not 0"),
        (["train", "training.epoch=3"], 2, "did you mean 'training.epochs'"),
        (["train", "epochs=3"], 2, "did you mean 'training.epochs'"),
        (["train", "--epochs", "3", "training.epochs=4"], 2, "given twice"),
        (["train", "epochs"], 2, "section.key=value"),
        (["train", "--loss", "hinge"], 2, "bce"),
        (["train", "--model", "minilmm"], 4, "did you mean 'minilm'"),
        (["train", "--data", "goemotions"], 4, "network is switched off"),
        (["train", "--data", "goemotions", "--data-dir", "/nowhere"], 4, "/nowhere"),
        (["train", "--data", "nothing.csv"], 4, "nothing.csv"),
        (["train", "--config", "/nowhere.yaml"], 4, "/nowhere.yaml"),
        (["export-predictions", "--checkpoint", "/nowhere"], 4, "does not exist"),
        (["export-predictions", "--checkpoint", "/tmp", "--split", "tset"], 2, "tset"),
        (["export-metrics"], 2, "either --checkpoint RUN or --predictions FILE"),
        (["export-metrics", "--predictions", "/nowhere.csv"], 4, "/nowhere.csv"),
        (["data", "download"], 7, "network is switched off"),
    ],
)
def test_mistakes_get_a_sentence_and_their_exit_code(
    arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = goemo(*arguments)
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert "Traceback" not in done.output
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_label_outside_the_list_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("joy\nfear\n", encoding="utf-8")
    (tmp_path / "mine.csv").write_text("text,labels\na,joy\nb,jooy\n", encoding="utf-8")
    done = goemo(
        "train", "--data", tmp_path / "mine.csv", "--labels-file", tmp_path / "labels.txt", "--root", tmp_path
    )
    assert done.exit_code == 3
    assert "mine.csv:3: label 'jooy'" in done.stderr


def test_own_texts_train_from_the_command_line(tmp_path: Path) -> None:
    rows = "".join(
        f'{{"body": "words {at} {"good" if at % 2 else "bad"}", "tags": ["{"up" if at % 2 else "down"}"]}}\n'
        for at in range(80)
    )
    (tmp_path / "mine.jsonl").write_text(rows, encoding="utf-8")
    done = goemo(
        "train", "--model", "tfidf", "--data", tmp_path / "mine.jsonl", "--text-column", "body", "--label-column", "tags",
        "--root", tmp_path, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["test"]["per_label"]["f1_macro"] == 1.0
    assert goemo("validate", "--root", tmp_path).exit_code == 0


@pytest.mark.parametrize(
    ("name", "content", "code", "reason"),
    [
        ("tokenizer.json", None, 5, "tokenizer.json: is missing"),
        ("model.safetensors", b"{}", 5, "model.safetensors: is not a whole safetensors file"),
        ("adapter_config.json", b"{}", 4, "it is a PEFT adapter, not a model"),
    ],
)
def test_a_model_folder_that_cannot_be_used_is_two_lines_and_leaves_nothing(
    root: Path, small_data: Path, tmp_path: Path, name: str, content: bytes | None, code: int, reason: str
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for file in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(checkpoint(root) / file, model / file)
    (model / name).unlink(missing_ok=True)
    if content is not None:
        (model / name).write_bytes(content)
    done = goemo("train", "--model", model, "--data", small_data, "--root", tmp_path / "new", "--quiet")
    assert done.exit_code == code, done.output
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert not list((tmp_path / "new").rglob("*.*"))


def test_a_write_into_nowhere_is_exit_8(small_data: Path, tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("a file where a folder is wanted", encoding="utf-8")
    done = goemo("train", *TINY, "--data", small_data, "--root", tmp_path)
    assert done.exit_code == 8
    assert "artifacts" in done.stderr


@pytest.mark.parametrize("limit", [2_000, 100_000])
def test_a_disk_that_refuses_is_exit_8_with_the_file_named_and_nothing_half_written(
    small_data: Path, tmp_path: Path, limit: int
) -> None:
    """The file size limit simulates a full disk: metadata or the weights reach it."""
    with file_size_limit(limit):
        done = goemo("train", *TINY, "--data", small_data, "--root", tmp_path)
    assert done.exit_code == 8, done.output
    assert str(tmp_path / "artifacts") in done.stderr
    assert list(tmp_path.rglob(".goemo-partial-*")) == []
    assert list(tmp_path.rglob("manifest.json")) == []


def test_an_absurd_learning_rate_is_exit_10(small_data: Path, tmp_path: Path) -> None:
    absurd = ("training.lr=1e30", "training.clip_norm=null")
    done = goemo("train", *TINY, "--data", small_data, *absurd, "--root", tmp_path)
    assert done.exit_code == 10, done.output


def test_exports_and_validate(root: Path, tmp_path: Path) -> None:
    done = goemo(
        "export-predictions",
        "-c",
        checkpoint(root),
        "--split",
        "test",
        "--split",
        "dev",
        "-o",
        tmp_path,
        "--root",
        root,
    )
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.split("_")[0] for name in names] == ["test", "val"]
    done = goemo(
        "export-metrics", "-p", tmp_path / names[0], "-o", tmp_path / "m.csv", "--root", root, "--json"
    )
    assert json.loads(done.stdout)["path"] == str(tmp_path / "m.csv")
    again = goemo(
        "export-predictions", "-p", tmp_path / names[0], "--threshold", 0.9, "-o", tmp_path / "at_0.9"
    )
    assert again.exit_code == 0, again.output
    assert (tmp_path / "at_0.9" / names[0]).is_file()
    done = goemo("export-metrics", "-c", checkpoint(root), "-o", tmp_path / "n.csv", "--root", root)
    assert (tmp_path / "n.csv").read_bytes() == (tmp_path / "m.csv").read_bytes()
    done = goemo("validate", "--root", root, "--verbose")
    assert done.exit_code == 0, done.output
    assert "All artifacts are valid" in done.stdout
    assert "SHA-256 of every file" in done.stderr


def test_validate_of_an_empty_project_fails(tmp_path: Path) -> None:
    done = goemo("validate", "--root", tmp_path, "--json")
    assert done.exit_code == 3
    assert not json.loads(done.stdout)["ok"]
    summary = goemo("validate", "--root", tmp_path, "--format", "md")
    assert summary.exit_code == 3
    assert summary.stdout.startswith("**goemo validate: 1 problem(s) found**")
    assert "| problem | " in summary.stdout
    assert goemo("validate", "--root", tmp_path, "--format", "md", "--json").exit_code == 2


def test_the_other_door_to_validate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["validate_artifacts", "--root", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("tests.validate_artifacts", run_name="__main__")
    assert ended.value.code == 3
    assert "nothing to validate" in capsys.readouterr().err


def test_control_characters_of_data_never_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("joy\nfear\n", encoding="utf-8")
    (tmp_path / "mine.jsonl").write_text(
        '{"text": "a", "labels": ["\\u001b[2J[/]\\u202e"]}\n', encoding="utf-8"
    )
    done = goemo("train", "--data", tmp_path / "mine.jsonl", "--labels-file", tmp_path / "labels.txt")
    assert done.exit_code == 3
    assert "\x1b" not in done.stderr
    assert "\u202e" not in done.stderr


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_signal_ends_with_its_code_and_leaves_no_half_file(
    small_data: Path, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    typed = ["train", "--model", "tiny", "--data", small_data, "--root", tmp_path, "training.epochs=9999", "training.early_stopping.patience=null", "data.max_train_samples=64"]  # fmt: skip
    training = Command(*typed, folder=tmp_path)
    models = tmp_path / "artifacts" / "models"
    try:
        wait_for(lambda: list(models.glob("*/*/model.safetensors")) or not training.runs())
        os.kill(training.pid, sent)
        assert training.code == code, training.said
    finally:
        if training.runs():
            os.kill(training.pid, signal.SIGKILL)
    assert list(tmp_path.rglob(".goemo-partial-*")) == []
    assert list(models.rglob("manifest.json")) == []
    done = goemo("validate", "--root", tmp_path)
    assert done.exit_code == 3
    assert "interrupted; `goemo train --resume" in done.stderr
    (run,) = models.glob("*/*")
    done = goemo("predict", "hi", "--checkpoint", run)
    assert (done.exit_code, f"goemo train --resume {run}" in "".join(done.stderr.splitlines())) == (4, True)
    assert run.name not in goemo("predict", "hi", "--checkpoint", run.parent).stderr, "it is no model yet"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_python_ends_is_no_error(sent: signal.Signals) -> None:
    program = f"import atexit, signal; from goemo_cli.app import main; atexit.register(signal.raise_signal, {int(sent)}); main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--version"], capture_output=True, text=True, check=False
    )
    assert done.returncode == -sent
    assert done.stderr == ""
    assert done.stdout.startswith("goemo ")


def test_resume_without_a_run_says_what_is_missing() -> None:
    done = goemo("train", "--resume", "--epochs", "3")
    assert done.exit_code == 2
    assert "--resume: needs a run, such as @latest, not --epochs" in done.stderr


def test_models_lists_the_catalogue() -> None:
    assert "sentence-transformers/all-MiniLM-L6-v2" in goemo("models").stdout
    assert json.loads(goemo("models", "--json").stdout)["minilm"]["family"] == "minilm"
