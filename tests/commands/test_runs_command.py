"""`goemo runs` as it is typed, and references in the export commands."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from goemo_cli.core.documents.manifest import Headline
from goemo_cli.core.layout import Layout
from goemo_cli.services.runs.references import open_run
from tests.synthetic_runs import add_run, add_unfinished
from tests.typed import goemo

OLD, NEW = "tiny-20260101-000000", "tiny-20260102-000000"


def document(*arguments: object) -> Any:
    done = goemo(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def root(layout: Layout) -> Path:
    """A root with two runs; the older is better on val."""
    add_run(layout, OLD, val=0.6, test=0.4, settings={"training": {"seed": 1}})
    add_run(layout, NEW, val=0.5, test=0.7, settings={"training": {"seed": 2}})
    return layout.root


def test_list_shows_the_newest_first(root: Path, layout: Layout) -> None:
    add_unfinished(layout, "tiny-20260103-000000", hours=1)
    shown = goemo("runs", "list", "--root", root)
    assert shown.exit_code == 0
    lines = [line for line in shown.stdout.splitlines() if "tiny-" in line]
    assert [line.split()[1] for line in lines] == ["tiny-20260103-000000", NEW, OLD]
    assert "0.6000" in lines[2]
    assert "unfinished" in lines[0]


def test_a_list_names_the_next_command_if_there_is_nothing_or_something_to_continue(
    root: Path, tmp_path: Path, layout: Layout
) -> None:
    (tmp_path / "empty").mkdir()
    shown = goemo("runs", "list", "--root", tmp_path / "empty")
    assert (shown.exit_code, shown.stdout) == (0, f"No runs in {tmp_path / 'empty/artifacts/models'}\n")
    assert f"goemo train --root {tmp_path / 'empty'}" in shown.stderr
    shown = goemo("runs", "list", "--model", "minilm", "--root", root)
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "No runs of minilm in" in shown.stdout
    assert "there are runs of tiny" in shown.stdout
    add_unfinished(layout, "tiny-20260103-000000", hours=1)
    state = layout.models / "tiny" / "tiny-20260103-000000" / "state"
    state.mkdir()
    (state / "training.json").touch()
    assert "goemo train --resume tiny-20260103-000000" in goemo("runs", "list", "--root", root).stderr


def test_list_as_json_has_every_run_and_its_headline(root: Path) -> None:
    listed = document("runs", "list", "--root", root)
    assert listed["total"] == 2
    assert [one["run"] for one in listed["runs"]] == [NEW, OLD]
    assert listed["runs"][1]["val"]["f1_macro"] == 0.6
    assert listed["runs"][1]["state"] == "finished"
    assert len(document("runs", "list", "--root", root, "--limit", 1)["runs"]) == 1


def test_a_long_list_is_cut_for_people_and_says_so(layout: Layout) -> None:
    for second in range(10, 41):
        add_run(layout, f"tiny-20260101-0000{second}")
    shown = goemo("runs", "list", "--root", layout.root)
    assert shown.stdout.count("tiny-20260101") == 30
    assert "1 more: --limit 31" in shown.stderr
    assert goemo("runs", "list", "--root", layout.root, "--limit", 31).stdout.count("tiny-20260101") == 31


def test_show_has_scores_epochs_settings_and_files(root: Path) -> None:
    shown = goemo("runs", "show", "@latest", "--root", root)
    assert shown.exit_code == 0, shown.output
    for part in (NEW, "per_label *", "0.7000", "0.350–0.700", " 61 ", "training.seed", "weights.bin", "7 B"):
        assert part in shown.stdout
    told = document("runs", "show", NEW, "--root", root)
    assert told["settings"]["training.seed"] == 2
    assert told["test"]["per_label"]["f1_macro"] == 0.7
    assert all(Path(path).stat().st_size == size for path, size in told["files"].items())


def test_best_is_by_val(root: Path) -> None:
    best = document("runs", "best", "--root", root)
    assert (best["run"], best["metric"], best["value"]) == (OLD, "val/average_precision_macro", 0.6)
    assert f"goemo runs show {OLD}" in goemo("runs", "best", "--root", root).stderr


def test_best_says_what_it_left_out(root: Path, layout: Layout) -> None:
    add_run(layout, "tiny-20260103-000000", val=0.1, data="sample")
    shown = goemo("runs", "best", "--root", root)
    assert "tiny-20260103-000000 is the best of 1" in shown.stdout
    assert "2 runs were scored on other comments" in shown.stderr


def test_diff_has_settings_scores_and_deltas(root: Path) -> None:
    found = document("runs", "diff", OLD, NEW, "--root", root)
    assert found["settings"]["training.seed"] == {"a": 1, "b": 2}
    assert found["scores"]["val/f1_macro"] == {"a": 0.6, "b": 0.5, "delta": pytest.approx(-0.1)}
    shown = goemo("runs", "diff", OLD, NEW, "--root", root)
    assert "-0.100" in shown.stdout
    assert "+0.300" in shown.stdout
    assert "goemo compare" in shown.stderr


def test_small_settings_and_differences_are_not_shown_as_zero(layout: Layout) -> None:
    for name, rate, val in ((OLD, 2e-5, 0.60001), (NEW, 2.4e-5, 0.6)):
        add_run(layout, name, val=val, settings={"training": {"learning_rate": rate}})
    shown = goemo("runs", "diff", OLD, NEW, "--root", layout.root).stdout
    assert [word for word in shown.split() if word.endswith("e-05")] == [
        "2e-05",
        "2.4e-05",
        "-1e-05",
        "-1e-05",
    ]  # AP and F1
    assert "2e-05" in goemo("runs", "show", OLD, "--root", layout.root).stdout


@pytest.mark.parametrize("command", [["show", "@latest"], ["diff", OLD, "@latest"]])
def test_labels_that_count_as_zero_in_macro_averages_are_said(
    root: Path, layout: Layout, command: list[str]
) -> None:
    add_run(layout, "tiny-20260103-000000", without_positives=2)
    shown = goemo("runs", *command, "--root", root)
    for split in ("val", "test"):
        assert f"2 labels without a comment in {split} count as 0 in its macro averages" in shown.stderr
    assert "macro averages" not in goemo("runs", "show", OLD, "--root", root).stderr


def test_diff_warns_where_other_comments_were_scored(root: Path, layout: Layout) -> None:
    add_run(layout, "tiny-20260103-000000", data="sample")
    shown = goemo("runs", "diff", OLD, "@latest", "--root", root)
    assert "different val comments" in shown.stderr
    assert "different test comments" in shown.stderr


def test_a_pinned_run_survives_gc_until_it_is_unpinned(root: Path, layout: Layout) -> None:
    add_run(layout, "tiny-20260103-000000", val=0.9)
    assert document("runs", "pin", OLD, "--root", root)["pinned"] == [OLD]
    assert "pinned" in goemo("runs", "list", "--root", root).stdout
    assert document("runs", "gc", "--keep", 1, "--root", root)["kept"][OLD] == "pinned"
    assert "Was pinned already" in goemo("runs", "pin", OLD, "--root", root).stdout
    assert document("runs", "pin", "--remove", OLD, "--root", root)["pinned"] == []
    removed = document("runs", "gc", "--keep", 1, "--yes", "--root", root)["removed"]
    assert [Path(path).name for path in removed] == [OLD, NEW]


def test_the_pin_of_a_run_that_is_gone_can_be_removed(root: Path, layout: Layout) -> None:
    from goemo_cli.services.runs.pins import pin

    pin("gone-20250101-000000", layout=layout)
    done = document("runs", "pin", "--remove", "gone-20250101-000000", "--root", root)
    assert done["pinned"] == []


def test_gc_only_says_what_would_go(root: Path) -> None:
    shown = goemo("runs", "gc", "--keep", 0, "--root", root)
    assert "Would free" in shown.stdout
    assert NEW in shown.stdout
    assert f"goemo runs gc --keep 0 --yes --root {root}" in shown.stderr
    assert len(document("runs", "list", "--root", root)["runs"]) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["show", "tiny-20260101-000001"], 4, "did you mean"),
        (["show", "@nobody"], 4, "no run '@nobody'"),
        (["show", "tiny"], 2, "fits 2 runs"),
        (["show", "nowhere/run"], 4, "is not a goemo checkpoint"),
        (["best", "--metric", "test/f1_macro"], 2, "spoiled"),
        (["list", "--sort", "test/f1_macro"], 2, "spoiled"),
        (["diff", OLD], 2, "Missing argument"),
        (["pin", "--remove", "x"], 4, "no run 'x'"),
        (["gc", "--keep", "-1"], 2, "keep"),
    ],
)
def test_mistakes_are_told_in_a_sentence(root: Path, arguments: list[str], code: int, said: str) -> None:
    done = goemo("runs", *arguments, "--root", root)
    assert done.exit_code == code, done.output
    assert said in done.stderr


def test_best_of_an_empty_root_exits_4(tmp_path: Path) -> None:
    done = goemo("runs", "best", "--root", tmp_path)
    assert done.exit_code == 4
    assert "no finished run" in done.stderr


def test_a_real_run_can_be_shown_exported_and_scored_by_reference(two_runs: Path, tmp_path: Path) -> None:
    root = shutil.copytree(two_runs, tmp_path / "root")
    trained = open_run("@tfidf", Layout(root))
    assert document("runs", "show", "@tfidf", "--root", root)["run"] == str(trained.run)
    written = document("export-predictions", "-c", "@latest", "--root", root)
    assert written["paths"] == [str(Layout(root).split_predictions(trained.run, "test"))]
    scored = document("export-metrics", "--checkpoint", "tfidf-2", "--root", root)
    assert scored["f1_macro"] == pytest.approx(Headline.of(trained.metrics).test["f1_macro"])


@pytest.mark.parametrize("command", ["export-predictions", "export-metrics"])
def test_exports_refuse_what_is_no_run(root: Path, command: str) -> None:
    done = goemo(command, "-c", "@bset", "--root", root)
    assert done.exit_code == 4
    assert "did you mean '@best'" in done.stderr
