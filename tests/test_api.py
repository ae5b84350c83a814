"""The public Python API: every example in its docstrings runs, data frames go in and out, and errors are typed."""

import doctest
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

import goemo_cli
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import (
    DataError,
    NoRunError,
    NotFoundError,
    SettingError,
    TrainingStoppedError,
    UnknownSettingError,
)
from goemo_cli.core.hints import in_python
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import SIGNIFICANCE_COLUMNS
from goemo_cli.services.training.resume import find_interrupted
from tests.resuming import SignalAt, content_of

EXAMPLES = [name for name in goemo_cli.__all__ if name not in ("__version__", "runs_table")]
SMALL = {"data.max_train_samples": 64}


@pytest.fixture
def root(tiny_root: Path, tmp_path: Path) -> Path:
    """A project with a run of the tiny model, which a test may change."""
    shutil.copytree(tiny_root, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def frame() -> pandas.DataFrame:
    rng = np.random.default_rng(0)
    words = {"billing": "invoice charge refund", "delivery": "parcel late courier"}
    rows = [
        (" ".join(rng.permutation([*words[label].split(), "please", "now"])), [label])
        for label in list(words) * 60
    ]
    return pandas.DataFrame(rows, columns=["message", "labels"])


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.filterwarnings("ignore::goemo_cli.GoemoWarning")
def test_the_examples_run(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    found: Any = getattr(goemo_cli, name)
    examples = [
        test
        for test in doctest.DocTestFinder(recurse=name == "FinishedRun").find(
            found, name, globs={"goemo_cli": goemo_cli}
        )
        if test.examples
    ]
    assert examples or name in ("Evaluation", "GoemoError", "GoemoWarning"), "no example"
    for example in examples:
        result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example)
        assert result.failed == 0


def test_importing_the_package_loads_neither_pandas_nor_torch() -> None:
    code = (
        "import sys, goemo_cli; dir(goemo_cli); goemo_cli.train; goemo_cli.load_run; goemo_cli.GoemoError\n"
        "print(sorted({'pandas', 'torch', 'typer', 'rich'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    assert [name for name in goemo_cli.__all__ if getattr(goemo_cli, name) is None] == []
    assert set(goemo_cli.__all__) <= set(dir(goemo_cli))
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        goemo_cli.fit  # noqa: B018


@pytest.mark.filterwarnings("ignore::goemo_cli.GoemoWarning")
def test_a_frame_is_trained_on_and_predicted(frame: pandas.DataFrame, tmp_path: Path) -> None:
    splits = {"train": frame[:80], "val": frame[80:100], "test": frame[100:]}
    run = goemo_cli.train(splits, model="tfidf", text_column="message", seed=3, root=tmp_path)
    assert run.labels == ("billing", "delivery")
    assert run.settings["training"]["seed"] == 3
    assert run.scores("test")["f1_macro"] == 1.0
    with pytest.raises(goemo_cli.GoemoError, match="scores of val and test, not of 'tset'"):
        run.scores("tset")  # type: ignore[arg-type]
    written = run.predictions("test")
    assert [*written.text] == [*frame.message[100:]]
    assert [*written.true_labels] == [tuple(labels) for labels in frame.labels[100:]]
    labelled = run.predictor().predict_frame(frame[100:], text_column="message")
    assert [*labelled.pred_labels] == [*written.pred_labels]
    assert [*run.per_class().emotion] == ["billing", "delivery"]
    assert goemo_cli.list_runs(tmp_path).run.tolist() == [run.name]


@pytest.mark.filterwarnings("ignore::goemo_cli.GoemoWarning")
def test_an_interrupted_training_on_frames_continues(frame: pandas.DataFrame, tmp_path: Path) -> None:
    splits = {"train": frame[:80], "val": frame[80:100], "test": frame[100:]}
    arguments: dict[str, Any] = {"model": "tiny", "text_column": "message", "epochs": 2, "batch_size": 16}
    whole = goemo_cli.train(splits, root=tmp_path / "whole", **arguments)
    with pytest.raises(TrainingStoppedError) as stopped:
        goemo_cli.train(splits, root=tmp_path, on_event=SignalAt(7, signal.SIGINT), **arguments)
    name = find_interrupted("@latest", Layout(tmp_path)).name
    assert stopped.value.resume == f"goemo_cli.resume({name!r}, data, root={str(tmp_path)!r})"
    with pytest.raises(NotFoundError, match=r"only Python can give again: goemo_cli\.resume"):
        goemo_cli.resume(root=tmp_path)
    with pytest.raises(DataError, match=r"SHA-256 of the data.* allow_changes continues all the same"):
        goemo_cli.resume(name, {**splits, "val": frame[81:100]}, root=tmp_path)
    run = goemo_cli.resume(name, splits, root=tmp_path)
    assert run.name == name
    assert content_of(run.checkpoint, Layout(tmp_path)) == content_of(
        whole.checkpoint, Layout(tmp_path / "whole")
    )
    longer = goemo_cli.resume(run.name, splits, epochs=3, root=tmp_path)
    assert [longer.settings["training"]["epochs"], longer.settings["model"]["name"]] == [1, str(run.path)]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("try --label-separator ';'", "try label_separator=';'"),
        ("--unlabelled -1 leaves out rows", "data.unlabelled=-1 leaves out rows"),
        ("it looks like tsv: --data-format tsv", "it looks like tsv: data.format tsv"),
        ("run `goemo validate --fix`, or goemo train --model x; --epochs: 3", "run `goemo validate --fix`, or goemo train --model x; training.epochs: 3"),
        ("--allow-changes continues", "allow_changes continues"),
    ],
)  # fmt: skip
def test_errors_name_keywords_and_settings(message: str, shown: str) -> None:
    assert in_python(message, {"label_separator", "allow_changes"}) == shown


@pytest.mark.filterwarnings("ignore::goemo_cli.GoemoWarning")
def test_no_error_of_a_function_names_an_option(root: Path, frame: pandas.DataFrame) -> None:
    with pytest.raises(goemo_cli.GoemoError) as raised:
        goemo_cli.evaluate("@latest", frame, text_column="message", root=root)
    assert "ignore_unknown_labels scores the other labels" in str(raised.value)
    assert "--" not in str(raised.value)


@pytest.mark.filterwarnings("ignore::goemo_cli.GoemoWarning")
def test_settings_have_the_order_of_the_command_line(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "given.yaml"
    file.write_text(
        "training: {epochs: 3, seed: 5, batch_size: 16}\ndata: {max_train_samples: 32}\n", "utf-8"
    )
    run = goemo_cli.train(
        "sample", model="tiny", epochs=1, config=file, settings={"training": {"seed": 7}}, root=root
    )
    config = run.checkpoint.config
    assert (config.training.epochs, config.training.seed, config.training.batch_size) == (1, 7, 16)
    assert config.data.max_train_samples == 32


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"settings": {"training.epoch": 3}},
            UnknownSettingError,
            r"^settings: unknown setting 'training\.epoch'.*training\.epochs",
        ),
        ({"epochs": 0}, SettingError, r"^settings: training\.epochs: .*greater than or equal to 1"),
        (
            {"epochs": 1, "settings": {"training": {"epochs": 2}}},
            SettingError,
            r"training\.epochs is given twice, as a keyword and in settings",
        ),
        ({"model": "@tfidf"}, NoRunError, "no finished run"),
        ({"data": pandas.DataFrame({"text": ["a"]})}, DataError, r"no column 'labels' \(label_column\)"),
        (
            {"data": pandas.DataFrame({"text": ["a", "b"], "good": [1, 0], "bad": [0, 1]})},
            DataError,
            r"columns of 0 and 1 are read with label_columns=\['good', 'bad'\]",
        ),
        ({"data": {"trian": pandas.DataFrame()}}, DataError, "'trian' should be one of train, val and test"),
    ],
)
def test_errors_are_those_of_the_command_line(
    arguments: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message) as raised:
        goemo_cli.train(**{"data": "sample", "model": "tiny", **arguments}, root=tmp_path)
    assert isinstance(raised.value, goemo_cli.GoemoError)
    assert not [*tmp_path.rglob("*.json")]


@pytest.mark.parametrize("data", [["a text"], {"train": ["a text"]}])
def test_data_of_another_type_is_refused(data: Any, root: Path) -> None:
    with pytest.raises(TypeError, match="data is a list, not a data frame"):
        goemo_cli.train(data, model="tfidf", root=root)
    if isinstance(data, list):
        with pytest.raises(TypeError, match="data is a list, not a data frame"):
            goemo_cli.evaluate("@latest", data, root=root)  # type: ignore[arg-type]


def test_names_in_one_text_are_not_letters(frame: pandas.DataFrame, root: Path) -> None:
    with pytest.raises(SettingError, match=r"data\.label_columns: should be a valid list"):
        goemo_cli.train(frame, model="tfidf", label_columns="good,bad", root=root)
    with pytest.raises(TypeError, match="settings is a list, not a mapping"):
        goemo_cli.train(frame, model="tfidf", settings=["training.seed=1"], root=root)  # type: ignore[arg-type]


def test_other_errors_name_the_function(root: Path) -> None:
    with pytest.raises(SettingError, match=r"^compare: .*needs two or more"):
        goemo_cli.compare("@latest", root=root)
    with pytest.raises(SettingError, match=r"^list_runs: test/f1_macro"):
        goemo_cli.list_runs(root, sort="test/f1_macro")
    with pytest.raises(SettingError, match=r"^load_run: .*only @best takes a metric"):
        goemo_cli.load_run("@latest:val/f1_macro", root)
    for wrong in ({"engine": "x"}, {"device": "x"}, {"precision": "x"}, {"threshold": 3}, {"top_k": 0}):
        with pytest.raises(SettingError, match=r"^Predictor\.load: "):
            goemo_cli.Predictor.load("@latest", root=root, **wrong)
    frame = pandas.DataFrame({"text": ["a"], "labels": ["joy"]})
    with pytest.raises(SettingError, match=r"^evaluate: split train .*; data frame is one table"):
        goemo_cli.evaluate("@latest", frame, split="train", root=root)
    with pytest.raises(SettingError, match=r"^FinishedRun\.predictions: there are .* not of 'dev'"):
        goemo_cli.load_run("@latest", root).predictions("dev")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"^compare: there are predictions of .* not of 'dev'"):
        goemo_cli.compare("@latest", "@latest", split="dev", root=root)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"^list_runs: limit is -1"):
        goemo_cli.list_runs(root, limit=-1)
    with pytest.raises(TypeError, match=r"checkpoint is a FinishedRun, .*; a FinishedRun has predictor\(\)"):
        goemo_cli.Predictor.load(goemo_cli.load_run("@latest", root))  # type: ignore[arg-type]


def test_tuning_returns_the_run_as_it_is_now(root: Path) -> None:
    run = goemo_cli.load_run("@latest", root)
    before = run.thresholds
    tuned = goemo_cli.tune(run, rule="fixed_0.3")
    assert tuned.thresholds == run.thresholds == dict.fromkeys(run.labels, 0.3) != before
    assert Checkpoint.open(run.path).thresholds.rule == "fixed_0.3"
    with pytest.raises(SettingError, match=r"^tune: thresholds\.objective"):
        goemo_cli.tune(run, objective="f1")  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::goemo_cli.GoemoWarning")
def test_an_evaluation_is_the_written_one(root: Path) -> None:
    run = goemo_cli.load_run("@latest", root)
    rows = pandas.DataFrame({"message": ["I love this", "so unfair"], "labels": [["love"], ["anger"]]})
    found = goemo_cli.evaluate(run, rows, name="two", text_column="message")
    assert json.loads(found.path.read_text("utf-8"))["data"]["name"] == found.name == "two"
    assert found.scores["subset_accuracy"] == found.record.scores.rule("per_label").subset_accuracy
    assert [*found.predictions().text] == [*rows.message]
    assert [*found.per_class().emotion] == [*run.labels]
    with pytest.raises(UnknownSettingError, match=r"^settings: unknown setting 'data\.text_colum'"):
        goemo_cli.evaluate(run, rows, settings={"data.text_colum": "message"})
    with pytest.raises(SettingError, match="settings of data only, not those of training"):
        goemo_cli.evaluate(run, rows, settings={"training.epochs": 2})
    with pytest.raises(DataError, match="no column 'text'"):
        goemo_cli.evaluate(run, rows)


@pytest.mark.filterwarnings("ignore::goemo_cli.GoemoWarning")
def test_a_comparison_is_the_written_table(root: Path) -> None:
    first = goemo_cli.load_run("@latest", root)
    second = goemo_cli.train("sample", model="tfidf", settings=SMALL, root=root)
    found = goemo_cli.compare(first, second.name, resamples=200)
    written = pandas.read_csv(root / "artifacts/stats/significance_tests.csv", keep_default_na=False)
    assert [*found.columns] == [*written.columns] == [*SIGNIFICANCE_COLUMNS]
    assert [*found.metric] == [*written.metric]
    assert found.a.unique().tolist() == [first.name]


def test_warnings_are_pythons(frame: pandas.DataFrame, tmp_path: Path) -> None:
    doubled = pandas.concat([frame, frame])
    with pytest.warns(goemo_cli.GoemoWarning, match="in more than one split|occur"):
        goemo_cli.train(doubled, model="tfidf", text_column="message", root=tmp_path)
    events: list[Any] = []
    goemo_cli.train(frame, model="tfidf", text_column="message", root=tmp_path, on_event=events.append)
    assert events
