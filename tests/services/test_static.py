"""A run of the classifier of static token vectors, with the word embeddings of MiniLM."""

import json
from pathlib import Path

import pytest

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions
from goemo_cli.ml.models.classifier import load_classifier
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.train import train
from goemo_cli.services.validation import validate_artifacts


def trained(root: Path, model: str, *overrides: str) -> Checkpoint:
    flags = {"model.name": model, "data.name": "sample"}
    return train(resolve_settings(None, flags, overrides, layout=Layout(root)), layout=Layout(root))


@pytest.mark.slow
def test_a_static_run_is_better_than_tfidf_valid_and_can_be_trained_on(tmp_path: Path) -> None:
    static = trained(tmp_path, "static", "training.epochs=6")
    baseline = trained(tmp_path, "tfidf")
    assert static.kind == "static"
    assert static.metrics.base_model["id"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert not list(static.path.glob("*.bin"))
    assert (static.metrics.val.average_precision_macro or 0) > (
        baseline.metrics.val.average_precision_macro or 1
    )
    layout = Layout(tmp_path)
    val = read_predictions(layout.split_predictions(static.run, "val"))
    again = load_classifier(static).predict_proba(val.texts)
    assert again == pytest.approx(val.y_prob, abs=1e-6)
    more = trained(tmp_path, str(static.path), "training.epochs=1")
    assert more.kind == "static"
    assert json.loads((more.path / "config.json").read_text())["model_type"] == "goemo-static"
    report = validate_artifacts(layout)
    assert (report.problems, report.warnings) == ([], [])
