"""Figures of small runs: what is drawn, what the pictures say, and what is said where one is lacking."""

import io
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import (
    CorruptArtifactError,
    DataError,
    SettingError,
)
from goemo_cli.core.events import Event, FileWritten
from goemo_cli.core.labels import EMOTIONS, SPLITS
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.schema import SOURCES_KEY
from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.core.thresholds import Thresholds
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts
from goemo_cli.services.figures import draw_figures, figure_of, figures, style
from goemo_cli.services.figures.style import (
    house_style,
    named,
    padded_limits,
    percent,
    save_figure,
    shown,
    span,
    wrapped,
)
from goemo_cli.services.runs.references import open_run
from goemo_cli.services.runs.run_data import RunData
from tests.csv_rows import rows_of
from tests.given_run import GivenRun
from tests.metrics_documents import change_metrics

ODD_LABELS = (
    "a$b_c$", "under_score", "$\\frac{$", "\\alpha", "喜び", "радость", "tab\tand\nline", "bell\x07\x1b[31m",
    "a very long label name that goes on and on until nobody reads it", "\u202ereversed", "neutral",
)  # fmt: skip


@pytest.fixture(scope="module")
def tfidf(tfidf_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    root = shutil.copytree(tfidf_root, tmp_path_factory.mktemp("figures") / "tfidf")
    return open_run("@latest", Layout(Path(root)))


@pytest.fixture(scope="module")
def tiny(tiny_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    root = shutil.copytree(tiny_root, tmp_path_factory.mktemp("figures") / "tiny")
    return open_run("@latest", Layout(Path(root)))


def layout_of(checkpoint: Checkpoint) -> Layout:
    return Layout(checkpoint.path.parents[3])


def source_of(checkpoint: Checkpoint) -> GivenRun:
    return GivenRun(checkpoint, layout_of(checkpoint))


def drawn(number: str, source: RunData) -> Any:
    with house_style():
        return figure_of(number).draw(source).figure


def png(figure: Figure, folder: Path) -> bytes:
    with house_style():
        save_figure(figure, folder / "one.png", {})
    return (folder / "one.png").read_bytes()


@pytest.fixture
def moved(tfidf: Checkpoint, tmp_path: Path) -> Callable[..., Layout]:
    """A copy of the tfidf run's root without some of its files."""

    def copy(*missing: str) -> Layout:
        shutil.copytree(layout_of(tfidf).root, tmp_path / "copy", ignore=shutil.ignore_patterns("output"))
        layout = Layout(tmp_path / "copy")
        for pattern in missing:
            for path in layout.root.rglob(pattern):
                path.unlink()
        return layout

    return copy


def texts_of(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def tick_labels(figure: Figure) -> list[str]:
    return [tick.get_text() for tick in figure.axes[0].get_yticklabels()]


def title_of(figure: Figure) -> str:
    return str(figure.texts[0].get_text()).replace("\n", " ").replace("\u00a0", " ")


def with_labels(checkpoint: Checkpoint, labels: tuple[str, ...], *, rows: int = 120) -> GivenRun:
    """A source over made-up data, metrics and thresholds of other labels."""
    rng = np.random.default_rng(0)
    share = 0.4 / np.arange(1, len(labels) + 1)
    splits = {
        split: LabelledTexts(["text"] * n, rng.random((n, len(labels))) < share)
        for split, n in (("train", rows), ("val", rows // 4), ("test", rows // 4))
    }
    thresholds = Thresholds(
        labels,
        0.3,
        rng.random(len(labels)),
        tuple(range(len(labels) - 1, -1, -1)),
        ThresholdSettings(rule="per_label"),
    )
    other = replace(checkpoint, manifest=checkpoint.manifest.model_copy(update={"labels": list(labels)}))
    other.__dict__["rules"] = thresholds  # as its cached property keeps it
    source = GivenRun(other, layout_of(checkpoint))
    source.given_data = Dataset("made up", labels, splits, "nowhere")  # type: ignore[arg-type]
    source.given_rows = [
        {
            "emotion": label, "f1_score": 0.0 if at % 3 else 1 / (at + 1), "support": at, "f1_ci_low": 0.0,
            "f1_ci_high": None if at == 1 else 0.5, "tp": 1, "fp": 1, "fn": 1, "tn": 1, "precision": at / 100,
            "recall": 0.5, "roc_auc": None if at == 1 else 1 - at / 300, "average_precision": 0.3,
            "threshold": float(thresholds.per_label[at]),
        }
        for at, label in enumerate(labels)
    ]  # fmt: skip
    for split in SPLITS[1:]:
        part = splits[split]
        y_prob = np.clip(0.5 * part.y_true + 0.7 * rng.random(part.y_true.shape), 0, 1).astype(np.float32)
        source.given_predictions[split] = Predictions(
            labels, part.texts, part.y_true, thresholds.decide(y_prob), y_prob
        )
    return source


CONTRACT = (
    "00_class_distribution", "01_class_distribution_no_neutral", "02_label_cooccurrence",
    "03_label_cooccurrence_clean", "04_character_length_distributions", "05_token_length_distributions",
    "06_metric_correlations", "07_per_emotion_f1_scores", "08_auc_vs_f1_tradeoff", "09_macro_vs_micro",
    "10_training_curves", "11_threshold_macro", "12_threshold_micro", "13_threshold_f1",
    "14_threshold_coverage", "15_per_class_thresholds", "16_label_confusion", "17_reliability_diagram",
    "18_calibration_summary", "19_cooccurrence_heatmap", "20_robustness_confidence_intervals",
    "21_embedding_projection", "22_precision_recall_curves", "23_paper_comparison",
)  # fmt: skip


def test_the_figures_are_those_of_the_contract_in_its_order() -> None:
    assert tuple(map(str, figures())) == tuple(name for name in CONTRACT if name in set(map(str, figures())))
    assert len(set(figures())) == len(figures())


@pytest.mark.slow
def test_a_transformer_run_gets_every_figure(tiny: Checkpoint) -> None:
    result = draw_figures(layout_of(tiny))
    assert [path.stem for path in result.drawn] == [str(figure) for figure in figures()][:-1]
    ((name, reason),) = result.skipped
    assert name == "23_paper_comparison"
    assert reason == f"{tiny.run} was not scored on the test split of GoEmotions"


def test_pictures_are_whole_and_nothing_partial_stays(tiny: Checkpoint) -> None:
    events: list[Event] = []
    layout = layout_of(tiny)
    result = draw_figures(layout, only=["05", "09", "10"], on_event=events.append)
    assert result.skipped == ()
    assert result.runs == (tiny.run,)
    names = ["05_token_length_distributions", "09_macro_vs_micro", "10_training_curves"]
    assert [path.stem for path in result.drawn] == names
    assert [event.path for event in events if isinstance(event, FileWritten)] == list(result.drawn)
    for path in result.drawn:
        assert path.parent == layout.figures
        with Image.open(path) as picture:
            picture.verify()
        with Image.open(path) as picture:
            picture.load()
            assert picture.width >= 1000
            assert set(picture.info) <= {"dpi", SOURCES_KEY}, "no version, no time of writing"
    written = [path.relative_to(layout.figures).as_posix() for path in layout.figures.rglob("*.*")]
    expected = [[f"{name}.png", *(f"data/{name}.{suffix}" for suffix in ("csv", "json"))] for name in names]
    assert sorted(written) == sorted(name for files in expected for name in files)


def test_a_figure_that_lacks_something_stops_no_other(tfidf: Checkpoint) -> None:
    result = draw_figures(layout_of(tfidf), only=["05", "09", "23"])
    assert [path.name for path in result.drawn] == ["09_macro_vs_micro.png"]
    reasons = dict(result.skipped)
    assert (
        "tokenizer.json is missing: a model of kind tfidf has no tokenizer"
        in reasons["05_token_length_distributions"]
    )
    assert "was not scored on the test split of GoEmotions" in reasons["23_paper_comparison"]


def test_places_are_rounded(tfidf: Checkpoint, tmp_path: Path) -> None:
    """An SVG is named by them, and the last digits that the layout's solver finds are not the same every time."""
    figure = drawn("10", source_of(tfidf))
    png(figure, tmp_path)
    for axes in figure.axes:
        points = axes.get_position(original=True).get_points()
        assert (points == np.round(points, 6)).all()


def test_neither_dark_pictures_nor_a_matplotlibrc_change_light_ones(
    tfidf: Checkpoint, tmp_path: Path
) -> None:
    import matplotlib

    light = png(drawn("15", source_of(tfidf)), tmp_path)
    with house_style("dark"):
        save_figure(figure_of("15").draw(source_of(tfidf)).figure, tmp_path / "dark.png", {})
    with Image.open(tmp_path / "dark.png") as picture:
        grey = np.asarray(picture.convert("L"))
    assert np.median(grey) < 40
    assert grey.max() > 200, "its text is light"
    with matplotlib.rc_context({"font.size": 30, "savefig.bbox": "tight", "axes.facecolor": "red"}):
        assert png(drawn("15", source_of(tfidf)), tmp_path) == light


@pytest.mark.parametrize("name", ["7", "07", " 07 ", "per_emotion_f1_scores", "07_per_emotion_f1_scores.png"])
def test_figures_are_found_by_number_and_name(name: str) -> None:
    assert figure_of(name).number == "07"


@pytest.mark.parametrize("name", ["99", "", "per_emotion_f1", "-1", "²"])
def test_an_unknown_figure_lists_the_known_ones(name: str, layout: Layout) -> None:
    with pytest.raises(SettingError, match=r"--only: no figure .*known: 00_class_distribution, 01_"):
        draw_figures(layout, only=[name])


def test_the_newest_finished_run_is_drawn(moved: Callable[..., Layout], tfidf: Checkpoint) -> None:
    layout = moved()
    (layout.models / "tiny" / "tiny-20990101-000000").mkdir(parents=True)  # newer, but never finished
    assert draw_figures(layout, only=["10"]).runs == (tfidf.run,)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "columns are not"),
        ("emotion,f1_score\njoy,0.5\n", "columns are not emotion,f1_score,precision"),
        ("{header}\n", "holds no rows"),
        ("{header}\njoy,,0,0,1,0,0,0,0,0.5,,,0,0\n", "column f1_score is empty"),
        ("{header}\njoy,high,0,0,1,0,0,0,0,0.5,,,0,0\n", "'high' is not a number"),
        ("\udcff\udcfe", "not UTF-8 text"),
    ],
)
def test_a_metrics_csv_that_cannot_be_used_says_why(
    moved: Callable[..., Layout], content: str, reason: str
) -> None:
    layout = moved()
    (path,) = layout.stats.glob("per_class_metrics_*.csv")
    text = content.replace("{header}", path.read_text(encoding="utf-8").partition("\n")[0])
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    ((name, found),) = draw_figures(layout, only=["07"]).skipped
    assert name == "07_per_emotion_f1_scores"
    assert reason in found
    assert str(path) in found


def test_predictions_of_other_labels_are_refused(moved: Callable[..., Layout]) -> None:
    layout = moved()
    (path,) = layout.predictions.glob("test_predictions_*.csv")
    header, rest = path.read_text(encoding="utf-8").split("\n", 1)
    path.write_text(
        f"{header.replace('prob_admiration', 'prob_awe')}\n{rest.replace('admiration', 'awe')}", "utf-8"
    )
    ((_, reason),) = draw_figures(layout, only=["11"]).skipped
    assert "its labels are not those of" in reason


def test_a_damaged_metrics_json_leaves_what_does_not_need_it(tfidf: Checkpoint) -> None:
    source = source_of(Checkpoint.open(tfidf.path))
    change_metrics(source.checkpoint, lambda it: it["history"].clear())
    with pytest.raises(CorruptArtifactError, match=r"metrics\.json: history has no epoch"):
        drawn("10", source)
    drawn("07", source)


def test_other_data_than_the_runs_is_refused(tfidf: Checkpoint) -> None:
    source = source_of(Checkpoint.open(tfidf.path))
    change_metrics(source.checkpoint, lambda it: it["data"]["split_sha256"].update(train="0" * 64))
    for number in ("00", "02"):
        with pytest.raises(DataError, match="the train split is not the one"):
            drawn(number, source)


def test_an_older_picture_is_told_from_a_new_one(tfidf: Checkpoint) -> None:
    stale = layout_of(tfidf).figures / "05_token_length_distributions.png"
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.write_bytes(b"older")
    ((_, reason),) = draw_figures(layout_of(tfidf), only=["05"]).skipped
    assert reason.endswith(f"{stale} is from an earlier drawing")
    assert stale.read_bytes() == b"older"
    stale.unlink()


@pytest.mark.parametrize("number", ["00", "07", "08", "13", "15"])
def test_all_labels_are_shown(tfidf: Checkpoint, number: str) -> None:
    assert sorted(tick_labels(drawn(number, source_of(tfidf)))) == sorted(EMOTIONS)


def test_class_distribution_counts_the_data(tfidf: Checkpoint) -> None:
    source = source_of(tfidf)
    figure, data = drawn("00", source), source.data()
    counts = dict(zip(data.labels, data.train.y_true.sum(axis=0).tolist(), strict=True))
    bars = [patch.get_width() for patch in figure.axes[0].patches]
    assert dict(zip(tick_labels(figure), bars, strict=True)) == counts
    assert bars == sorted(bars, reverse=True)
    top, rarest = max(counts, key=lambda label: counts[label]), min(counts.values())
    assert title_of(figure).startswith(
        f"{top.capitalize()} is {100 * counts[top] / len(data.train):.1f} % of train"
    )
    assert f"the rarest of 28, has {rarest} comments" in title_of(figure)


def test_without_neutral_there_are_27(tfidf: Checkpoint) -> None:
    figure = drawn("01", source_of(tfidf))
    assert sorted(tick_labels(figure)) == sorted(set(EMOTIONS) - {"neutral"})
    source = with_labels(tfidf, ("anger", "joy"))
    with pytest.raises(DataError, match="no label 'neutral'"):
        drawn("01", source)


def test_cooccurrence_shows_shares_of_the_row(tfidf: Checkpoint) -> None:
    source = source_of(tfidf)
    figure, gold = drawn("02", source), source.data().train.y_true
    names = [label.rpartition(" (")[0] for label in tick_labels(figure)]
    assert sorted(names) == sorted(EMOTIONS)
    shares = figure.axes[0].images[0].get_array()
    row, column = names.index("disgust"), names.index("anger")
    of_row, both = gold[:, EMOTIONS.index("disgust")], gold[:, EMOTIONS.index("anger")]
    assert shares[row, column] == (of_row & both).sum() / of_row.sum()
    assert shares.mask.diagonal().all()


def test_cooccurrence_without_any_pair(tfidf: Checkpoint, tmp_path: Path) -> None:
    source = with_labels(tfidf, ("anger", "joy"))
    source.data().train.y_true[:] = False
    figure = drawn("02", source)
    assert title_of(figure) == "No comment of train carries more than one label"
    png(figure, tmp_path)


def test_token_counts_are_those_of_training_without_the_cut(tiny: Checkpoint) -> None:
    from goemo_cli.ml.models.classifier import load_classifier

    source = source_of(tiny)
    texts = source.data().test.texts
    classifier: Any = load_classifier(tiny)
    whole = replace(classifier, max_length=10_000).encode(texts)
    assert source.token_counts("test").tolist() == whole.lengths.tolist()
    limit = tiny.config.model.max_length
    assert (
        np.minimum(source.token_counts("test"), limit).tolist() == classifier.encode(texts).lengths.tolist()
    )


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        ([3] * 5, "cuts none"),
        ([3] * 99 + [70], "cuts 3 comments of all splits (1.0 %)"),
        ([900] * 3, "(100 %)"),
    ],
)
def test_token_lengths_of_any_spread_are_drawn(
    tiny: Checkpoint, tmp_path: Path, lengths: list[int], words: str
) -> None:
    source = source_of(tiny)
    source.given_tokens = np.array(lengths)
    figure = drawn("05", source)
    assert words in title_of(figure)
    for patch in figure.axes[0].patches:
        assert math.isclose(patch.get_data().values.sum(), 100), "no comment falls outside the bars"
    png(figure, tmp_path)


def test_a_broken_tokenizer_is_named(tiny: Checkpoint, tmp_path: Path) -> None:
    shutil.copytree(tiny.path, tmp_path / "c")
    (tmp_path / "c" / "tokenizer.json").write_text("{}", "utf-8")
    source = RunData(replace(tiny, path=tmp_path / "c"), layout_of(tiny))
    with pytest.raises(CorruptArtifactError, match=r"tokenizer\.json: is not a tokenizer"):
        source.token_counts("test")


def test_f1_is_drawn_as_the_csv_says(tfidf: Checkpoint) -> None:
    layout = layout_of(tfidf)
    rows = {row["emotion"]: row for row in rows_of(layout.per_class_metrics(tfidf.run))}
    figure = drawn("07", source_of(tfidf))
    axes, labels = figure.axes[0], tick_labels(figure)
    f1 = [patch.get_width() for patch in axes.patches]
    assert f1 == [float(rows[label]["f1_score"]) for label in labels]
    assert f1 == sorted(f1, reverse=True)
    whiskers = [segment[:, 0].tolist() for segment in axes.collections[0].get_segments()]
    assert whiskers == [[float(rows[x]["f1_ci_low"]), float(rows[x]["f1_ci_high"])] for x in labels]
    assert [text for text in texts_of(figure) if text == rows["grief"]["support"]]


def test_one_epoch_still_gives_curves(tfidf: Checkpoint) -> None:
    figure = drawn("10", source_of(tfidf))
    (history,) = tfidf.metrics.history
    assert title_of(figure).startswith("One epoch: loss")
    assert figure.axes[0].lines[1].get_ydata().tolist() == [history.val_loss]


def test_curves_name_the_kept_epoch(tfidf: Checkpoint, tmp_path: Path) -> None:
    source = source_of(Checkpoint.open(tfidf.path))
    (first,) = source.checkpoint.metrics.history
    history = [
        {**first.as_json(), "epoch": epoch, "val_f1_macro": value}
        for epoch, value in enumerate((0.2, 0.4, 0.3), start=1)
    ]
    change_metrics(source.checkpoint, lambda it: it.update(history=history, best_epoch=2))
    figure = drawn("10", source)
    assert title_of(figure) == "Epoch 2 of 3 is kept, with a val macro-F1 of 0.4000; no later one beat it"
    assert figure.axes[1].lines[0].get_ydata().tolist() == [0.2, 0.4, 0.3]
    png(figure, tmp_path)


def test_threshold_curves_meet_the_recorded_scores(tfidf: Checkpoint) -> None:
    figure = drawn("11", source_of(tfidf))
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["val"].get_xdata().min() <= 0.05
    assert lines["val"].get_xdata().max() >= 0.95
    marks = [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    for split, mark in zip(("val", "test"), marks, strict=True):
        scores = tfidf.metrics.split(split)
        assert mark.get_xdata().tolist() == [tfidf.thresholds.global_threshold, 0.3, 0.5]
        expected = [scores.rule(rule).f1_macro for rule in ("global", "fixed_0.3", "fixed_0.5")]
        assert mark.get_ydata().tolist() == pytest.approx(expected)
    assert "chosen on val" in title_of(figure)


def test_thresholds_are_drawn_as_the_file_says(tfidf: Checkpoint) -> None:
    recorded = json.loads((tfidf.path / "thresholds.json").read_text(encoding="utf-8"))
    figure = drawn("15", source_of(tfidf))
    drawn_values = figure.axes[0].lines[0].get_xdata().tolist()
    assert dict(zip(tick_labels(figure), drawn_values, strict=True)) == recorded["per_label"]
    positives = [recorded["n_positives"][label] for label in tick_labels(figure)]
    assert positives == sorted(positives, reverse=True)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(("no", "yes"), id="2", marks=pytest.mark.slow),
        pytest.param(ODD_LABELS, id="odd"),
        pytest.param(tuple(f"emotion {at}" for at in range(45)), id="45", marks=pytest.mark.slow),
        pytest.param(tuple(f"emotion {at}" for at in range(200)), id="200", marks=pytest.mark.slow),
    ],
)
def test_any_labels_are_drawn(
    tfidf: Checkpoint, labels: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style, "DPI", 100)  # as sharp as it needs to be to see what touches an edge
    source = with_labels(tfidf, labels)
    for number in ("00", "02", "07", "08", "13", "15"):
        figure = drawn(number, source)
        assert len(tick_labels(figure)) == min(len(labels), style.MOST_LABELS)
        with Image.open(io.BytesIO(png(figure, tmp_path))) as picture:
            picture.load()
            edges = np.asarray(picture.convert("L"))
        assert edges[0].min() == edges[-1].min() == edges[:, 0].min() == edges[:, -1].min() == 255, "cut off"


@pytest.mark.parametrize(
    ("predicted", "titles"),
    [
        (
            "right",
            {"13": "for 3 of 3 labels", "16": "No gold label is missed", "22": "Average precision is 1.00"},
        ),
        (
            "wrong",
            {
                "13": "No threshold gives any of the 3 labels an F1 above 0",
                "16": "None of 6 pairs",
                "22": "Average precision runs",
            },
        ),
        (
            "nothing",
            {"13": "No threshold gives any", "16": "None of 6 pairs", "22": "Average precision runs"},
        ),
    ],
)
def test_degenerate_predictions_make_no_findings(
    tfidf: Checkpoint, predicted: str, titles: dict[str, str], tmp_path: Path
) -> None:
    source = with_labels(tfidf, ("joy", "anger", "fear"))
    for split in ("val", "test"):
        part = source.predictions(split)
        y_true = part.y_true
        part.y_pred[:] = {"right": y_true, "wrong": ~y_true, "nothing": False}[predicted]
        part.y_prob[:] = np.where(part.y_pred, 0.99, 0.01)
    for number, said in titles.items():
        figure = drawn(number, source)
        assert said in title_of(figure)
        png(figure, tmp_path)


def test_a_span_of_equal_values_is_one_value() -> None:
    assert span([0.131, np.nan, 0.9], ["relief", "fear", "joy"]) == "runs from 0.13 (relief) to 0.90 (joy)"
    assert span([0.999, 1.0], ["a", "b"]) == "is 1.00"


def test_odd_names_are_made_harmless() -> None:
    assert shown("a$b_c$") == "a$b_c$"
    assert shown("tab\tand\nline") == "tab and line"
    assert shown("bell\x07\x1b[31m") == "bell[31m"
    assert shown("\u202ereversed") == "reversed"
    assert shown("\x00") == "(no name)"
    assert shown("\U0010fffd" + chr(0xE000)) == "(no name)"
    assert shown("x" * 40) == "x" * 19 + "…" + "x" * 10
    assert shown("joy \U00016800") == "joy \\u16800"  # Bamum: in none of the fonts


def test_words_for_numbers() -> None:
    shares = (0, 0.0004, 0.034, 0.0996, 0.28, 0.994, 0.9951, 0.9996, 1)
    assert [percent(share).replace("\u00a0", " ") for share in shares] == [
        "0 %", "<0.1 %", "3.4 %", "10 %", "28 %", "99 %", "99.5 %", ">99.9 %", "100 %",
    ]  # fmt: skip
    assert (named(["a"]), named(["a", "b", "c"]), named(list("abcd"))) == (": a", ": a, b and c", "")


def test_titles_wrap_within_the_room() -> None:
    text = "a title that is too long for one line of this width"
    assert wrapped(text, 150, size=12).replace("\n", " ") == text
    assert "\n" in wrapped(text, 150, size=12)
    assert wrapped("unbreakable" * 9, 50, size=12) == "unbreakable" * 9


def test_limits_leave_small_differences_small() -> None:
    low, high = padded_limits([0.5, 0.5001], least_span=0.02, floor=0, ceiling=1)
    assert high - low >= 0.02
    assert padded_limits([np.nan], least_span=0.1, floor=0, ceiling=1)[1] > 0
