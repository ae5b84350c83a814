"""Settings that a training does not use: one warning names them, and they really have no effect."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import goemo_cli
from goemo_cli.app import app
from goemo_cli.core.catalogue import catalogue, model_entry
from goemo_cli.core.events import Event, GoemoWarning, Warning
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import setting_names, setting_value
from goemo_cli.core.settings.effects import CONDITIONS, without_effect
from goemo_cli.services.sweep.plan import useless_parameters
from goemo_cli.services.sweep.sweep_file import parse_sweep
from goemo_cli.services.training.settings import resolve_settings, student_settings
from goemo_cli.services.training.train import train

OTHER = {
    "model.revision": "abc",
    "model.new_head": "true",
    "model.max_length": "16",
    "model.dropout": "0.5",
    "model.attention": "sdpa",
    "model.pooling": "mean",
    "data.dir": "no/such/folder",
    "data.format": "csv",
    "data.encoding": "cp1252",
    "data.text_column": "body",
    "data.label_column": "tags",
    "data.label_columns": "[joy, anger]",
    "data.id_column": "number",
    "data.label_separator": "/",
    "data.unlabelled": "-1",
    "data.group_column": "author",
    "data.aggregate": "any",
    "data.labels_file": "no_such_labels.txt",
    "data.val_file": "no_such_val.csv",
    "data.test_file": "no_such_test.csv",
    "data.val_fraction": "0.3",
    "data.test_fraction": "0.3",
    "data.split_seed": "7",
    "training.learning_rate": "0.5",
    "training.head_multiplier": "3",
    "training.batch_size": "6",
    "training.accumulation": "2",
    "training.gradient_checkpointing": "true",
    "training.epochs": "3",
    "training.schedule": "constant",
    "training.warmup": "0.5",
    "training.weight_decay": "0.5",
    "training.clip_norm": "0.01",
    "training.averaging": "0.3",
    "training.frozen_layers": "1",
    "training.frozen_cache": "off",
    "training.loss": "focal",
    "training.max_positive_weight": "2",
    "training.focal_gamma": "4",
    "training.asymmetric_gamma_positive": "1",
    "training.asymmetric_gamma_negative": "5",
    "training.asymmetric_clip": "0.2",
    "training.prior_bias": "false",
    "training.label_template": "this is {}",
    "training.precision": "bf16",
    "training.deterministic": "true",
    "training.device": "mps",
    "training.save_every_minutes": "0",
    "training.early_stopping.metric": "val_loss",
    "training.early_stopping.patience": "1",
    "training.early_stopping.min_delta": "0.5",
    "distillation.temperature": "2",
    "thresholds.shrinkage": "100",
    "output.weights": "bin",
    "logging.mlflow.tracking_uri": "http://127.0.0.1:9",
    "logging.mlflow.experiment": "other",
    "logging.wandb.log_gradients": "true",
    "logging.wandb.watch_model": "true",
    "logging.wandb.log_every": "1",
    "logging.wandb.mode": "online",
    "logging.wandb.required": "true",
}
"""A value other than the default of each setting that needs something to have an effect."""
AGAINST_ANOTHER = ("data.label_column",)
"""Settings that are an error together with another of these."""


def goemo(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "120"})


def warnings_of(*overrides: str, file: Path | None = None, **flags: str) -> list[str]:
    said: list[Event] = []
    resolve_settings(
        file, {f"model.{name}": value for name, value in flags.items()}, overrides, on_event=said.append
    )
    return [event.message for event in said if isinstance(event, Warning)]


def test_every_setting_says_what_it_needs() -> None:
    """A new setting gets an entry in `CONDITIONS`: no conditions if each training uses it."""
    assert list(CONDITIONS.keys() ^ set(setting_names())) == []
    assert {name for name, conditions in CONDITIONS.items() if conditions} == OTHER.keys()


@pytest.mark.parametrize("model", ["tfidf", "tiny", pytest.param("static", marks=pytest.mark.slow)])
def test_what_has_no_effect_changes_no_result(model: str, tmp_path: Path) -> None:
    flags = {"model.name": model, "data.name": "sample", "data.max_train_samples": 48}
    given = [] if model == "tfidf" else ["training.epochs=1", "training.learning_rate=1e-2"]
    plain = resolve_settings(None, flags, given)
    unused = without_effect(plain, model_entry(model).kind)
    changed = [f"{name}={OTHER[name]}" for name in unused if name not in AGAINST_ANOTHER]
    config = resolve_settings(None, flags, [*given, *changed])
    assert all(
        setting_value(config, name) != setting_value(plain, name)
        for name in unused
        if name not in AGAINST_ANOTHER
    )
    results = []
    for at, settings in enumerate((plain, config)):
        layout = Layout(tmp_path / str(at))
        found = train(settings, layout=layout)
        weights = {path.name: path.read_bytes() for path in found.path.glob("*.safetensors")}
        predictions = [layout.split_predictions(found.run, split).read_bytes() for split in ("val", "test")]
        results.append((weights, predictions))
    assert len(unused) > 20
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            ("model.name=tfidf", "training.epochs=3", "model.dropout=0.3", "training.focal_gamma=4"),
            "model.dropout, training.epochs, training.focal_gamma have no effect with a model of the kind tfidf",
        ),
        (("model.name=static", "model.attention=eager"), "model.attention has no effect with a model of the kind static"),
        (("training.focal_gamma=4",), "training.focal_gamma has no effect with training.loss=bce"),
        (("model.name=bert-base", "training.frozen_cache=off"), "training.frozen_cache has no effect with training.frozen_layers=0"),
        (
            ("training.frozen_cache=off", "training.recipe=fast", "training.epochs=1"),
            "training.frozen_cache has no effect with training.epochs=1",
        ),
        (
            ("model.name=tiny", "training.epochs=1", "training.early_stopping.min_delta=0.1"),
            "training.early_stopping.min_delta has no effect with training.epochs=1",
        ),
        (("data.text_column=body",), "data.text_column has no effect without your own data (data.name)"),
        (
            ("data.name=mine.csv", "data.val_file=v.csv", "data.val_fraction=0.2", "data.dir=here"),
            "data.dir has no effect with data.name=mine.csv; data.val_fraction has no effect with data.val_file",
        ),
        (
            ("logging.wandb.mode=offline", "logging.mlflow.experiment=a"),
            "logging.wandb.mode has no effect without W&B; logging.mlflow.experiment has no effect without the tracker mlflow",
        ),
        (
            ("distillation.teacher=tfidf-20260101-000000", "training.loss=focal"),
            "training.loss has no effect with distillation.weight=1, which leaves out gold labels",
        ),
    ],
)  # fmt: skip
def test_one_warning_names_all_settings_without_effect(overrides: tuple[str, ...], expected: str) -> None:
    (said,) = warnings_of(*overrides)
    assert sorted(said.split("; ")) == sorted(expected.split("; "))


@pytest.mark.parametrize(
    "overrides",
    [
        ("model.name=tfidf", "training.seed=7", "training.epochs=4"),  # 4 is the default
        ("model.name=tfidf", "data.name=mine.csv", "data.single_label=true"),
        ("training.focal_gamma=4", "training.loss=focal"),
        ("training.recipe=fast", "training.frozen_cache=off"),
        ("logging.wandb.project=a", "logging.wandb.tags=[b]"),  # `goemo sync` uses them later
    ],
)
def test_what_has_an_effect_is_not_warned_of(overrides: tuple[str, ...]) -> None:
    assert warnings_of(*overrides) == []


@pytest.mark.parametrize("model", catalogue())
def test_the_file_of_a_run_can_be_used_again_without_a_warning(model: str, tmp_path: Path) -> None:
    """Its settings are those that goemo chose for the model, also if it is used for another one."""
    file, edited = tmp_path / "train_config.yaml", tmp_path / "edited.yaml"
    file.write_text(resolve_settings(None, {"model.name": model}).to_yaml())
    assert warnings_of(file=file) == warnings_of(file=file, name="tfidf") == []
    assert warnings_of("training.epochs=9", file=file, name="tfidf")
    edited.write_text(f"model: {{name: {model}}}\ntraining: {{lr: 0.5}}\n")
    (said,) = warnings_of(file=edited, name="tfidf")
    assert said.startswith("training.learning_rate has no effect")


def test_a_plan_says_it_too_and_json_stays_json(tmp_path: Path) -> None:
    options = ("--model", "tfidf", "--data", "sample", "--root", tmp_path, "--epochs", 3, "--json")
    for last in ("--dry-run", "--print-config"):
        done = goemo("train", *options, last)
        assert done.exit_code == 0, done.output
        assert done.stderr.count("Warning: training.epochs has no effect") == 1
        assert done.stdout.startswith("{")


def test_a_student_is_warned_once(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    flags = {"model.name": "tfidf", "data.name": "sample", "data.max_train_samples": 48}
    teacher = train(resolve_settings(None, flags), layout=layout)
    said: list[Event] = []
    student_settings(
        str(teacher.run), None, {}, ["training.focal_gamma=4"], layout=layout, on_event=said.append
    )
    student_settings(
        str(teacher.run), None, {}, ["training.frozen_cache=off"], layout=layout, on_event=said.append
    )
    (warning,) = (
        event.message for event in said if isinstance(event, Warning)
    )  # a student's layers are frozen
    assert warning.startswith("training.focal_gamma has no effect with distillation.weight=1")


def test_python_warns_too_but_not_of_the_columns_of_a_frame(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    import pandas

    rows = [("where is my parcel", ["delivery"]), ("one charge too many", ["billing"])] * 40
    frame = pandas.DataFrame(rows, columns=["message", "labels"])
    goemo_cli.train(frame, model="tfidf", text_column="message", epochs=3, root=tmp_path)
    said = [str(warning.message) for warning in recwarn if issubclass(warning.category, GoemoWarning)]
    assert [text for text in said if "no effect" in text] == [
        "training.epochs has no effect with a model of the kind tfidf"
    ]


def sweep_of(**parameters: object) -> str:
    content = {
        "method": "random",
        "metric": {"name": "val/f1_macro", "goal": "maximize"},
        "parameters": {name.replace("__", "."): entry for name, entry in parameters.items()},
    }
    return useless_parameters(parse_sweep(content), Layout(Path("nowhere")))


def test_a_sweep_is_warned_of_parameters_that_no_trial_uses() -> None:
    gammas = {"training__focal_gamma": {"values": [1, 2, 3]}}
    assert sweep_of(**gammas) == "training.focal_gamma has no effect with training.loss=bce"
    assert sweep_of(**gammas, training__loss={"values": ["bce", "focal"]}) == ""
    assert sweep_of(**gammas, training__loss={"value": "focal"}) == ""
    many = {
        f"training__{name}": {"min": 0.1, "max": 0.4} for name in ("averaging", "warmup", "asymmetric_clip")
    }
    rates = {"training__lr": {"values": [1e-5 * n for n in range(1, 60)]}}
    assert sweep_of(**many, **rates) == "training.asymmetric_clip has no effect with training.loss=bce"
    few = {"training__lr": {"values": [1e-5, 1e-4]}}
    of_tfidf = sweep_of(model__name={"value": "tfidf"}, training__seed={"values": [1, 2]}, **few)
    assert of_tfidf == "training.learning_rate has no effect with a model of the kind tfidf"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--resume", "@latest", "--dry-run"), "--dry-run"),
        (("--resume", "@latest", "--print-config"), "--print-config"),
        (("--allow-changes",), "--allow-changes"),
        (("--workers", 2), "--workers"),
    ],
)
def test_an_option_of_another_way_to_train_is_an_error(
    options: tuple[object, ...], named: str, tmp_path: Path
) -> None:
    done = goemo("train", *options, "--root", tmp_path)
    assert done.exit_code == 2, done.output
    assert named in done.stderr


def test_a_single_student_has_no_workers(tmp_path: Path) -> None:
    done = goemo("distill", "--teacher", "@best", "--workers", 2, "--root", tmp_path)
    assert (done.exit_code, "give --seeds N" in done.stderr) == (2, True)
