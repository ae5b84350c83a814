"""Figures of scores and thresholds: what is drawn, against scikit-learn, scipy and tables worked by hand."""

import itertools
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import permutation_test, rankdata, spearmanr
from sklearn.metrics import average_precision_score, f1_score

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import DataError, DataFileError
from goemo_cli.core.labels import EMOTIONS, PAPER_F1, Split
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.schema import RULES
from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.ml.data.goemotions import SPLIT_SHA256
from goemo_cli.ml.metrics.thresholds import GRID
from goemo_cli.services.figures import draw_figures, figure_of, figures, style
from goemo_cli.services.figures.label_scores import curve
from goemo_cli.services.figures.run_scores import MEASURES, SCORES, by_chance, correlations, rank_correlation
from goemo_cli.services.figures.style import PAPER, house_style
from goemo_cli.services.figures.threshold_curves import bars, coverage, good_cells
from goemo_cli.services.runs.run_data import RunData
from tests.conftest import trained_root
from tests.csv_rows import rows_of
from tests.given_run import GivenRun
from tests.metrics_documents import change_metrics

SEVERAL = ("08", "09", "20")


@pytest.fixture(scope="module")
def runs(tfidf_root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Checkpoint]:
    """Two tfidf runs of one root, on other parts of the sample's train split."""
    root = Path(shutil.copytree(tfidf_root, tmp_path_factory.mktemp("scores") / "root"))
    return [Checkpoint.open(path) for path in Layout(trained_root(root, "tfidf", 300)).checkpoints()]


@pytest.fixture
def source(runs: list[Checkpoint]) -> GivenRun:
    """Of the first run, opened anew so that a test may change what it says."""
    return source_of(runs[0])


@pytest.fixture(scope="module")
def picture_of(runs: list[Checkpoint]) -> Callable[[str], Any]:
    """A figure of the first run by its number, drawn once. To be looked at, not changed."""
    return cache(lambda number: drawn(number, source_of(runs[0])))


@pytest.fixture
def both(runs: list[Checkpoint]) -> GivenRun:
    first, second = (source_of(run) for run in runs)
    first.others = (second,)
    return first


def source_of(checkpoint: Checkpoint) -> GivenRun:
    return GivenRun(Checkpoint.open(checkpoint.path), Layout(checkpoint.path.parents[3]))


def drawn(number: str, source: RunData) -> Any:
    with house_style():
        return figure_of(number).draw(source)


def title_of(picture: Any) -> str:
    return str(picture.figure.texts[0].get_text()).replace("\n", " ").replace("\u00a0", " ")


def caption_of(picture: Any) -> str:
    return str(picture.figure.get_supxlabel()).replace("\n", " ").replace("\u00a0", " ")


def per_class(source: RunData) -> dict[str, dict[str, str]]:
    path = source.layout.per_class_metrics(source.checkpoint.run)
    return {row["emotion"]: row for row in rows_of(path)}


def predictions(y_true: Any, y_prob: Any) -> Predictions:
    gold, prob = np.array(y_true, dtype=bool), np.array(y_prob, dtype=np.float32)
    return Predictions(tuple("abc"[: gold.shape[1]]), ["x"] * len(gold), gold, prob >= 0.5, prob)


def test_auc_and_f1_are_those_of_the_csv(source: GivenRun) -> None:
    picture, known = drawn("08", source), per_class(source)
    left, right = picture.figure.axes
    labels = [tick.get_text() for tick in left.get_yticklabels()]
    f1 = next(line for line in left.lines if line.get_marker() == "o").get_xdata().tolist()
    auc = next(line for line in right.lines if line.get_marker() == "o").get_xdata().tolist()
    assert sorted(labels) == sorted(EMOTIONS)
    assert f1 == sorted(f1, reverse=True) == [float(known[label]["f1_score"]) for label in labels]
    assert auc == [float(known[label]["roc_auc"]) for label in labels]
    assert list(picture.table["roc_auc"]) == auc
    whiskers = [segment[:, 0].tolist() for segment in left.collections[0].get_segments()]
    assert whiskers == [[float(known[x]["f1_ci_low"]), float(known[x]["f1_ci_high"])] for x in labels]


@pytest.mark.parametrize("number", SEVERAL)
def test_several_runs_stand_beside_each_other(both: GivenRun, number: str) -> None:
    picture, alone = drawn(number, both), drawn(number, both.others[0])
    first, second = (str(one.checkpoint.run) for one in (both, *both.others))
    names = list(picture.table["run"])
    assert sorted(set(names)) == sorted((first, second))
    texts = [text.get_text() for text in picture.figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    assert {first, second} <= set(texts)
    at = names.index(second)
    key = next(column for column in ("emotion", "rule") if column in picture.table)
    value = next(column for column in ("f1_score", "f1_macro", "value") if column in picture.table)
    cells = {tuple(cell) for cell in zip(picture.table[key][at:], picture.table[value][at:], strict=True)}
    assert cells == set(zip(alone.table[key], alone.table[value], strict=True)), "the same numbers as alone"


@pytest.mark.parametrize(
    ("number", "split"),
    [
        *((number, "train") for number in ("00", "02", "03", "04")),
        *((number, "val") for number in ("13", "15")),
        *((number, "test") for number in ("07", "08", "16", "17", "18", "19", "20", "22")),
    ],
)
def test_of_many_labels_the_commonest_are_shown(
    source: GivenRun,
    picture_of: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
    number: str,
    split: Split,
) -> None:
    whole = picture_of(number)
    monkeypatch.setattr(style, "MOST_LABELS", 5)
    picture = drawn(number, source)
    texts = dict(zip(source.labels, source.data().splits[split].y_true.sum(axis=0), strict=True))
    column = "gold" if number == "16" else "emotion"
    shown = {label for label in picture.table[column] if label}
    left_out = {label for label in whole.table[column] if label} - shown
    assert len(shown) == 5
    assert min(texts[label] for label in shown) >= max(texts[label] for label in left_out)
    assert f"labels, only the 5 with the most {split} comments are shown" in caption_of(picture)
    if number not in ("02", "03", "16", "19"):  # these count pairs of the labels that they show
        assert title_of(picture) == title_of(whole)


def test_a_title_names_the_highest_score(both: GivenRun) -> None:
    means = [
        np.mean([float(row["f1_score"]) for row in per_class(one).values()]) for one in (both, *both.others)
    ]
    best = (both, *both.others)[int(np.argmax(means))].checkpoint.run
    picture = drawn("08", both)
    assert f"Highest macro-F1: {best} ({max(means):.3f})" in title_of(picture)
    assert "goemo compare" in caption_of(picture)


def test_equal_scores_have_no_winner(source: GivenRun) -> None:
    source.others = (source_of(source.checkpoint),)
    assert title_of(drawn("09", source)).startswith("Highest macro-F1: all runs (0.")


def test_runs_that_do_not_compare_are_refused(both: GivenRun) -> None:
    (other,) = both.others
    change_metrics(other.checkpoint, lambda it: it["data"]["split_sha256"].update(test="0" * 64))
    with pytest.raises(DataError, match="was scored on other test comments than"):
        drawn("09", both)
    drawn("10", both)
    both.others = (other,) * 6
    with pytest.raises(DataError, match="7 runs: a figure shows at most 6 side by side"):
        drawn("08", both)


def test_figures_of_one_run_say_so(runs: list[Checkpoint]) -> None:
    layout, names = Layout(runs[0].path.parents[3]), [str(run.run) for run in runs]
    result = draw_figures(layout, runs=[*names, names[0]], only=["09", "10"])
    assert result.runs == tuple(run.run for run in runs), "a run that is named twice counts once"
    assert result.of_first == ("10_training_curves",)
    assert draw_figures(layout, runs=names[:1], only=["10"]).of_first == ()
    assert {figure.number for figure in figures() if figure.several} == {"08", "09", "20", "23"}


def test_macro_and_micro_are_those_of_scikit_learn(source: GivenRun) -> None:
    picture, test = drawn("09", source), source.predictions("test")
    assert list(picture.table["rule"]) == list(RULES)
    for at, rule in enumerate(RULES):
        y_pred = source.thresholds.decide(test.y_prob, rule)
        for average in ("macro", "micro"):
            expected = f1_score(test.y_true, y_pred, average=average, zero_division=0)
            assert picture.table[f"f1_{average}"][at] == pytest.approx(expected)
    bold = [
        text.get_text()
        for text in picture.figure.axes[0].get_yticklabels()
        if text.get_fontweight() == "bold"
    ]
    assert bold == [f"{source.thresholds.rule}, its own"]


def test_micro_curves_are_those_of_scikit_learn(source: GivenRun) -> None:
    picture = drawn("12", source)
    for split in ("val", "test"):
        part = source.predictions(split)
        for at in range(0, len(GRID), 24):
            expected = f1_score(
                part.y_true, part.y_prob.astype(float) >= GRID[at], average="micro", zero_division=0
            )
            assert picture.table[split][at] == pytest.approx(expected)
    lines = {line.get_label(): line for line in picture.figure.axes[0].lines}
    assert lines["val"].get_ydata().tolist() == list(picture.table["val"])


def test_f1_over_thresholds_is_that_of_scikit_learn(
    source: GivenRun, picture_of: Callable[[str], Any]
) -> None:
    picture, val = picture_of("13"), source.predictions("val")
    shape = (len(EMOTIONS), len(GRID))
    labels = np.array(picture.table["emotion"]).reshape(shape)[:, 0].tolist()
    cells = np.array(picture.table["f1_val"]).reshape(shape)
    assert labels == [tick.get_text() for tick in picture.figure.axes[0].get_yticklabels()]
    for at in (0, 20, 60):
        y_pred = val.y_prob.astype(float) >= GRID[at]
        expected = f1_score(val.y_true, y_pred, average=None, zero_division=0)
        assert cells[:, at].tolist() == pytest.approx([expected[EMOTIONS.index(label)] for label in labels])
    own = dict(zip(source.labels, source.thresholds.per_label.tolist(), strict=True))
    dots = [line for line in picture.figure.axes[0].lines if line.get_marker() == "o"]
    found = {labels[place]: x for line in dots for x, place in zip(*line.get_data(), strict=True)}
    assert found == own


def test_bars_cover_what_is_good_and_the_own_threshold() -> None:
    f1 = np.zeros((len(GRID), 4))
    f1[10:20, 0], f1[15, 0], f1[30:40, 0] = 0.96, 1.0, 0.95
    f1[5:9, 1], f1[6, 1] = (0.94, 1.0, 0.7, 0.8), 1.0
    f1[:, 2] = 0.5
    own = np.array([0.135, GRID[7] + 0.001, 0.995, 0.5])
    good = good_cells(f1, own, np.array([0.97, 0.75, 0.5, 0.0]))
    assert np.flatnonzero(good[:, 0]).tolist() == [*range(10, 20), *range(30, 40)], "two bars"
    assert np.flatnonzero(good[:, 1]).tolist() == [5, 6, 7, 8], "at least the 0.75 of its own threshold"
    found = bars(good, own)
    assert [label for label, *_ in found] == [0, 0, 1, 2], "none for a label whose F1 is never above 0"
    assert found[0][1:] == pytest.approx((GRID[10] - 0.005, GRID[19] + 0.005))
    assert found[3][1:] == pytest.approx((GRID[0] - 0.005, 0.995))


def test_every_own_threshold_is_in_a_bar(picture_of: Callable[[str], Any]) -> None:
    picture = picture_of("13")
    axes, table = picture.figure.axes[0], picture.table
    covered: dict[int, list[tuple[float, float]]] = {}
    for lines in axes.collections:
        for (low, place), (high, _) in lines.get_segments():
            covered.setdefault(round(place), []).append((low, high))
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    for own, place in ((x, y) for line in dots for x, y in zip(*line.get_data(), strict=True)):
        assert any(low <= own <= high for low, high in covered[place])
    n_grid = len(GRID)
    best = np.array(table["f1_val"]).reshape(-1, n_grid).max(axis=1)
    below = np.array(table["own_f1_val"])[::n_grid] < 0.95 * best
    hollow = next(line for line in dots if line.get_markerfacecolor() == PAPER)
    assert sorted(hollow.get_ydata()) == np.flatnonzero(below).tolist()
    assert ("hollow dot" in caption_of(picture)) == below.any()


@pytest.mark.parametrize(
    ("objective", "number", "title"),
    [
        ({}, "11", "chosen on val for macro-F1, gives 0."),
        ({}, "12", "chosen on val for macro-F1, gives micro-F1 0."),
        ({"objective": "f1_micro"}, "12", "chosen on val for micro-F1, gives 0."),
        ({"objective": "f1_micro"}, "11", "chosen on val for micro-F1, gives macro-F1 0."),
        ({"objective": "f_beta", "beta": 2.0}, "11", "chosen on val for macro-F-beta (beta 2), gives macro-F1 0."),
        (
            {"objective": "precision_floor", "floor": 0.6}, "12",
            "chosen on val for recall with a precision of at least 0.6, gives micro-F1 0.",
        ),
    ],
)  # fmt: skip
def test_a_threshold_is_chosen_for_one_score_alone(
    source: GivenRun, objective: dict[str, Any], number: str, title: str
) -> None:
    thresholds = replace(source.thresholds, settings=ThresholdSettings(**{"rule": "per_label", **objective}))
    source.checkpoint.__dict__["rules"] = thresholds  # as its cached property keeps it
    assert title in title_of(drawn(number, source))


def test_the_best_threshold_on_val_is_marked_if_it_is_another(source: GivenRun) -> None:
    source.checkpoint.__dict__["rules"] = replace(source.thresholds, global_threshold=0.777)
    picture = drawn("12", source)
    table = picture.table
    at = int(np.argmax(table["val"]))
    best, on_test = table["threshold"][at], table["test"][at]
    assert f"{best:g}, the best on val for micro-F1, gives {on_test:.3f}" in title_of(picture)
    assert {mark for mark in table["mark"] if mark} == {"global", "fixed 0.3", "fixed 0.5", "best on val"}
    assert 0.777 in table["threshold"], "the curve passes through its point"


def test_coverage_counts_comments_and_labels() -> None:
    part = predictions([[1, 0], [0, 0], [1, 1]], [[0.9, 0.5], [0.2, 0.1], [0.5, 0.4]])
    assert coverage(part, np.array([0.1, 0.5, 0.95])).tolist() == [[1, 2 / 3, 0], [2, 1, 0]]


def test_coverage_is_drawn_with_gold(source: GivenRun) -> None:
    picture, test = drawn("14", source), source.predictions("test")
    chosen = source.thresholds.global_threshold
    decided = test.y_prob.astype(float) >= chosen
    assert f"there are {decided.sum() / len(test):.2f} labels per comment" in title_of(picture)
    assert f"{test.y_true.sum() / len(test):.2f} in gold" in title_of(picture)
    assert f"{test.y_pred.sum() / len(test):.2f} labels per comment." in caption_of(picture)
    horizontal = [line.get_ydata()[0] for line in picture.figure.axes[1].lines if line.get_linewidth() == 1.0]
    assert test.y_true.sum() / len(test) in horizontal


def test_intervals_are_those_of_metrics_and_csv(source: GivenRun, picture_of: Callable[[str], Any]) -> None:
    picture, known, metrics = picture_of("20"), per_class(source), source.checkpoint.metrics.test.as_json()
    table = picture.table
    for at, (key, _, by_rule) in enumerate(SCORES):
        scores = metrics[source.thresholds.rule] if by_rule else metrics
        assert table["score"][at] == key
        assert [table[column][at] for column in ("value", "ci_low", "ci_high")] == [
            scores[key],
            *scores[f"{key}_ci"],
        ]
    labels = table["emotion"][len(SCORES) :]
    assert sorted(labels) == sorted(EMOTIONS)
    for at, label in enumerate(labels, start=len(SCORES)):
        row = [float(known[label][column]) for column in ("f1_score", "f1_ci_low", "f1_ci_high")]
        assert [table[column][at] for column in ("value", "ci_low", "ci_high")] == row
    support = list(table["support"])[len(SCORES) :]
    assert support == sorted(support, reverse=True)


def test_below_the_scores_are_the_widths_of_the_intervals_of_f1(picture_of: Callable[[str], Any]) -> None:
    """F1 itself is in figure 07."""
    picture = picture_of("20")
    table, bottom = picture.table, picture.figure.axes[1]
    ends = np.array([table["ci_low"], table["ci_high"]], dtype=float)[:, len(SCORES) :]
    half = (ends[1] - ends[0]) / 2
    (dots,) = [line for line in bottom.lines if line.get_marker() == "o"]
    drawn_widths = np.asarray(dots.get_xdata())
    assert drawn_widths[half > 0].tolist() == half[half > 0].tolist()
    assert np.isnan(drawn_widths[~(half > 0)]).all(), "an interval without a width says nothing"
    np.testing.assert_array_equal(table["half_width"][len(SCORES) :], drawn_widths)


def test_without_intervals_scores_are_drawn_alone(source: GivenRun) -> None:
    def without_intervals(metrics: dict[str, Any]) -> None:
        for scores in (metrics["test"], *(metrics["test"][rule] for rule in RULES)):
            for key in [key for key in scores if key.endswith("_ci")]:
                del scores[key]

    change_metrics(source.checkpoint, without_intervals)
    source.given_rows = [row | {"f1_ci_low": None, "f1_ci_high": None} for row in source.per_class()]
    picture = drawn("20", source)
    assert title_of(picture).endswith("no interval is recorded")
    assert np.isnan(picture.table["ci_low"]).all()
    drawn("08", source), drawn("09", source)


def test_precision_and_recall_are_those_of_each_threshold() -> None:
    rng = np.random.default_rng(3)
    y_true = rng.random(400) < 0.2
    y_prob = np.round(np.clip(0.3 * y_true + 0.7 * rng.random(400), 0, 1), 2).astype(np.float32)  # with ties
    threshold, recall, precision = curve(y_true, y_prob)
    assert (np.diff(threshold) < 0).all()
    for t, r, p in zip(threshold, recall, precision, strict=True):
        reached = y_prob.astype(float) >= t
        assert r == (reached & y_true).sum() / y_true.sum()
        assert p == (reached & y_true).sum() / reached.sum()
    assert recall[-1] == 1
    steps = np.diff(np.concatenate([[0], recall]))
    assert (steps * precision).sum() == pytest.approx(average_precision_score(y_true, y_prob))


def test_long_curves_are_thinned_with_both_ends() -> None:
    y_prob = np.linspace(0, 1, 5_000).astype(np.float32)
    threshold, recall, _ = curve(np.ones(5_000, dtype=bool), y_prob)
    assert len(threshold) == 101
    assert (threshold[0], recall[-1]) == (1, 1)


def test_every_label_has_a_panel_with_its_own_point(
    source: GivenRun, picture_of: Callable[[str], Any]
) -> None:
    picture, known, test = picture_of("22"), per_class(source), source.predictions("test")
    titles = [axes.get_title(loc="left") for axes in picture.figure.axes]
    assert sorted(title for title in titles if title) == sorted(EMOTIONS)
    area = average_precision_score(test.y_true, test.y_prob, average=None)
    found = [area[EMOTIONS.index(title)] for title in titles if title]
    assert found == sorted(found, reverse=True)
    for axes in picture.figure.axes[:28:9]:
        row = known[axes.get_title(loc="left")]
        dot = next(line for line in axes.lines if line.get_marker() == "o")
        assert dot.get_xdata()[0] == pytest.approx(float(row["recall"]))
        assert dot.get_ydata()[0] == pytest.approx(float(row["precision"]))


def on_steps(line: Any, dot: Any) -> bool:
    """Whether a dot is on a curve of steps: between two corners, at the height of the second, or on the drop there."""
    assert line.get_drawstyle() == "steps-pre"
    (x,), (y,) = dot.get_xdata(), dot.get_ydata()
    corners = list(zip(line.get_xdata(), line.get_ydata(), strict=True))
    return any(
        (before <= x <= after and y == high) or (x == before and min(low, high) <= y <= max(low, high))
        for (before, low), (after, high) in itertools.pairwise(corners)
    )


def test_the_runs_own_points_are_on_the_curves(picture_of: Callable[[str], Any]) -> None:
    """Also those of labels with few comments, whose precision falls far between two positives."""
    picture = picture_of("22")
    rows = zip(*(picture.table[key] for key in ("emotion", "recall", "precision", "point")), strict=True)
    own = {label: (recall, precision) for label, recall, precision, point in rows if point == "run"}
    panels = {title: axes for axes in picture.figure.axes if (title := axes.get_title(loc="left"))}
    assert sorted(panels) == sorted(own) == sorted(EMOTIONS)
    for label, axes in panels.items():
        dot = next(line for line in axes.lines if line.get_marker() == "o")
        steps = next(line for line in axes.lines if line.get_drawstyle() == "steps-pre")
        assert on_steps(steps, dot), label
        recall, precision = own[label]
        assert recall == dot.get_xdata()[0]
        assert precision in (None, dot.get_ydata()[0])


def test_points_that_no_threshold_gives_and_labels_without_positives_say_so(source: GivenRun) -> None:
    test = source.predictions("test")
    test.y_pred[:, 0] = test.y_true[:, 0]
    test.y_pred[:, 1] = False
    test.y_true[:, 3] = False
    picture = drawn("22", source)
    panels = {axes.get_title(loc="left"): axes for axes in picture.figure.axes}
    assert "no positives" in [text.get_text() for text in panels[EMOTIONS[3]].texts]
    assert EMOTIONS[3] not in picture.table["emotion"]
    (diamond,) = [line for line in panels[EMOTIONS[0]].lines if line.get_marker() == "D"]
    assert (diamond.get_xdata()[0], diamond.get_ydata()[0]) == (1, 1)
    (hollow,) = [line for line in panels[EMOTIONS[1]].lines if line.get_marker() == "o"]
    assert hollow.get_xdata()[0] == 0
    assert hollow.get_markerfacecolor() == PAPER
    assert "Diamond: not decided by a threshold alone" in caption_of(picture)
    assert "Hollow: nothing is predicted" in caption_of(picture)


def published_test(metrics: dict[str, Any]) -> None:
    metrics["data"]["split_sha256"]["test"] = SPLIT_SHA256["test"]


def test_our_f1_stands_beside_the_papers(source: GivenRun) -> None:
    change_metrics(source.checkpoint, published_test)
    picture, known = drawn("23", source), per_class(source)
    labels, ours = picture.table["emotion"], picture.table["f1_score"]
    assert dict(zip(labels, picture.table["paper_f1"], strict=True)) == PAPER_F1
    assert list(ours) == [float(known[label]["f1_score"]) for label in labels]
    gain = [f1 - PAPER_F1[label] for label, f1 in zip(labels, ours, strict=True)]
    assert gain == sorted(gain, reverse=True)
    assert f"macro-F1 {np.mean(ours):.2f} against 0.46" in title_of(picture)


def test_the_paper_is_for_its_own_labels_and_comments(source: GivenRun) -> None:
    with pytest.raises(DataError, match="was not scored on the test split of GoEmotions"):
        drawn("23", source)
    change_metrics(source.checkpoint, published_test)
    labels = source.checkpoint.manifest.labels
    labels[0], labels[1] = (
        labels[1],
        labels[0],
    )  # the hash of the rows does not know the names of their columns
    with pytest.raises(DataError, match="was not scored on the test split of GoEmotions"):
        drawn("23", source)
    source.checkpoint.manifest.labels[0] = "awe"
    with pytest.raises(DataError, match="are not the 28 of the paper"):
        drawn("23", source)


def test_correlations_are_those_of_scipy(source: GivenRun) -> None:
    picture = drawn("06", source)
    table = picture.table
    for measure, other, rho in zip(table["measure"], table["other"], table["spearman"], strict=True):
        expected = spearmanr(source.by_label(measure), source.by_label(other)).statistic
        assert rho == pytest.approx(expected)
    assert len(table["spearman"]) == len(MEASURES) * (len(MEASURES) - 1) // 2
    of_f1 = {
        dict(MEASURES)[other if measure == "f1_score" else measure]: rho
        for measure, other, rho in zip(table["measure"], table["other"], table["spearman"], strict=True)
        if "f1_score" in (measure, other)
    }
    strongest = max(of_f1, key=lambda name: abs(of_f1[name]))
    assert title_of(picture).startswith(f"F1 correlates most with {strongest} (+{of_f1[strongest]:.2f})")


def test_correlations_leave_out_what_is_undefined() -> None:
    rho, counted = correlations(np.array([[1, 2, 3, 4.0], [1, np.nan, 9, 16], [5, 5, 5, 5]]))
    assert (rho[0, 1], counted[0, 1]) == (1, 3)
    assert np.isnan(rho[0, 2]), "what does not vary goes with nothing"
    assert by_chance(28) == pytest.approx(0.374, abs=0.001)  # of every table of critical values
    assert [by_chance(n) for n in (5, 6, 7)] == pytest.approx([1, 0.886, 0.786], abs=0.001)
    assert by_chance(4) == np.inf, "two of 24 orders reach 1 or -1"


@pytest.mark.parametrize("n_values", [4, 7, 28])
def test_a_rank_correlation_is_tested_by_permutations(n_values: int) -> None:
    rng = np.random.default_rng(n_values)
    one, other = rng.integers(0, 5, n_values).astype(float), rng.random(n_values)
    other += one / 4
    rho, p_value = rank_correlation(one, other)
    assert rho == pytest.approx(spearmanr(one, other).statistic)
    ranks = rankdata(other) - (n_values + 1) / 2  # their product with other ranks rises with the correlation
    expected = permutation_test(
        (rankdata(one),), lambda values, axis: (values * ranks).sum(axis), permutation_type="pairings", rng=1
    ).pvalue
    assert p_value == pytest.approx(expected, abs=0.02)


def test_few_labels_correlate_with_nothing(source: GivenRun) -> None:
    """Three points in a line are no finding: title, colours and caption say so."""
    labels = ["joy", "anger", "fear"]
    source.checkpoint.manifest.labels[:] = labels
    rows = [row for row in source.per_class() if row["emotion"] in labels]
    source.given_rows = [row | {key: at / 10 for key, _ in MEASURES} for at, row in enumerate(rows, start=1)]
    picture = drawn("06", source)
    assert set(picture.table["spearman"]) == {1.0}
    assert title_of(picture) == "Over 3 labels, F1 correlates with no other measure by more than chance"
    assert not any(picture.table["coloured"])
    assert picture.figure.axes[0].images[0].get_array().mask.all()


@pytest.mark.parametrize(
    ("rho", "said"),
    [(1, "0.10 to 0.90, lower for rare ones"), (-1, "0.10 to 0.90, higher for rare ones"), (0, "from 0.10 to 0.90")],
)  # fmt: skip
def test_rare_labels_fare_worse_only_if_they_do(source: GivenRun, rho: int, said: str) -> None:
    """The title of 09 follows a test over the labels, whatever macro- and micro-F1 are."""
    n = len(EMOTIONS)
    f1 = np.linspace(0.1, 0.9, n)
    support = np.arange(1, n + 1) if rho else np.random.default_rng(0).permutation(n) + 1
    rows = zip(source.per_class(), f1[:: rho or 1], support, strict=True)
    source.given_rows = [row | {"f1_score": one, "support": int(many)} for row, one, many in rows]
    title = title_of(drawn("09", source))
    assert said in title
    assert ("rare ones" in title) == bool(rho)


@pytest.mark.parametrize(
    ("rho", "said"),
    [
        (1, "F1 correlates most with support (+1.00)"),
        (-1, "F1 correlates most with support (−1.00)"),
        (0, "whether a label is common makes no clear difference ("),
    ],
)
def test_the_title_of_correlations_is_what_was_tested(source: GivenRun, rho: int, said: str) -> None:
    n = len(EMOTIONS)
    f1 = np.linspace(0.1, 0.9, n)
    support = np.arange(1, n + 1) if rho else np.random.default_rng(0).permutation(n) + 1
    source.given_rows = [
        row | {"f1_score": one, "support": int(many), "recall": one if rho == 0 else 0.5}
        for row, one, many in zip(source.per_class(), f1[:: rho or 1], support, strict=True)
    ]
    assert said in title_of(drawn("06", source))


def test_two_labels_do_not_correlate(source: GivenRun, tmp_path: Path) -> None:
    source.checkpoint.manifest.labels[:] = ["joy", "anger"]
    source.given_rows = [row for row in source.per_class() if row["emotion"] in ("joy", "anger")]
    with pytest.raises(DataError, match="2 labels are too few"):
        drawn("06", source)


def test_a_csv_of_other_labels_is_named(source: GivenRun) -> None:
    source.given_rows = source.per_class()[:-1]
    with pytest.raises(DataFileError, match="its labels are not those of"):
        drawn("08", source)
