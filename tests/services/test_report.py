"""The report: what it says equals metrics.json, missing parts are named, and texts in it cannot run code."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from safetensors.numpy import load_file

from goemo_cli.core.checkpoint import METRICS, Checkpoint
from goemo_cli.core.errors import CorruptArtifactError, DataError, SettingError
from goemo_cli.core.events import Event, FileWritten
from goemo_cli.core.files import sha256_file, write_text
from goemo_cli.core.layering import dump_yaml
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions
from goemo_cli.core.schema import RULES
from goemo_cli.core.settings import TrainConfig
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts
from goemo_cli.ml.data.goemotions import SPLIT_SHA256
from goemo_cli.services.evaluation.calibrate import calibrate
from goemo_cli.services.evaluation.compare import compare
from goemo_cli.services.figures.several_runs import RUN_STYLES
from goemo_cli.services.figures.style import THEMES, house_style
from goemo_cli.services.report import findings, origin, sections
from goemo_cli.services.report.content import Missing, Sweep
from goemo_cli.services.report.create import create_report
from goemo_cli.services.report.gather import gather
from goemo_cli.services.report.markdown import markdown
from goemo_cli.services.report.origin import facts_of
from goemo_cli.services.report.page import LIBRARY, MOST_TRIALS, SCRIPTS, resource
from goemo_cli.services.report.page import page as page_of
from goemo_cli.services.report.sections import BY_RULE, RANKING
from goemo_cli.services.report.sweeps import MOST_SWEEPS, all_sweeps
from goemo_cli.services.report.text import visible
from goemo_cli.services.runs.provenance import report_sources
from goemo_cli.services.runs.references import open_run
from goemo_cli.services.runs.run_data import RunData
from goemo_cli.services.sweep.sweep_file import parse_sweep
from goemo_cli.services.training.tracking import open_tracker
from goemo_cli.services.training.train import train
from tests.browser.report_runs import LABELS, SWEEP, add_sweep, hostile_runs
from tests.csv_rows import rows_of
from tests.metrics_documents import change_metrics
from tests.synthetic_runs import add_run

WEB = files("goemo_cli.services.report") / "web"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Two runs, the first calibrated, the second compared with it."""
    layout = hostile_runs(tmp_path_factory.mktemp("report"))
    first, second = (Checkpoint.open(path) for path in layout.checkpoints())
    calibrate(first, layout=layout)
    compare([str(first.run), str(second.run)], layout=layout, resamples=200)
    return layout


def names(layout: Layout) -> list[str]:
    return [path.name for path in layout.checkpoints()]


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found
    document: dict[str, Any] = json.loads(found[1])
    return document


@pytest.fixture(scope="module")
def page(whole: Layout) -> str:
    return create_report(names(whole), layout=whole).path.read_text(encoding="utf-8")


def test_the_page_is_written_to_its_path_and_announced(whole: Layout, tmp_path: Path) -> None:
    events: list[Event] = []
    result = create_report([], layout=whole, output=tmp_path / "one.html", on_event=events.append)
    assert result.runs == (names(whole)[-1],)
    assert FileWritten(result.path) in events
    assert whole.report_page == whole.root / "output" / "report" / "report.html"


def test_the_same_files_give_the_same_bytes(whole: Layout, page: str, tmp_path: Path) -> None:
    again = create_report(names(whole), layout=whole, output=tmp_path / "again.html").path
    assert again.read_text(encoding="utf-8") == page


def test_scores_are_those_of_metrics_json(whole: Layout, page: str) -> None:
    for path, run in zip(whole.checkpoints(), data_of(page)["runs"], strict=True):
        metrics = json.loads((path / METRICS).read_text(encoding="utf-8"))
        own = metrics["test"][metrics["threshold_rule"]]
        expected = [
            [scores[key], *scores[f"{key}_ci"]]
            for scores, keys in ((own, BY_RULE), (metrics["test"], RANKING))
            for key in keys
        ]
        assert [numbers for _, *numbers in run["scores"]] == expected
        rows = metrics["per_class"]
        assert run["f1"] == [[row["f1_score"], row["f1_ci_low"], row["f1_ci_high"]] for row in rows]
        assert f"<b>{own['f1_macro']:.3f}</b>" in page
        for row in rows:
            assert f'data-value="{row["f1_score"]}"' in page
            assert f'data-value="{row["recall"]}"' in page


def test_probabilities_and_labels_reach_the_page_to_the_bit(whole: Layout, page: str) -> None:
    document = data_of(page)
    for path, run in zip(whole.checkpoints(), document["runs"], strict=True):
        checkpoint = Checkpoint.open(path)
        expected = read_predictions(whole.split_predictions(checkpoint.run, "test"))
        probabilities = np.frombuffer(base64.b64decode(run["prob"]), dtype="<f4")
        assert np.array_equal(probabilities.reshape(expected.y_prob.shape), expected.y_prob)
        for cells, found in ((expected.y_true, document["gold"]), (expected.y_pred, run["pred"])):
            bits = np.unpackbits(np.frombuffer(base64.b64decode(found), dtype=np.uint8))
            assert np.array_equal(bits[: cells.size].reshape(cells.shape), cells)
        for rule in RULES:
            assert run["thresholds"][rule] == checkpoint.thresholds.of_rule(rule).tolist()


def test_nothing_in_the_page_can_leave_its_element(page: str) -> None:
    head, _, rest = page.partition('<script id="data" type="application/json">')
    data, _, _ = rest.partition("</script>")
    assert not set("<>&\u2028\u2029\x1b\u202e") & set(data)
    assert LABELS[0] not in page
    assert "&lt;/script&gt;&lt;script&gt;window.hacked=1" in head
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", head)


def test_only_the_inlined_script_and_style_may_run(page: str) -> None:
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    assert policy
    allowed = policy[1].replace("&#39;", "'")
    assert allowed.startswith("default-src 'none'; ")
    assert "unsafe" not in allowed
    assert "http" not in allowed
    inlined = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert (len(inlined), len(styles)) == (2, 1)
    for text in (*inlined, *styles):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in allowed
    assert not re.search(
        r'<[^>]+ (?:style|on[a-z]+|src)="', re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    )


def test_the_vendored_library_is_the_recorded_release() -> None:
    record = json.loads((WEB / "echarts.json").read_text(encoding="utf-8"))
    assert hashlib.sha256((WEB / LIBRARY).read_bytes()).hexdigest() == record["sha256"]
    assert "Apache License" in (WEB / "echarts.LICENSE").read_text(encoding="utf-8")
    assert "Apache ECharts" in (WEB / "echarts.NOTICE").read_text(encoding="utf-8")
    assert all("</script" not in resource(name) for name in (LIBRARY, *SCRIPTS))


def test_colours_are_those_of_the_figures() -> None:
    found = re.findall(r"--run-(\d): light-dark\((#\w+), (#\w+)\);", resource("report.css"))
    shown = {}
    for theme in THEMES:
        with house_style(theme):
            shown[theme] = [to_hex(color) for color, _ in RUN_STYLES]
    assert [light for _, light, _ in found] == shown["light"]
    assert [dark for *_, dark in found] == shown["dark"]


def test_calibration_is_shown_before_and_after_where_it_was_done(page: str) -> None:
    first, second = (run["bins"] for run in data_of(page)["runs"])
    assert list(first) == ["before", "after"]
    assert list(second) == ["before"]
    assert [len(found) for found in first.values()] == [len(LABELS) + 1] * 2
    assert "not calibrated" in page


def test_the_comparison_is_shown_until_its_predictions_change(
    whole: Layout, page: str, moved: Callable[..., Layout]
) -> None:
    assert f"A = {names(whole)[0]}, B = {names(whole)[1]}" in page
    layout = moved()
    csv = layout.split_predictions(Checkpoint.open(next(layout.checkpoints())).run, "test")
    csv.write_text(csv.read_text(encoding="utf-8").replace("0.1", "0.2", 1), encoding="utf-8")
    text = create_report(names(layout), layout=layout).path.read_text(encoding="utf-8")
    assert "is stale: goemo compare" in text


@pytest.fixture
def moved(whole: Layout, tmp_path: Path) -> Callable[..., Layout]:
    """A copy of the root without some of its files."""

    def copy(*missing: str) -> Layout:
        shutil.copytree(whole.root, tmp_path / "root", ignore=shutil.ignore_patterns("output"))
        for pattern in missing:
            for path in (tmp_path / "root").rglob(pattern):
                path.unlink()
        return Layout(tmp_path / "root")

    return copy


def test_missing_parts_are_named_and_the_page_is_made(moved: Callable[..., Layout]) -> None:
    layout = moved("test_predictions_*.csv", "val_*.csv", "significance_tests.csv")
    result = create_report(names(layout), layout=layout)
    text = result.path.read_text(encoding="utf-8")
    lacking = {part for _, part, _ in result.missing}
    assert {"predictions", "calibration", "confusions", "outcomes"} <= lacking
    assert text.count("Explorer: ") == 2
    assert "not compared yet: goemo compare" in text
    assert data_of(text)["texts"] == []
    assert all(run["prob"] is None and run["scores"] for run in data_of(text)["runs"])


def test_more_probabilities_than_a_browser_holds_are_left_out(
    whole: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "MOST_CELLS", 60 * len(LABELS) * 2 - 1)
    result = create_report(names(whole), layout=whole, output=tmp_path / "r.html")
    assert [part for _, part, _ in result.missing if part != "taxonomies"] == ["predictions"] * 2
    text = result.path.read_text(encoding="utf-8")
    assert "480 probabilities are too many for a page" in text
    assert data_of(text)["runs"][0]["bins"]


def test_data_that_is_gone_is_not_counted(whole: Layout, tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(next(whole.checkpoints()))
    report = gather([RunData(checkpoint, whole, data_dir=tmp_path / "nowhere")])
    assert not isinstance(report.data, Missing)  # a data set named by its path has no other folder
    data = whole.root.parent / "data"
    data.rename(tmp_path / "away")
    try:
        report = gather([RunData(checkpoint, whole)])
    finally:
        (tmp_path / "away").rename(data)
    assert isinstance(report.data, Missing)
    assert not isinstance(report.recorded_data, Missing)


def test_leaks_are_counted_as_by_hand() -> None:
    def split(*rows: tuple[str, tuple[int, int]]) -> LabelledTexts:
        return LabelledTexts([text for text, _ in rows], np.array([gold for _, gold in rows], dtype=bool))

    train = split(("Hello  World", (1, 0)), ("once", (0, 1)), ("once", (0, 1)), ("other", (0, 0)))
    val = split(("new", (1, 0)), ("ONCE\n", (0, 1)))
    test = split(("hello world ", (1, 0)), ("\uff48ello world", (0, 1)), ("new!", (1, 0)), ("new", (1, 1)))
    data = Dataset(name="x", source="x", labels=("a", "b"), splits={"train": train, "val": val, "test": test})
    facts = facts_of(data)
    found = {(leak.split, leak.other): (leak.comments, leak.other_labels) for leak in facts.leaks}
    assert found == {("test", "train"): (2, 1), ("test", "val"): (1, 1), ("val", "train"): (1, 0)}
    assert facts.splits["train"].repeated == 1
    assert facts.splits["train"].unlabelled == 1
    assert facts.splits["test"].per_label == (3, 2)
    assert facts.splits["train"].characters == (4, 12, 12)


def test_the_papers_scores_are_shown_for_its_own_test_comments_alone(tfidf_root: Path) -> None:
    layout = Layout(tfidf_root)
    checkpoint = open_run("@latest", layout)
    own = page_of(gather([RunData(checkpoint, layout)]))
    assert "Read as coarser emotions" in own
    assert '<h2 id="labels-title">Emotions</h2>' in own
    assert not re.search(
        r"paper(’s|&rsquo;s| F1|, trained)", re.sub(r"<(script|style).*?</\1>", "", own, flags=re.DOTALL)
    )
    change_metrics(checkpoint, lambda it: it["data"]["split_sha256"].update(test=SPLIT_SHA256["test"]))
    report = gather([RunData(checkpoint, layout)])
    assert "paper, trained on it" in page_of(report)
    assert "paper's F1" in markdown(report)
    checkpoint.manifest.labels.reverse()
    assert gather([RunData(checkpoint, layout)]).paper is None, "other columns have other names"


def test_the_leaderboard_ranks_by_val_and_sets_other_comments_apart(layout: Layout) -> None:
    add_run(layout, "a-20260101-000000", val=0.4, test=0.9)
    add_run(layout, "b-20260102-000000", val=0.6, test=0.1)
    add_run(layout, "c-20260103-000000", val=0.9, data="other")
    first = Checkpoint.open(next(layout.checkpoints()))
    board = gather([RunData(first, layout)]).leaderboard
    assert [(one.model, one.same_test, one.shown) for one in board.runs] == [
        ("b", True, False), ("a", True, True), ("c", False, False),
    ]  # fmt: skip
    assert [one.test["f1_macro"] for one in board.runs] == [0.1, 0.9, 0.5]


def test_runs_without_most_of_their_files_still_give_a_page(layout: Layout) -> None:
    add_run(layout, "a-20260101-000000")
    result = create_report([], layout=layout)
    assert {"emotions", "predictions", "outcomes", "environment"} <= {part for _, part, _ in result.missing}
    assert "Not shown" not in result.path.read_text(encoding="utf-8") or result.left_out


def test_runs_that_do_not_compare_are_refused(layout: Layout) -> None:
    add_run(layout, "a-20260101-000000")
    add_run(layout, "b-20260102-000000", data="other")
    with pytest.raises(DataError, match="do not compare; make one report of each"):
        create_report(["@a", "@b"], layout=layout)
    assert not layout.report_page.exists()


def test_all_shows_the_best_that_compare_and_says_what_it_leaves_out(layout: Layout) -> None:
    for number in range(8):
        add_run(layout, f"m{number}-2026010{number + 1}-000000", val=number / 10)
    add_run(layout, "early-20250101-000000", val=0.99, data="other")
    result = create_report([], layout=layout, every=True)
    assert result.runs == tuple(f"m{number}-2026010{number + 1}-000000" for number in range(7, 1, -1))
    assert result.left_out == (
        "Not shown in detail: 2 ranked lower on val, 1 scored on other comments or with other labels."
    )
    with pytest.raises(SettingError, match="at most 6"):
        create_report([f"@m{number}" for number in range(7)], layout=layout)
    with pytest.raises(SettingError, match="name none"):
        create_report(["@m1"], layout=layout, every=True)


def test_a_report_says_what_it_was_made_from(whole: Layout, page: str, tmp_path: Path) -> None:
    written = create_report(names(whole), layout=whole, report_format="md", output=tmp_path / "r.md").path
    whole.report_page.write_text(page, encoding="utf-8")
    sources = report_sources(whole.report_page)
    assert sources == report_sources(written)
    assert all(sha256_file(whole.root / name) == digest for name, digest in sources.items())
    assert whole.shown(whole.significance_tests) in sources
    for run in names(whole):
        assert any(run in name and name.endswith(METRICS) for name in sources)
    (tmp_path / "other.html").write_text("<html></html>", encoding="utf-8")
    with pytest.raises(CorruptArtifactError, match="does not say"):
        report_sources(tmp_path / "other.html")


def test_markdown_holds_the_scores_and_no_markup_of_others(whole: Layout) -> None:
    text = create_report(names(whole), layout=whole, report_format="md").path.read_text(encoding="utf-8")
    assert whole.report_results.name == "results.md"
    for path in whole.checkpoints():
        metrics = json.loads((path / METRICS).read_text(encoding="utf-8"))
        own = metrics["test"][metrics["threshold_rule"]]
        low, high = own["f1_macro_ci"]
        assert f"{own['f1_macro']:.3f} ({low:.3f} to {high:.3f})" in text
        for row in metrics["per_class"]:
            assert f"{row['f1_score']:.3f} ({row['f1_ci_low']:.3f} to {row['f1_ci_high']:.3f})" in text
    assert "<script" not in text
    assert "\u202e" not in text
    rows = [line for line in text.splitlines() if line.startswith("| a")]
    assert rows
    assert all("a\\|b" in line for line in rows)


def test_a_sweep_is_shown_with_the_numbers_of_its_table(whole: Layout, page: str) -> None:
    rows = rows_of(whole.sweeps / SWEEP / "trials.csv")
    finished = [row for row in rows if row["state"] == "finished"]
    [charted] = data_of(page)["sweeps"]
    assert charted["objectives"] == [["val/f1_macro", "maximize"]]
    assert charted["trials"] == [
        [int(row["trial"]), row["trial"] == "2", float(row["val/f1_macro"])] for row in finished
    ]
    section = page.partition('<section id="sweeps"')[2].partition("</section>")[0]
    for row in finished:
        for column in ("val/f1_macro", "model.dropout"):
            assert f'data-value="{float(row[column])}"' in section
    assert re.findall(
        r'<tr(?: class="own")?><th scope="row" class="number" data-value="(\d)"', section
    ) == list("2031")
    assert "4 trials: 3 finished, 1 failed; best val/f1_macro 0.5 by trial 2" in section
    assert "# &lt;script&gt;window.hacked=1&lt;/script&gt;\nmodel:\n  dropout: 0.2\n" in section
    text = create_report([], layout=whole, report_format="md").path.read_text(encoding="utf-8")
    assert "| &lt;img src=x onerror=window.hacked=1> | random | 4 trials: 3 finished, 1 failed; " in text
    assert "| tfidf-20260101-000002: 0.5 |" in text


def test_pairs_and_disagreements_are_those_of_the_predictions(whole: Layout) -> None:
    checkpoint = Checkpoint.open(next(whole.checkpoints()))
    [run] = gather([RunData(checkpoint, whole)]).runs
    given = read_predictions(whole.split_predictions(checkpoint.run, "test"))
    assert not isinstance(run.pairs, Missing)
    assert not isinstance(run.disagreements, Missing)
    for pair in run.pairs.shown:
        both = [given.labels.index(pair.first), given.labels.index(pair.second)]
        counts = [int(cells[:, both].all(axis=1).sum()) for cells in (given.y_true, given.y_pred)]
        assert [pair.gold, pair.predicted] == counts
        assert pair.share == pair.gold / given.y_true[:, both].sum(axis=0).min()
    for one in run.disagreements.extra:
        label = given.labels.index(one.label)
        assert not given.y_true[one.row - 1, label]
        assert one.probability >= one.usual
        assert one.usual == pytest.approx(given.y_prob[given.y_true[:, label], label].mean(dtype=np.float64))
        assert one.text == given.texts[one.row - 1]
    assert all(one.label in one.gold and one.probability <= one.usual for one in run.disagreements.missed)


def test_own_data_has_texts_and_labels(page: str) -> None:
    shown = re.sub(r"<(script|style|!--).*?(</\1>|-->)", "", page, flags=re.DOTALL)
    assert re.findall(r"(?i)\b(?:comments?|emotions?)\b", re.sub("<[^>]*>", "", shown)) == []


def test_settings_that_differ_are_marked(whole: Layout, page: str) -> None:
    report = gather([RunData(Checkpoint.open(path), whole) for path in whole.checkpoints()][:1])
    assert not isinstance(report.settings, Missing)
    assert {row.name for row in report.settings if row.is_changed} >= {"data.name"}
    section = page.partition('<section id="settings"')[2].partition("</section>")[0]
    changed, _, every = section.partition("<details>")
    row = r"data.</span>max_train_samples</th><td><code>null</code></td><td><code>70</code></td>"
    assert row in changed
    assert row in every
    assert "early_stopping" not in changed


def test_the_key_facts_are_those_of_the_run(whole: Layout) -> None:
    checkpoint = Checkpoint.open(next(whole.checkpoints()))
    [run] = gather([RunData(checkpoint, whole)]).runs
    facts = {fact.name: fact for fact in run.facts}
    weights = load_file(checkpoint.path / "tfidf.safetensors")
    assert facts["Size"].detail == f"{sum(one.size for one in weights.values()):,} parameters"
    assert facts["Data"].value == "data"
    assert facts["Data"].detail == "120 train, 40 val, 60 test; 4 labels"
    assert [score.name for score in findings.key_scores(run)] == ["macro-F1", "micro-F1", "macro-AUC"]


def test_training_is_also_known_by_step(small_data: Path, tmp_path: Path) -> None:
    settings = {
        "model": {"name": "tiny"},
        "data": {"name": str(small_data), "max_train_samples": 96},
        "training": {"epochs": 2, "batch_size": 32},
        "logging": {"wandb": {"log_every": 1}},
    }
    layout, config = Layout(tmp_path), TrainConfig.from_layers(("test", settings))
    checkpoint = train(config, layout=layout, tracker=open_tracker(config, layout=layout))
    source = RunData(checkpoint, layout)
    found = origin.steps(source)
    assert found
    assert found.epochs == {1: 3, 2: 6}
    assert [step for step, _ in found.losses] == [1, 2, 3, 4, 5, 6]
    first = np.mean([loss for step, loss in found.losses if step <= 3])
    assert first == pytest.approx(checkpoint.metrics.history[0].train_loss, rel=1e-4)
    shutil.rmtree(layout.journals)
    assert origin.steps(source) is None


def test_without_a_sweep_there_is_no_section(layout: Layout) -> None:
    add_run(layout, "a-20260101-000000")
    text = create_report([], layout=layout).path.read_text(encoding="utf-8")
    assert "#sweeps" not in text
    assert 'id="sweeps"' not in text
    assert "## Sweeps" not in create_report([], layout=layout, report_format="md").path.read_text()


def test_the_front_of_a_sweep_is_that_of_optuna(layout: Layout) -> None:
    import optuna

    from goemo_cli.services.sweep import study as kept
    from goemo_cli.services.sweep.objectives import objectives_of
    from goemo_cli.services.sweep.results import result_of, write_tables

    metrics = [{"name": "val_auc", "goal": "maximize"}, {"name": "latency_ms"}, {"name": "checkpoint_mib"}]
    searched = {"model.dropout": {"min": 0.0, "max": 0.5}, "model.name": {"values": ["tfidf", "tiny"]}}
    content = {"method": "bayes", "metrics": metrics, "parameters": searched}
    write_text(layout.sweeps / "s" / "sweep.yaml", dump_yaml(content))
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"])
    rng = np.random.default_rng(0)
    for number in range(60):
        settings = {"model.dropout": float(rng.uniform(0, 0.5)), "model.name": ("tfidf", "tiny")[number % 2]}
        distributions = {
            "model.dropout": optuna.distributions.FloatDistribution(0, 0.5),
            "model.name": optuna.distributions.CategoricalDistribution(["tfidf", "tiny"]),
        }
        ended = (
            {"state": optuna.trial.TrialState.FAIL}
            if number % 9 == 5
            else {"values": np.round(rng.random(3), 1).tolist()}
        )
        kept_of = {kept.SETTINGS: settings, kept.RUN: f"tiny-20260101-0000{number:02d}", kept.SECONDS: 2.5}
        study.add_trial(
            optuna.trial.create_trial(
                params=settings, distributions=distributions, user_attrs=kept_of, **ended
            )
        )
    result = result_of(study, objectives_of(parse_sweep(content)), "s", layout)
    write_tables(result, layout=layout)
    found = all_sweeps(layout).shown["s"]
    assert isinstance(found, Sweep)
    assert found.objectives == tuple((one.name, one.goal) for one in result.objectives)
    assert {one.number for one in found.front} == {one.number for one in result.front}
    assert result.best
    assert found.front[0].number == result.best.number
    assert [one.number for one in found.trials] == [one.number for one in result.ranked()]
    assert [one.values for one in found.trials] == [tuple(one.values.values()) for one in result.ranked()]
    assert list(found.columns) == result.searched
    assert [one.cells for one in found.trials] == [tuple(one.settings.values()) for one in result.ranked()]
    assert [found.is_number(at) for at in range(2)] == [True, False]
    assert found.best == (layout.sweeps / "s" / "best.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("trials.csv", None, "no trials.csv yet"),
        ("trials.csv", "", "is not a table of trials"),
        ("trials.csv", "trial,state,run,seconds,duplicate_of,reason\n", "is not a table of trials"),
        ("trials.csv", "{header}0,finished,nan,0.1,,,,\n", "'nan' is not a finite number"),
        ("trials.csv", "{header}0,done,0.5,0.1,,,,\n", "'done' is not a state of a trial"),
        ("trials.csv", "{header}0,finished\n", "too few or too many fields"),
        ("trials.csv", "{header}0,failed,,0.1,,,,\udc80\n", "not UTF-8"),
        ("sweep.yaml", "method: guess\n", "method is 'bayes'"),
        ("sweep.yaml", None, "no such sweep file"),
        ("best.yaml", "a: b: c\n", "not valid YAML"),
        ("best.yaml", None, "no trial has finished"),
    ],
)
def test_missing_parts_of_a_damaged_sweep_are_named(
    layout: Layout, name: str, content: str | None, said: str
) -> None:
    add_run(layout, "a-20260101-000000")
    path = add_sweep(layout, "broken", (0.5,)) / name
    add_sweep(layout, "whole", (0.5,))
    if content is None:
        path.unlink()
    else:
        header = (layout.sweeps / "whole" / "trials.csv").read_text().partition("\n")[0]
        text = content.replace("{header}", f"{header}\n")
        path.write_bytes(text.encode(errors="surrogateescape"))
    result = create_report([], layout=layout)
    text = result.path.read_text(encoding="utf-8")
    assert said in text.replace("&#39;", "'")
    assert "1 trial: 1 finished; best val/f1_macro 0.5 by trial 0" in text
    assert (name != "best.yaml") == any(run == "sweep broken" for run, *_ in result.missing)
    if content is None and name != "best.yaml":
        assert said in create_report([], layout=layout, report_format="md").path.read_text()


def test_a_page_is_stale_once_a_sweep_went_on_but_not_while_it_runs(layout: Layout) -> None:
    folder = add_sweep(layout, "s", (0.5, None))
    shown = {layout.shown(folder / name) for name in ("sweep.yaml", "trials.csv", "best.yaml")}
    assert set(all_sweeps(layout).sources) == shown
    table = folder / "trials.csv"
    table.write_text(table.read_text().replace("failed", "running"))
    found = all_sweeps(layout)
    assert found.sources == {}
    assert isinstance(found.shown["s"], Sweep)
    assert found.shown["s"].count("running") == 1


def test_more_sweeps_and_trials_than_a_page_holds_are_counted(layout: Layout) -> None:
    add_run(layout, "a-20260101-000000")
    for day in range(1, MOST_SWEEPS + 3):
        table = add_sweep(layout, f"s{day}", (0.5,) if day > 3 else [0.5] * (MOST_TRIALS + 5)) / "trials.csv"
        table.write_text(table.read_text().replace("20260101-000000", f"202602{day:02d}-000000"))
    assert list(all_sweeps(layout).shown) == [f"s{day}" for day in range(MOST_SWEEPS + 2, 2, -1)]
    text = create_report([], layout=layout).path.read_text(encoding="utf-8")
    assert f"{MOST_SWEEPS + 2} in all, the newest {MOST_SWEEPS} shown." in text
    assert f"Trials, the best first: {MOST_TRIALS} of {MOST_TRIALS + 5}; all are in trials.csv" in text
    assert len(data_of(text)["sweeps"][-1]["trials"]) == MOST_TRIALS + 5


def test_a_folder_is_no_file_to_write(whole: Layout, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is a folder"):
        create_report([], layout=whole, output=tmp_path)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("\x1b[31m\x00\x7f\x9b", "\u241b[31m\u2400\u2421\ufffd"),
        ("\u202eabc\u2069", "\\u202eabc\\u2069"),
        ("e\u0301 \U0001f468\u200d\U0001f469 \u05d0", "e\u0301 \U0001f468\u200d\U0001f469 \u05d0"),
    ],
)
def test_texts_are_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
