"""Training on from a run: what continues, what is new, what is recorded, what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import (
    CheckpointNotFoundError,
    CorruptArtifactError,
    RunNotFoundError,
    SettingError,
)
from goemo_cli.core.events import Event, Info, Warning
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions
from goemo_cli.core.settings import TrainConfig
from goemo_cli.services.runs.lineage import trace_lineage
from goemo_cli.services.training.dry_run import plan_training
from goemo_cli.services.training.settings import model_folder, resolve_settings
from goemo_cli.services.training.train import train
from goemo_cli.services.validation import validate_artifacts
from tests.generated_texts import german_emotions, write_rows


def settings(model: str, layout: Layout, *overrides: str, data: str = "german.csv") -> TrainConfig:
    flags = {"model.name": model, "data.name": str(layout.root / data)}
    return resolve_settings(None, flags, ["training.epochs=1", *overrides], layout=layout)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Layout, Checkpoint]:
    """A root with German texts and a run on them, trained on length 24."""
    layout = Layout(tmp_path_factory.mktemp("fine_tuning"))
    rows = german_emotions(300)
    write_rows(layout.root / "german.csv", rows)
    other = [(text, ["Stolz" if name == "Ekel" else name for name in names]) for text, names in rows]
    write_rows(layout.root / "other.csv", other)
    own = ("model.max_length=24", "model.pooling=mean")
    return layout, train(settings("tiny", layout, *own), layout=layout)


@pytest.fixture(scope="module")
def child(parent: tuple[Layout, Checkpoint]) -> tuple[Checkpoint, list[Event]]:
    """The same run trained on at a rate that changes nothing."""
    layout, _ = parent
    said: list[Event] = []
    return train(settings("@tiny", layout, "training.lr=1e-12"), layout=layout, on_event=said.append), said


def test_with_the_same_labels_training_goes_on(
    parent: tuple[Layout, Checkpoint], child: tuple[Checkpoint, list[Event]]
):
    layout, first = parent
    second, said = child
    before, after = (read_predictions(layout.split_predictions(one.run, "test")) for one in (first, second))
    np.testing.assert_allclose(after.y_prob, before.y_prob, atol=1e-6)
    assert Info("Classifier: 11 of 11 label heads reused") in said
    assert (second.config.model.max_length, second.config.model.pooling) == (24, "mean")
    assert json.loads((second.path / "config.json").read_text())["mean_layer"]


def test_weights_of_a_mean_layer_are_trained_on_without_the_setting(
    parent: tuple[Layout, Checkpoint], tmp_path: Path
):
    layout, first = parent
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(first.path / name, tmp_path)
    run = train(settings(str(tmp_path), layout, "training.lr=1e-12"), layout=layout)
    assert run.config.model.pooling is None
    assert json.loads((run.path / "config.json").read_text())["mean_layer"]
    before, after = (read_predictions(layout.split_predictions(one.run, "test")) for one in (first, run))
    np.testing.assert_allclose(after.y_prob, before.y_prob, atol=1e-6)


def test_the_run_is_named_after_the_model_and_records_its_parent(
    parent: tuple[Layout, Checkpoint], child: tuple[Checkpoint, list[Event]]
):
    layout, first = parent
    second, _ = child
    assert (second.run.model, second.path.parent.name) == ("tiny", "tiny")
    weights = first.manifest.files["model.safetensors"].sha256
    base = {"kind": "transformer", "id": str(first.run), "revision": None, "sha256": weights, "origin": "run"}
    assert second.metrics.base_model == second.manifest.parents.base_model == base
    assert validate_artifacts(layout).ok


def test_lineage_shows_parent_and_child(
    parent: tuple[Layout, Checkpoint], child: tuple[Checkpoint, list[Event]]
):
    layout, first = parent
    up = trace_lineage(child[0], layout=layout)
    down = trace_lineage(first, layout=layout)
    assert [node.name for node in up.nodes if node.kind == "parent run"] == [str(first.run)]
    assert [node.name for node in down.nodes if node.kind == "child run"] == [str(child[0].run)]
    assert up.faulty == down.faulty == ()


def test_its_config_repeats_it(parent: tuple[Layout, Checkpoint], child: tuple[Checkpoint, list[Event]]):
    """@tiny means another run by then, so the folder is what is written."""
    config = child[0].config
    assert Path(config.model.name) == parent[1].path
    assert TrainConfig.of_run(child[0].path / "train_config.yaml")[0] == config


def test_labels_in_common_go_on_and_others_are_new(parent: tuple[Layout, Checkpoint]):
    layout, first = parent
    said: list[Event] = []
    config = settings(str(first.run), layout, data="other.csv")
    result = train(config, layout=layout, on_event=said.append)
    assert "Stolz" in result.labels
    assert Info("Classifier: 10 of 11 label heads reused, new: Stolz") in said
    assert trace_lineage(result, layout=layout).faulty == ()  # other data is no fault of a parent


def test_a_new_head_of_weights_without_a_classifier_is_a_warning(
    parent: tuple[Layout, Checkpoint], tmp_path: Path
):
    layout, run = parent
    warned = []
    for name, is_left_out in (("encoder", "classifier."), ("whole", "nothing.")):
        folder = tmp_path / name
        shutil.copytree(run.path, folder, ignore=shutil.ignore_patterns("manifest.json", "pytorch_model.bin"))
        tensors = load_file(folder / "model.safetensors")
        kept = {key: value for key, value in tensors.items() if not key.startswith(is_left_out)}
        save_file(kept, folder / "model.safetensors", {"format": "pt"})
        said: list[Event] = []
        config = settings(str(folder), layout, "model.new_head=true")
        plan_training(config, layout=layout, on_event=said.append)
        warned.append(
            [event.message for event in said if isinstance(event, Warning) and "new_head" in event.message]
        )
    assert warned == [["model.new_head has no effect: the weights have no classifier"], []]


def test_what_cannot_be_trained_on_is_refused(parent: tuple[Layout, Checkpoint], tmp_path: Path):
    layout, _ = parent
    with pytest.raises(RunNotFoundError, match="did you mean '@tiny'"):
        model_folder("@tinny", layout)
    with pytest.raises(RunNotFoundError, match="no run 'tiny-20200101-000000'"):
        model_folder("tiny-20200101-000000", layout)
    tfidf = train(settings("tfidf", layout), layout=Layout(tmp_path))
    with pytest.raises(SettingError, match="only transformers can be trained on"):
        settings(str(tfidf.path), layout)
    (layout.models / "tiny" / "tiny-20200101-000000").mkdir()
    with pytest.raises(CheckpointNotFoundError):
        model_folder("tiny-20200101-000000", layout)


def test_damaged_weights_are_refused(parent: tuple[Layout, Checkpoint], tmp_path: Path):
    layout, first = parent
    folder = tmp_path / first.path.name
    shutil.copytree(first.path, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert Checkpoint.open(folder).run == first.run
    with pytest.raises(CorruptArtifactError, match=r"model\.safetensors"):
        train(settings(str(folder), layout), layout=Layout(tmp_path / "root"))
    assert not (tmp_path / "root").exists()
