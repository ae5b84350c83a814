"""What `goemo compare` writes and says, and what it refuses."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, hamming_loss

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import DataFileError, NotFoundError, RunNotFoundError
from goemo_cli.core.events import Event, Warning
from goemo_cli.core.files import sha256_file
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions, write_predictions
from goemo_cli.core.schema import SIGNIFICANCE_COLUMNS
from goemo_cli.ml.metrics.comparison import SCORES
from goemo_cli.services.evaluation.compare import LABEL_METRIC, Comparison, compare
from tests.csv_rows import rows_of
from tests.synthetic_runs import add_run

LABELS = ("anger", "joy", "neutral")
pytestmark = pytest.mark.usefixtures("all_draws")

RESAMPLES = 200


def predicted(skill: float, *, seed: int = 1, rows: int = 150) -> Predictions:
    """Predictions of always the same comments, the better the higher the skill."""
    y_true = np.random.default_rng(0).random((rows, len(LABELS))) < 0.35
    noise = np.random.default_rng(seed).random(y_true.shape)
    y_prob = (noise * (1 - skill) + skill * y_true).astype(np.float32)
    texts = [f'comment {row}, "said" they' for row in range(rows)]
    return Predictions(LABELS, texts, y_true, y_prob >= 0.5, y_prob)


@pytest.fixture
def weak(tmp_path: Path) -> Path:
    write_predictions(tmp_path / "weak.csv", predicted(0.3))
    return tmp_path / "weak.csv"


@pytest.fixture
def strong(tmp_path: Path) -> Path:
    write_predictions(tmp_path / "strong.csv", predicted(0.45, seed=2))
    return tmp_path / "strong.csv"


def compared(layout: Layout, *references: object, resamples: int = RESAMPLES) -> Comparison:
    return compare([str(one) for one in references], layout=layout, resamples=resamples)


def written(layout: Layout) -> list[dict[str, str]]:
    return rows_of(layout.stats / "significance_tests.csv")


def test_every_score_and_emotion_of_a_pair_is_written_with_where_it_comes_from(
    layout: Layout, weak: Path, strong: Path
) -> None:
    found = compared(layout, weak, strong)
    rows = written(layout)
    assert tuple(rows[0]) == SIGNIFICANCE_COLUMNS
    assert [(row["metric"], row["emotion"]) for row in rows] == [
        *((score, "") for score in SCORES),
        *((LABEL_METRIC, label) for label in LABELS),
    ]
    for row in rows:
        assert (row["a"], row["b"]) == ("weak.csv", "strong.csv")
        assert (row["a_source"], row["a_sha256"]) == ("weak.csv", sha256_file(weak))
        assert (row["b_source"], row["b_sha256"]) == ("strong.csv", sha256_file(strong))
        assert (row["n_examples"], row["resamples"], row["seed"]) == ("150", "200", "0")
    assert found.path == layout.stats / "significance_tests.csv"
    assert [str(row["difference"]) for row in found.rows] == [row["difference"] for row in rows]


def test_values_are_those_of_scikit_learn(layout: Layout, weak: Path, strong: Path) -> None:
    rows = {(row["metric"], row["emotion"]): row for row in compared(layout, weak, strong).rows}
    a, b = predicted(0.3), predicted(0.45, seed=2)
    macro = rows["f1_macro", None]
    assert macro["a_value"] == pytest.approx(f1_score(a.y_true, a.y_pred, average="macro"))
    assert macro["b_value"] == pytest.approx(f1_score(b.y_true, b.y_pred, average="macro"))
    assert macro["difference"] == pytest.approx(macro["b_value"] - macro["a_value"])
    assert rows["hamming_loss", None]["b_value"] == pytest.approx(hamming_loss(b.y_true, b.y_pred))
    joy = rows[LABEL_METRIC, "joy"]
    assert joy["a_value"] == pytest.approx(f1_score(a.y_true[:, 1], a.y_pred[:, 1]))
    assert macro["equal_rows"] == pytest.approx((a.y_pred == b.y_pred).all(axis=1).mean())


def test_the_better_one_is_named_whichever_comes_first(layout: Layout, weak: Path, strong: Path) -> None:
    for first, second, better in ((weak, strong, "b"), (strong, weak, "a")):
        found = compared(layout, first, second)
        assert {row["better"] for row in found.rows} == {better}  # by Hamming loss too, where less is better
        (macro,), (loss,) = found.verdicts("f1_macro"), found.verdicts("hamming_loss")
        strong_one, weak_one = ("B", "A") if better == "b" else ("A", "B")
        named = f"{strong_one} = strong.csv is better than {weak_one} = weak.csv"
        for verdict, spoken, name in (
            (macro, "macro-F1", "f1_macro"),
            (loss, "Hamming loss", "hamming_loss"),
        ):
            row = next(row for row in found.rows if row["metric"] == name)
            numbers = f"A {row['a_value']:.4f}, B {row['b_value']:.4f}, B - A {row['difference']:+.4f}"
            interval = f"95 % interval {row['ci_low']:+.4f} to {row['ci_high']:+.4f}"
            assert verdict.startswith(f"{named}: {spoken} {numbers} ({interval}")


def test_a_file_beside_itself_is_not_distinguishable(layout: Layout, weak: Path) -> None:
    found = compared(layout, weak, weak)
    for row in found.rows:
        assert (row["difference"], row["p_value"], row["p_holm"]) == (0.0, 1.0, 1.0)
        assert row["better"] == "not distinguishable"
    assert (found.rows[0]["equal_rows"], found.rows[0]["cohen_kappa"], found.rows[0]["mcnemar_p"]) == (
        1,
        1,
        1,
    )
    assert found.verdicts("f1_macro")[0].startswith(
        "A = weak.csv and B = weak.csv are not distinguishable: macro-F1"
    )
    assert "B - A +0.0000 (95 % interval +0.0000 to +0.0000, p = 1)" in found.verdicts("f1_macro")[0]


def test_p_values_are_corrected_over_pairs_and_over_the_emotions_of_all_pairs(
    layout: Layout, weak: Path, strong: Path, tmp_path: Path
) -> None:
    write_predictions(tmp_path / "other.csv", predicted(0.4, seed=5))
    found = compared(layout, weak, strong, tmp_path / "other.csv")
    assert [pair[0]["b"] for pair in found.pairs] == ["strong.csv", "other.csv"]
    for score in SCORES:
        rows = [row for row in found.rows if row["metric"] == score]
        small, large = sorted(row["p_value"] for row in rows)
        assert [row["family_size"] for row in rows] == [2, 2]
        assert sorted(row["p_holm"] for row in rows) == pytest.approx(
            [min(1, 2 * small), min(1, max(2 * small, large))]
        )
    emotions = [row for row in found.rows if row["emotion"]]
    assert {row["family_size"] for row in emotions} == {2 * len(LABELS)}
    least = min(row["p_value"] for row in emotions)
    assert min(row["p_holm"] for row in emotions) == pytest.approx(6 * least)
    assert "corrected for 2 comparisons" in found.verdicts("f1_macro")[1]
    assert len(written(layout)) == 2 * (len(SCORES) + len(LABELS))


def test_the_same_comparison_is_the_same_to_the_byte(layout: Layout, weak: Path, strong: Path) -> None:
    path = compared(layout, weak, strong).path
    first = path.read_bytes()
    compared(layout, weak, strong)
    assert path.read_bytes() == first
    compare([str(weak), str(strong)], layout=layout, resamples=RESAMPLES, seed=1)
    assert path.read_bytes() != first


def test_too_few_resamples_for_the_correction_are_warned_of(layout: Layout, weak: Path, strong: Path) -> None:
    """Over three emotions p = 1 / (1 + B) must stay below .05 / 3: B = 60 is the least."""
    events: list[Event] = []
    for resamples in (59, 60):
        compare([str(weak), str(strong)], layout=layout, resamples=resamples, on_event=events.append)
    (warned,) = [event.message for event in events if isinstance(event, Warning)]
    assert "59 resamples are too few" in warned
    assert "take --resamples 60 or more" in warned


def test_undefined_areas_are_said_and_empty_in_the_file(layout: Layout, tmp_path: Path) -> None:
    everything = predicted(0.3)
    everything = replace(everything, y_true=np.ones_like(everything.y_true))
    for name in ("a.csv", "b.csv"):
        write_predictions(tmp_path / name, everything)
    found = compared(layout, tmp_path / "a.csv", tmp_path / "b.csv")
    assert found.verdicts("auc_macro") == ["A = a.csv and B = b.csv: macro-AUC is undefined on these rows"]
    row = written(layout)[SCORES.index("auc_macro")]
    assert [row[name] for name in ("a_value", "p_value", "p_holm", "better")] == [""] * 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: replace(p, texts=[*p.texts[:6], "x" * 99, *p.texts[7:]]), r"row 7 differs .* another text, 'xxx"),
        (lambda p: replace(p, y_true=p.y_true ^ (np.arange(150) == 4)[:, None]), "row 5 differs .* other gold labels"),
        (lambda p: replace(p, texts=p.texts[::-1], y_true=p.y_true[::-1]), "row 1 .* the same rows in another order"),
        (lambda p: predicted(0.6, rows=140), "row 1[0-9]* differs"),
        (lambda p: replace(p, labels=("anger", "fear", "neutral")), "other labels than .*'joy' is missing"),
        (lambda p: replace(p, labels=("joy", "anger", "neutral")), "their order is another"),
    ],
)  # fmt: skip
def test_other_rows_or_labels_are_refused_with_the_first_that_differs(
    change: Callable[[Predictions], Predictions], said: str, layout: Layout, weak: Path, strong: Path
) -> None:
    compared(layout, weak, weak)
    before = layout.significance_tests.read_bytes()
    write_predictions(strong, change(predicted(0.6)))
    with pytest.raises(DataFileError, match=said) as refused:
        compared(layout, weak, strong)
    assert refused.value.path == strong
    assert layout.significance_tests.read_bytes() == before


def test_a_file_that_ends_early_is_refused_at_its_end(layout: Layout, weak: Path, strong: Path) -> None:
    whole = predicted(0.6)
    write_predictions(
        strong, Predictions(LABELS, whole.texts[:90], whole.y_true[:90], whole.y_pred[:90], whole.y_prob[:90])
    )
    with pytest.raises(DataFileError, match=r"row 91 differs from .*: 90 rows in all for 150"):
        compared(layout, weak, strong)


def test_files_without_rows_or_gold_labels_are_refused(layout: Layout, tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    unlabelled = predicted(0.3)
    write_predictions(path, replace(unlabelled, y_true=np.zeros_like(unlabelled.y_true)))
    with pytest.raises(DataFileError, match="no gold labels"):
        compared(layout, path, path)
    write_predictions(path, predicted(0.3, rows=0))
    with pytest.raises(DataFileError, match="holds no rows"):
        compared(layout, path, path)
    path.write_text("text,label\nhello,joy\n", encoding="utf-8")
    with pytest.raises(DataFileError, match="is not a predictions file"):
        compared(layout, path, path)


def give_predictions(checkpoint: Checkpoint, layout: Layout, skill: float, split: str = "test") -> Path:
    """Predictions of a run whose labels follow its own rule."""
    scored = predicted(skill)
    path = layout.split_predictions(checkpoint.run, "val" if split == "val" else "test")
    write_predictions(path, replace(scored, y_pred=checkpoint.thresholds.decide(scored.y_prob)))
    return path


def test_runs_are_compared_by_their_written_predictions(
    layout: Layout, make_checkpoint: Callable[..., Checkpoint], strong: Path
) -> None:
    one, other = make_checkpoint("tiny", LABELS), make_checkpoint("tfidf", LABELS)
    path = give_predictions(one, layout, 0.3)
    give_predictions(other, layout, 0.7)
    events: list[Event] = []
    found = compare(
        [str(one.run), str(other.path)], layout=layout, resamples=RESAMPLES, on_event=events.append
    )
    row = found.rows[0]
    assert (row["a"], row["b"], row["split"]) == (str(one.run), str(other.run), "test")
    assert row["a_source"] == f"artifacts/predictions/{path.name}"
    assert not [event for event in events if isinstance(event, Warning)]
    mixed = compared(layout, one.run, strong)
    assert (mixed.rows[0]["a"], mixed.rows[0]["b"]) == (str(one.run), "strong.csv")


def test_settings_and_training_sizes_that_differ_are_listed(layout: Layout) -> None:
    runs = [
        add_run(
            layout,
            f"tiny-2026010{day}-000000",
            train_size=size,
            settings={"training": {"learning_rate": rate}},
        )
        for day, size, rate in ((1, 100, 2e-5), (2, 80, 2e-5), (3, 100, 3e-5))
    ]
    paths = []
    for run in runs:
        paths.append(layout.split_predictions(run.run, "test"))
        write_predictions(paths[-1], replace(predicted(0.3), labels=LABELS))
    found = compare([str(path) for path in paths], layout=layout, resamples=RESAMPLES)
    assert found.differing == ({"training comments": (100, 80)}, {"training.learning_rate": (2e-5, 3e-5)})
    elsewhere = paths[0].rename(layout.root / "mine.csv")
    assert compared(layout, elsewhere, paths[1]).differing == (None,)


def test_the_split_picks_the_predictions(layout: Layout, make_checkpoint: Callable[..., Checkpoint]) -> None:
    one = make_checkpoint("tiny", LABELS)
    give_predictions(one, layout, 0.3, "val")
    found = compare([str(one.run), str(one.run)], layout=layout, split="val", resamples=RESAMPLES)
    assert found.rows[0]["split"] == "val"
    with pytest.raises(
        NotFoundError, match=f"{one.run} has no test predictions: .*export-predictions .*--split test"
    ):
        compared(layout, one.run, one.run)
    with pytest.raises(RunNotFoundError, match="tiny-20200101-000000"):
        compared(layout, "tiny-20200101-000000", one.run)


def test_predictions_by_another_rule_are_compared_with_a_warning(
    layout: Layout, make_checkpoint: Callable[..., Checkpoint]
) -> None:
    one = make_checkpoint("tiny", LABELS)
    path = give_predictions(one, layout, 0.3)
    write_predictions(path, predicted(0.3))  # decided at 0.5, the run's thresholds are 0.25
    events: list[Event] = []
    compare([str(one.run), str(path)], layout=layout, resamples=RESAMPLES, on_event=events.append)
    assert [event.message for event in events if isinstance(event, Warning)] == [
        f"{path.name}: pred_labels do not follow the rule of {one.run}; they are compared as they are"
    ]


def test_two_files_of_one_run_are_told_apart(layout: Layout, tmp_path: Path) -> None:
    for folder, skill in (("old", 0.3), ("new", 0.6)):
        (tmp_path / folder).mkdir()
        write_predictions(tmp_path / folder / "test_predictions_tiny_20250101-000000.csv", predicted(skill))
    paths = [next((tmp_path / folder).iterdir()) for folder in ("old", "new")]
    row = compared(layout, *paths).rows[0]
    assert (row["a"], row["b"]) == tuple(path.relative_to(tmp_path).as_posix() for path in paths)
    assert row["split"] == "test"
    outside = compared(Layout(tmp_path / "root"), paths[0], paths[0]).rows[0]
    assert (outside["a"], outside["a_source"]) == ("tiny-20250101-000000", str(paths[0]))
