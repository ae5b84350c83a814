"""Runs from end to end with small models: what they leave behind, and what others can do with it."""

import gc
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import DataError, SettingError, StorageError
from goemo_cli.core.events import EpochEnded, Event, Info, PhaseStarted
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions
from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.system.variables import FROZEN_FOLDER
from goemo_cli.ml.models.transformer import TransformerClassifier
from goemo_cli.services.evaluation.export import export_predictions
from goemo_cli.services.evaluation.metrics import metrics_of_checkpoint, metrics_of_predictions
from goemo_cli.services.runs.locks import held
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.train import train
from goemo_cli.services.validation import validate_artifacts
from tests.metrics_documents import change_metrics


def settings(model: str, data: Path, *overrides: str) -> TrainConfig:
    return resolve_settings(None, {"model.name": model, "data.name": str(data)}, overrides)


@pytest.fixture(scope="module", params=["tiny", "tfidf"])
def finished(
    request: pytest.FixtureRequest, small_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Layout, Checkpoint]:
    """A finished run of each kind of model, with its root."""
    layout = Layout(tmp_path_factory.mktemp(request.param))
    return layout, train(settings(request.param, small_data), layout=layout)


def test_a_run_writes_every_file_of_the_contract(finished: tuple[Layout, Checkpoint]) -> None:
    layout, result = finished
    run, family = str(result.run), result.run.model
    stem = f"{family}_{result.run.stamp}"
    names = {path.name for path in (layout.models / family / run).iterdir()}
    assert {"metrics.json", "thresholds.json", "train_config.yaml", "README.md", "manifest.json"} <= names
    if family == "tiny":
        assert {"config.json", "pytorch_model.bin", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"} <= names  # fmt: skip
    expected = [
        layout.predictions / f"test_predictions_{stem}.csv",
        layout.predictions / f"val_predictions_{stem}.csv",
        *(
            layout.predictions / f"val_epoch{at}_predictions_{stem}.csv"
            for at in range(1, len(result.metrics.history) + 1)
        ),
        layout.stats / f"per_class_metrics_{stem}.csv",
        layout.stats / f"test_metrics_{family}.json",
        layout.stats / "metric_summary.csv",
        layout.stats / "per_emotion_scores.csv",
    ]
    assert [path for path in expected if not path.is_file()] == []


def test_a_finished_run_validates(finished: tuple[Layout, Checkpoint]) -> None:
    report = validate_artifacts(finished[0])
    assert report.problems == []
    assert report.warnings == []
    assert len(report.checks) > 40


def test_exports_repeat_what_training_wrote_to_the_byte(
    finished: tuple[Layout, Checkpoint], tmp_path: Path
) -> None:
    layout, result = finished
    exported = export_predictions(result, layout=layout, splits=("test", "val"), output=tmp_path)
    for split, path in exported.paths.items():
        assert path.read_bytes() == layout.split_predictions(result.run, split).read_bytes()
    table = layout.per_class_metrics(result.run).read_bytes()
    again = metrics_of_checkpoint(result, layout=layout, output=tmp_path / "a.csv")
    assert again.path.read_bytes() == table
    from_file = metrics_of_predictions(
        layout.split_predictions(result.run, "test"), layout=layout, output=tmp_path / "b.csv"
    )
    assert from_file.path.read_bytes() == table


def test_a_threshold_override_decides_the_labels(finished: tuple[Layout, Checkpoint], tmp_path: Path) -> None:
    layout, result = finished
    said: list[Event] = []
    exported = export_predictions(
        result, layout=layout, threshold=0.05, output=tmp_path, on_event=said.append
    )
    predictions = read_predictions(exported.paths["test"])
    np.testing.assert_array_equal(predictions.y_pred, predictions.y_prob.astype(np.float64) >= 0.05)
    assert any("0.05" in str(event) for event in said)


def test_the_written_config_repeats_the_run(finished: tuple[Layout, Checkpoint], tmp_path: Path) -> None:
    layout, result = finished
    again = train(TrainConfig.of_run(result.path / "train_config.yaml")[0], layout=Layout(tmp_path))
    repeated = Layout(tmp_path).split_predictions(again.run, "test")
    assert repeated.read_bytes() == layout.split_predictions(result.run, "test").read_bytes()
    assert again.metrics.test == result.metrics.test


def test_best_epoch_predictions_are_the_final_val_predictions(finished: tuple[Layout, Checkpoint]) -> None:
    layout, result = finished
    best = read_predictions(layout.epoch_predictions(result.run, result.metrics.best_epoch or 0))
    final = read_predictions(layout.split_predictions(result.run, "val"))
    np.testing.assert_array_equal(best.y_prob, final.y_prob)


def test_metrics_hold_no_nan_and_the_card_shows_their_numbers(finished: tuple[Layout, Checkpoint]) -> None:
    _, result = finished
    text = (result.path / "metrics.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda name: pytest.fail(name))
    card = (result.path / "README.md").read_text(encoding="utf-8")
    for rule in ("fixed_0.5", "fixed_0.3", "global", "per_label"):
        assert f"{result.metrics.test.rule(rule).f1_macro:.3f} (" in card


def test_scoring_on_other_data_is_refused(finished: tuple[Layout, Checkpoint], tmp_path: Path) -> None:
    layout, result = finished
    odd = Checkpoint(result.path, result.run, result.manifest)
    change_metrics(odd, lambda it: it["data"]["split_sha256"].update(test="0" * 64))
    with pytest.raises(DataError, match="test split is not the one"):
        export_predictions(odd, layout=layout, output=tmp_path)


def test_a_full_disk_is_noticed_before_training(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=10, used=9, free=1))
    with pytest.raises(StorageError, match="MiB free"):
        train(settings("tiny", small_data), layout=Layout(tmp_path))


def test_early_stopping_and_events(small_data: Path, tmp_path: Path) -> None:
    said: list[Event] = []
    stopping = ("training.early_stopping.patience=1", "training.early_stopping.min_delta=0.5")
    config = settings("tiny", small_data, "training.epochs=6", *stopping)
    result = train(config, layout=Layout(tmp_path), on_event=said.append)
    epochs = [event for event in said if isinstance(event, EpochEnded)]
    assert len(epochs) == 2
    assert [event.is_best for event in epochs] == [True, False]
    assert result.metrics.best_epoch == 1


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["bin", "safetensors"])
def test_weights_can_be_one_file_only(small_data: Path, tmp_path: Path, weights: str) -> None:
    layout = Layout(tmp_path)
    config = settings("tiny", small_data, "training.epochs=1", f"output.weights={weights}")
    result = train(config, layout=layout)
    files = {path.name for path in result.path.iterdir()} & {"pytorch_model.bin", "model.safetensors"}
    assert files == {"pytorch_model.bin" if weights == "bin" else "model.safetensors"}
    assert export_predictions(result, layout=layout, output=tmp_path).rows["test"] == 30
    assert validate_artifacts(layout).ok


def test_the_empty_folder_of_a_killed_training_is_removed_by_the_next(
    small_data: Path, tmp_path: Path
) -> None:
    layout = Layout(tmp_path)
    killed, held_now = (layout.models / "tfidf" / f"tfidf-20260101-00000{i}" for i in range(2))
    for folder in (killed, held_now):
        folder.mkdir(parents=True)
    with held(held_now, "goemo train"):
        train(settings("tfidf", small_data), layout=layout)
        assert not killed.exists()
        assert held_now.exists()


def test_the_trained_model_is_freed_before_the_saved_one_is_loaded(small_data: Path, tmp_path: Path) -> None:
    def alive() -> int:
        gc.collect()
        return sum(type(thing) is TransformerClassifier for thing in gc.get_objects())

    before, seen = alive(), list[int]()

    def handle(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.name == "Loading the saved model":
            seen.append(alive())

    train(settings("tiny", small_data, "training.epochs=1"), layout=Layout(tmp_path), on_event=handle)
    assert seen == [before]


def test_trainings_of_a_sweep_share_what_their_frozen_layers_give(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(FROZEN_FOLDER, str(tmp_path / "shared"))
    losses = []
    for learning_rate in (1e-3, 1e-2):
        frozen = ("training.epochs=2", "training.frozen_layers=1", f"training.learning_rate={learning_rate}")
        run = train(settings("tiny", small_data, *frozen), layout=Layout(tmp_path))
        losses.append(run.metrics.history[-1].train_loss)
    assert losses[1] != losses[0]
    (shared,) = (tmp_path / "shared").iterdir()
    assert shared.stat().st_size > 64 * 2 * 2


def test_the_last_layer_cannot_be_frozen(small_data: Path, tmp_path: Path):
    with pytest.raises(SettingError, match="frozen_layers is 2; the model has 2 layers"):
        train(settings("tiny", small_data, "training.frozen_layers=2"), layout=Layout(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_is_between_the_defaults_of_the_model_and_the_settings_of_the_user(tmp_path: Path):
    file = tmp_path / "config.yaml"
    file.write_text("training: {recipe: fast, frozen_layers: 2}\n")
    best, fast = (resolve_settings(source, {"training.seed": 1}).training for source in (None, file))
    assert (best.recipe, best.frozen_layers) == ("best", 3)
    assert (fast.frozen_layers, fast.seed, fast.head_multiplier) == (2, 1, best.head_multiplier)
    assert resolve_settings(None, {"training.recipe": "fast"}).training.frozen_layers == 4
    assert resolve_settings(file, {}, ["training.epochs=9"]).training.epochs == 9
    with pytest.raises(
        SettingError, match=r"training\.recipe: tiny has no recipe fast; models with it: minilm"
    ):
        resolve_settings(file, {"model.name": "tiny"})


def test_a_run_says_what_the_label_names_say_about_its_texts(small_data: Path, tmp_path: Path) -> None:
    said: list[Event] = []
    more = ("training.epochs=1", "model.pooling=mean", "training.label_template=so {}")
    config = settings("tiny", small_data, *more)
    result = train(config, layout=Layout(tmp_path), on_event=said.append)
    assert any(
        isinstance(event, Info)
        and event.message.startswith("Classifier starts at the label names: loss on train 0.")
        for event in said
    )
    assert result.config.training.label_template == "so {}"
