"""A calibration from predictions to tables and to the calibrator in the checkpoint."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from goemo_cli.core.checkpoint import (
    CALIBRATION,
    MANIFEST,
    METRICS,
    Checkpoint,
    add_to_manifest,
    remove_from_manifest,
    write_manifest,
)
from goemo_cli.core.documents.manifest import Headline
from goemo_cli.core.errors import CorruptArtifactError, DataFileError, NotFoundError
from goemo_cli.core.events import Event, FileWritten, Warning
from goemo_cli.core.files import read_json_object, sha256_file, write_json
from goemo_cli.core.labels import SPLITS
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions, read_predictions, write_predictions
from goemo_cli.core.thresholds import decide
from goemo_cli.ml.metrics.calibration import assess
from goemo_cli.ml.metrics.calibrator import cross_fitted, fit_calibrator, open_calibrator
from goemo_cli.services.evaluation.calibrate import CALIBRATION_COLUMNS, RELIABILITY_COLUMNS, calibrate
from tests.csv_rows import rows_of
from tests.metrics_documents import data_facts

LABELS = ("anger", "grief", "joy", "neutral")


def predictions_of(checkpoint: Checkpoint, split: str, rows: int) -> Predictions:
    """Probabilities too sure of themselves; grief has 4 positives in val and 3 in test."""
    rng = np.random.default_rng(len(split) + rows)
    z = rng.normal(-1, 2, size=(rows, 4))
    y_true = rng.random((rows, 4)) < 1 / (1 + np.exp(-z))
    y_true[:, 1] = np.arange(rows) < (4 if split == "val" else 3)
    y_prob = (1 / (1 + np.exp(-2 * z))).astype(np.float32)
    texts = [f"{split} comment {row}" for row in range(rows)]
    return Predictions(LABELS, texts, y_true, checkpoint.thresholds.decide(y_prob), y_prob)


@pytest.fixture
def checkpoint(layout: Layout, make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """A run with val and test predictions, whose metrics.json knows both splits."""
    made = make_checkpoint(labels=LABELS)
    digests = {}
    for split, rows in (("val", 400), ("test", 300)):
        predictions = predictions_of(made, split, rows)
        write_predictions(layout.predictions / f"{split}_predictions_{made.run.file_stem}.csv", predictions)
        digests[split] = predictions.sha256()
    metrics = {**made.metrics.as_json(), "data": data_facts(split_sha256=digests)}
    write_json(made.path / METRICS, metrics)
    return write_manifest(
        made.path,
        run=made.run,
        kind="tiny",
        labels=LABELS,
        parents=made.manifest.parents,
        headline=Headline(val={"f1_macro": 0.5}),
    )


def test_the_numbers_are_those_of_the_predictions_files(checkpoint: Checkpoint, layout: Layout) -> None:
    result = calibrate(checkpoint, layout=layout)
    val = read_predictions(layout.split_predictions(checkpoint.run, "val"))
    test = read_predictions(layout.split_predictions(checkpoint.run, "test"))
    calibrator = fit_calibrator(LABELS, val.y_true, val.y_prob)
    expected = {
        "val_before": assess(val.y_true, val.y_prob),
        "val_after": assess(val.y_true, cross_fitted(val.y_true, val.y_prob, fit_calibrator)),
        "test_before": assess(test.y_true, test.y_prob),
        "test_after": assess(test.y_true, calibrator.apply(test.y_prob)),
    }
    folder, stem = layout.root / "artifacts" / "stats" / "calibration", checkpoint.run.file_stem
    assert (result.labels, result.bins, result.summary) == (
        folder / f"calibration_{stem}.csv",
        folder / f"reliability_{stem}.csv",
        folder / f"calibration_{stem}.json",
    )
    rows = rows_of(result.labels)
    assert tuple(rows[0]) == CALIBRATION_COLUMNS
    assert [row["emotion"] for row in rows] == list(LABELS)
    for at, row in enumerate(rows):
        assert float(row["slope"]) == calibrator.slope[at]
        assert int(row["n_positives_val"]) == val.y_true[:, at].sum()
        assert int(row["n_positives_test"]) == test.y_true[:, at].sum()
        for name, assessment in expected.items():
            for measure in ("brier", "log_loss", "ece", "ece_debiased"):
                assert float(row[f"{measure}_{name}"]) == getattr(assessment.per_label[at], measure)
        share = val.y_true[:, at].mean()
        gold = test.y_true[:, at]
        assert float(row["ece_test_base_rate"]) == pytest.approx(abs(share - gold.mean()), abs=1e-12)
        assert float(row["brier_test_base_rate"]) == pytest.approx(np.mean((gold - share) ** 2), abs=1e-12)
    assert expected["test_after"].overall.log_loss < expected["test_before"].overall.log_loss


def test_the_bins_add_up_to_the_error_they_belong_to(checkpoint: Checkpoint, layout: Layout) -> None:
    result = calibrate(checkpoint, layout=layout)
    rows = rows_of(result.bins)
    assert tuple(rows[0]) == RELIABILITY_COLUMNS
    summary = read_json_object(result.summary)
    for split, cells in (("val", 1600), ("test", 1200)):
        for state in ("before", "after"):
            part = [row for row in rows if (row["split"], row["state"], row["emotion"]) == (split, state, "")]
            counts = np.array([int(row["count"]) for row in part])
            gaps = np.array([float(row["observed_share"]) - float(row["mean_predicted"]) for row in part])
            assert [int(row["bin"]) for row in part] == list(range(1, len(part) + 1))
            assert counts.sum() == cells
            assert (counts * np.abs(gaps)).sum() / cells == pytest.approx(
                summary["overall"][split][state]["ece"], abs=1e-12
            )
    assert {row["emotion"] for row in rows} == {"", *LABELS}


def test_the_summary_names_what_it_came_from(checkpoint: Checkpoint, layout: Layout) -> None:
    result = calibrate(checkpoint, layout=layout, method="temperature")
    summary = read_json_object(result.summary)
    assert (summary["run"], summary["method"], summary["fitted_on"]) == (
        str(checkpoint.run),
        "temperature",
        "val",
    )
    paths = [layout.split_predictions(checkpoint.run, split) for split in SPLITS[1:]]
    assert summary["sources"] == {f"artifacts/predictions/{path.name}": sha256_file(path) for path in paths}
    hashes = checkpoint.metrics.data.split_sha256
    assert summary["split_sha256"] == {"val": hashes.val, "test": hashes.test}
    kept = read_json_object(result.path)
    assert kept["source"] == {
        "file": paths[0].name,
        "sha256": sha256_file(paths[0]),
        "split_sha256": summary["split_sha256"]["val"],
    }
    assert set(summary["overall"]["test"]) == {"before", "after", "base_rate"}
    assert set(summary["overall"]["val"]) == {"before", "after"}


def test_rare_labels_are_named_and_what_is_kept_too(checkpoint: Checkpoint, layout: Layout) -> None:
    events: list[Event] = []
    result = calibrate(checkpoint, layout=layout, on_event=events.append)
    said = [event.message for event in events if isinstance(event, Warning)]
    assert said == list(result.warnings) == read_json_object(result.summary)["warnings"]
    assert said[0].startswith("fewer than 30 positives: grief; a small calibration error means nothing")
    assert [row["few_positives"] for row in rows_of(result.labels)] == ["no", "yes", "no", "no"]
    assert [event.path for event in events if isinstance(event, FileWritten)][-1] == result.path


def test_the_calibrator_is_kept_and_means_the_same_labels(checkpoint: Checkpoint, layout: Layout) -> None:
    calibrate(checkpoint, layout=layout)
    opened = Checkpoint.open(checkpoint.path)
    assert list(opened.hash_faults()) == []
    calibrator = open_calibrator(opened)
    test = read_predictions(layout.split_predictions(checkpoint.run, "test"))
    assert calibrator.fitted_on == "val"
    for thresholds in (opened.thresholds.of_rule("per_label"), test.y_prob[5].astype(np.float64)):
        calibrated = calibrator.apply(test.y_prob, thresholds)
        again = decide(calibrated, calibrator.apply_to_thresholds(thresholds))
        assert (again == decide(test.y_prob, thresholds)).all()
    assert (calibrated != test.y_prob).any()


def test_nothing_of_test_is_in_the_calibrator(checkpoint: Checkpoint, layout: Layout) -> None:
    with_test = calibrate(checkpoint, layout=layout).path.read_bytes()
    layout.split_predictions(checkpoint.run, "test").unlink()
    result = calibrate(checkpoint, layout=layout)
    assert result.path.read_bytes() == with_test
    assert "nothing is measured on test: goemo export-predictions" in result.warnings[-1]
    assert f"--split test --root {layout.root}" in result.warnings[-1]
    row = rows_of(result.labels)[0]
    assert row["brier_test_before"] == row["ece_test_base_rate"] == row["n_positives_test"] == ""
    assert set(read_json_object(result.summary)["overall"]) == {"val"}


def test_again_gives_the_same_bytes(checkpoint: Checkpoint, layout: Layout) -> None:
    first = calibrate(checkpoint, layout=layout)
    paths = (first.path, first.labels, first.bins, first.summary, checkpoint.path / MANIFEST)
    before = [path.read_bytes() for path in paths]
    calibrate(Checkpoint.open(checkpoint.path), layout=layout)
    assert [path.read_bytes() for path in paths] == before


@pytest.mark.parametrize("split", ["val", "test"])
def test_predictions_of_another_split_are_refused(checkpoint: Checkpoint, layout: Layout, split: str) -> None:
    path = layout.predictions / f"{split}_predictions_{checkpoint.run.file_stem}.csv"
    predictions = read_predictions(path)
    write_predictions(path, replace(predictions, y_true=predictions.y_true[::-1]))
    with pytest.raises(
        DataFileError, match=f"are not those of the {split} split that {checkpoint.run} recorded"
    ):
        calibrate(checkpoint, layout=layout)
    assert not (checkpoint.path / CALIBRATION).exists()
    assert not layout.calibration.exists()


def test_predictions_over_other_labels_are_refused(checkpoint: Checkpoint, layout: Layout) -> None:
    path = layout.split_predictions(checkpoint.run, "val")
    write_predictions(path, replace(read_predictions(path), labels=("anger", "grief", "joy", "other")))
    with pytest.raises(DataFileError, match="its columns are not the labels"):
        calibrate(checkpoint, layout=layout)


def test_probabilities_that_do_not_explain_their_labels_are_doubted(
    checkpoint: Checkpoint, layout: Layout
) -> None:
    path = layout.split_predictions(checkpoint.run, "val")
    predictions = read_predictions(path)
    write_predictions(path, replace(predictions, y_prob=np.sqrt(predictions.y_prob)))
    assert "are these the run's own probabilities?" in calibrate(checkpoint, layout=layout).warnings[0]


def test_sealing_changes_one_entry_of_the_manifest(checkpoint: Checkpoint, layout: Layout) -> None:
    before = read_json_object(checkpoint.path / MANIFEST)
    calibrate(checkpoint, layout=layout)
    after = read_json_object(checkpoint.path / MANIFEST)
    entry = after["files"].pop(CALIBRATION)
    assert entry["sha256"] == sha256_file(checkpoint.path / CALIBRATION)
    assert after == before
    assert after["headline"] == {"val": {"f1_macro": 0.5}}


def test_sealing_does_not_bless_a_damaged_file(checkpoint: Checkpoint, layout: Layout) -> None:
    (checkpoint.path / "weights.bin").write_bytes(b"WEIGHTS")
    calibrate(checkpoint, layout=layout)
    faults = list(Checkpoint.open(checkpoint.path).hash_faults())
    assert [path.name for path, _ in faults] == ["weights.bin"]


def test_killed_at_any_step_the_checkpoint_is_sound_and_can_be_calibrated_again(
    checkpoint: Checkpoint, layout: Layout
) -> None:
    calibrate(checkpoint, layout=layout)
    path = checkpoint.path / CALIBRATION
    first = path.read_bytes()
    remove_from_manifest(checkpoint, CALIBRATION)  # killed after the first step
    for content in (first, b"of another method"):  # and after the second
        path.write_bytes(content)
        opened = Checkpoint.open(checkpoint.path)
        assert list(opened.hash_faults()) == []
        with pytest.raises(
            NotFoundError, match="has no calibrator; make one with: goemo calibrate --checkpoint"
        ):
            open_calibrator(opened)
    calibrate(opened, layout=layout)
    assert path.read_bytes() == first
    assert open_calibrator(Checkpoint.open(checkpoint.path)).labels == LABELS


def test_killed_before_the_manifest_a_new_calibrator_is_none_rather_than_a_wrong_one(
    checkpoint: Checkpoint, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate(checkpoint, layout=layout)

    def killed(checkpoint: Checkpoint, name: str) -> Checkpoint:
        raise KeyboardInterrupt

    monkeypatch.setattr("goemo_cli.services.evaluation.calibrate.add_to_manifest", killed)
    with pytest.raises(KeyboardInterrupt):
        calibrate(checkpoint, layout=layout, method="temperature")
    monkeypatch.undo()
    opened = Checkpoint.open(checkpoint.path)
    assert list(opened.hash_faults()) == []
    with pytest.raises(NotFoundError, match="has no calibrator"):
        open_calibrator(opened)
    calibrate(opened, layout=layout, method="temperature")
    assert open_calibrator(Checkpoint.open(checkpoint.path)).method == "temperature"


def test_a_calibrator_that_cannot_be_written_leaves_the_checkpoint_as_it_was(
    checkpoint: Checkpoint, layout: Layout
) -> None:
    (checkpoint.path / CALIBRATION).mkdir()
    before = (checkpoint.path / MANIFEST).read_bytes()
    with pytest.raises(OSError, match=CALIBRATION):
        calibrate(checkpoint, layout=layout)
    assert (checkpoint.path / MANIFEST).read_bytes() == before
    assert list(Checkpoint.open(checkpoint.path).hash_faults()) == []


def test_a_changed_calibrator_is_not_opened(checkpoint: Checkpoint, layout: Layout) -> None:
    path = calibrate(checkpoint, layout=layout).path
    opened = Checkpoint.open(checkpoint.path)
    values = json.loads(path.read_text(encoding="utf-8"))
    values["per_label"]["joy"]["slope"] *= 1.5
    write_json(path, values)
    with pytest.raises(CorruptArtifactError, match="differs from the SHA-256 in the manifest"):
        open_calibrator(opened)


def test_seal_names_a_file_that_was_not_there(checkpoint: Checkpoint) -> None:
    (checkpoint.path / "notes.txt").write_text("seen", encoding="utf-8")
    sealed = add_to_manifest(checkpoint, "notes.txt")
    assert sealed.manifest.files["notes.txt"].as_json() == {
        "sha256": sha256_file(checkpoint.path / "notes.txt"),
        "size": 4,
    }
    assert list(sealed.manifest.files) == sorted(sealed.manifest.files)
