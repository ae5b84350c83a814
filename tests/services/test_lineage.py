import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from goemo_cli.core.checkpoint import METRICS, Checkpoint
from goemo_cli.core.csv_files import atomic_csv
from goemo_cli.core.files import sha256_file, write_json, write_text
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import SOURCES_KEY
from goemo_cli.services.runs.lineage import trace_lineage
from goemo_cli.services.runs.lineage_tree import Lineage, Node
from goemo_cli.services.runs.references import open_run
from goemo_cli.services.runs.summaries import write_summaries
from goemo_cli.tracking.artifacts.registry import Registry, files_of
from tests.synthetic_runs import add_run

RUN = "tiny-20260103-101500"
DATA = "d" * 64
BASE = {"kind": "transformer", "id": "some/base", "sha256": "b" * 64}


@pytest.fixture
def run(layout: Layout) -> Checkpoint:
    return add_run(layout, RUN, parents={"data": DATA, "base_model": BASE})


def hashes(layout: Layout, *paths: Path) -> dict[str, str]:
    return {layout.shown(path): sha256_file(path) for path in paths}


def summary(layout: Layout, path: Path, *sources: Path) -> Path:
    write_json(path, {"run": RUN, "sources": hashes(layout, *sources)})
    return path


def figure(layout: Layout, name: str, sources: dict[str, str]) -> Path:
    texts = PngInfo()
    texts.add_text(SOURCES_KEY, json.dumps(sources))
    layout.figures.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (2, 2)).save(layout.figures / name, pnginfo=texts)
    return layout.figures / name


def node_of(lineage: Lineage, name: str) -> Node:
    [node] = [node for node in lineage.nodes if node.name == name]
    return node


def tree_of(lineage: Lineage) -> list[tuple[int, str]]:
    return [(depth, node.name) for depth, node in lineage.tree()]


def test_the_tree_leads_from_the_data_to_the_figures(layout: Layout, run: Checkpoint):
    val, test = (layout.split_predictions(run.run, split) for split in ("val", "test"))
    swept = summary(layout, layout.threshold_sweep / f"threshold_summary_{run.run.file_stem}.json", val)
    table = layout.threshold_sweep / f"threshold_sweep_{run.run.file_stem}.csv"
    write_text(table, "text\n")
    figure(layout, "07_per_emotion_f1_scores.png", hashes(layout, layout.per_class_metrics(run.run)))
    figure(layout, "11_threshold_macro.png", hashes(layout, val, run.path / METRICS))
    figure(layout, "10_training_curves.png", hashes(layout, run.path / METRICS))
    figure(layout, "12_of_another_run.png", {"artifacts/predictions/other.csv": "0" * 64})
    found = trace_lineage(run, layout=layout)
    assert tree_of(found) == [
        (0, "goemotions (100 train, 10 val, 20 test)"),
        (1, "some/base"),
        (2, RUN),
        (3, METRICS),
        (4, "10_training_curves.png"),
        (3, test.name),
        (4, layout.per_class_metrics(run.run).name),
        (5, "07_per_emotion_f1_scores.png"),
        (3, layout.epoch_predictions(run.run, 1).name),
        (3, val.name),
        (4, swept.name),
        (4, table.name),
        (4, "11_threshold_macro.png"),
    ]
    assert node_of(found, "some/base").sha256 == "b" * 64
    assert node_of(found, val.name).sha256 == sha256_file(val)
    assert found.faulty == ()


def test_a_source_that_changed_makes_what_follows_stale_and_nothing_else(layout: Layout, run: Checkpoint):
    val, test = (layout.split_predictions(run.run, split) for split in ("val", "test"))
    swept = summary(layout, layout.threshold_sweep / f"threshold_summary_{run.run.file_stem}.json", val)
    figure(layout, "11_threshold_macro.png", hashes(layout, swept))
    figure(layout, "17_reliability_diagram.png", hashes(layout, test))
    write_text(val, "other text\n")
    found = trace_lineage(run, layout=layout)
    assert {node.name: node.reasons for node in found.faulty} == {
        swept.name: [f"{layout.shown(val)} has changed since"],
        "11_threshold_macro.png": [f"{layout.shown(swept)} is stale"],
    }
    assert {node.state for node in found.faulty} == {"stale"}


def test_weights_that_are_not_those_of_the_manifest_are_damaged(layout: Layout, run: Checkpoint):
    (run.path / "weights.bin").write_bytes(b"changed")
    node = node_of(trace_lineage(run, layout=layout), RUN)
    assert node.state == "damaged"
    assert "weights.bin" in node.reasons[0]


def test_files_that_the_manifest_recorded_are_compared_with_it(layout: Layout, run: Checkpoint):
    test, val = (layout.split_predictions(run.run, split) for split in ("test", "val"))
    outputs = {layout.shown(test): sha256_file(test), layout.shown(val): sha256_file(val)}
    recorded = Checkpoint(run.path, run.run, run.manifest.model_copy(update={"outputs": outputs}))
    write_text(test, "changed\n")
    val.unlink()
    found = trace_lineage(recorded, layout=layout)
    assert [(node.name, node.state) for node in found.faulty] == [
        (test.name, "stale"),
        (val.name, "gone"),
        (layout.per_class_metrics(run.run).name, "stale"),
    ]
    assert node_of(found, layout.epoch_predictions(run.run, 1).name).state == "unrecorded"


def test_the_tables_of_two_splits_are_told_apart(layout: Layout, run: Checkpoint):
    val, test = (layout.split_predictions(run.run, split) for split in ("val", "test"))
    stem = run.run.file_stem
    for name, source in ((stem, test), (f"val_{stem}", val)):
        summary(layout, layout.cooccurrence_summary(name), source)
        write_text(layout.cooccurrence_table("gold", name), "text\n")
    found = trace_lineage(run, layout=layout)
    assert node_of(found, f"cooccurrence_gold_{stem}.csv").sources == [layout.shown(test)]
    assert node_of(found, f"cooccurrence_gold_val_{stem}.csv").sources == [layout.shown(val)]


def test_an_ensemble_names_its_members_and_a_member_its_ensemble(layout: Layout):
    members = [f"tiny-20260103-10150{second}" for second in range(2)]
    for name in members:
        add_run(layout, name, parents={"data": DATA})
    gone = "tiny-20260103-101509"
    whole = add_run(
        layout, "tiny-ensemble-20260103-110000", parents={"data": DATA, "members": [*members, gone]}
    )
    found = trace_lineage(whole, layout=layout)
    parents = [(node.name, node.state) for node in found.nodes if node.kind == "parent run"]
    assert parents == [(members[0], "ok"), (members[1], "ok"), (gone, "gone")]
    assert tree_of(found)[:5] == [
        (0, "goemotions (100 train, 10 val, 20 test)"),
        (1, members[0]),
        (1, members[1]),
        (1, str(whole.run)),
        (2, METRICS),
    ]
    member = open_run(members[0], layout)
    children = [node.name for node in trace_lineage(member, layout=layout).nodes if node.kind == "child run"]
    assert children == [str(whole.run)]


def test_summaries_of_the_newest_run_are_compared_with_its_metrics(layout: Layout, run: Checkpoint):
    write_summaries(layout, models=["tiny"])
    path = layout.test_metrics("tiny")
    assert node_of(trace_lineage(run, layout=layout), path.name).state == "ok"
    edited: dict[str, Any] = json.loads(path.read_text())
    edited["test"] = {}
    write_json(path, edited)
    assert node_of(trace_lineage(run, layout=layout), path.name).state == "stale"


def test_comparisons_that_used_the_run_belong_to_it(layout: Layout, run: Checkpoint):
    test = layout.split_predictions(run.run, "test")
    with atomic_csv(layout.significance_tests) as writer:
        writer.writerow(["a", "a_source", "a_sha256", "b_source", "b_sha256"])
        writer.writerow(["x", layout.shown(test), sha256_file(test), "/elsewhere/b.csv", "0" * 64])
    node = node_of(trace_lineage(run, layout=layout), "significance_tests.csv")
    assert (node.state, node.sources) == ("ok", [layout.shown(test), "/elsewhere/b.csv"])
    assert "outside the root" in node.reasons[0]


def test_versions_in_the_store_that_hold_files_of_the_run_are_shown(layout: Layout, run: Checkpoint):
    registry = Registry(layout.registry)
    registry.add("whole", files_of(run.path), type="model")
    registry.add("preds", {"p.csv": layout.split_predictions(run.run, "test")}, type="predictions")
    write_text(layout.root / "other.txt", "nothing of it")
    registry.add("other", {"o": layout.root / "other.txt"}, type="dataset")
    found = trace_lineage(run, layout=layout)
    shown = {node.id: node.sources for node in found.nodes if node.kind == "registry"}
    assert set(shown) == {"whole:v0", "preds:v0"}
    assert layout.shown(run.path) in shown["whole:v0"]
    assert layout.shown(layout.split_predictions(run.run, "test")) in shown["preds:v0"]


def test_pictures_that_carry_nothing_are_told_by_the_record_beside_them(layout: Layout, run: Checkpoint):
    val = layout.split_predictions(run.run, "val")
    vector, of_data = (
        layout.figures / "11_threshold_macro.svg",
        figure(layout, "00_class_distribution.png", {}),
    )
    write_text(vector, "<svg/>")
    records = {
        vector: {"sources": hashes(layout, val), "data": {}},
        of_data: {"sources": {}, "data": {"train": "goemotions train", "val": "other"}},
    }
    for path, record in records.items():
        write_json(layout.figures / "data" / f"{path.stem}.json", {"runs": [RUN], **record})
    found = trace_lineage(run, layout=layout)
    assert node_of(found, vector.name).sources == [layout.shown(val)]
    assert node_of(found, of_data.name).sources == ["data"]
    assert node_of(found, of_data.name).reasons == ["was drawn from other val data"]
    write_text(val, "changed\n")
    assert node_of(trace_lineage(run, layout=layout), vector.name).state == "stale"


def test_nothing_is_written_and_damaged_pictures_are_passed_over(layout: Layout, run: Checkpoint):
    figure(layout, "10_training_curves.png", {})
    (layout.figures / "11_threshold_macro.png").write_bytes(b"no picture")
    before = {path: path.stat().st_mtime_ns for path in layout.root.rglob("*")}
    assert not [node for node in trace_lineage(run, layout=layout).nodes if node.kind == "figure"]
    assert {path: path.stat().st_mtime_ns for path in layout.root.rglob("*")} == before
