"""Every kind of tampering is named by `goemo validate`, and nothing else is."""

import csv
import json
import os
import random
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from goemo_cli.core.checkpoint import Checkpoint, write_manifest
from goemo_cli.core.files import STILL_WRITTEN_SECONDS
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.ml.data.goemotions import SPLIT_SHA256
from goemo_cli.services.runs.summaries import write_summaries
from goemo_cli.services.validation import ValidationReport, validate_artifacts
from goemo_cli.services.validation.checkpoints import check_checkpoint, check_recorded_splits
from tests.metrics_documents import change_metrics
from tests.typed import goemo


@pytest.fixture
def root(two_runs: Path, tmp_path: Path) -> Path:
    """A copy of a valid root that a test may spoil."""
    return Path(shutil.copytree(two_runs, tmp_path / "root"))


@pytest.fixture
def sample_root(tiny_root: Path, tmp_path: Path) -> Path:
    """A copy of a root with one run on a part of the sample, which has the labels of GoEmotions."""
    return Path(shutil.copytree(tiny_root, tmp_path / "root"))


def tiny(root: Path) -> Path:
    return next((root / "artifacts" / "models" / "tiny").iterdir())


def predictions_of(root: Path, split: str = "test") -> Path:
    return next((root / "artifacts" / "predictions").glob(f"{split}_predictions_tiny_*.csv"))


def edit_csv(path: Path, change: Callable[[list[list[str]]], object]) -> None:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    change(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def edit_json(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


def add_to_manifest(root: Path) -> None:
    """Make the manifest fit what was changed, as a careful forger would."""
    old = json.loads((tiny(root) / "manifest.json").read_text(encoding="utf-8"))
    forged = RunName.parse(old["run"])
    assert forged
    write_manifest(tiny(root), run=forged, kind="tiny", labels=tuple(old["labels"]), parents=old["parents"])


def problems(root: Path) -> list[str]:
    report: ValidationReport = validate_artifacts(Layout(root))
    return [f"{problem.path.name}: {problem.message}" for problem in report.problems]


def test_an_empty_root_is_a_problem(tmp_path: Path) -> None:
    assert "nothing to validate" in problems(tmp_path)[0]


def test_a_flipped_bit_in_the_weights_is_named(root: Path) -> None:
    path = tiny(root) / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert problems(root) == ["model.safetensors: differs from the SHA-256 in the manifest"]


@pytest.mark.parametrize("name", ["config.json", "metrics.json", "train_config.yaml", "pytorch_model.bin"])
def test_a_missing_or_truncated_file_is_named(root: Path, name: str) -> None:
    path = tiny(root) / name
    path.write_bytes(path.read_bytes()[:100])
    assert any(name in line for line in problems(root))
    path.unlink()
    assert any(name in line for line in problems(root))


def test_an_edited_probability_is_named_by_labels_or_metrics(root: Path) -> None:
    """The file differs from its hash as well."""
    path = predictions_of(root)

    def turn_over(rows: list[list[str]]) -> None:
        rows[5][3] = "0.0" if "anger" in rows[5][2] else "0.999"

    edit_csv(path, turn_over)
    found = problems(root)
    assert any(path.name in line and "1 rows do not follow" in line and "row 5" in line for line in found)
    assert any("metrics.json: does not follow from the test predictions" in line for line in found)
    assert any(f"{path.name}: differs from the SHA-256" in line for line in found)


def test_people_are_shown_some_of_many_bad_cells_and_json_has_all(root: Path) -> None:
    def spoil(rows: list[list[str]]) -> None:
        for row in rows[1:31]:
            row[3] = "2"

    path = predictions_of(root)
    edit_csv(path, spoil)
    document = json.loads(goemo("validate", "--root", root, "--json").stdout)
    cells = [one for one in document["problems"] if "is not a probability" in one["message"]]
    assert [one["message"].partition(",")[0] for one in cells] == [f"row {row}" for row in range(1, 31)]
    shown = goemo("validate", "--root", root).stderr.splitlines()
    assert sum("is not a probability" in line for line in shown) == 20
    more = sum(one["path"] == str(path) for one in document["problems"]) - 20
    assert any(f"{path}: {more} more problems; --json lists all of them" in line for line in shown)


def swap(rows: list[list[str]]) -> None:
    rows[1], rows[2] = rows[2], rows[1]


def cut(rows: list[list[str]]) -> None:
    for row in rows:
        del row[4]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (swap, "texts, gold labels or their order"),
        (lambda rows: rows.pop(), "has 29 rows, the test split 30"),
        (cut, "in their order: missing pred_prob_joy"),
    ],
    ids=["swapped rows", "a missing row", "a removed column"],
)
def test_other_rows_or_columns_are_named(
    root: Path, change: Callable[[list[list[str]]], object], said: str
) -> None:
    edit_csv(predictions_of(root), change)
    assert any(said in line for line in problems(root))


def test_edited_metrics_are_named_even_with_a_fitting_manifest(sample_root: Path) -> None:
    def praise(metrics: Any) -> None:
        metrics["test"]["per_label"]["f1_macro"] = 0.99
        metrics["val"]["global"]["f1_micro"] = 0.99
        metrics["taxonomies"]["ekman"]["max"]["per_label"]["f1_macro"] = 0.99

    edit_json(tiny(sample_root) / "metrics.json", praise)
    add_to_manifest(sample_root)
    found = problems(sample_root)
    for name in ("test.per_label.f1_macro", "val.global.f1_micro", "taxonomies.ekman.max.per_label.f1_macro"):
        assert any(f"{name} is 0.99, should be" in line for line in found), name
    assert any("metric_summary.csv" in line for line in found)


def test_edited_thresholds_are_named_even_with_a_fitting_manifest(root: Path) -> None:
    def lower(thresholds: dict[str, object]) -> None:
        thresholds["per_label"]["joy"] = 0.01  # type: ignore[index]

    edit_json(tiny(root) / "thresholds.json", lower)
    add_to_manifest(root)
    assert any(
        "thresholds.json: thresholds do not follow from the val predictions: joy" in line
        for line in problems(root)
    )


def test_permuted_labels_in_the_model_are_named(root: Path) -> None:
    def swap(config: dict[str, object]) -> None:
        names = config["id2label"]
        names["0"], names["1"] = names["1"], names["0"]  # type: ignore[index]

    edit_json(tiny(root) / "config.json", swap)
    add_to_manifest(root)
    assert "config.json: id2label differs from the manifest's labels" in problems(root)


def test_a_run_of_an_earlier_version_has_no_jaccard_score_and_is_valid(root: Path) -> None:
    def without(values: Any) -> None:
        for key in [key for key in values if key.startswith("jaccard_samples")]:
            del values[key]
        for value in values.values():
            if isinstance(value, dict):
                without(value)

    manifest = tiny(root) / "manifest.json"
    edit_json(tiny(root) / "metrics.json", without)
    edit_json(manifest, without)
    headline = json.loads(manifest.read_text(encoding="utf-8"))["headline"]
    add_to_manifest(root)
    edit_json(manifest, lambda values: values.update(headline=headline))
    write_summaries(Layout(root), models=["tiny"])
    assert problems(root) == []


def test_edited_tables_are_named(root: Path) -> None:
    table = next((root / "artifacts" / "stats").glob("per_class_metrics_tiny_*.csv"))
    edit_csv(table, lambda rows: rows[1].__setitem__(1, "0.25"))
    (root / "artifacts" / "stats" / "metric_summary.csv").write_text("run\n", encoding="utf-8")
    (root / "artifacts" / "stats" / "test_metrics_tiny.json").write_text("{}", encoding="utf-8")
    found = problems(root)
    assert any(table.name in line and "row[anger].f1_score is 0.25" in line for line in found)
    assert any("metric_summary.csv: differs" in line for line in found)
    assert any("test_metrics_tiny.json: is not what" in line for line in found)


def test_nan_in_metrics_is_named(root: Path) -> None:
    path = tiny(root) / "metrics.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"seed": 0', '"seed": NaN'), encoding="utf-8")
    add_to_manifest(root)
    assert any("NaN is not a number" in line for line in problems(root))


def test_leftovers_and_orphans_are_warnings(root: Path) -> None:
    (root / "artifacts" / "predictions" / ".goemo-partial-x.csv").write_text("", encoding="utf-8")
    shutil.copy(
        predictions_of(root),
        root / "artifacts" / "predictions" / "test_predictions_bert_20200101-000000.csv",
    )
    (root / "artifacts" / "models" / "tiny" / "tiny-20200101-000000").mkdir()
    report = validate_artifacts(Layout(root))
    assert report.ok
    said = [warning.message for warning in report.warnings]
    assert any("killed" in message for message in said)
    assert any("belongs to no finished run" in message for message in said)
    assert any("unfinished" in message for message in said)


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_fix_rebuilds_what_is_derived_and_nothing_else(root: Path) -> None:
    before = snapshot(root)
    stats = root / "artifacts" / "stats"
    next(stats.glob("per_class_metrics_tiny_*.csv")).write_text("emotion\n", encoding="utf-8")
    next(stats.glob("per_class_metrics_tfidf_*.csv")).unlink()
    (stats / "metric_summary.csv").unlink()
    (stats / "test_metrics_tiny.json").write_text("{", encoding="utf-8")
    leftover = root / "artifacts" / "predictions" / ".goemo-partial-x.csv"
    leftover.write_text("half", encoding="utf-8")
    old = time.time() - STILL_WRITTEN_SECONDS - 1
    os.utime(leftover, (old, old))

    report = validate_artifacts(Layout(root), fix=True)

    assert report.ok
    assert report.warnings == []
    assert sorted(verb for _, verb in report.repaired) == ["rebuilt"] * 4 + ["removed"]
    assert snapshot(root) == before  # to the byte


def test_fix_derives_nothing_from_what_is_damaged(root: Path) -> None:
    """Tables that follow from edited predictions or metrics would make the forgery look sound."""
    edit_csv(predictions_of(root), lambda rows: rows[5].__setitem__(3, "0.25"))
    edit_json(tiny(root) / "metrics.json", lambda metrics: metrics.update(training_seconds=1.0))
    table = next((root / "artifacts" / "stats").glob("per_class_metrics_tiny_*.csv"))
    table.unlink()
    before = snapshot(root)
    report = validate_artifacts(Layout(root), fix=True)
    assert not report.ok
    assert report.repaired == []
    assert snapshot(root) == before


def test_what_cannot_be_rebuilt_is_said(root: Path) -> None:
    path = root / "artifacts" / "stats" / "metric_summary.csv"
    path.unlink()
    path.mkdir()
    report = validate_artifacts(Layout(root), fix=True)
    assert any(one.path == path and "could not be rebuilt" in one.message for one in report.warnings)
    assert any(one.path == path for one in report.problems)


def test_recomputed_rows_agree_with_the_file(root: Path) -> None:
    report = validate_artifacts(Layout(root), recompute=20)
    assert report.ok
    assert len(report.recomputed) == 2
    assert max(report.recomputed.values()) < 1e-5
    assert any("20 rows recomputed, largest difference" in what for what, _ in report.checks)


def test_weights_and_manifest_forged_together_are_told_by_recomputing(root: Path) -> None:
    for name in ("model.safetensors", "pytorch_model.bin"):
        path = tiny(root) / name
        safe = name.endswith("safetensors")
        weights = load_file(path) if safe else torch.load(path, weights_only=True)
        weights["classifier.bias"] = weights["classifier.bias"] + 0.01
        if safe:
            save_file(weights, path, metadata={"format": "pt"})
        else:
            torch.save(weights, path)
    add_to_manifest(root)
    assert validate_artifacts(Layout(root)).ok  # nothing but the weights can tell
    report = validate_artifacts(Layout(root), recompute=20)
    (problem,) = report.problems
    assert problem.path == predictions_of(root)
    assert "of 20 of 20 recomputed rows differ" in problem.message


def test_weights_with_nan_are_told_by_recomputing(root: Path) -> None:
    for path in (tiny(root) / "model.safetensors", next(root.glob("artifacts/models/tfidf/*/*.safetensors"))):
        checkpoint = Checkpoint.open(path.parent)
        weights = load_file(path)
        name = next(key for key in weights if key in ("classifier.bias", "intercepts"))
        weights[name][1] = float("nan")
        save_file(weights, path, metadata={"format": "pt"})
        parents, labels = checkpoint.manifest.parents, checkpoint.labels
        write_manifest(path.parent, run=checkpoint.run, kind=checkpoint.kind, labels=labels, parents=parents)
    report = validate_artifacts(Layout(root), recompute=20)
    assert sorted(one.path.name for one in report.problems) == ["model.safetensors", "tfidf.safetensors"]
    assert all("holds numbers that are not finite" in one.message for one in report.problems)


def test_labels_out_of_their_place_over_published_rows_are_named(sample_root: Path) -> None:
    sound = Checkpoint.open(tiny(sample_root))
    first, second, *others = sound.labels
    moved = replace(sound, manifest=sound.manifest.model_copy(update={"labels": [second, first, *others]}))
    found = []
    for checkpoint in (sound, moved):
        report = ValidationReport(sample_root)
        change_metrics(checkpoint, lambda it: it["data"]["split_sha256"].update(val=SPLIT_SHA256["val"]))
        check_recorded_splits(checkpoint, report)
        found.append([problem.message for problem in report.problems])
    assert found[0] == []
    assert found[1] == [
        f"val has the rows of GoEmotions, but the label {second!r} is not in its published place"
    ]


def test_other_splits_than_the_published_ones_are_named(sample_root: Path) -> None:
    def claim(metrics: Any) -> None:
        metrics["data"]["name"] = "goemotions"
        metrics["data"]["split_sha256"]["val"] = SPLIT_SHA256["val"]

    edit_json(tiny(sample_root) / "metrics.json", claim)
    path = tiny(sample_root) / "train_config.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("name: sample", "name: goemotions"), encoding="utf-8")
    add_to_manifest(sample_root)
    # Train was cut to 64 comments, so that it is not compared.
    assert any(
        "order of test are not those of the published GoEmotions files" in line
        for line in problems(sample_root)
    )

    def exclude(metrics: Any) -> None:
        metrics["data"]["excluded"] = {"file": "worklist.csv", "sha256": "0" * 64, "rows": 1}

    path.write_text(
        re.sub(r"max_train_samples: \d+", "max_train_samples: null", path.read_text("utf-8")), "utf-8"
    )
    add_to_manifest(sample_root)
    assert any("order of train, test are not those" in line for line in problems(sample_root))
    edit_json(tiny(sample_root) / "metrics.json", exclude)
    add_to_manifest(sample_root)
    assert any("order of test are not those" in line for line in problems(sample_root))


def test_the_published_splits_are_those_of_the_published_files(goemotions_folder: Path) -> None:
    from goemo_cli.ml.data.goemotions import changed_files, read_goemotions

    assert changed_files(goemotions_folder) == []
    data = read_goemotions(goemotions_folder)
    assert {name: split.sha256() for name, split in data.splits.items()} == SPLIT_SHA256


def test_a_file_outside_the_checkpoint_is_not_accepted(root: Path) -> None:
    outside = root / "outside.txt"
    outside.write_text("x", encoding="utf-8")

    def reach(manifest: Any) -> None:
        manifest["files"]["../../../../outside.txt"] = {"size": 1, "sha256": "0" * 64}

    edit_json(tiny(root) / "manifest.json", reach)
    assert any("names a file outside the checkpoint" in line for line in problems(root))


def test_outputs_that_no_run_writes_are_named(root: Path) -> None:
    def invent(manifest: Any) -> None:
        manifest["outputs"]["artifacts/predictions/invented.csv"] = "0" * 64

    edit_json(tiny(root) / "manifest.json", invent)
    assert any("outputs names 'artifacts/predictions/invented.csv'" in line for line in problems(root))


@pytest.mark.parametrize("kind", ["transformer", "tfidf", "ensemble"])
def test_another_kind_is_named(root: Path, kind: str) -> None:
    def claim(manifest: Any) -> None:
        manifest["kind"] = kind
        if kind == "ensemble":
            manifest["parents"]["members"] = ["tiny-20260101-000000"]

    edit_json(tiny(root) / "manifest.json", claim)
    found = problems(root)
    assert any(f"manifest.json: kind is {kind}, the run was made as" in line for line in found), found


def test_damaged_pins_are_named(root: Path) -> None:
    (root / "artifacts" / "models" / "pinned.json").write_text('{"pinned": 5}', encoding="utf-8")
    assert any("pinned.json" in line for line in problems(root))


def test_a_column_that_is_missing_in_a_table_is_named(root: Path) -> None:
    stats = root / "artifacts" / "stats"
    per_class = next(stats.glob("per_class_metrics_tiny_*.csv"))
    for path, column in ((per_class, "tp"), (stats / "metric_summary.csv", "seed")):

        def cut(rows: list[list[str]], column: str = column) -> None:
            at = rows[0].index(column)
            for row in rows:
                del row[at]

        edit_csv(path, cut)
    found = problems(root)
    assert any("per_class_metrics" in line and "missing: tp" in line for line in found)
    assert any("metric_summary" in line and "column seed is missing" in line for line in found)


def test_an_edited_headline_is_named(root: Path) -> None:
    edit_json(tiny(root) / "manifest.json", lambda manifest: manifest.update(headline={"seed": 1}))
    assert "manifest.json: its headline is not what metrics.json says" in problems(root)


ODD: tuple[Any, ...] = (None, True, -1, 1.5, 10**400, "", "x", [], {}, [[]], {"a": None})


@pytest.mark.parametrize(
    "seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 25))]
)
@pytest.mark.parametrize("name", ["manifest.json", "metrics.json", "thresholds.json"])
def test_no_value_of_another_kind_makes_it_raise(root: Path, name: str, seed: int) -> None:
    """A random place of a JSON document has a value of another type, or is missing."""
    rng = random.Random(f"{name}{seed}")
    path = tiny(root) / name
    value = json.loads(path.read_text(encoding="utf-8"))
    holder, key = value, rng.choice(list(value))
    while rng.random() < 0.7 and isinstance(holder[key], (dict, list)) and holder[key]:
        holder = holder[key]
        key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    if rng.random() < 0.3 and isinstance(holder, dict):
        del holder[key]
    else:
        holder[key] = rng.choice(ODD)
    path.write_text(json.dumps(value), encoding="utf-8")
    report = ValidationReport(root)
    check_checkpoint(path.parent, report)
    if name == "manifest.json":
        assert {problem.path.parent for problem in report.problems} <= {path.parent, path.parent.parent}
    else:
        assert any(problem.path == path for problem in report.problems)  # its hash at least


@pytest.mark.parametrize("name", ["manifest.json", "metrics.json", "thresholds.json", "train_config.yaml"])
def test_no_content_makes_it_raise(root: Path, name: str) -> None:
    for content in (b"", b"\xff\xfe", b"[", b"[]", b"a: [", b"model: 5\n", b"- x\n", b"&a [*a]"):
        (tiny(root) / name).write_bytes(content)
        report = ValidationReport(root)
        check_checkpoint(tiny(root), report)
        assert report.problems, content


def test_every_fault_of_a_document_is_listed(root: Path) -> None:
    def spoil(metrics: dict[str, Any]) -> None:
        metrics["history"][0].pop("val_loss")
        metrics["test"]["global"]["f1_micro"] = "high"
        metrics["data"]["sizes"]["val"] = -1
        metrics.update(seed=True, best_epoch=[], wandb_run_id=7)

    edit_json(tiny(root) / "metrics.json", spoil)
    report = ValidationReport(root)
    check_checkpoint(tiny(root), report)
    assert {problem.message.split()[0] for problem in report.problems} == {
        "history[0].val_loss",
        "test.global.f1_micro",
        "data.sizes.val",
        "seed",
        "best_epoch",
        "wandb_run_id",
    }


def test_the_command_says_what_it_rebuilt(root: Path) -> None:
    (root / "artifacts" / "stats" / "metric_summary.csv").unlink()
    told = goemo("validate", "--root", root)
    assert told.exit_code == 3
    assert "metric_summary.csv: is missing" in told.stderr
    assert f"goemo validate --fix --root {root}" in told.stderr
    fixed = goemo("validate", "--root", root, "--fix", "--recompute", 3, "--json")
    assert fixed.exit_code == 0
    document = json.loads(fixed.stdout)
    assert document["ok"]
    assert [entry["how"] for entry in document["repaired"]] == ["rebuilt"]
    assert len(document["recomputed"]) == 2


def test_the_command_refuses_a_negative_sample(root: Path) -> None:
    assert goemo("validate", "--root", root, "--recompute", -1).exit_code == 2
