"""The settings of a training on few texts: when they differ from the catalogue's, and that a run keeps them."""

from pathlib import Path

import pytest

from goemo_cli.core.events import Event, Info, Warning
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import TrainConfig
from goemo_cli.services.training.dry_run import plan_training
from goemo_cli.services.training.seeds import train_seeds
from goemo_cli.services.training.settings import enough_texts, for_few_texts, resolve_settings
from goemo_cli.services.training.train import train
from goemo_cli.tracking.base import Tracker

NAMED = [
    ["training.epochs=4"],
    ["training.learning_rate=2e-4"],
    ["training.recipe=fast"],
    ["model.name=tiny"],
    ["model.name=roberta-base"],
]


def chosen(n_texts: int, *overrides: str) -> tuple[int, int, float, int, int | None]:
    training = for_few_texts(resolve_settings(None, {}, overrides), n_texts).training
    return (
        training.epochs,
        training.batch_size,
        training.learning_rate,
        training.frozen_layers,
        training.early_stopping.patience,
    )


@pytest.mark.parametrize(
    ("n_texts", "overrides", "expected"),
    [
        (43_410, [], (2, 32, 4e-4, 3, 2)),
        (8_000, [], (2, 32, 4e-4, 3, 2)),
        (7_999, [], (2, 8, 2e-4, 3, None)),
        (2_000, [], (2, 8, 2e-4, 3, None)),
        (1_999, [], (2, 8, 1e-4, 0, None)),
        (1_000, [], (4, 8, 1e-4, 0, None)),  # 125 steps in an epoch
        (300, [], (8, 8, 1e-4, 0, None)),
        (100, [], (8, 8, 1e-4, 0, None)),
        (1, [], (8, 8, 1e-4, 0, None)),
        (300, ["training.batch_size=16"], (8, 16, 4e-4, 0, None)),
        (300, ["training.accumulation=16"], (8, 32, 4e-4, 0, None)),
        (300, ["training.frozen_layers=2"], (8, 8, 1e-4, 2, None)),
        (300, ["training.early_stopping.patience=3"], (8, 8, 1e-4, 0, 3)),
    ],
)
def test_few_texts_are_trained_for_enough_steps(
    n_texts: int, overrides: list[str], expected: tuple[int, int, float, int, int | None]
) -> None:
    assert chosen(n_texts, *overrides) == expected


@pytest.mark.parametrize("overrides", NAMED)
def test_settings_that_are_named_stay(overrides: list[str]) -> None:
    config = resolve_settings(None, {}, overrides)
    assert for_few_texts(config, 100) == config
    assert enough_texts(config) is None


@pytest.mark.parametrize("model", ["minilm", "static"])
def test_the_border_is_the_number_that_is_printed(model: str) -> None:
    config = resolve_settings(None, {"model.name": model})
    border = enough_texts(config) or 0
    said: list[Event] = []
    assert for_few_texts(config, border, said.append) == config
    assert said == []
    few = for_few_texts(config, border - 1, said.append)
    assert few.training.early_stopping.patience is None
    assert [type(event) for event in said] == [Info]
    again = TrainConfig.from_layers(("train_config.yaml", few.model_dump(mode="json")))
    assert for_few_texts(again, 10) == again == few


def test_a_setting_that_few_texts_leave_without_effect_is_named_once() -> None:
    config = resolve_settings(None, {}, ["training.frozen_cache=off", "training.batch_size=16"])
    said: dict[int, list[str]] = {}
    for n_texts in (300, 3_000, 30_000):
        events: list[Event] = []
        few = for_few_texts(config, n_texts, events.append)
        again = TrainConfig.from_layers(("train_config.yaml", few.model_dump(mode="json")))
        for_few_texts(again, n_texts, events.append)
        said[n_texts] = [event.message for event in events if isinstance(event, Warning)]
    no_effect = "training.frozen_cache has no effect with training.frozen_layers=0"
    assert said == {300: [no_effect], 3_000: [], 30_000: []}


@pytest.mark.slow
def test_processes_and_plans_have_the_same_settings_and_runs_keep_them(tmp_path: Path) -> None:
    flags = {"model.name": "static", "data.name": "sample", "data.max_train_samples": 40}
    fast = ["training.save_every_minutes=0", "output.epoch_predictions=false"]
    config, layout = resolve_settings(None, flags, fast), Layout(tmp_path)
    expected = plan_training(config, layout=layout).config
    assert expected.training.epochs > config.training.epochs
    alone = train(config, layout=layout)
    group = train_seeds(config, 2, layout=layout, open_tracker=lambda *_: Tracker(), workers=2)
    for run in (alone, *group.runs, group.ensemble):
        seed = run.config.training.seed
        assert run.config.training == expected.training.model_copy(update={"seed": seed})
    assert len(alone.metrics.history) == expected.training.epochs
    weights = [run.path / "model.safetensors" for run in (alone, group.runs[0])]
    assert weights[0].read_bytes() == weights[1].read_bytes()
