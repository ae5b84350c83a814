"""Models by name: every kind of name, what comes back, what is refused."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import goemo_cli
from goemo_cli.core.catalogue import catalogue
from goemo_cli.core.errors import (
    NoRunError,
    SettingError,
    UnknownSettingError,
)
from goemo_cli.core.events import Event, Info
from goemo_cli.core.layout import Layout
from goemo_cli.ml.models.transformer import TransformerClassifier
from goemo_cli.services.runs.references import open_run
from goemo_cli.services.training.model_factory import CreatedModel, create_model
from goemo_cli.tracking import LoggerConfig, TrackingWarning


@pytest.fixture(scope="module")
def model() -> CreatedModel:
    return create_model("tiny", labels=["x", "y"], max_length=16)


def test_a_catalogue_name_gives_a_classifier_ready_to_predict_and_to_train(model: CreatedModel):
    assert isinstance(model, TransformerClassifier)
    assert (model.name, model.labels, model.max_length) == ("tiny", ("x", "y"), 16)
    y_prob = model.predict_proba(["so happy", "angry"])
    assert y_prob.shape == (2, 2)
    assert y_prob.dtype == np.float32
    assert not model.model.training
    assert model.training["learning_rate"] == catalogue()["tiny"].defaults["training"]["learning_rate"]
    assert (model.base, model.logger) == ({"kind": "tiny"}, None)


def test_programs_find_it_at_the_top():
    assert goemo_cli.create_model is create_model
    assert set(goemo_cli.__all__) >= {"Predictor", "create_model"}


@pytest.mark.parametrize("reference", ["@latest", "@tiny", "NAME", "FOLDER"])
def test_a_run_is_a_model_that_goes_on(tiny_root: Path, reference: str):
    root, result = tiny_root, open_run("@latest", Layout(tiny_root))
    named = {"NAME": str(result.run), "FOLDER": str(result.path)}.get(reference, reference)
    said: list[Event] = []
    model = create_model(named, root=root, on_event=said.append)
    assert (model.name, model.base["id"], model.base["origin"]) == ("tiny", str(result.run), "run")
    assert model.continued == result.labels
    assert Info("Classifier: 28 of 28 label heads reused") in said


def test_a_missing_tracker_falls_back_with_one_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_MODE", "online")  # and no key
    monkeypatch.setenv(
        "WANDB_SERVICE", ""
    )  # the SDK sets it: processes of later tests shall not join its service
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TrackingWarning)
        model = create_model("tiny", labels=["x", "y"], tracking=LoggerConfig(project="mood"), root=tmp_path)
        assert model.logger is not None
        with model.logger as logger:
            logger.on_step_end(1, {"train/loss": 0.5})
            logger.on_epoch_end(1, {"val/f1_macro": 0.5})
    assert len([one for one in caught if one.category is TrackingWarning]) == 1
    assert list((tmp_path / "artifacts" / "registry").rglob("*.json*"))


def test_tracking_records_the_settings_and_the_model_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    model = create_model("tiny", labels=["x", "y"], max_length=16, tracking="mood", root=tmp_path)
    assert model.logger is not None
    assert model.artifact is not None
    manager = model.logger.manager
    record = json.loads((manager.registry.folder / "runs" / (manager.run_id or "") / "run.json").read_text())
    assert (record["project"], record["config"]["labels"]) == ("mood", ["x", "y"])
    assert record["config"]["model"]["max_length"] == 16
    assert record["config"]["training"]["learning_rate"] == model.training["learning_rate"]

    manager.registry.fetch(model.artifact.reference, tmp_path / "out")
    again = create_model(str(tmp_path / "out"), labels=["x", "y"], max_length=16)
    assert (again.continued, model.artifact.type) == (("x", "y"), "model")
    assert np.array_equal(again.predict_proba(["so happy"]), model.predict_proba(["so happy"]))

    with model.logger as logger:
        logger.on_step_end(1, {"train/loss": 0.5})
        trained = logger.manager.save_model_artifact(model, "trained", parents=[model.artifact.reference])
    assert manager.registry.parents(manager.registry.get(trained.reference)) == ("tiny-model:v0",)
    assert len(list((manager.registry.folder / "runs").iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "settings", "error", "said"),
    [
        ("@latest", {}, NoRunError, "no finished run"),
        ("tfidf", {}, SettingError, "before it is fitted"),
        ("tiny", {"max_lenght": 3}, UnknownSettingError, "max_length"),
        ("tiny", {"labels": []}, SettingError, "labels are"),
        ("tiny", {"labels": ["a", "a"]}, SettingError, "labels are"),
        ("tiny", {"labels": "joy"}, SettingError, "labels are"),
    ],
)
def test_what_cannot_be_made_is_said(
    tmp_path: Path, name: str, settings: dict[str, Any], error: type[Exception], said: str
):
    with pytest.raises(error, match=said):
        create_model(name, root=tmp_path, **settings)


def test_a_single_label_model_predicts_one_label():
    model = create_model("tiny", labels=["x", "y", "z"], single_label=True)
    assert model.model.config.problem_type == "single_label_classification"
    assert model.predict_proba(["so happy", "angry"]).sum(axis=1) == pytest.approx([1, 1], abs=1e-6)
