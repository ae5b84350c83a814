"""A student learns the probabilities of its teacher, which are computed once and checked afterwards."""

import signal
from pathlib import Path

import numpy as np
import pytest

from goemo_cli.core.checkpoint import METRICS, Checkpoint
from goemo_cli.core.errors import CorruptArtifactError, NotFoundError, SettingError, TrainingStoppedError
from goemo_cli.core.events import Event, FileWritten, FromProcess, Info, Warning
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions
from goemo_cli.core.settings import DistillationSettings, TrainConfig
from goemo_cli.ml.models.classifier import load_classifier
from goemo_cli.services.data.find import first_of_shuffle, load_data
from goemo_cli.services.runs.lineage import trace_lineage
from goemo_cli.services.runs.teacher_files import probabilities_sha256
from goemo_cli.services.training.resume import find_interrupted, resume
from goemo_cli.services.training.seeds import train_seeds
from goemo_cli.services.training.settings import resolve_settings, student_settings
from goemo_cli.services.training.train import train
from goemo_cli.services.validation import validate_artifacts
from goemo_cli.tracking.base import Tracker
from tests.resuming import SignalAt, content_of

NEW = ["I brought biscuits for all of you", "the queue did not move for two hours"]


@pytest.fixture(scope="module")
def root(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Layout, Checkpoint]:
    """A project with a teacher."""
    layout = Layout(tmp_path_factory.mktemp("teacher"))
    flags = {"model.name": "tiny", "data.name": str(small_data), "data.max_train_samples": 96}
    config = resolve_settings(None, flags, ["training.epochs=3", "training.learning_rate=1e-2"])
    return layout, train(config, layout=layout)


def student(layout: Layout, teacher: str, **settings: object) -> TrainConfig:
    """Settings of a tiny student."""
    flags = {
        "model.name": "tiny",
        "training.epochs": 2,
        **{f"distillation.{k}": v for k, v in settings.items()},
    }
    return student_settings(teacher, None, flags, layout=layout)


@pytest.fixture(scope="module")
def taught(root: tuple[Layout, Checkpoint]) -> tuple[Checkpoint, Path, list[Event]]:
    """A student that learned from the teacher alone, also texts without gold labels; the file with them; the events."""
    layout, teacher = root
    known = load_data(teacher.config.data).val.texts[0]
    more = layout.root / "more.txt"
    more.write_text("\n".join([*NEW, NEW[0].upper(), "", known]) + "\n", encoding="utf-8")
    events: list[Event] = []
    config = student(layout, "@latest", weight=1.0, unlabelled=more)
    return train(config, layout=layout, on_event=events.append), more, events


def test_the_data_is_that_of_the_teacher(root, taught) -> None:
    _, teacher = root
    run, *_ = taught
    assert run.metrics.data == teacher.metrics.data
    assert run.config.distillation.teacher == str(teacher.run)
    assert run.manifest.parents.teacher == str(teacher.run)


def test_it_learns_what_the_teacher_predicts(root, taught) -> None:
    layout, teacher = root
    run, _, events = taught
    lesson = run.metrics.distillation
    [path] = [
        event.path for event in events if isinstance(event, FileWritten) and "teachers" in str(event.path)
    ]
    assert layout.root / lesson.probabilities == path
    train_rows = first_of_shuffle(load_data(teacher.config.data).train, 96, teacher.config.training.seed)
    y_prob = load_classifier(teacher).predict_proba([*train_rows.texts, *NEW])
    assert lesson.sha256 == probabilities_sha256(y_prob)
    assert lesson.unlabelled == len(NEW)
    [note] = [str(event) for event in events if isinstance(event, Info) and "Unlabelled" in str(event)]
    assert "2 texts" in note
    assert "3 left out" in note


def test_a_student_is_closer_to_its_teacher_than_a_model_without_one(root, taught) -> None:
    layout, teacher = root
    run, *_ = taught
    alone = train(run.config.model_copy(update={"distillation": DistillationSettings()}), layout=layout)
    of_teacher, of_student, of_other = (
        read_predictions(layout.split_predictions(one.run, "val")).y_prob for one in (teacher, run, alone)
    )
    assert np.abs(of_student - of_teacher).mean() < np.abs(of_other - of_teacher).mean()


def test_the_next_student_reads_the_probabilities(root, taught) -> None:
    layout, _teacher = root
    run, _more, _ = taught
    events: list[Event] = []
    again = train(run.config, layout=layout, on_event=events.append)
    assert not [event for event in events if isinstance(event, FileWritten) and "teachers" in str(event.path)]
    assert any("Teacher:" in str(event) for event in events)
    first, second = (content_of(one, layout) for one in (run, again))
    assert first["model.safetensors"] == second["model.safetensors"]


def test_a_resumed_student_ends_with_the_same_bytes(root, taught) -> None:
    layout, _ = root
    run, *_ = taught
    with pytest.raises(TrainingStoppedError):
        train(run.config, layout=layout, on_event=SignalAt(3, signal.SIGINT))
    folder = find_interrupted("@latest", layout)
    resumed = resume(folder, layout=layout, open_tracker=lambda *_: Tracker())
    assert content_of(resumed, layout) == content_of(run, layout)


def test_lineage_and_validate_know_teacher_and_probabilities(root, taught) -> None:
    layout, teacher = root
    run, *_ = taught
    assert str(teacher.run) in [node.name for node in trace_lineage(run, layout=layout).nodes]
    assert str(run.run) in [node.name for node in trace_lineage(teacher, layout=layout).nodes]
    report = validate_artifacts(layout)
    assert (report.problems, report.warnings) == ([], [])

    path = layout.root / run.metrics.distillation.probabilities
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-4] + bytes([whole[-4] ^ 1]) + whole[-3:])  # the last bit of a probability
        assert next(
            (one.path, "other probabilities" in one.message) for one in validate_artifacts(layout).problems
        ) == (run.path / METRICS, True)
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(CorruptArtifactError, match="remove it"):
            train(run.config, layout=layout)
        path.unlink()
        report = validate_artifacts(layout)
        assert not report.problems
        assert any("is gone" in one.message for one in report.warnings)
    finally:
        path.write_bytes(whole)


def test_a_teacher_of_other_data_is_a_warning(root, tmp_path: Path) -> None:
    layout, teacher = root
    data = tmp_path / "own.csv"
    labels = teacher.labels[:2]
    rows = [f"text number {number} of mine,{labels[number % 2]}" for number in range(40)]
    data.write_text("\n".join(["text,labels", *rows]) + "\n", encoding="utf-8")
    config = student_settings(
        str(teacher.run),
        None,
        {"model.name": "tiny", "training.epochs": 1, "data.name": str(data)},
        layout=layout,
    )
    events: list[Event] = []
    run = train(config, layout=layout, on_event=events.append)
    assert run.labels == tuple(sorted(labels))
    assert any("was trained on other data" in str(event) for event in events if isinstance(event, Warning))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model.name": "tfidf"}, "tfidf learns gold labels only"),
        ({"data.name": "{other}"}, "does not have the labels shrug"),
        ({"data.name": "{single}", "data.single_label": True}, "predicts any number of labels"),
        ({"distillation.unlabelled": "{known}"}, "has no text that is not in the data already"),
    ],
)
def test_what_cannot_be_learned_is_an_error_before_training(
    root, tmp_path: Path, settings, message: str
) -> None:
    layout, teacher = root
    files = {"other": ("joy", "shrug"), "single": teacher.labels[:2]}
    for name, labels in files.items():
        rows = [f"text number {number} of mine,{labels[number % 2]}" for number in range(40)]
        (tmp_path / name).with_suffix(".csv").write_text("\n".join(["text,labels", *rows]), encoding="utf-8")
    known = tmp_path / "known.txt"
    known.write_text(load_data(teacher.config.data).test.texts[0] + "\n", encoding="utf-8")
    places = {"{known}": str(known), **{f"{{{name}}}": str(tmp_path / f"{name}.csv") for name in files}}
    flags = {"model.name": "tiny", **{key: places.get(value, value) for key, value in settings.items()}}
    before = sorted(layout.models.rglob("*"))
    with pytest.raises(SettingError, match=message):
        train(student_settings(str(teacher.run), None, flags, layout=layout), layout=layout)
    assert sorted(layout.models.rglob("*")) == before


def test_settings_without_a_teacher_are_an_error() -> None:
    with pytest.raises(SettingError, match="no effect without a teacher"):
        resolve_settings(None, {"distillation.weight": 0.2})
    with pytest.raises(NotFoundError):
        student_settings("@latest", None, {}, layout=Layout(Path("/nonexistent")))


def test_the_recipe_for_students_is_the_default_and_any_setting_changes_it(root) -> None:
    layout, _ = root
    settings = student_settings("@latest", None, {}, ["training.epochs=2"], layout=layout).training
    assert (settings.recipe, settings.frozen_layers, settings.epochs) == ("student", 3, 2)
    for recipe, frozen in (("fast", 4), ("best", 3)):
        named = student_settings("@latest", None, {}, [f"training.recipe={recipe}"], layout=layout).training
        assert (named.recipe, named.frozen_layers) == (recipe, frozen)
    assert student_settings("@latest", None, {"model.name": "tiny"}, layout=layout).training.recipe == "best"


@pytest.mark.slow  # two processes that load all packages
def test_students_in_processes_read_what_the_first_process_computed_once(root) -> None:
    layout, teacher = root
    flags = {"model.name": "tiny", "training.epochs": 1, "data.max_train_samples": None}
    config = student_settings(str(teacher.run), None, flags, layout=layout)
    assert config.distillation.weight == 1
    events: list[Event] = []
    train_seeds(
        config, 2, layout=layout, open_tracker=lambda *_: Tracker(), workers=2, on_event=events.append
    )
    computing = [event for event in events if "Predicting with the teacher" in repr(event)]
    assert len(computing) == 1
    assert not isinstance(computing[0], FromProcess)
