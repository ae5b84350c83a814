"""Intervals over resampled rows."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.metrics import f1_score

from goemo_cli.core.arrays import BoolArray, DoubleArray
from goemo_cli.ml.metrics import intervals as bootstrap
from goemo_cli.ml.metrics.intervals import RESAMPLES, SEED, beyond, resampled
from goemo_cli.ml.metrics.scoring import DecidedRows, count, rule_scores
from tests.drawn_intervals import bootstrap_scores

pytestmark = pytest.mark.usefixtures("all_draws")


def random_case(seed: int, rows: int = 400, n_labels: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y_true = rng.random((rows, n_labels)) < 0.3
    return y_true, y_true ^ (rng.random((rows, n_labels)) < 0.15)


@dataclass
class Found:
    macro: tuple[float, float]
    micro: tuple[float, float]
    per_label: DoubleArray


def bootstrap_f1(y_true: BoolArray, y_pred: BoolArray, **options: int) -> Found:
    """Intervals of F1."""
    found = bootstrap_scores(y_true, {"it": y_pred}, **options)["it"]
    return Found(found.scores["f1_macro"], found.scores["f1_micro"], found.f1)


@pytest.mark.parametrize("seed", range(2))
def test_the_point_estimate_lies_inside(seed: int):
    y_true, y_pred = random_case(seed)
    found = bootstrap_f1(y_true, y_pred)
    intervals = bootstrap_scores(y_true, {"it": y_pred})["it"].scores
    for key, value in rule_scores(y_true, y_pred).items():
        assert intervals[key][0] < value < intervals[key][1], key
    per_label = count(y_true, y_pred).f1
    assert ((found.per_label[0] < per_label) & (per_label < found.per_label[1])).all()
    assert found.per_label.shape == (2, 5)


def test_one_seed_gives_one_answer_and_another_seed_another():
    y_true, y_pred = random_case(0)
    first, again = bootstrap_f1(y_true, y_pred), bootstrap_f1(y_true, y_pred, resamples=RESAMPLES, seed=SEED)
    assert (first.macro, first.micro) == (again.macro, again.micro)
    assert np.array_equal(first.per_label, again.per_label)
    assert bootstrap_f1(y_true, y_pred, seed=SEED + 1).macro != first.macro


@pytest.mark.parametrize("seed", range(3))
def test_one_resample_is_f1_over_the_drawn_rows(seed: int):
    y_true, y_pred = random_case(seed, rows=60)
    rows = np.random.default_rng(seed).integers(0, 60, size=(1, 60))[0]
    (weights,) = resampled(60, 1, seed)
    found = DecidedRows(y_true, {"it": y_pred}).sums(weights)["it"]
    direct = f1_score(y_true[rows], y_pred[rows], average=None, zero_division=0)
    assert found.f1()[0] == pytest.approx(direct, abs=1e-12)
    assert found.scores()["f1_macro"] == pytest.approx([direct.mean()], abs=1e-12)
    micro = f1_score(y_true[rows], y_pred[rows], average="micro")
    assert found.scores()["f1_micro"] == pytest.approx([micro], abs=1e-12)


def test_the_quantiles_are_those_of_all_resamples_over_block_borders(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bootstrap, "BLOCK_CELLS", 250 * 40)
    y_true, y_pred = random_case(1, rows=40, n_labels=2)
    rng = np.random.default_rng(3)
    draws = [rng.integers(0, 40, size=(size, 40)) for size in (250, 250, 10)]
    macro = [
        f1_score(y_true[rows], y_pred[rows], average="macro", zero_division=0)
        for rows in np.concatenate(draws)
    ]
    found = bootstrap_f1(y_true, y_pred, resamples=510, seed=3)
    assert found.macro == pytest.approx(tuple(np.quantile(macro, [0.025, 0.975])), abs=1e-12)


def test_very_many_rows_are_drawn_less_often_but_often_enough(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bootstrap, "MAX_DRAWS", 1_000)
    assert [sum(block.shape[1] for block in resampled(rows, 450)) for rows in (2, 4, 1_000)] == [
        450,
        250,
        200,
    ]


def test_several_predictions_are_resampled_together():
    """One call for all rules gives what a call for each gives."""
    y_true, y_pred = random_case(5)
    cooccurrence_counts = bootstrap_scores(y_true, {"a": y_pred, "b": ~y_pred}, resamples=300)
    for name, decided in (("a", y_pred), ("b", ~y_pred)):
        alone = bootstrap_scores(y_true, {name: decided}, resamples=300)[name]
        assert cooccurrence_counts[name].scores == alone.scores
        assert np.array_equal(cooccurrence_counts[name].f1, alone.f1)


def test_rare_labels_do_not_push_the_interval_below_the_score():
    """Counted as 0 where a draw misses all their positives, they put macro-F1 above its own interval."""
    y_true = np.tile(np.eye(100, dtype=bool), (2, 1))  # two positives of each label
    assert rule_scores(y_true, y_true)["f1_macro"] == 1.0
    found = bootstrap_scores(y_true, {"": y_true}, resamples=300)[""]
    for key in ("f1_macro", "recall_macro", "precision_macro"):
        low, high = found.scores[key]
        assert 0.99 < low < high == 1.0


def test_labels_without_positives_and_predictions_may_have_any_f1():
    empty = np.zeros((20, 2), dtype=bool)
    found = bootstrap_f1(empty, empty, resamples=50)
    assert found.micro == (0.0, 1.0)
    assert found.per_label.tolist() == [[0.0, 0.0], [1.0, 1.0]]


def test_the_width_is_the_known_spread_of_a_recall():
    """Without false alarms micro F1 is 2r/(1 + r): its spread follows from the binomial spread of the recall r."""
    n, recall = 1_000, 0.8
    y_true = np.ones((n, 1), dtype=bool)
    y_pred = (np.arange(n) < recall * n)[:, None]
    low, high = bootstrap_f1(y_true, y_pred).micro
    spread = 1.96 * np.sqrt(recall * (1 - recall) / n) * 2 / (1 + recall) ** 2
    assert high - low == pytest.approx(2 * spread, rel=0.08)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """True micro F1 is known: labels occur with 0.4, and a cell is predicted wrongly with 0.1."""
    rng = np.random.default_rng(11)
    truth = 2 * 0.4 * 0.9 / (0.4 + 0.4 * 0.9 + 0.6 * 0.1)
    covered = 0
    for trial in range(100):
        y_true = rng.random((150, 3)) < 0.4
        low, high = bootstrap_f1(
            y_true, y_true ^ (rng.random((150, 3)) < 0.1), resamples=250, seed=trial
        ).micro
        covered += low <= truth <= high
    assert 87 <= covered <= 100


def test_beyond_means_the_whole_interval() -> None:
    ours = np.array([[0.5, 0.5, 0.1, 0.0], [0.45, 0.3, 0.05, 0.0], [0.6, 0.7, 0.2, 0.0]])
    found = beyond(ours, np.array([0.4, 0.4, 0.3, 0.2]), rounding=0.005)
    assert found == (1, 1), "one without a width is ignored"
    assert beyond(ours, np.array([0.446, 0.4, 0.204, 0.2]), rounding=0.005) == (0, 0)
    assert beyond(ours, np.array([0.446, 0.4, 0.204, 0.2])) == (1, 1)
