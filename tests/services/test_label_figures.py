"""Figures of labels, calibration and embeddings: the numbers that are drawn, against a second source."""

import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from scipy.stats import binom, fisher_exact
from sklearn.calibration import calibration_curve
from sklearn.metrics import multilabel_confusion_matrix

from goemo_cli.core.checkpoint import CALIBRATION, Checkpoint, add_to_manifest, remove_from_manifest
from goemo_cli.core.errors import CorruptArtifactError, DataError
from goemo_cli.core.labels import EMOTIONS
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts
from goemo_cli.ml.metrics.calibrator import Calibrator
from goemo_cli.ml.metrics.confusions import cooccurrence_counts
from goemo_cli.ml.models.tfidf import fit_tfidf
from goemo_cli.services.evaluation.observed_shares import LOWEST, bins_of
from goemo_cli.services.figures import embedding_projection, figure_of, style
from goemo_cli.services.figures.embedding_projection import (
    groups_of,
    margin_places,
    neighbour_agreement,
    sample,
)
from goemo_cli.services.figures.label_pairs import commoner_than_chance, similarity_order
from goemo_cli.services.figures.lengths import label_quantiles
from goemo_cli.services.figures.reliability import chance_errors, expected_over_observed
from goemo_cli.services.figures.style import house_style, save_figure
from goemo_cli.services.runs.run_data import RunData
from tests.given_run import GivenRun

MINE = ("03", "04", "16", "17", "18", "19", "21")
ODD_LABELS = (
    "a$b_c$", "$\\frac{$", "喜び", "tab\tand\nline", "bell\x07\x1b[31m", "<script>", "[/]",
    "a very long label name that goes on and on until nobody reads it", "\u202ereversed", "neutral",
)  # fmt: skip
FOUR = ("anger", "joy", "love", "neutral")
OWN_LABELS = ("billing", "neutral", "praise")
SIXTY = (*(f"emotion {at}" for at in range(59)), "neutral")
WORDS = [
    "so", "very", "happy", "angry", "sad", "table", "chair", "was", "it", "what", "no", "one", "ever", "today",
]  # fmt: skip

MakeSource = Callable[..., GivenRun]


@pytest.fixture
def make_source(make_checkpoint: Callable[..., Checkpoint], layout: Layout) -> MakeSource:
    """A source over made-up data and predictions: `make_source(labels, rows=400, calibrated=False, seed=0)`.

    The first labels are common, the last one never occurs; labels 0 and 1 like to stand together.
    """

    def make(
        labels: tuple[str, ...] = EMOTIONS, *, rows: int = 400, calibrated: bool = False, seed: int = 0
    ) -> GivenRun:
        rng = np.random.default_rng(seed)
        share = 0.35 / np.arange(1, len(labels) + 1)
        share[-1] = 0

        def comments(n: int) -> LabelledTexts:
            y_true = rng.random((n, len(labels))) < share
            y_true[:, 1] |= y_true[:, 0] & (rng.random(n) < 0.4)
            return LabelledTexts([" ".join(rng.choice(WORDS, rng.integers(1, 30))) for _ in range(n)], y_true)

        splits = {"train": comments(rows), "val": comments(rows // 2), "test": comments(rows)}
        checkpoint = make_checkpoint(labels=labels)
        if calibrated:
            n_labels = len(labels)
            found = Calibrator(
                labels, "platt", rng.normal(0, 0.3, n_labels), rng.uniform(0.6, 1.4, n_labels), (4,) * n_labels, {}
            )  # fmt: skip
            remove_from_manifest(checkpoint, CALIBRATION)
            found.write(checkpoint.path / CALIBRATION, run=str(checkpoint.run), source={})
            add_to_manifest(checkpoint, CALIBRATION)
            checkpoint = Checkpoint.open(checkpoint.path)
        data = Dataset("made up", labels, splits, "nowhere")  # type: ignore[arg-type]
        y_true = splits["test"].y_true
        noise = rng.normal(-2.5, 1.0, y_true.shape) + 3 * y_true * rng.random(y_true.shape)
        y_prob = (1 / (1 + np.exp(-noise))).astype(np.float32)
        predicted = Predictions(labels, splits["test"].texts, y_true, y_prob >= 0.25, y_prob)
        return GivenRun(checkpoint, layout, given_data=data, given_predictions={"test": predicted})

    return make


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """As sharp as it needs to be to see what touches an edge."""
    monkeypatch.setattr(style, "DPI", 100)


@pytest.fixture
def fake_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figure 21 embeds with a TF-IDF model of the comments that it draws."""

    def classifier(source: RunData) -> Any:
        texts = source.predictions("test").texts
        y_true = source.predictions("test").y_true[:, :1]
        return fit_tfidf(("one",), texts, y_true, seed=0, on_progress=lambda n: None)

    monkeypatch.setattr(RunData, "classifier", classifier)


def drawn(number: str, source: RunData) -> Any:
    with house_style():
        return figure_of(number).draw(source)


def png(figure: Figure, folder: Path) -> bytes:
    with house_style():
        save_figure(figure, folder / "one.png", {})
    return (folder / "one.png").read_bytes()


def title_of(found: Any) -> str:
    return str(found.figure.texts[0].get_text()).replace("\n", " ").replace("\u00a0", " ")


def caption_of(found: Any) -> str:
    return str(found.figure.get_supxlabel()).replace("\n", " ")


def cross(a: Any, b: Any, c: Any, d: Any) -> bool:
    """Whether the lines from a to b and from c to d cross."""

    def side(p: Any, q: Any, r: Any) -> bool:
        return bool((q[0] - p[0]) * (r[1] - p[1]) > (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) != side(a, b, d) and side(c, d, a) != side(c, d, b)


def cells_of(found: Any, column: str, n_labels: int) -> Any:
    """A column of a matrix' table as the matrix."""
    return np.asarray(found.table[column]).reshape(n_labels, n_labels)


@pytest.mark.parametrize(
    ("number", "labels"),
    [
        *(pytest.param(number, OWN_LABELS, id=f"{number}-3") for number in (*MINE, "00", "02", "14")),
        *(pytest.param(number, ODD_LABELS, id=f"{number}-odd") for number in ("03", "17", "21")),
        *(
            pytest.param(
                number,
                SIXTY,
                id=f"{number}-60",
                marks=[] if number == "18" else [pytest.mark.slow],
            )
            for number in MINE
        ),
    ],
)
def test_any_labels_are_drawn(
    make_source: MakeSource, fake_model: None, number: str, labels: tuple[str, ...], tmp_path: Path
) -> None:
    source = make_source(labels, rows=120, calibrated=True)
    source.given_predictions["val"] = source.predictions("test")
    found = drawn(number, source)
    columns = {len(column) for column in found.table.values()}
    assert len(columns) == 1
    if labels == OWN_LABELS:
        words = [text.get_text() for text in found.figure.findobj(Text)]
        assert any("text" in text for text in words)
        assert not [text for text in words if "comment" in text or "emotion" in text]
    with Image.open(io.BytesIO(png(found.figure, tmp_path))) as picture:
        picture.load()
        edges = np.asarray(picture.convert("L"))
    assert edges[0].min() == edges[-1].min() == edges[:, 0].min() == edges[:, -1].min() == 255, "cut off"


@pytest.mark.parametrize("number", ["04", "16", "18", "19"])
def test_all_labels_are_shown(make_source: MakeSource, number: str) -> None:
    source = make_source(rows=200)
    assert source.data().train.y_true[:, -1].sum() == 0, "also one that never occurs"
    found = drawn(number, source)
    axes = found.figure.axes[1 if number == "04" else 0]
    names = [tick.get_text().partition(" (")[0] for tick in axes.get_yticklabels()]
    assert sorted(names) == sorted(EMOTIONS)


@pytest.mark.parametrize(
    ("number", "counts", "n_labels", "scale"),
    [
        ("02", ["together"], 28, "% of the row's comments with the column's label"),
        ("03", ["together"], 27, "% of the row's comments with the column's emotion"),
        ("16", ["count"], 28, "% of the row's missed comments"),
        ("19", ["gold", "predicted"], 28, "% of the row's comments with the column's label"),
    ],
)
def test_a_cell_of_few_comments_has_no_colour(
    make_source: MakeSource, number: str, counts: list[str], n_labels: int, scale: str
) -> None:
    found = drawn(number, make_source())
    assert [inner.get_ylabel() for axes in found.figure.axes for inner in axes.child_axes] == [scale]
    for axes, column in zip(found.figure.axes, counts, strict=False):
        count, colours = cells_of(found, column, n_labels), axes.images[0].get_array()
        assert ((count > 0) & (count < 5)).any()
        assert colours.mask[count < 5].all()
        assert not colours.mask[(count >= 5) & ~np.eye(n_labels, dtype=bool)].any()
        dots = axes.lines[0]
        few = (count > 0) & (count < 5) & ~np.eye(n_labels, dtype=bool)
        assert {*zip(dots.get_ydata(), dots.get_xdata(), strict=True)} <= {*map(tuple, np.argwhere(few))}
    assert "fewer than 5 comments" in caption_of(found)


@pytest.mark.parametrize("number", ["02", "03", "16"])
def test_few_comments_make_no_finding(make_source: MakeSource, number: str) -> None:
    source = make_source(("anger", "joy", "neutral"))
    test, train = source.predictions("test"), source.data().train
    train.y_true[:], test.y_true[:], test.y_pred[:] = False, False, False
    train.y_true[:3, :2] = test.y_true[:3, 0] = test.y_pred[:3, 1] = True
    title = title_of(drawn(number, source))
    assert "100 %" not in title, "of three comments"
    assert "closest" not in title


class TestCooccurrenceClean:
    def test_shares_are_conditional_and_without_neutral(self, make_source: MakeSource) -> None:
        source = make_source()
        found, train = drawn("03", source), source.data().train.y_true
        rows = zip(*(found.table[key] for key in ("emotion", "other", "together", "share")), strict=True)
        by_pair = {
            (emotion, other): (cooccurrence_counts, share)
            for emotion, other, cooccurrence_counts, share in rows
        }
        assert len(by_pair) == 27**2
        assert not any("neutral" in pair for pair in by_pair)
        one, other = train[:, EMOTIONS.index("admiration")], train[:, EMOTIONS.index("amusement")]
        assert by_pair["admiration", "amusement"] == ((one & other).sum(), (one & other).sum() / one.sum())
        assert by_pair["amusement", "admiration"][1] == (one & other).sum() / other.sum()

    def test_the_picture_shows_the_table(self, make_source: MakeSource) -> None:
        found = drawn("03", make_source())
        image = found.figure.axes[0].images[0].get_array()
        share, cooccurrence_counts = (cells_of(found, key, 27) for key in ("share", "together"))
        assert image.mask.diagonal().all()
        shown = ~image.mask
        assert (image.data[shown] == share[shown]).all()
        assert (cooccurrence_counts[~shown & ~np.eye(27, dtype=bool)] < 5).all()

    def test_p_values_are_fishers_with_holm(self) -> None:
        rng = np.random.default_rng(1)
        gold = rng.random((300, 4)) < (0.4, 0.3, 0.2, 0.1)
        gold[:, 1] |= gold[:, 0] & (rng.random(300) < 0.3)
        several = gold[gold.sum(axis=1) > 1]
        pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
        raw = []
        for i, j in pairs:
            a, b = several[:, i], several[:, j]
            table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
            raw.append(fisher_exact(table, alternative="greater").pvalue)
        expected = np.full((4, 4), np.nan)
        highest = 0.0
        for step, at in enumerate(np.argsort(raw)):
            highest = max(highest, min(1.0, raw[at] * (len(raw) - step)))
            i, j = pairs[at]
            expected[i, j] = expected[j, i] = highest
        np.testing.assert_allclose(commoner_than_chance(gold), expected)

    def test_alike_labels_are_neighbours(self) -> None:
        gold = np.zeros((90, 6), dtype=bool)
        for first, (one, other) in enumerate(((0, 5), (1, 3), (2, 4))):
            gold[first * 30 : (first + 1) * 30, [one, other]] = True
        order = similarity_order(cooccurrence_counts(gold)).tolist()
        assert sorted(order) == list(range(6))
        for one, other in ((0, 5), (1, 3), (2, 4)):
            assert abs(order.index(one) - order.index(other)) == 1

    def test_it_says_what_it_found(self, make_source: MakeSource) -> None:
        source = make_source(("anger", "joy", "love", "pride", "neutral"))
        train = source.data().train.y_true
        train[:] = False
        for rows, labels in ((range(40), [0, 2]), (range(40, 80), [1, 3]), (range(80, 90), [0])):
            for row in rows:
                train[row, labels] = True
        found = drawn("03", source)
        p_value = cells_of(found, "p_holm", 4)
        assert (p_value[np.triu_indices(4, 1)] < 0.05).sum() == 2
        assert title_of(found) == (
            "2 of 6 pairs of emotions are commoner than chance; closest are joy and pride: 100 % of joy is also pride"
        )
        assert sorted(text.get_text() for text in found.figure.axes[0].texts) == ["100", "100", "100", "80"]

    def test_no_pair_and_no_neutral(self, make_source: MakeSource, tmp_path: Path) -> None:
        source = make_source(("anger", "joy", "neutral"))
        source.data().train.y_true[:] = np.eye(3, dtype=bool)[np.arange(400) % 3]
        found = drawn("03", source)
        assert title_of(found) == "No comment of train carries two emotions"
        png(found.figure, tmp_path)
        with pytest.raises(DataError, match="no label 'neutral'"):
            drawn("03", make_source(("anger", "joy")))


class TestCharacterLengths:
    def test_quantiles_are_those_of_the_comments_with_the_label(self, make_source: MakeSource) -> None:
        source = make_source()
        train, found = source.data().train, drawn("04", source)
        at = found.table["emotion"].index("amusement")
        lengths = [len(text) for text, gold in zip(train.texts, train.y_true[:, 1], strict=True) if gold]
        assert found.table["comments"][at] == len(lengths)
        for percentile in (5, 25, 50, 75, 95):
            assert found.table[f"p{percentile:02}"][at] == np.percentile(lengths, percentile)
        (median,) = [line for line in found.figure.axes[1].lines if line.get_marker() == "o"]
        assert median.get_xdata()[at] == np.median(lengths)
        assert np.isnan(label_quantiles(np.array([3]), np.array([[False]]))).all()

    def test_shares_add_up_to_the_whole_split(self, make_source: MakeSource) -> None:
        source = make_source()
        source.data().test.texts[0] = "x" * 5000
        found = drawn("04", source)
        shares: dict[str, float] = {}
        for split, share in zip(found.table["split"], found.table["share"], strict=True):
            shares[split] = shares.get(split, 0.0) + (share or 0.0)
        assert shares == pytest.approx({"train": 1.0, "val": 1.0, "test": 1.0})
        assert "The last bar above holds 1\u00a0longer comment, up to 5,000 characters." in caption_of(found)
        above = found.figure.axes[0]
        low, high = above.get_xlim()
        for bars in above.patches:
            edges = bars.get_data().edges
            assert low < edges[0], "the outline of the outer bars is not cut"
            assert edges[-1] < high

    def test_the_title_names_the_longest_and_the_shortest(self, make_source: MakeSource) -> None:
        source = make_source(("anger", "joy"))
        train = source.data().train
        train.y_true[:] = [[True, False]] * 200 + [[False, True]] * 200
        train.texts[:] = ["x" * 9] * 200 + ["x" * 21] * 200
        assert title_of(drawn("04", source)) == (
            "Half of the train comments have at most 15 characters; medians of the labels run from 9 (anger) to 21 (joy)"
        )


class TestConfusion:
    def test_counts_are_those_of_the_rows(self, make_source: MakeSource) -> None:
        source = make_source()
        found, test = drawn("16", source), source.predictions("test")
        order = list(dict.fromkeys(found.table["gold"]))
        assert order[0] == EMOTIONS[int(test.y_true.sum(axis=0).argmax())], "commonest first"
        for gold, predicted in (("admiration", "amusement"), ("anger", "admiration"), ("joy", "joy")):
            i, j = EMOTIONS.index(gold), EMOTIONS.index(predicted)
            count = missed = 0
            for true, pred in zip(test.y_true, test.y_pred, strict=True):
                if true[i] and not pred[i] and not true[j]:
                    missed += 1
                    count += pred[j]
            at = order.index(gold) * 28 + order.index(predicted)
            assert (found.table["count"][at], found.table["missed"][at]) == (count, missed)
            if missed:
                assert found.table["share"][at] == count / missed

    def test_rows_name_what_is_missed(self, make_source: MakeSource) -> None:
        source = make_source()
        test = source.predictions("test")
        matrices = multilabel_confusion_matrix(test.y_true, test.y_pred)
        ticks = {tick.get_text() for tick in drawn("16", source).figure.axes[0].get_yticklabels()}
        for label, ((_, _), (missed, hits)) in zip(test.labels, matrices, strict=True):
            assert f"{label} ({missed} of {missed + hits})" in ticks

    def test_a_confusion_beyond_chance_is_marked(self, make_source: MakeSource) -> None:
        source = make_source(("anger", "joy", "love", "neutral"))
        test = source.predictions("test")
        test.y_true[:], test.y_pred[:] = False, False
        rows = np.arange(400)
        test.y_true[rows, rows % 4] = test.y_pred[rows, rows % 4] = True
        test.y_pred[:80] = np.roll(
            test.y_pred[:80], 2, axis=1
        )  # anger and love, joy and neutral change places
        found = drawn("16", source)
        assert "4 of 12 pairs of labels are confused more often than chance" in title_of(found)
        assert title_of(found).endswith("is falsely predicted on 100 %")
        numbers = [text.get_text() for text in found.figure.axes[0].texts]
        assert numbers == ["100"] * 4


class TestReliability:
    def test_bins_agree_with_scikit_learn(self) -> None:
        rng = np.random.default_rng(0)
        y_prob = rng.beta(0.4, 2, 5000).astype(np.float32)
        y_true = rng.random(5000) < y_prob
        found = bins_of(y_true, y_prob)
        above = y_prob.astype(np.float64) >= LOWEST
        share, predicted = calibration_curve(y_true[above], y_prob[above], n_bins=10, strategy="quantile")
        assert found.count[0] == (~above).sum()
        assert found.count.sum() == 5000
        assert len(found.count) == 11
        # scikit-learn puts its borders between two cells, so that a bin may hold one cell more or less
        np.testing.assert_allclose(found.mean_predicted[1:], predicted, atol=2e-3)
        np.testing.assert_allclose(found.observed_share[1:], share, atol=4e-3)

    def test_intervals_hold_their_share(self) -> None:
        found = bins_of(np.arange(50) < 12, np.full(50, 0.25, dtype=np.float32))
        (low,), (high,) = found.interval
        assert binom.sf(11, 50, low) == pytest.approx(0.025)
        assert binom.cdf(12, 50, high) == pytest.approx(0.025)

    @pytest.mark.parametrize("y_prob", [[0.0, 0.0], [0.01, 0.9], [0.5, 0.5], [1.0, 1.0, 0.0]])
    def test_few_cells_make_few_bins(self, y_prob: list[float]) -> None:
        found = bins_of(np.zeros(len(y_prob), dtype=bool), np.array(y_prob, dtype=np.float32))
        assert found.count.sum() == len(y_prob)
        assert np.isfinite(found.interval).all()

    def test_before_and_after_are_drawn_where_there_is_a_calibrator(self, make_source: MakeSource) -> None:
        source = make_source(FOUR, calibrated=True)
        found, test, calibrator = drawn("17", source), source.predictions("test"), source.calibrator()
        assert calibrator is not None
        assert set(found.table["state"]) == {"before", "after"}
        after = calibrator.apply(test.y_prob)
        rows = list(zip(*found.table.values(), strict=True))
        keys = list(found.table)
        of_all = [dict(zip(keys, row, strict=True)) for row in rows if row[0] is None]
        lowest = next(row for row in of_all if row["state"] == "after" and row["bin"] == 1)
        below = after.astype(np.float64) < LOWEST
        assert lowest["count"] == below.sum()
        assert lowest["observed_share"] == test.y_true[below].mean()
        assert lowest["mean_predicted"] == pytest.approx(after[below].mean(dtype=np.float64))
        assert {row[0] for row in rows} == {None, *FOUR}
        assert "after calibration" in title_of(found)
        assert source.layout.shown(source.checkpoint.path / CALIBRATION) in source.files_used()

    def test_a_run_without_calibrator_has_one_state(self, make_source: MakeSource) -> None:
        source = make_source(FOUR)
        found = drawn("17", source)
        assert set(found.table["state"]) == {"before"}
        assert "not calibrated" in found.figure.texts[1].get_text()
        known = source.predictions("test").y_prob.astype(np.float64) >= LOWEST
        share = 100 * source.predictions("test").y_true[known].mean()
        assert f"and {share:.{0 if share >= 9.95 else 1}f} % of them are gold" in title_of(found)

    def test_a_damaged_calibrator_is_named(self, make_source: MakeSource) -> None:
        source = make_source(calibrated=True)
        path = source.checkpoint.path / CALIBRATION
        path.write_bytes(path.read_bytes().replace(b"platt", b"plott"))
        for number in ("17", "18"):
            with pytest.raises(CorruptArtifactError, match=r"calibration\.json: differs from the SHA-256"):
                drawn(number, source)


class TestCalibrationSummary:
    def test_errors_are_those_of_equal_bins(self, make_source: MakeSource) -> None:
        """Worked again with numpy: sorted, cut into 15 parts of equal size."""
        source = make_source(rows=450)
        found, test = drawn("18", source), source.predictions("test")
        assert list(found.table["ece_before"]) == sorted(found.table["ece_before"], reverse=True)
        for label in ("admiration", "joy"):
            at = EMOTIONS.index(label)
            order = np.argsort(test.y_prob[:, at])
            gold, prob = test.y_true[order, at], test.y_prob[order, at].astype(np.float64)
            parts = zip(np.split(gold, 15), np.split(prob, 15), strict=True)
            expected = np.mean([abs(one.mean() - other.mean()) for one, other in parts])
            row = found.table["emotion"].index(label)
            assert found.table["ece_before"][row] == pytest.approx(expected)
            assert found.table["support"][row] == test.y_true[:, at].sum()

    def test_a_calibrated_model_lies_within_chance(self) -> None:
        from goemo_cli.ml.metrics.calibration import assess

        rng = np.random.default_rng(0)
        y_prob = rng.beta(0.5, 4, (2000, 40)).astype(np.float32)
        honest = assess(rng.random(y_prob.shape) < y_prob, y_prob)
        low, high = chance_errors(y_prob, honest)
        errors = np.array([one.ece for one in honest.per_label])
        assert ((errors >= low) & (errors <= high)).sum() >= 34, "about 38 of 40"
        off = assess(rng.random(y_prob.shape) < y_prob / 2, y_prob)
        assert (np.array([one.ece for one in off.per_label]) > high).all()

    def test_sums_are_compared_with_counts(self) -> None:
        y_prob = np.full((50, 2), 0.25, dtype=np.float32)
        y_true = np.zeros((50, 2), dtype=bool)
        y_true[:10, 0] = True
        ratio, low, high = expected_over_observed(y_true, y_prob)
        assert ratio[0] == 1.25
        assert binom.cdf(10, 50, 0.25 / low[0]) == pytest.approx(0.025)
        assert binom.sf(9, 50, 0.25 / high[0]) == pytest.approx(0.025)
        assert np.isnan([ratio[1], low[1], high[1]]).all(), "never gold"

    def test_the_title_counts_labels_beyond_chance(self, make_source: MakeSource) -> None:
        found = drawn("18", make_source(calibrated=True))
        before, after = (
            int((np.asarray(found.table[f"ece_{state}"]) > found.table[f"chance_high_{state}"]).sum())
            for state in ("before", "after")
        )
        assert before
        assert title_of(found).startswith(f"{before} of 28 labels have a calibration error beyond chance")
        assert f", {after or 'none'} after calibration" in title_of(found)
        assert "Hollow, at the edge: no gold comment." in caption_of(found)

    def test_both_figures_name_the_same_error(self, make_source: MakeSource) -> None:
        source = make_source(FOUR, calibrated=True)
        summary = drawn("18", source)
        before, after = (f"{np.mean(summary.table[f'ece_{state}']):.4f}" for state in ("before", "after"))
        assert title_of(summary).endswith(f"the mean error (ECE) goes from {before} to {after}")
        assert title_of(drawn("17", source)).endswith(
            f"mean calibration error (ECE) of the labels {before}, {after} after calibration"
        )

    def test_one_comment_is_too_few(self, make_source: MakeSource) -> None:
        with pytest.raises(DataError, match=r"test_predictions_.*holds one row"):
            drawn("18", make_source(rows=1))


class TestHeatmap:
    def test_gold_and_predicted_pairs(self, make_source: MakeSource) -> None:
        source = make_source()
        found, test = drawn("19", source), source.predictions("test")
        order = list(dict.fromkeys(found.table["emotion"]))
        at = order.index("admiration") * 28 + order.index("amusement")
        for what, labels in (("gold", test.y_true), ("predicted", test.y_pred)):
            both = (labels[:, 0] & labels[:, 1]).sum()
            assert found.table[what][at] == both
            assert found.table[f"{what}_share"][at] == both / labels[:, 0].sum()
        gold, predicted = (axes.images[0].get_array() for axes in found.figure.axes[:2])
        assert gold.mask[order.index("neutral")].all(), "no gold comment: grey"
        assert gold.mask.diagonal().all()
        assert predicted.mask.diagonal().all()

    def test_pairs_beyond_chance_are_framed_and_counted(self, make_source: MakeSource) -> None:
        source = make_source(("anger", "joy", "love"))
        test = source.predictions("test")
        test.y_true[:], test.y_pred[:] = False, False
        test.y_true[:100, [0, 2]] = True
        test.y_pred[:100, [0, 1]] = True
        found = drawn("19", source)
        assert title_of(found) == (
            "1 of 3 pairs of labels is predicted together more often than gold, 1 less often; "
            "0.50 labels per comment instead of 0.50"
        )
        frames = [line for line in found.figure.axes[1].lines if line.get_linewidth() < 2]
        assert sorted(line.get_linestyle() for line in frames) == ["-", "-", ":", ":"]
        assert "predicted on more (solid) or fewer (dotted) comments than are gold" in caption_of(found)


class TestEmbedding:
    def test_the_sample_is_seeded_and_bounded(self) -> None:
        rows = sample(5000)
        assert len(set(rows.tolist())) == embedding_projection.MOST
        assert (np.diff(rows) > 0).all()
        assert rows.tolist() == sample(5000).tolist()
        assert sample(7).tolist() == list(range(7))

    def test_groups_are_the_papers_or_the_commonest_labels(self) -> None:
        groups = groups_of(EMOTIONS, np.ones((2, 28), dtype=bool))
        assert list(groups) == ["positive", "negative", "ambiguous", "neutral"]
        assert (np.stack(list(groups.values())).sum(axis=0) == 1).all()
        assert groups["ambiguous"][EMOTIONS.index("curiosity")]
        own = tuple("abcdefg")
        counts = np.arange(7)[None] > np.arange(7)[:, None]
        assert list(groups_of(own, counts)) == ["g", "f", "e", "d", "3 other labels"]
        assert list(groups_of(own[:2], counts[:, :2])) == ["b", "a"]

    def test_neighbours_are_counted(self) -> None:
        rng = np.random.default_rng(0)
        points = rng.normal(size=(60, 3)).astype(np.float32)
        at = rng.integers(0, 3, 60)
        distance = np.linalg.norm(points[:, None] - points[None], axis=2)
        np.fill_diagonal(distance, np.inf)
        nearest = np.argsort(distance, axis=1)[:, :10]
        chance = np.mean([[at[i] == at[j] for j in range(60) if j != i] for i in range(60)])
        assert neighbour_agreement(points, at) == pytest.approx(((at[nearest] == at[:, None]).mean(), chance))

    def test_the_table_holds_what_is_drawn(self, make_source: MakeSource, fake_model: None) -> None:
        source = make_source(rows=80)
        found, test = drawn("21", source), source.predictions("test")
        assert found.table["row"] == list(range(1, 81))
        marks = [line for line in found.figure.axes[0].lines if line.get_gid().startswith("group")]
        assert sum(len(line.get_xdata()) for line in marks) == 80
        gold = [",".join(np.array(EMOTIONS)[row]) for row in test.y_true]
        assert found.table["true_labels"] == gold
        for group, labels in zip(found.table["group"], gold, strict=True):
            assert (group == "no label") == (labels == "")
        assert "Not in the sample" in caption_of(found)

    def test_equal_comments_are_not_projected(self, make_source: MakeSource, fake_model: None) -> None:
        source = make_source(rows=40)
        source.predictions("test").texts[:] = ["so happy"] * 40
        with pytest.raises(DataError, match="all 40 comments have the same vector"):
            drawn("21", source)

    def test_too_few_comments(self, make_source: MakeSource) -> None:
        with pytest.raises(DataError, match="a projection needs at least 10"):
            drawn("21", make_source(rows=6))

    def test_names_are_in_the_margins_and_no_lines_cross(self) -> None:
        rng = np.random.default_rng(0)
        anchors, room = rng.normal((300, 200), 25, (28, 2)), np.array([600.0, 400.0])
        places = margin_places(anchors, room, gap=90, height=12)
        assert set(places[:, 0]) == {90, 510}
        for side in (90, 510):
            assert (np.diff(np.sort(places[places[:, 0] == side, 1])) >= 12).all()
        assert ((places[:, 1] >= 6) & (places[:, 1] <= 394)).all()
        ends = np.stack([anchors, places], axis=1)
        assert not any(cross(*ends[one], *ends[other]) for one, other in itertools.combinations(range(28), 2))

    def test_names_cover_no_point(self, make_source: MakeSource, fake_model: None, tmp_path: Path) -> None:
        found = drawn("21", make_source(rows=300))
        png(found.figure, tmp_path)  # the layout is final
        (axes,) = found.figure.axes
        points = axes.transData.transform(np.column_stack([found.table["x"], found.table["y"]]))
        renderer = found.figure.canvas.get_renderer()
        assert len(axes.texts) == 27, "one label never occurs"
        for name in axes.texts:
            (left, low), (right, high) = Text.get_window_extent(name, renderer).get_points()
            assert not ((points > (left, low)) & (points < (right, high))).all(axis=1).any(), name.get_text()

    def test_the_weights_are_among_its_sources(
        self, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = make_source()
        monkeypatch.setattr("goemo_cli.ml.models.classifier.load_classifier", lambda checkpoint: "model")
        assert source.classifier() == "model"  # type: ignore[comparison-overlap]
        assert source.layout.shown(source.checkpoint.path / "weights.bin") in source.files_used()
