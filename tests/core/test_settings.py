"""Settings: layers, aliases, and errors that name every problem and the place."""

from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goemo_cli.core.errors import SettingError, UnknownSettingError
from goemo_cli.core.layering import dotted_overrides, nested, parse_yaml
from goemo_cli.core.settings import TrainConfig, setting_names, setting_value, text_settings
from goemo_cli.core.system.variables import environment, is_offline


def settings(*arguments: str) -> TrainConfig:
    return TrainConfig.from_layers(("test", dotted_overrides(arguments, text_settings())))


def test_later_layers_win_key_by_key():
    config = TrainConfig.from_layers(
        ("catalogue", {"training": {"learning_rate": 1e-4, "epochs": 5, "early_stopping": {"patience": 3}}}),
        (
            "file",
            {"training": {"epochs": 6, "early_stopping": {"min_delta": 0.1}}, "model": {"name": "tiny"}},
        ),
        ("flag", {"training": {"epochs": 7}}),
    )
    assert config.training.learning_rate == 1e-4
    assert config.training.epochs == 7
    assert (config.training.early_stopping.patience, config.training.early_stopping.min_delta) == (3, 0.1)
    assert config.model.name == "tiny"
    assert config.training.batch_size == TrainConfig().training.batch_size


@pytest.mark.parametrize(("below", "above"), [("lr", "learning_rate"), ("learning_rate", "lr"), ("lr", "lr")])
def test_lr_is_the_learning_rate_in_every_layer(below: str, above: str):
    config = TrainConfig.from_layers(
        ("file", {"training": {below: 1e-3}}), ("flag", {"training": {above: 1e-4}})
    )
    assert config.training.learning_rate == 1e-4


def test_a_setting_and_its_alias_in_one_layer_are_an_error():
    with pytest.raises(SettingError, match="learning_rate is given twice"):
        TrainConfig.from_layers(("file", {"training": {"lr": 1e-3, "learning_rate": 1e-3}}))


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("training.learning_rat", "did you mean 'training.learning_rate'"),
        ("epochs", "did you mean 'training.epochs'?"),
        ("trainning.epochs", "did you mean 'training.epochs'?"),
        ("epoch", "did you mean 'training.epochs'?"),
        ("zzz", "`goemo train --print-config` lists all settings"),
    ],
)
def test_an_unknown_setting_is_an_error_with_near_names(key: str, hint: str):
    with pytest.raises(UnknownSettingError) as raised:
        TrainConfig.from_layers(("config.yaml", nested(key, 1)))
    assert f"config.yaml: unknown setting {key!r}" in str(raised.value)
    assert hint in str(raised.value)


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parent.glob("train_config_of_*.yaml")), ids=lambda path: path.stem
)
def test_the_settings_of_a_run_of_each_release_are_read(path: Path):
    config, others = TrainConfig.of_run(path)
    assert (config.model.name, config.model.pooling, others) == ("tfidf", None, {})


def test_a_value_that_no_version_had_is_an_error(tmp_path: Path):
    path = tmp_path / "train_config.yaml"
    path.write_text("model: {pooling: last}\n", "utf-8")
    with pytest.raises(SettingError, match=r"model\.pooling: should be 'mean', not 'last'"):
        TrainConfig.of_run(path)


def test_all_unknown_settings_are_named_at_once():
    with pytest.raises(UnknownSettingError) as raised:
        TrainConfig.from_layers(("file", {"training": {"epoch": 1, "batch": 2}, "modell": {"name": "x"}}))
    assert len(raised.value.problems) == 3


def test_all_bad_values_of_a_layer_are_named_at_once():
    with pytest.raises(SettingError) as raised:
        TrainConfig.from_layers(
            ("file", {"training": {"epochs": 0, "lr": -1, "loss": "mse"}, "data": {"val_fraction": 2}})
        )
    assert raised.value.source == "file"
    places = [problem.partition(":")[0] for problem in raised.value.problems]
    assert sorted(places) == [
        "data.val_fraction",
        "training.epochs",
        "training.learning_rate",
        "training.loss",
    ]


def test_a_bad_value_is_blamed_on_the_layer_that_holds_it():
    with pytest.raises(SettingError, match=r"^config\.yaml: training\.epochs: .*not 'many'"):
        TrainConfig.from_layers(
            ("config.yaml", {"training": {"epochs": "many"}}), ("flag", {"training": {"batch_size": 8}})
        )


@pytest.mark.parametrize(
    "argument",
    [
        "training.epochs=1.5",
        "training.learning_rate=0",
        "training.learning_rate=.nan",
        "training.averaging=0.6",
        "training.seed=-1",
        "training.precision=fp16",
        "model.max_length=3",
        "model.name=null",
        "data.val_fraction=0.5",
        "data.label_separator=''",
        "training=fast",
        "training.epochs={a: 1}",
    ],
)
def test_values_outside_their_range_are_refused(argument: str):
    with pytest.raises(SettingError):
        settings(argument)


def test_a_batch_must_split_evenly_whichever_layer_says_so():
    with pytest.raises(
        SettingError, match=r"batch_size \(30\) is not a multiple of training.accumulation \(4\)"
    ):
        TrainConfig.from_layers(
            ("file", {"training": {"accumulation": 4}}), ("flag", {"training": {"batch_size": 30}})
        )
    assert settings("training.accumulation=4", "training.batch_size=32").training.accumulation == 4


def test_layers_that_only_fit_together_are_judged_together():
    # accumulation 64 does not divide the default batch size 32, but it divides that of the next layer
    config = TrainConfig.from_layers(
        ("file", {"training": {"accumulation": 64}}), ("flag", {"training": {"batch_size": 64}})
    )
    assert config.training.batch_size == 64
    layers = [("a", {"data": {"aggregate": "any"}}), ("b", {"data": {"group_column": "id"}})]
    for order in (layers, layers[::-1]):
        assert TrainConfig.from_layers(*order).data.group_column == "id"
    with pytest.raises(SettingError, match=r"^[^:]*: data\.aggregate needs data\.group_column"):
        TrainConfig.from_layers(layers[0])


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("training.lr=2e-5", "training.clip_norm=null", "training.averaging=0.1"),
        (
            "data.dir=some/folder",
            "data.name=my data.csv",
            "data.label_separator='|'",
            "data.max_train_samples=5",
        ),
        ("model.name='été 😀'", "model.revision='1234567'", "model.dropout=null"),
        ("model.revision='12e4567'",),
        ("model.revision='0890'",),
        ("model.name='on'", "data.name='null'", "data.text_column='~'", "data.label_column=' '"),
        ("logging.wandb.enabled=true", "logging.wandb.entity=us", "training.early_stopping.patience=null"),
    ],
)
def test_settings_written_as_yaml_read_back_equal(tmp_path: Path, arguments: tuple[str, ...]):
    config = settings(*arguments)
    (tmp_path / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    assert TrainConfig.of_run(tmp_path / "config.yaml")[0] == config


@hypothesis.settings(max_examples=30)
@given(
    rate=st.floats(min_value=1e-12, max_value=1e3),
    separator=st.text(st.characters(codec="utf-8"), min_size=1),
)
def test_any_number_and_text_survives_the_yaml(rate: float, separator: str):
    config = TrainConfig.from_layers(
        ("test", {"training": {"lr": rate}, "data": {"label_separator": separator}})
    )
    assert TrainConfig.from_layers(("yaml", parse_yaml(config.to_yaml()))) == config


def test_written_settings_name_every_setting():
    written: dict[str, Any] = parse_yaml(TrainConfig().to_yaml())
    for name in setting_names():
        value: Any = written
        for part in name.split("."):
            assert part in value, name
            value = value[part]


def test_overrides_become_nested_settings_of_the_right_type():
    assert dotted_overrides(["training.epochs=3", "training.lr=2e-5", "model.name=a=b", "data.name= x "]) == {
        "training": {"epochs": 3, "lr": 2e-5},
        "model": {"name": "a=b"},
        "data": {"name": "x"},
    }


def test_a_label_template_has_a_place_for_the_name():
    assert settings("training.label_template={}").training.label_template == "{}"
    with pytest.raises(SettingError, match=r"training\.label_template: should contain \{\}"):
        settings("training.label_template=this is joy")


def test_a_number_may_mark_what_is_not_labelled():
    assert settings("data.unlabelled=-1").data.unlabelled == "-1"
    assert settings("data.unlabelled=NONE").data.unlabelled == "NONE"


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("training.label_template={} it is", "{} it is"),
        ("training.label_template=I feel: {}", "I feel: {}"),
        ("training.label_template=# {}", "# {}"),
        ("training.label_template=*{}*", "*{}*"),
        ("training.label_template={}", "{}"),
        ("training.label_template='\"{}\"'", '"{}"'),
        ("training.label_template=null", None),
        ("training.label_template=None", None),
        ("training.label_template=", None),
        ("data.label_separator=|", "|"),
        ('data.label_separator=" "', " "),
        ("data.text_column=@text", "@text"),
        ("data.text_column=2024-01-01", "2024-01-01"),
        ("data.text_column=7", "7"),
        ("data.labels_file=#labels.txt", Path("#labels.txt")),
        ("data.label_columns=[a, b]", ["a", "b"]),
        ("training.epochs=3", 3),
    ],
)
def test_a_text_is_what_was_typed(argument: str, value: object) -> None:
    assert setting_value(settings(argument), argument.partition("=")[0]) == value


@pytest.mark.parametrize("argument", ["training.epochs", "--epochs", ""])
def test_an_override_without_a_value_shows_how_it_is_written(argument: str):
    with pytest.raises(SettingError, match=r"write section\.key=value, e\.g\. training\.epochs=3"):
        dotted_overrides([argument])


@pytest.mark.parametrize("setting", ["data.labels_file", "data.name", "model.name", "logging.wandb.entity"])
def test_an_empty_text_is_no_value(setting: str):
    with pytest.raises(SettingError, match=f"{setting}: should not be empty"):
        TrainConfig.from_layers(("file", nested(setting, "")))


def test_an_override_with_broken_yaml_names_the_setting():
    with pytest.raises(SettingError, match=r"^training\.epochs: not valid YAML"):
        dotted_overrides(["training.epochs=[1"])


def test_a_section_without_settings_is_a_bad_value_and_no_unknown_setting():
    with pytest.raises(SettingError, match="training: should be") as raised:
        TrainConfig.from_layers(("file", {"training": None}))
    assert not isinstance(raised.value, UnknownSettingError)


@pytest.mark.parametrize(
    ("variables", "offline"),
    [
        ({}, False),
        ({"GOEMO_OFFLINE": "1"}, True),
        ({"HF_HUB_OFFLINE": "true"}, True),
        ({"GOEMO_OFFLINE": "0", "HF_HUB_OFFLINE": "False"}, False),
        ({"GOEMO_OFFLINE": ""}, False),
    ],
)
def test_offline_is_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], offline: bool
):
    monkeypatch.delenv("GOEMO_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_offline() is offline


def test_an_empty_environment_variable_is_unset(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GOEMO_DATA_DIR", "")
    assert environment("GOEMO_DATA_DIR") is None
