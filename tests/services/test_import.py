"""`goemo import` and model folders of other tools where a run is expected."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from goemo_cli import Predictor
from goemo_cli.app import app
from goemo_cli.core.arrays import BoolArray
from goemo_cli.core.csv_files import atomic_csv
from goemo_cli.core.errors import GoemoError, ModelFolderError, NoScoresError, SettingError
from goemo_cli.core.labels import EMOTIONS
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import RULES
from goemo_cli.core.settings import ModelSettings
from goemo_cli.core.thresholds import Thresholds
from goemo_cli.ml.models.tiny import build_tiny
from goemo_cli.services.runs.references import open_model, open_run
from goemo_cli.services.runs.run_predictions import require_predictions
from goemo_cli.services.training.imported import import_model
from goemo_cli.services.validation import validate_artifacts
from tests.hub_server import Hub, ask_this_hub

LABELS = ("joy", "anger", "sadness")
Foreign = Callable[..., Path]


@pytest.fixture
def foreign(tmp_path: Path, comments: tuple[list[str], BoolArray]) -> Foreign:
    """A model folder as `save_pretrained` of transformers writes it; keyword arguments change its config."""

    def make(name: str = "their-model", labels: tuple[str, ...] = LABELS, **config: Any) -> Path:
        classifier = build_tiny(comments[0], labels, ModelSettings(name="tiny", max_length=32))
        for parameter in classifier.model.classifier.parameters():
            parameter.data.mul_(30)  # otherwise every probability is close to one half
        folder = tmp_path / name
        classifier.model.save_pretrained(folder)
        classifier.tokenizer.save_pretrained(folder)
        path = folder / "config.json"
        values = json.loads(path.read_text(encoding="utf-8")) | config
        path.write_text(json.dumps({key: one for key, one in values.items() if one is not None}), "utf-8")
        return folder

    return make


@pytest.fixture
def data(tmp_path: Path, comments: tuple[list[str], BoolArray]) -> Path:
    texts, y_true = comments
    path = tmp_path / "data.csv"
    with atomic_csv(path) as writer:
        writer.writerow(["text", "labels"])
        for copy in range(4):
            for text, row in zip(texts, y_true, strict=True):
                writer.writerow([f"{text} {copy}", ",".join(np.array(LABELS)[row])])
    return path


def run(root: Path, *command: str) -> Result:
    return CliRunner().invoke(app, [*command, "--root", str(root)])


def problems(layout: Layout) -> list[str]:
    return [f"{one.path.name}: {one.message}" for one in validate_artifacts(layout).problems]


@pytest.mark.parametrize(("kind", "function"), [("multi", "sigmoid"), ("single", "softmax")])
def test_probabilities_are_those_of_transformers(
    foreign: Foreign, layout: Layout, kind: str, function: str
) -> None:
    from transformers import pipeline  # takes seconds, so not in every process of the tests

    folder = foreign(problem_type=f"{kind}_label_classification")
    checkpoint = import_model(str(folder), layout=layout)
    assert checkpoint.labels == LABELS
    texts = ["a happy day", "so very angry and sad", "ok"]
    theirs = pipeline("text-classification", model=str(folder), top_k=None, function_to_apply=function)
    ours = Predictor.load(checkpoint.path).predict(texts)
    for row, scores in enumerate(theirs(texts)):
        by_label = {one["label"]: one["score"] for one in scores}
        assert ours[row].probabilities == pytest.approx(by_label, abs=1e-6)
    if kind == "single":
        assert ours.y_pred.sum(axis=1).tolist() == [1, 1, 1]
    else:
        assert np.array_equal(ours.y_pred, ours.y_prob >= 0.5)


def test_without_data_nothing_is_fitted_and_the_files_say_so(foreign: Foreign, layout: Layout) -> None:
    checkpoint = import_model(str(foreign()), layout=layout)
    written = json.loads((checkpoint.path / "thresholds.json").read_text(encoding="utf-8"))
    assert (written["fitted_on"], written["rule"]) == ("none", "fixed_0.5")
    assert set(written["per_label"].values()) == {0.5}
    manifest = json.loads((checkpoint.path / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["origin"] == "imported"
    assert manifest["parents"]["base_model"]["sha256"]
    assert not (checkpoint.path / "metrics.json").exists()
    assert isinstance(checkpoint.rules, Thresholds)
    with pytest.raises(NoScoresError, match="was imported without data"):
        _ = checkpoint.metrics
    with pytest.raises(NoScoresError, match="goemo evaluate"):
        require_predictions(checkpoint, "test", layout)
    assert problems(layout) == []
    for command in (["runs", "list"], ["runs", "show", "@latest"], ["lineage", "@latest"]):
        done = run(layout.root, *command)
        assert done.exit_code == 0, (command, done.output)
    for command in (
        ["report", "@latest"],
        ["tune", "-c", "@latest"],
        ["export-predictions", "-c", "@latest"],
    ):
        done = run(layout.root, *command)
        assert (done.exit_code, "Traceback" in done.output) == (4, False), (command, done.output)


def test_with_data_thresholds_are_fitted_on_val_and_test_is_scored(
    foreign: Foreign, data: Path, layout: Layout
) -> None:
    checkpoint = import_model(str(foreign()), layout=layout, data={"name": str(data)})
    written = json.loads((checkpoint.path / "thresholds.json").read_text(encoding="utf-8"))
    assert written["fitted_on"] == "val"
    assert written["rule"] in RULES
    assert checkpoint.metrics.data.sizes.test
    assert (checkpoint.metrics.history, checkpoint.metrics.best_epoch) == ([], None)
    card = (checkpoint.path / "README.md").read_text(encoding="utf-8")
    assert "imported by goemo and scored on data" in card
    assert "goemo import" in card
    assert problems(layout) == []
    root = layout.root
    for command in ("export-predictions -c @latest --split test", "tune -c @latest --rule global", "report"):
        done = run(root, *command.split())
        assert done.exit_code == 0, (command, done.output)
    assert open_run("@latest", layout).manifest.origin == "imported"
    assert problems(layout) == []


def test_a_run_of_goemo_without_its_own_files_gives_the_same_bytes(
    two_runs: Path, small_data: Path, layout: Layout
) -> None:
    trained = open_run("@tiny", Layout(two_runs))
    folder = layout.root / "plain"
    folder.mkdir()
    for path in trained.path.iterdir():
        if path.name in ("config.json", "model.safetensors") or path.stem.startswith(
            ("tokenizer", "special")
        ):
            (folder / path.name).write_bytes(path.read_bytes())
    length = trained.config.model.max_length
    imported = import_model(str(folder), layout=layout, data={"name": str(small_data)}, max_length=length)
    for split in ("val", "test"):
        ours, theirs = (
            where.split_predictions(one.run, split).read_bytes()
            for where, one in ((layout, imported), (Layout(two_runs), trained))
        )
        assert ours == theirs
    assert imported.metrics.test == trained.metrics.test
    assert imported.rules.rule == trained.rules.rule


def test_a_model_folder_is_imported_once_where_a_run_is_expected(
    foreign: Foreign, data: Path, layout: Layout
) -> None:
    folder, root = str(foreign()), layout.root
    for command in (
        ["predict", "so happy", "-c", folder],
        ["explain", "so happy", "-c", folder, "--method", "occlusion"],
        ["evaluate", folder, "--data", str(data)],
    ):
        done = run(root, *command)
        assert done.exit_code == 0, (command, done.output)
    assert len([*layout.checkpoints()]) == 1
    assert open_model(folder, layout).is_unscored
    assert problems(layout) == []
    done = run(root, "runs", "show", folder)
    assert done.exit_code == 4
    assert "goemo import" in done.output


def test_export_of_a_model_with_the_labels_of_goemotions(
    foreign: Foreign, layout: Layout, goemotions_folder: Path
) -> None:
    folder = foreign(labels=EMOTIONS[::-1])  # the order of its labels is its own
    done = run(layout.root, "export-predictions", "-c", str(folder), "--data-dir", str(goemotions_folder))
    assert done.exit_code == 0, done.output
    done = run(layout.root, "errors", "@latest", "--json")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}}, {}, "--labels-file"),
        ({"id2label": {"0": "joy", "1": "joy", "2": "fear"}}, {}, "a label twice"),
        ({"problem_type": "regression"}, {}, "needs a classifier"),
        ({"architectures": ["BertModel"], "id2label": {"0": "a", "1": "b"}}, {}, "no classifier for 2"),
        ({}, {"data": {"labels_file": "two.txt"}}, "has 3 outputs, not 2"),
    ],
)
def test_models_that_cannot_be_used_are_refused(
    foreign: Foreign, layout: Layout, config: Any, options: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = foreign(**config)
    (folder / "two.txt").write_text("a\nb\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    with pytest.raises(ModelFolderError, match=message):
        import_model(str(folder), layout=layout, **options)
    assert not [*layout.checkpoints()]


def test_names_from_a_file_and_a_config_that_does_not_say_how_many_labels(
    foreign: Foreign, layout: Layout, tmp_path: Path
) -> None:
    folder = foreign(id2label=None, label2id=None, problem_type=None, num_labels=3)
    names = tmp_path / "names.txt"
    names.write_text("x\ny\nz\n", encoding="utf-8")
    done = run(layout.root, "import", str(folder), "--labels-file", str(names))
    assert done.exit_code == 0, done.output
    assert "--multi-label" in done.output
    checkpoint = open_run("@latest", layout)
    assert (checkpoint.labels, checkpoint.rules.is_single_label) == (("x", "y", "z"), True)
    done = run(layout.root, "import", str(folder), "--labels-file", str(names), "--multi-label")
    assert done.exit_code == 0, done.output
    assert not open_run("@latest", layout).rules.is_single_label
    with pytest.raises(SettingError, match="already"):
        import_model(str(checkpoint.path), layout=layout)


def test_data_with_other_labels_writes_nothing(foreign: Foreign, data: Path, layout: Layout) -> None:
    folder = foreign(labels=("joy", "fear"))
    with pytest.raises(GoemoError, match="does not have the labels 'anger', 'sadness'"):
        import_model(str(folder), layout=layout, data={"name": str(data)})
    assert not [*layout.checkpoints()]


@pytest.fixture
def hub(foreign: Foreign) -> Iterator[Hub]:
    server = Hub(foreign("repository"))
    yield server
    server.shutdown()
    server.server_close()


def test_a_model_of_the_hub(
    hub: Hub, tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_this_hub(monkeypatch, hub.server_address[1], tmp_path / "cache")
    predict = ["predict", "so happy", "-c", "org/tiny", "--json"]
    monkeypatch.setenv("GOEMO_OFFLINE", "1")
    offline = run(layout.root, *predict)
    assert (offline.exit_code, "the network is switched off" in offline.stderr) == (7, True), offline.output
    assert "unset GOEMO_OFFLINE" in offline.stderr
    monkeypatch.delenv("GOEMO_OFFLINE")
    first = run(layout.root, *predict)
    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout)["run"].startswith("tiny-")
    monkeypatch.setenv("GOEMO_OFFLINE", "1")
    assert run(layout.root, *predict).stdout == first.stdout
    monkeypatch.delenv("GOEMO_OFFLINE")
    unknown = run(layout.root, "import", "org/other")
    assert (unknown.exit_code, "does not exist on the Hub" in unknown.stderr) == (4, True), unknown.output
