"""Single-label data: each text has exactly one label, and the most probable one is predicted."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss

from goemo_cli.core.arrays import FloatArray, IntArray
from goemo_cli.core.checkpoint import CARD, Checkpoint
from goemo_cli.core.errors import DataError, SettingError
from goemo_cli.core.events import Event, Info, Warning
from goemo_cli.core.files import read_json_object
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions
from goemo_cli.core.settings import TrainConfig
from goemo_cli.services.evaluation.calibrate import calibrate
from goemo_cli.services.evaluation.explain import explain
from goemo_cli.services.evaluation.export import export_predictions
from goemo_cli.services.evaluation.tune import tune_run
from goemo_cli.services.figures.draw import draw_figures
from goemo_cli.services.predicting.predictor import Predictor
from goemo_cli.services.training.seeds import train_seeds
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.train import read_data, train, training_data
from goemo_cli.services.validation import validate_artifacts
from goemo_cli.tracking.base import Tracker
from tests.generated_texts import support_tickets, write_rows

PROBES = ["please refund order 77", "the app does not start", "where is my parcel", ""]


class Runs(NamedTuple):
    layout: Layout
    data: Path
    runs: dict[str, Checkpoint]


def settings(data: Path, model: str, *overrides: str) -> TrainConfig:
    flags = {"model.name": model, "data.name": str(data), "data.single_label": True}
    return resolve_settings(None, flags, overrides)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """A tfidf run, and two seeds of the tiny model with their ensemble, on texts with one label each."""
    root = tmp_path_factory.mktemp("single")
    data, layout = root / "tickets.csv", Layout(root)
    write_rows(data, [(text, names[:1]) for text, names in support_tickets(400) if names])
    tiny = settings(data, "tiny", "training.epochs=2", "training.learning_rate=1e-2")
    group = train_seeds(tiny, 2, layout=layout, open_tracker=lambda *_: Tracker())
    tfidf = train(settings(data, "tfidf"), layout=layout)
    return Runs(layout, data, {"tfidf": tfidf, "tiny": group.runs[0], "ensemble": group.ensemble})


def positions(labels: np.ndarray) -> IntArray:
    assert (labels.sum(axis=1) == 1).all()
    found: IntArray = labels.argmax(axis=1)
    return found


def loss(gold: IntArray, y_prob: FloatArray) -> float:
    """scikit-learn's log loss; rows of float32 are brought to a sum of exactly 1 first."""
    exact = y_prob.astype(np.float64)
    return float(log_loss(gold, exact / exact.sum(axis=1, keepdims=True), labels=range(y_prob.shape[1])))


@pytest.mark.parametrize("kind", ["tfidf", "tiny", "ensemble"])
def test_scores_are_those_of_scikit_learn(trained: Runs, kind: str) -> None:
    run = trained.runs[kind]
    written = read_predictions(trained.layout.split_predictions(run.run, "test"))
    gold, predicted = positions(written.y_true), positions(written.y_pred)
    assert (predicted == written.y_prob.argmax(axis=1)).all()
    assert written.y_prob.sum(axis=1) == pytest.approx(1, abs=1e-5)
    scores = run.metrics.test_rule
    assert run.metrics.threshold_rule == run.rules.rule == "argmax"
    assert scores.accuracy == scores.subset_accuracy == pytest.approx(accuracy_score(gold, predicted))
    assert scores.f1_macro == pytest.approx(
        f1_score(gold, predicted, average="macro", labels=range(len(run.labels)), zero_division=0)
    )
    matrix = confusion_matrix(gold, predicted, labels=range(len(run.labels)))
    assert run.metrics.confusion_matrix == matrix.tolist()


def test_val_loss_is_the_log_loss_of_the_rows(trained: Runs) -> None:
    run = trained.runs["tfidf"]
    val = read_predictions(trained.layout.split_predictions(run.run, "val"))
    wanted = loss(positions(val.y_true), val.y_prob)
    assert run.metrics.history[0].val_loss == pytest.approx(wanted, rel=1e-5)


def test_transformers_predicts_the_same_label_with_the_same_probability(trained: Runs) -> None:
    from transformers import pipeline

    run = trained.runs["tiny"]
    assert read_json_object(run.path / "config.json")["problem_type"] == "single_label_classification"
    classify = pipeline("text-classification", model=str(run.path), truncation=True, max_length=64)
    ours = Predictor.load(run).predict(PROBES)
    for row, theirs in enumerate(classify(PROBES)):
        assert ours.label_names(row) == (theirs["label"],)
        assert float(ours.y_prob[row].max()) == pytest.approx(theirs["score"], abs=1e-5)
    assert "single-label" in (run.path / CARD).read_text("utf-8")


@pytest.mark.parametrize("kind", ["tfidf", "tiny"])
def test_one_temperature_keeps_the_labels_and_lowers_the_loss(
    trained: Runs, kind: str, tmp_path: Path
) -> None:
    run = trained.runs[kind]
    result = calibrate(run, layout=trained.layout)
    assert len(set(result.found.calibrator.slope.tolist())) == 1
    val = read_predictions(trained.layout.split_predictions(run.run, "val"))
    gold, after = positions(val.y_true), result.found.calibrator.apply(val.y_prob)
    assert after.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert loss(gold, after) <= loss(gold, val.y_prob) + 1e-6
    run = Checkpoint.open(run.path)
    exported = export_predictions(run, layout=trained.layout, calibrated=True, output=tmp_path)
    plain = read_predictions(trained.layout.split_predictions(run.run, "test"))
    assert (read_predictions(exported.paths["test"]).y_pred == plain.y_pred).all()
    with pytest.raises(SettingError, match="one temperature"):
        calibrate(run, layout=trained.layout, method="platt")


def test_there_are_no_thresholds_to_tune_to_draw_or_to_explain_with(trained: Runs) -> None:
    run = trained.runs["tfidf"]
    with pytest.raises(SettingError, match="no thresholds, so there is nothing to tune"):
        tune_run(run, run.config.thresholds, layout=trained.layout)
    with pytest.raises(SettingError, match="no thresholds"):
        Predictor.load(run, threshold_rule="per_label")
    with pytest.raises(SettingError, match="top_k=2"):
        Predictor.load(run, top_k=2)
    explained = explain(PROBES[0], checkpoint=run).labels
    assert [one.is_predicted for one in explained] == [True]
    assert explained[0].threshold is None
    drawn = draw_figures(trained.layout, runs=[run.run], only=["11", "16"])
    assert [name for name, _ in drawn.skipped] == ["11_threshold_macro"]


def test_validate_finds_a_changed_confusion_matrix(trained: Runs) -> None:
    assert validate_artifacts(trained.layout).problems == []
    run = trained.runs["ensemble"]
    path = run.path / "metrics.json"
    before = path.read_bytes()
    path.write_bytes(
        before.replace(b'"confusion_matrix": [\n    [\n', b'"confusion_matrix": [\n    [\n      7,\n')
    )
    found = [str(problem) for problem in validate_artifacts(trained.layout).problems]
    path.write_bytes(before)
    assert any("confusion_matrix" in problem for problem in found)


def test_single_label_is_proposed_and_other_data_is_refused(trained: Runs, tmp_path: Path) -> None:
    said: list[Event] = []
    plain = resolve_settings(None, {"model.name": "tfidf", "data.name": str(trained.data)})
    training_data(plain, read_data(plain, trained.layout, said.append), said.append)
    assert [event.message for event in said if isinstance(event, Info) and "--single-label" in event.message]
    joined = tmp_path / "joined.csv"
    write_rows(joined, [(f"text {i} of many", [("a", "b", "a|b")[i % 3]]) for i in range(60)])
    said.clear()
    of_joined = resolve_settings(None, {"model.name": "tfidf", "data.name": str(joined)})
    training_data(of_joined, read_data(of_joined, trained.layout, said.append), said.append)
    assert any("--label-separator" in event.message for event in said if isinstance(event, Warning))
    assert not any("--single-label" in event.message for event in said if isinstance(event, Info))
    several = tmp_path / "several.csv"
    write_rows(several, [(f"text {i} of many", ["a", "b"][: 1 + (i == 5)]) for i in range(60)])
    single = settings(several, "tfidf")
    data = read_data(single, trained.layout, said.append)
    with pytest.raises(DataError, match="do not have exactly one label"):
        training_data(single, data, said.append)


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("training.loss=focal", "cross_entropy is the loss of single-label data"),
        ("thresholds.top_k=1", "thresholds.top_k has no effect with data.single_label"),
    ],
)
def test_settings_of_multi_label_data_are_refused(tmp_path: Path, override: str, reason: str) -> None:
    with pytest.raises(SettingError, match=reason):
        settings(tmp_path, "tfidf", override)
