"""Listing, describing, comparing, pinning runs, and clearing them away."""

import json
import shutil
from pathlib import Path

import pytest

from goemo_cli.core.checkpoint import MANIFEST, METRICS, Checkpoint
from goemo_cli.core.documents.manifest import Headline
from goemo_cli.core.errors import CorruptArtifactError, SettingError
from goemo_cli.core.files import PARTIAL_PREFIX, read_json, write_json, write_text
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import SUMMARY_COLUMNS
from goemo_cli.services.runs.index import listed_runs, run_files
from goemo_cli.services.runs.pins import pin, pinned_runs, unpin
from goemo_cli.services.runs.removal import find_removable, remove_planned
from goemo_cli.services.runs.show import describe_run, list_runs
from goemo_cli.services.runs.summaries import (
    finished_checkpoints,
    summary_tables,
    test_metrics,
    write_summaries,
)
from tests.csv_rows import rows_of
from tests.synthetic_runs import add_run, add_unfinished, age, outside

A, B, C, D = (f"tiny-2026010{day}-000000" for day in (1, 2, 3, 4))


def names(layout: Layout) -> list[str]:
    return [str(one.run) for one in listed_runs(layout)]


# What there is


def test_a_manifest_without_headline_is_helped_out_by_its_metrics(layout: Layout) -> None:
    add_run(layout, A, val=0.6, test=0.3, with_headline=False)
    with_headline = add_run(layout, B, val=0.6, test=0.3).manifest.headline
    assert listed_runs(layout)[0].headline == with_headline


def test_a_manifest_with_headline_is_the_only_file_that_is_opened(layout: Layout) -> None:
    path = add_run(layout, A, val=0.6).path
    (path / METRICS).unlink()
    assert list_runs(layout).runs[0].score("val/f1_macro") == 0.6


def test_unfinished_and_damaged_runs_are_shown_as_such(layout: Layout) -> None:
    add_run(layout, A)
    add_unfinished(layout, B, hours=1)
    write_text(add_run(layout, C).path / MANIFEST, "[")
    write_text(add_run(layout, D, with_headline=False).path / METRICS, "{")
    assert [one.state for one in listed_runs(layout)] == ["finished", "unfinished", "damaged", "finished"]
    assert [one.headline == Headline() for one in listed_runs(layout)] == [False, True, True, True]


def test_folders_and_files_that_are_no_runs_are_passed_over(layout: Layout) -> None:
    add_run(layout, A)
    (layout.models / "tiny" / "notes").mkdir()
    (layout.models / "tiny" / B).touch()
    pin(A, layout=layout)
    assert names(layout) == [A]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("newest", [C, B, A]),
        ("oldest", [A, B, C]),
        ("seconds", [C, B, A]),
        ("best", [B, A, C]),
        ("val/f1_macro", [B, A, C]),
        ("val/hamming_loss", [A, C, B]),
    ],
)
def test_runs_are_ordered_as_asked(layout: Layout, sort: str, order: list[str]) -> None:
    add_run(layout, A, val=0.5, hamming_loss=0.1)
    add_run(layout, B, val=0.6, hamming_loss=0.3)
    add_run(layout, C, val=0.4, hamming_loss=0.2)
    assert [str(one.run) for one in list_runs(layout, sort=sort).runs] == order


def test_runs_without_the_score_come_last(layout: Layout) -> None:
    add_run(layout, A)
    add_unfinished(layout, B, hours=0)
    assert [str(one.run) for one in list_runs(layout, sort="val/f1_macro").runs] == [A, B]


@pytest.mark.parametrize(
    ("sort", "said"),
    [
        ("newset", "did you mean 'newest'"),
        ("?", "known: newest"),
    ],
)
def test_an_unknown_order_is_refused(layout: Layout, sort: str, said: str) -> None:
    with pytest.raises(SettingError) as raised:
        list_runs(layout, sort=sort)
    assert said in str(raised.value)


def test_a_list_may_be_cut_and_filtered(layout: Layout) -> None:
    for name in (A, B, "bert-base-20260103-000000"):
        add_run(layout, name)
    cut = list_runs(layout, limit=1, model="tiny")
    assert ([str(one.run) for one in cut.runs], cut.total) == ([B], 2)
    assert list_runs(layout, model="bert").total == list_runs(layout, model="bert-base").total == 1


# Which files are whose


def test_files_belong_to_the_run_they_are_named_after(layout: Layout) -> None:
    short, long = RunName("large", "20260101-000000"), RunName("very_large", "20260101-000000")
    for run in (short, long):
        add_run(layout, str(run))
        write_text(layout.tensorboard / str(run) / "events", "x")
        write_text(layout.trackers / "csv" / str(run) / "numbers.csv", "x")
        write_text(layout.stats / "calibration" / f"{run.file_stem}.json", "{}")
    write_text(layout.stats / "significance_tests.csv", "x")
    write_text(layout.predictions / "test_predictions_large_20260101-000001.csv", "x")
    found = run_files(layout, [short, long])
    for run in (short, long):
        assert set(found[run]) == {
            *outside(layout, run),
            layout.tensorboard / str(run) / "events",
            layout.trackers / "csv" / str(run) / "numbers.csv",
            layout.stats / "calibration" / f"{run.file_stem}.json",
        }


# One run, two runs


def test_a_description_names_changed_settings_and_every_file(layout: Layout) -> None:
    made = add_run(layout, f"bert-{A[-15:]}", settings={"training": {"seed": 3, "epochs": 9}})
    told = describe_run(made, layout=layout)
    assert told.settings == {"training.seed": 3, "training.epochs": 9}
    on_disk = [path for path in made.path.iterdir() if path.name != MANIFEST] + outside(layout, made.run)
    assert told.files == {path: path.stat().st_size for path in on_disk}
    assert not told.is_pinned


def test_settings_that_the_catalogue_gives_a_model_are_no_changes(layout: Layout) -> None:
    from goemo_cli.core.catalogue import catalogue

    suited = dict(catalogue()["tiny"].defaults)
    assert describe_run(add_run(layout, A, settings=suited), layout=layout).settings == {}


# Pins


def test_pins_are_kept_in_order_and_removed(layout: Layout) -> None:
    assert pinned_runs(layout) == ()
    assert [pin(name, layout=layout) for name in (B, A, B)] == [True, True, False]
    assert pinned_runs(layout) == (B, A)
    assert [unpin(B, layout=layout), unpin(B, layout=layout)] == [True, False]
    assert read_json(layout.pins)["pinned"] == [A]


@pytest.mark.parametrize("content", ["{", "[]", '{"pinned": 1}', '{"pinned": [1]}', "{}"])
def test_where_pins_cannot_be_read_nothing_is_garbage(layout: Layout, content: str) -> None:
    add_run(layout, A)
    write_text(layout.pins, content)
    with pytest.raises(CorruptArtifactError):
        find_removable(layout, keep=0)


# Garbage


def collected(layout: Layout, **options: float | None) -> list[str]:
    return [piece.path.name for piece in find_removable(layout, **options).candidates]  # type: ignore[arg-type]


def test_finished_runs_stay_unless_a_number_is_given(layout: Layout) -> None:
    for name in (A, B, C):
        add_run(layout, name)
    assert collected(layout) == []
    assert collected(layout, keep=2) == [A]
    assert collected(layout, keep=9) == []


def test_the_newest_of_each_model_and_its_best_stay(layout: Layout) -> None:
    add_run(layout, A, val=0.9)
    add_run(layout, B, val=0.1, test=0.99)
    add_run(layout, C, val=0.2)
    add_run(layout, D, val=0.3)
    add_run(layout, "bert-20250101-000000", val=0.05)
    assert collected(layout, keep=1) == [B, C]
    plan = find_removable(layout, keep=1)
    assert plan.kept == {
        A: "best val/average_precision_macro of tiny",
        D: "among the newest 1 of tiny",
        "bert-20250101-000000": "best val/average_precision_macro of bert",
    }
    assert collected(layout, keep=0) == [B, C, D]


def test_the_best_on_each_data_set_stays(layout: Layout) -> None:
    add_run(layout, A, val=0.9, data="sample")
    add_run(layout, B, val=0.8, data="sample")
    add_run(layout, C, val=0.2)
    assert collected(layout, keep=0) == [B]


def test_what_kept_runs_were_made_from_stays_and_what_nobody_needs_goes(layout: Layout) -> None:
    add_run(layout, A, val=0.1)
    add_run(layout, B, val=0.1, parents={"teacher": A})
    add_run(layout, C, val=0.1)
    add_run(layout, D, val=0.9)
    add_run(layout, "ensemble-20260105-000000", parents={"members": [B, D]})
    assert collected(layout, keep=0) == [C]
    assert find_removable(layout, keep=0).kept[A] == f"{B} was made from it"
    add_run(layout, "ensemble-20260106-000000", val=0.9, parents={"members": [D]})
    assert collected(layout, keep=0) == [A, B, C, "ensemble-20260105-000000"]


def test_damaged_runs_and_links_are_left_for_people(layout: Layout, tmp_path: Path) -> None:
    for name in (A, B, C):
        add_run(layout, name)
    write_text(layout.models / "tiny" / A / MANIFEST, "{")
    shutil.move(layout.models / "tiny" / B, tmp_path / "far")
    (layout.models / "tiny" / B).symlink_to(tmp_path / "far")
    plan = find_removable(layout, keep=0)
    assert plan.candidates == ()
    assert (plan.kept[A], plan.kept[B]) == ("damaged", "a link")


def test_unfinished_runs_are_garbage_once_nothing_changes_any_more(layout: Layout) -> None:
    add_unfinished(layout, A, hours=25)
    add_unfinished(layout, B, hours=23)
    still_writes = add_unfinished(layout, C, hours=25)
    age(layout.epoch_predictions(RunName("tiny", C[-15:]), 1), 0)
    assert collected(layout) == [A]
    assert collected(layout, unfinished_after=22) == [A, B]
    assert still_writes.is_dir()


def test_an_empty_folder_was_just_claimed(layout: Layout) -> None:
    folder = layout.models / "tiny" / A
    folder.mkdir(parents=True)
    assert collected(layout) == []
    age(folder, 25)
    assert collected(layout) == [A]


def test_leftovers_of_killed_writes_are_garbage_once_they_are_old(layout: Layout) -> None:
    made = add_run(layout, A)
    old = layout.predictions / f"{PARTIAL_PREFIX}a.csv"
    young = layout.figures / f"{PARTIAL_PREFIX}b.png"
    inside = made.path / f"{PARTIAL_PREFIX}c" / f"{PARTIAL_PREFIX}d.bin"
    for path in (old, young, inside):
        write_text(path, "x")
    age(old, 25)
    age(inside, 25)
    plan = find_removable(layout)
    assert [piece.path for piece in plan.candidates] == [inside.parent, old]
    remove_planned(plan, layout=layout)
    assert not old.exists()
    assert not inside.parent.exists()
    assert young.exists()
    assert not list(Checkpoint.open(made.path).hash_faults())


def test_a_plan_touches_nothing_and_counts_the_bytes(layout: Layout) -> None:
    add_run(layout, A)
    add_run(layout, B)
    before = {path: path.stat().st_size for path in layout.root.rglob("*") if path.is_file()}
    plan = find_removable(layout, keep=1)
    assert {path: path.stat().st_size for path in layout.root.rglob("*") if path.is_file()} == before
    assert sum(piece.size for piece in plan.candidates) == sum(
        size for path, size in before.items() if A[-15:] in str(path)
    )


def test_a_removed_run_leaves_nothing_and_the_summaries_know(layout: Layout) -> None:
    add_run(layout, A)
    add_run(layout, B)
    write_text(layout.tensorboard / A / "events", "x")
    write_summaries(layout, models=["tiny"])
    removed = remove_planned(find_removable(layout, keep=1), layout=layout)
    assert [str(piece.run) for piece in removed] == [A]
    assert not [path for path in layout.root.rglob("*") if A[-15:] in path.name]
    for path, content in summary_tables(layout, list(finished_checkpoints(layout))).items():
        assert (path.read_text() if path.exists() else None) == content
    assert B in layout.metric_summary.read_text()
    assert A not in layout.metric_summary.read_text()


def test_the_test_metrics_of_a_model_follow_its_newest_run(layout: Layout) -> None:
    add_run(layout, A, val=0.9)
    add_run(layout, B)
    write_summaries(layout, models=["tiny"])
    assert read_json(layout.test_metrics("tiny"))["run"] == B
    remove_planned(find_removable(layout, keep=0), layout=layout)
    assert names(layout) == [A]
    assert read_json(layout.test_metrics("tiny"))["run"] == A


def test_an_interrupted_removal_leaves_an_unfinished_run_that_the_next_one_takes(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = add_run(layout, A)
    for path in [*made.path.iterdir(), *outside(layout, made.run)]:
        age(path, 48)
    add_run(layout, B)

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_planned(find_removable(layout, keep=1), layout=layout)
    assert [one.state for one in listed_runs(layout)] == ["unfinished", "finished"]
    plan = find_removable(layout)
    assert [piece.kind for piece in plan.candidates] == ["unfinished"]
    remove_planned(plan, layout=layout)
    assert names(layout) == [B]


def test_a_run_that_went_on_since_the_plan_stays(layout: Layout) -> None:
    goes_on = add_unfinished(layout, A, hours=25)
    finishes = add_unfinished(layout, B, hours=25)
    plan = find_removable(layout)
    assert len(plan.candidates) == 2
    write_text(goes_on / "weights.bin", "more")
    write_json(finishes / MANIFEST, {})
    age(finishes / MANIFEST, 25)
    assert remove_planned(plan, layout=layout) == ()
    assert goes_on.is_dir()
    assert finishes.is_dir()


def test_the_files_of_a_kept_run_stay_when_a_copy_of_its_folder_goes(layout: Layout) -> None:
    made = add_run(layout, A)
    copy = layout.models / "copies" / A
    shutil.copytree(made.path, copy)
    (copy / MANIFEST).unlink()
    for path in copy.iterdir():
        age(path, 25)
    for path in outside(layout, made.run):
        age(path, 25)
    remove_planned(find_removable(layout), layout=layout)
    assert not copy.exists()
    assert all(path.is_file() for path in outside(layout, made.run))


# Summaries


def test_the_summary_has_a_row_per_run_under_the_right_columns(layout: Layout) -> None:
    add_run(layout, A, test=0.4, auc_macro=0.7)
    add_run(layout, "bert-20260102-000000", test=0.6)
    (add_run(layout, C).path / "weights.bin").unlink()
    written = write_summaries(layout, models=["tiny", "nobody"])
    assert written == [layout.metric_summary, layout.per_emotion_scores, layout.test_metrics("tiny")]
    rows = rows_of(layout.metric_summary)
    assert tuple(rows[0]) == SUMMARY_COLUMNS
    assert [row["run"] for row in rows] == [A, "bert-20260102-000000"]
    assert [float(row["f1_macro_per_label"]) for row in rows] == [0.4, 0.6]
    assert float(rows[0]["auc_macro"]) == 0.7
    assert rows[0]["training_seconds"] == "7.5"
    newest = Checkpoint.open(layout.models / "tiny" / A)
    assert json.loads(layout.test_metrics("tiny").read_text()) == test_metrics(newest)


def test_the_file_of_a_model_without_runs_is_removed(layout: Layout) -> None:
    write_text(layout.test_metrics("tiny"), "{}")
    assert write_summaries(layout, models=["tiny"]) == [layout.metric_summary, layout.per_emotion_scores]
    assert not layout.test_metrics("tiny").exists()
