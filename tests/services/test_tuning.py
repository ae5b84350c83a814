"""Thresholds fitted again: for a run, for a file, and never on test."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import DataError, NotFoundError, SettingError
from goemo_cli.core.events import Event, Warning
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions, write_predictions
from goemo_cli.core.schema import SWEEP_COLUMNS, THRESHOLD_COLUMNS
from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.services.evaluation.tune import changed_settings, tune_predictions, tune_run
from goemo_cli.services.validation import validate_artifacts
from tests.csv_rows import rows_of


@pytest.fixture
def run(tfidf_root: Path, layout: Layout) -> Checkpoint:
    """A run that tells some labels apart, which a test may change."""
    shutil.copytree(tfidf_root, layout.root, dirs_exist_ok=True)
    return Checkpoint.open(next(layout.checkpoints()))


def test_everything_that_follows_from_thresholds_follows(run: Checkpoint, layout: Layout) -> None:
    weights = (run.path / "tfidf.safetensors").read_bytes()
    settings = ThresholdSettings(
        rule="per_label", objective="recall_floor", floor=0.5, never_empty=True, top_k=2, shrinkage=3
    )
    result = tune_run(run, settings, layout=layout)
    again = Checkpoint.open(run.path)
    assert again.thresholds.settings == again.config.thresholds == settings
    test = read_predictions(layout.split_predictions(run.run, "test"))
    assert set(test.y_pred.sum(axis=1).tolist()) <= {1, 2}
    assert np.array_equal(test.y_pred, again.thresholds.decide(test.y_prob))
    expected = f1_score(test.y_true, test.y_pred, average="macro", zero_division=0)
    assert again.metrics.test.fitted.f1_macro == pytest.approx(expected, abs=1e-12)
    assert again.manifest.headline is not None
    assert again.manifest.headline.test["f1_macro"] == pytest.approx(expected, abs=1e-12)
    assert result.test == again.metrics.test
    assert again.metrics.history == run.metrics.history
    assert again.manifest.parents == run.manifest.parents
    assert again.manifest.created == run.manifest.created  # tuning does not make it the newest run
    assert (run.path / "tfidf.safetensors").read_bytes() == weights
    report = validate_artifacts(layout)
    assert (report.problems, report.warnings) == ([], [])


def test_labels_below_a_floor_are_listed(run: Checkpoint, layout: Layout) -> None:
    """The sample has labels of a few positives; some reach a precision of .9, others do not."""
    events: list[Event] = []
    settings = ThresholdSettings(objective="precision_floor", floor=0.9)
    result = tune_run(run, settings, layout=layout, on_event=events.append)
    val = read_predictions(layout.split_predictions(run.run, "val"))
    precision = precision_score(val.y_true, val.y_pred, average=None, zero_division=0)
    below = {label for label, score in zip(run.labels, precision, strict=True) if score < 0.9}
    assert 0 < len(below) < len(run.labels)
    assert set(result.below_floor) == below
    (warned,) = [event.message for event in events if isinstance(event, Warning)]
    assert "below the precision floor of 0.9 on val: " in warned
    assert all(label in warned for label in below)
    path = layout.split_predictions(run.run, "val")
    assert tune_predictions(path, settings, layout=layout).below_floor == result.below_floor


def test_tuning_back_gives_the_same_files(run: Checkpoint, layout: Layout) -> None:
    names = ("thresholds.json", "train_config.yaml", "metrics.json", "README.md")
    before = {name: (run.path / name).read_bytes() for name in names}
    tune_run(run, ThresholdSettings(objective="f1_micro"), layout=layout)
    assert (run.path / "thresholds.json").read_bytes() != before["thresholds.json"]
    tune_run(Checkpoint.open(run.path), ThresholdSettings(), layout=layout)
    assert {name: (run.path / name).read_bytes() for name in names} == before


def test_damaged_weights_do_not_get_a_fresh_hash(run: Checkpoint, layout: Layout) -> None:
    weights = run.path / "tfidf.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    tune_run(run, ThresholdSettings(objective="f1_micro"), layout=layout)
    assert [path for path, _ in Checkpoint.open(run.path).hash_faults()] == [weights]


def test_the_sweep_is_scikit_learns_and_names_its_source(run: Checkpoint, layout: Layout) -> None:
    result = tune_run(run, ThresholdSettings(), layout=layout)
    sweep, table, summary = result.written
    val = read_predictions(layout.split_predictions(run.run, "val"))
    rows = rows_of(sweep)
    assert [float(row["threshold"]) for row in rows] == [n / 100 for n in range(5, 96)]
    assert tuple(rows[0]) == SWEEP_COLUMNS
    for row in rows[::10]:
        y_pred = val.y_prob.astype(np.float64) >= float(row["threshold"])
        for average in ("macro", "micro", "weighted", "samples"):
            expected = f1_score(val.y_true, y_pred, average=average, zero_division=0)
            assert float(row[f"f1_{average}"]) == pytest.approx(expected, abs=1e-12)
        assert float(row["coverage"]) == pytest.approx(y_pred.any(axis=1).mean())
    labels = rows_of(table)
    assert tuple(labels[0]) == THRESHOLD_COLUMNS
    assert [row["emotion"] for row in labels] == list(run.labels)
    assert all(float(row["ci_low"]) <= float(row["ci_high"]) for row in labels)
    assert all(float(row["f1_at_own_best"]) >= float(row["f1_at_0.5"]) - 1e-12 for row in labels)
    written = json.loads(summary.read_text())
    name = f"artifacts/predictions/{layout.split_predictions(run.run, 'val').name}"
    assert list(written["sources"]) == [name]
    assert written["run"] == str(run.run)


def test_a_file_of_val_predictions_changes_no_run(run: Checkpoint, layout: Layout) -> None:
    before = (run.path / "thresholds.json").read_bytes()
    events: list[Event] = []
    path = layout.split_predictions(run.run, "val")
    result = tune_predictions(path, ThresholdSettings(), layout=layout, on_event=events.append)
    assert (run.path / "thresholds.json").read_bytes() == before
    assert result.thresholds.per_label.tolist() == run.thresholds.per_label.tolist()
    assert not any(isinstance(event, Warning) for event in events)


def test_rows_of_nobodys_val_split_are_taken_with_a_warning(
    layout: Layout, tmp_path: Path, make_predictions
) -> None:
    path = tmp_path / "mine.csv"
    write_predictions(path, make_predictions(40))
    events: list[Event] = []
    result = tune_predictions(path, ThresholdSettings(), layout=layout, on_event=events.append)
    assert any(
        "be sure that they are no test split" in event.message
        for event in events
        if isinstance(event, Warning)
    )
    assert result.written[0].name == "threshold_sweep_mine.csv"


def test_test_is_refused_by_name_and_by_rows(run: Checkpoint, layout: Layout, tmp_path: Path) -> None:
    path = layout.split_predictions(run.run, "test")
    with pytest.raises(DataError, match="holds the test split"):
        tune_predictions(path, ThresholdSettings(), layout=layout)
    renamed = tmp_path / "val.csv"
    renamed.write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=f"are the test split of {run.run}"):
        tune_predictions(renamed, ThresholdSettings(), layout=layout)
    assert not layout.threshold_sweep.exists()


def test_predictions_of_other_rows_are_refused(run: Checkpoint, layout: Layout) -> None:
    path = layout.split_predictions(run.run, "val")
    val = read_predictions(path)
    write_predictions(path, replace(val, texts=[*val.texts[:-1], "another"]))
    with pytest.raises(DataError, match="rows are not the val split"):
        tune_run(run, ThresholdSettings(), layout=layout)


def test_missing_val_predictions_name_the_command_that_makes_them(run: Checkpoint, layout: Layout) -> None:
    layout.split_predictions(run.run, "val").unlink()
    with pytest.raises(
        NotFoundError, match=rf"export-predictions --checkpoint .*{run.run} --split val --root {layout.root}"
    ):
        tune_run(run, ThresholdSettings(), layout=layout)


@pytest.mark.parametrize("rule", ["auto", "global"])
def test_a_guarantee_is_recorded_and_labels_without_it_are_named(
    run: Checkpoint, layout: Layout, rule: str
) -> None:
    events: list[Event] = []
    settings = changed_settings(
        run.config.thresholds, {"rule": rule, "objective": "recall_guarantee", "floor": 0.95}
    )
    tune_run(run, settings, layout=layout, on_event=events.append)
    written = json.loads((run.path / "thresholds.json").read_text())
    guarantee, val = written["guarantee"], read_predictions(layout.split_predictions(run.run, "val"))
    few = [label for label, n in zip(run.labels, val.y_true.sum(axis=0), strict=True) if n < 19]
    assert few
    assert {key: guarantee[key] for key in ("score", "level", "needed", "without")} == {
        "score": "recall", "level": 0.95, "needed": 19, "without": few,
    }  # fmt: skip
    assert guarantee["n_rows"] == val.y_true.any(axis=1).sum()
    assert "exchangeable" in guarantee["assumption"]
    assert {written["per_label"][label] for label in few} == {written["global"]}
    assert Checkpoint.open(run.path).thresholds.guarantee is not None
    warned = [event.message for event in events if isinstance(event, Warning)]
    if rule == "global":
        assert guarantee["of"] == "each text"
        assert not any("no guarantee" in one for one in warned)
    else:
        assert guarantee["of"] == "each label"
        assert any("fewer than 19 val positives" in one and few[0] in one for one in warned)
    report = validate_artifacts(layout)
    assert (report.problems, report.warnings) == ([], [])
    before = (run.path / "thresholds.json").read_bytes()
    for wanted in (rule, "per_label"):
        with pytest.raises(DataError, match=r"a guaranteed recall of 0\.999 needs at least 999"):
            tune_run(
                run,
                settings.model_copy(update={"rule": wanted, "floor": 0.999}),
                layout=layout,
                on_event=print,
            )
    assert (run.path / "thresholds.json").read_bytes() == before
    tune_run(Checkpoint.open(run.path), ThresholdSettings(), layout=layout)
    assert "guarantee" not in json.loads((run.path / "thresholds.json").read_text())


def test_another_objective_forgets_the_floor_of_the_old_one() -> None:
    old = ThresholdSettings(objective="precision_floor", floor=0.6, shrinkage=5)
    changed = changed_settings(old, {"objective": "f1_macro"})
    assert changed == ThresholdSettings(shrinkage=5)
    assert changed_settings(old, {"floor": 0.7}).floor == 0.7
    with pytest.raises(SettingError, match="floor"):
        changed_settings(old, {"floor": 1.5})
