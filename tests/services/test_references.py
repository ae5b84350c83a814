"""References: every way to name a run, and what is said where none or several fit."""

import math
import os
import shutil

import pytest

from goemo_cli.core.checkpoint import MANIFEST
from goemo_cli.core.errors import (
    CheckpointNotFoundError,
    CorruptArtifactError,
    NoRunError,
    NotFoundError,
    RunNotFoundError,
    SettingError,
)
from goemo_cli.core.events import Event, Info, Warning
from goemo_cli.core.layout import Layout
from goemo_cli.services.runs.references import choose_best, open_run
from tests.synthetic_runs import add_run, add_unfinished

OLD, MIDDLE, NEW = "minilm-20260101-000000", "distilbert-base-20260102-000000", "minilm-20260103-000000"


@pytest.fixture
def three(layout: Layout) -> Layout:
    """Three runs; the oldest is the best on val, the middle one on test."""
    add_run(layout, OLD, val=0.6, test=0.4, auc_micro=0.7)
    add_run(layout, MIDDLE, val=0.5, test=0.9, auc_micro=0.9)
    add_run(layout, NEW, val=0.4, test=0.5, auc_micro=0.8)
    return layout


@pytest.mark.parametrize(
    ("reference", "run"),
    [
        (OLD, OLD),
        ("minilm-20260103", NEW),
        ("distil", MIDDLE),
        ("@latest", NEW),
        ("@best", OLD),
        ("@best:val/f1_macro", OLD),
        ("@best:val/auc_micro", MIDDLE),
        ("@minilm", NEW),
        ("@distilbert-base", MIDDLE),
        ("@distilbert", MIDDLE),
    ],
)
def test_a_reference_leads_to_its_run(three: Layout, reference: str, run: str) -> None:
    assert str(open_run(reference, three).run) == run


def test_of_runs_that_began_in_the_same_second_the_last_written_is_the_newest(layout: Layout) -> None:
    for model in ("roberta-base", "tiny", "minilm", "static"):  # neither forwards nor backwards by name
        run = f"{model}-20260105-000000"
        add_run(layout, run)
        assert str(open_run("@latest", layout).run) == run
        for path in layout.models.glob("*/*/*"):  # as after a download
            os.utime(path, (0, 0))
    add_unfinished(layout, "zebra-20260105-000000", hours=1)
    assert str(open_run("@latest", layout).run) == run


def test_a_folder_may_be_given_absolute_relative_or_bare(
    three: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = open_run(OLD, three).path
    elsewhere = Layout(three.root / "elsewhere")
    assert str(open_run(str(folder), elsewhere).run) == OLD
    monkeypatch.chdir(folder.parent.parent)
    assert str(open_run(f"{folder.parent.name}/{OLD}", elsewhere).run) == OLD
    monkeypatch.chdir(folder.parent)
    assert str(open_run(OLD, elsewhere).run) == OLD
    assert str(open_run(f"./{OLD}", elsewhere).run) == OLD
    monkeypatch.chdir(folder)
    assert str(open_run(".", elsewhere).run) == OLD


def test_a_model_named_like_its_family_wins_over_the_family(layout: Layout) -> None:
    add_run(layout, "bert-20260101-000000", family="bert")
    add_run(layout, "bert-base-20260102-000000", family="bert")
    assert open_run("@bert", layout).run.model == "bert"


def test_an_older_run_name_is_understood(layout: Layout) -> None:
    made = add_run(layout, "distilbert-20251211-221314")
    made.path.rename(made.path.with_name("distilbert-12-11-2025-221314"))
    for name in ("distilbert-12-11-2025-221314", "distilbert-20251211-221314"):
        assert open_run(name, layout).run == made.run


def test_several_runs_with_the_beginning_are_named_newest_first(three: Layout) -> None:
    with pytest.raises(SettingError, match=f"'minilm' fits 2 runs: {NEW}, {OLD}$"):
        open_run("minilm", three)


def test_a_run_whose_folder_was_copied_is_ambiguous(three: Layout) -> None:
    folder = open_run(OLD, three).path
    shutil.copytree(folder, three.models / "copies" / OLD)
    with pytest.raises(SettingError, match="fits 2 runs") as raised:
        open_run(OLD, three)
    assert str(folder) in str(raised.value)


@pytest.mark.parametrize(
    ("reference", "near"),
    [
        ("minilm-20260101-000001", f"did you mean '{OLD}'"),
        ("@minillm", "did you mean '@minilm'"),
        ("@lastest", "did you mean '@latest'"),
        ("@", "no run '@'"),
        ("minilm-*", "no run 'minilm-*'"),
    ],
)
def test_a_miss_names_what_is_near(three: Layout, reference: str, near: str) -> None:
    with pytest.raises(RunNotFoundError) as raised:
        open_run(reference, three)
    assert near in str(raised.value)


def test_an_empty_reference_is_a_mistake(three: Layout) -> None:
    with pytest.raises(SettingError, match="is empty"):
        open_run("", three)


@pytest.mark.parametrize("reference", ["@latest", "@best", "@minilm", "@best:val/auc_micro"])
def test_nothing_can_be_meant_where_there_is_no_run(layout: Layout, reference: str) -> None:
    with pytest.raises(NoRunError):
        open_run(reference, layout)


def test_unfinished_runs_are_passed_over(three: Layout) -> None:
    add_unfinished(three, "minilm-20260103-000001", hours=0)
    assert str(open_run("@latest", three).run) == NEW
    assert str(open_run("@minilm", three).run) == NEW
    assert str(open_run("minilm-20260103", three).run) == NEW
    with pytest.raises(CheckpointNotFoundError, match=r"manifest\.json missing"):
        open_run("minilm-20260103-000001", three)


def test_a_run_with_an_unreadable_manifest_is_passed_over_unless_it_is_named(three: Layout) -> None:
    (open_run(NEW, three).path / MANIFEST).write_text("{")
    assert str(open_run("@latest", three).run) == MIDDLE
    with pytest.raises(CorruptArtifactError):
        open_run(NEW, three)


def test_a_run_with_cut_weights_is_passed_over_with_a_warning_unless_it_is_named(three: Layout) -> None:
    cut = open_run(NEW, three).path / "weights.bin"
    cut.write_bytes(b"")
    said: list[Event] = []
    assert str(open_run("@latest", three, said.append).run) == MIDDLE
    assert str(open_run("@minilm", three, said.append).run) == OLD
    assert [str(cut) in one.message for one in said if isinstance(one, Warning)] == [True, True]
    for name in (OLD, MIDDLE):
        shutil.rmtree(open_run(name, three).path)
    for reference in (NEW, "@latest", "@best"):
        with pytest.raises(CorruptArtifactError, match=r"weights\.bin"):
            open_run(reference, three)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("@best:test/f1_macro", "choose by val/f1_macro"),
        ("@best:test/labels", "choose by val/average_precision_macro"),
        ("@best:val/f1_makro", "did you mean 'val/f1_macro'"),
        ("@best:f1_macro", "did you mean 'val/f1_macro'"),
        ("@best:", "known: val/auc_micro"),
        ("@latest:val/f1_macro", "only @best takes a metric"),
        ("@minilm:val/f1_macro", "only @best takes a metric"),
    ],
)
def test_runs_are_chosen_by_val_alone(three: Layout, reference: str, said: str) -> None:
    with pytest.raises(SettingError) as raised:
        open_run(reference, three)
    assert said in str(raised.value)


def test_the_best_run_is_chosen_by_a_score_for_which_nothing_is_fitted(layout: Layout) -> None:
    """Thresholds are fitted on val, so that val F1 flatters the run that overfits them most."""
    add_run(layout, OLD, val=0.4, average_precision_macro=0.6)
    add_run(layout, NEW, val=0.9, average_precision_macro=0.5)
    told: list[Event] = []
    assert str(open_run("@best", layout, on_event=told.append).run) == OLD
    assert str(open_run("@best:val/f1_macro", layout, on_event=told.append).run) == NEW
    assert told == [
        Info(f"@best: {OLD} is the best of 2 by val/average_precision_macro"),
        Info(f"@best:val/f1_macro: {NEW} is the best of 2 by val/f1_macro"),
    ]


def test_runs_of_before_there_was_average_precision_rank_below_by_macro_f1(layout: Layout) -> None:
    add_run(layout, OLD, val=0.9, average_precision_macro=math.nan)
    add_run(layout, MIDDLE, val=0.8, average_precision_macro=math.nan)
    assert str(choose_best(layout)) == f"{OLD} is the best of 2 by val/f1_macro"
    add_run(layout, NEW, val=0.1, average_precision_macro=0.2)
    best = choose_best(layout)
    assert [str(one.run) for one in best.among] == [NEW, OLD, MIDDLE]
    assert str(best) == (
        f"{NEW} is the best of 3 by val/average_precision_macro; 2 without it rank below, by val/f1_macro"
    )


def test_less_is_better_for_a_loss(three: Layout) -> None:
    add_run(three, "tiny-20260104-000000", hamming_loss=0.9)
    add_run(three, "tiny-20260105-000000", hamming_loss=0.1)
    assert str(open_run("@best:val/hamming_loss", three).run) == "tiny-20260105-000000"


def test_the_newest_of_equally_good_runs_is_best(layout: Layout) -> None:
    add_run(layout, OLD, val=0.5)
    add_run(layout, NEW, val=0.5)
    assert str(open_run("@best", layout).run) == NEW


def test_runs_scored_on_other_comments_do_not_compare(layout: Layout) -> None:
    add_run(layout, OLD, val=0.9, data="sample")
    add_run(layout, MIDDLE, val=0.5)
    add_run(layout, NEW, val=0.4)
    best = choose_best(layout)
    assert str(best.run.run) == MIDDLE
    assert best.left_out == 1
    assert [str(one.run) for one in best.among] == [MIDDLE, NEW]


def test_runs_without_val_scores_are_never_best(layout: Layout) -> None:
    made = add_run(layout, OLD, with_headline=False)
    text = (made.path / "metrics.json").read_text().replace('"val":', '"vax":')
    (made.path / "metrics.json").write_text(text)
    with pytest.raises(
        NotFoundError, match=r"has a val/average_precision_macro or val/f1_macro; name the run \(@latest"
    ):
        open_run("@best", layout)
    add_run(layout, NEW, val=0.1)
    assert str(open_run("@best", layout).run) == NEW
