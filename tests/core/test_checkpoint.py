"""Checkpoints: claimed once, opened whole or not at all."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from goemo_cli.core.checkpoint import (
    CONFIG,
    MANIFEST,
    METRICS,
    THRESHOLDS,
    Checkpoint,
    claim_checkpoint,
    write_manifest,
)
from goemo_cli.core.documents.manifest import Headline
from goemo_cli.core.errors import CheckpointNotFoundError, CorruptArtifactError
from goemo_cli.core.files import PARTIAL_PREFIX, sha256_file, write_json
from goemo_cli.core.layout import Layout
from tests.metrics_documents import EMPTY_METRICS, NO_SCORES, data_facts, label_scores

Make = Callable[..., Checkpoint]
MIDNIGHT = datetime(2025, 12, 31, 23, 59, 57, tzinfo=UTC)


def change_manifest(folder: Path, **changes: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    write_json(folder / MANIFEST, {**manifest, **changes})


def test_eight_runs_that_start_in_one_second_get_eight_names(layout: Layout):
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: claim_checkpoint(layout, "tiny", "tiny", MIDNIGHT), range(8)))
    assert sorted(run.stamp for run, _ in claims) == [
        *(f"20251231-2359{second}" for second in (57, 58, 59)),
        *(f"20260101-00000{second}" for second in range(5)),
    ]
    for run, folder in claims:
        assert folder == layout.checkpoint(run, "tiny")
        assert folder.is_dir()


def test_a_finished_checkpoint_opens_and_says_what_it_is(make_checkpoint: Make):
    made = make_checkpoint(labels=("anger", "joy"))
    opened = Checkpoint.open(made.path)
    assert opened.run.model == "tiny"
    assert str(opened.run) == made.path.name
    assert opened.labels == ("anger", "joy")
    assert opened.kind == "tiny"
    assert opened.config.model.name == "tiny"
    assert opened.metrics.run == str(opened.run)
    assert opened.thresholds.per_label.tolist() == [0.25, 0.25]
    assert list(opened.hash_faults()) == []
    opened.require_intact()


def test_the_manifest_holds_size_and_hash_of_every_other_file(make_checkpoint: Make):
    folder = make_checkpoint().path
    (folder / "deep").mkdir()
    manifest = json.loads((folder / MANIFEST).read_text())
    assert set(manifest["files"]) == {path.name for path in folder.iterdir() if path.is_file()} - {MANIFEST}
    for name, entry in manifest["files"].items():
        assert entry == {"sha256": sha256_file(folder / name), "size": (folder / name).stat().st_size}
    assert manifest["parents"]
    assert manifest["schema_version"] == 1


def test_leftovers_of_a_killed_write_are_not_in_the_manifest(make_checkpoint: Make):
    made = make_checkpoint()
    (made.path / f"{PARTIAL_PREFIX}abc.json").touch()
    (made.path / f"{PARTIAL_PREFIX}folder").mkdir()
    (made.path / f"{PARTIAL_PREFIX}folder" / "x.bin").touch()
    (made.path / "deep").mkdir()
    (made.path / "deep" / "kept.json").write_text("{}")
    again = write_manifest(made.path, run=made.run, kind="tiny", labels=made.labels, parents={})
    assert set(again.manifest.files) == {*made.manifest.files, "deep/kept.json"}


def test_no_folder_is_no_checkpoint(tmp_path: Path):
    with pytest.raises(CheckpointNotFoundError, match="this folder does not exist"):
        Checkpoint.open(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointNotFoundError, match="it is a file; name its folder"):
        Checkpoint.open(tmp_path / "file")


def test_an_unfinished_run_is_no_checkpoint_and_what_it_lacks_is_named(layout: Layout):
    _, folder = claim_checkpoint(layout, "tiny", "tiny")
    (folder / METRICS).write_text("{}")
    with pytest.raises(CheckpointNotFoundError) as raised:
        Checkpoint.open(folder)
    assert raised.value.missing == [THRESHOLDS, CONFIG, MANIFEST]
    assert "thresholds.json, train_config.yaml, manifest.json missing" in str(raised.value)


@pytest.mark.parametrize("names", [[METRICS], [THRESHOLDS], [CONFIG], [METRICS, CONFIG], ["weights.bin"]])
def test_a_finished_run_without_one_of_its_files_is_damaged(make_checkpoint: Make, names: list[str]):
    folder = make_checkpoint().path
    for name in names:
        (folder / name).unlink()
    with pytest.raises(CorruptArtifactError) as raised:
        Checkpoint.open(folder)
    assert raised.value.path == folder / names[0]
    assert all(name in str(raised.value) for name in names)
    (folder / MANIFEST).write_text('{"name": "an app"}')
    (folder / CONFIG).unlink(missing_ok=True)
    with pytest.raises(CheckpointNotFoundError):
        Checkpoint.open(folder)


def test_weights_that_are_missing_or_cut_are_noticed_on_opening(make_checkpoint: Make):
    folder = make_checkpoint().path
    (folder / "weights.bin").write_bytes(b"weig")
    with pytest.raises(CorruptArtifactError, match=r"weights\.bin: has 4 bytes, the manifest says 7"):
        Checkpoint.open(folder)
    (folder / "weights.bin").unlink()
    with pytest.raises(CorruptArtifactError, match=r"weights\.bin: is named in the manifest and missing"):
        Checkpoint.open(folder)


def test_weights_of_the_same_size_and_other_content_are_noticed_before_use(make_checkpoint: Make):
    folder = make_checkpoint().path
    (folder / "weights.bin").write_bytes(b"WEIGHTS")
    opened = Checkpoint.open(folder)
    assert list(opened.hash_faults()) == [
        (folder / "weights.bin", "differs from the SHA-256 in the manifest")
    ]
    with pytest.raises(CorruptArtifactError, match="differs from the SHA-256"):
        opened.require_intact()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"run": "not a run"}, "run is 'not a run', which is not the name of a run"),
        ({"run": None}, "run should be a valid string"),
        ({"kind": "forest"}, "kind should be 'transformer', 'static', 'tiny', 'tfidf' or 'ensemble'"),
        ({"files": None}, "files should be"),
        ({"files": {"weights.bin": {"size": 7}}}, r"files\.weights\.bin\.sha256 is missing"),
        ({"files": {"weights.bin": {"sha256": "0" * 64}}}, r"files\.weights\.bin\.size is missing"),
        ({"parents": None}, "parents should be"),
        ({"outputs": {"a.csv": 7}}, r"outputs\.a\.csv should be a valid string"),
        ({"headline": {"val": {"f1_macro": "high"}}}, r"headline\.val\.f1_macro should be a valid number"),
        ({"labels": []}, "labels .*at least 1 item"),
        ({"labels": [1, 2]}, r"labels\[0\] should be a valid string"),
    ],
)
def test_a_wrong_value_in_a_manifest_is_named_with_its_key(
    make_checkpoint: Make, changes: dict[str, Any], fault: str
):
    folder = make_checkpoint().path
    change_manifest(folder, **changes)
    with pytest.raises(CorruptArtifactError, match=rf"manifest\.json: {fault}"):
        Checkpoint.open(folder)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"test": None}, "test should be"),
        ({"test": {**NO_SCORES, "per_label": {}}}, r"test\.per_label\.f1_macro is missing"),
        ({"history": [{"epoch": 1}]}, r"history\[0\]\.train_loss is missing"),
        ({"training_seconds": True}, "training_seconds should be a valid number"),
        ({"data": {"name": 7}}, r"data\.name should be a valid string, data\.source is missing, .*, \.\.\."),
        (
            {"data": data_facts(sizes={"train": -1})},
            r"data\.sizes\.train should be greater than or equal to 0",
        ),
        (
            {"per_class": [label_scores("joy", support=0.5)]},
            r"per_class\[0\]\.support should be a valid integer",
        ),
        ({"test": {**NO_SCORES, "lrap_ci": [0.1]}}, r"test\.lrap_ci\[1\] is missing"),
        ({"taxonomies": {"ekman": {"max": 7}}}, r"taxonomies\.ekman\.max should be"),
    ],
)
def test_a_wrong_value_in_metrics_is_named_with_its_key(
    make_checkpoint: Make, changes: dict[str, Any], fault: str
):
    made = make_checkpoint()
    write_json(made.path / METRICS, {**EMPTY_METRICS, **changes})
    with pytest.raises(CorruptArtifactError, match=rf"metrics\.json: {fault}"):
        _ = made.metrics


def test_thresholds_of_other_labels_are_corrupt(make_checkpoint: Make):
    folder = make_checkpoint(labels=("anger", "joy")).path
    change_manifest(folder, labels=["joy", "anger"])
    with pytest.raises(CorruptArtifactError, match="in another order"):
        _ = Checkpoint.open(folder).thresholds


def test_the_headline_is_kept_in_the_manifest(make_checkpoint: Make):
    made = make_checkpoint()
    again = write_manifest(
        made.path, run=made.run, kind="tiny", labels=made.labels, parents={}, headline=Headline(seed=7)
    )
    assert again.manifest.headline == Headline(seed=7)
    assert json.loads((made.path / MANIFEST).read_text())["headline"] == {"seed": 7}


def test_a_checkpoint_is_opened_without_loading_numpy(make_checkpoint: Make):
    code = (
        "import sys; from pathlib import Path; from goemo_cli.core.checkpoint import Checkpoint;"
        "Checkpoint.open(Path(sys.argv[1])); print(sorted({'numpy', 'torch', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(make_checkpoint().path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
