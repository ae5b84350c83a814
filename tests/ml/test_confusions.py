"""Counts of mistakes, against tables worked by hand, scikit-learn and scipy."""

import numpy as np
import pytest
from scipy.stats import binomtest, fisher_exact
from sklearn.metrics import accuracy_score, log_loss, multilabel_confusion_matrix

from goemo_cli.ml.metrics.confusions import (
    confident_disagreements,
    confused_pairs,
    cooccurrence_counts,
    label_balance,
    pair_differences,
    row_losses,
    row_outcomes,
)

pytestmark = pytest.mark.usefixtures("all_draws")


def hot(*rows: str, labels: str = "abc") -> np.ndarray:
    """Rows such as "ab" and "" as bool, (n_examples, n_labels)."""
    return np.array([[label in row for label in labels] for row in rows])


def random_case(seed: int, rows: int = 300, n_labels: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y_true = rng.random((rows, n_labels)) < 0.3
    return y_true, y_true ^ (rng.random((rows, n_labels)) < 0.2)


def test_outcomes_of_a_hand_worked_table():
    #           exact  exact  part   part   wrong  wrong  nothing
    y_true = hot("a", "", "ab", "a", "a", "", "bc")
    y_pred = hot("a", "", "a", "abc", "b", "c", "")
    found = row_outcomes(y_true, y_pred)
    assert (found.exactly_right, found.partly_right, found.wrong, found.nothing_predicted) == (2, 2, 2, 1)
    assert (found.too_many, found.too_few) == (2, 2)  # "abc" for "a", "c" for ""; "a" for "ab", "" for "bc"


@pytest.mark.parametrize("seed", range(3))
def test_outcomes_divide_the_rows_and_the_exact_share_is_subset_accuracy(seed: int):
    y_true, y_pred = random_case(seed)
    found = row_outcomes(y_true, y_pred)
    assert (
        found.exactly_right + found.partly_right + found.wrong + found.nothing_predicted
        == found.rows
        == len(y_true)
    )
    assert found.exactly_right / found.rows == accuracy_score(y_true, y_pred)


def test_together_counts_pairs_row_by_row():
    left, right = random_case(1, rows=40)
    counts = cooccurrence_counts(left, right)
    for i in range(5):
        for j in range(5):
            assert counts[i, j] == sum(
                bool(one[i]) and bool(other[j]) for one, other in zip(left, right, strict=True)
            )


def test_confused_pairs_of_a_hand_worked_table():
    # b is gold in one row and cannot be a false alarm there. In the other 8, a is missed in 3, b false in 4, both in 3:
    # 1.5 expected, a lift of 2.
    y_true = hot("a", "a", "a", "a", "c", "c", "c", "c", "ab")
    y_pred = hot("b", "b", "bc", "a", "cb", "c", "c", "c", "b")
    found = confused_pairs(y_true, y_pred)
    assert found.count.tolist() == [[0, 3, 1], [0, 0, 0], [0, 0, 0]]
    assert found.missed.tolist() == [[0, 3, 4], [0, 0, 0], [0, 0, 0]]
    assert found.expected[0, 1] == 1.5
    assert found.lift[0, 1] == 2
    # Within the 3 rows with both kinds of mistake, b is false in all: nothing more than chance.
    assert found.wrong_rows == 3
    assert found.lift_in_wrong_rows[0, 1] == 1
    assert np.isnan(found.lift[1]).all()  # b is never missed
    assert np.isnan(np.diag(found.lift)).all()


def two_by_two(left: np.ndarray, right: np.ndarray) -> list[list[int]]:
    return [
        [int((left & right).sum()), int((left & ~right).sum())],
        [int((~left & right).sum()), int((~left & ~right).sum())],
    ]


@pytest.mark.parametrize("seed", range(3))
def test_p_values_are_those_of_fishers_exact_test_by_holm(seed: int):
    y_true, y_pred = random_case(seed, rows=80, n_labels=4)
    missed, false = y_true & ~y_pred, ~y_true & y_pred
    wrong = missed.any(axis=1) & false.any(axis=1)
    found = confused_pairs(y_true, y_pred)
    for rows, adjusted in ((np.ones(80, dtype=bool), found.p_holm), (wrong, found.p_holm_in_wrong_rows)):
        single = {}
        for i, j in np.argwhere(~np.eye(4, dtype=bool)):
            possible = rows & ~y_true[:, j]
            table = two_by_two(missed[possible, i], false[possible, j])
            if missed[possible, i].any() and false[possible, j].any():
                single[i, j] = fisher_exact(table, alternative="greater").pvalue
        assert len(single) == (~np.isnan(adjusted)).sum() > 3
        assert [adjusted[pair] for pair in single] == pytest.approx(by_hand(list(single.values())), rel=1e-9)


def by_hand(p_values: list[float]) -> list[float]:
    """Holm's adjustment as the paper says it: the smallest times m, the next times m - 1, never less than before."""
    adjusted, least = dict.fromkeys(range(len(p_values)), 0.0), 0.0
    for step, at in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        least = max(least, min(1.0, p_values[at] * (len(p_values) - step)))
        adjusted[at] = least
    return list(adjusted.values())


def test_the_lift_interval_is_that_of_the_share_of_misses():
    y_true, y_pred = random_case(3)
    found = confused_pairs(y_true, y_pred)
    for i, j in ((0, 1), (4, 2)):
        possible = ~y_true[:, j]
        missed, false = (y_true & ~y_pred)[possible, i], y_pred[possible, j]
        share = binomtest(int((missed & false).sum()), int(missed.sum())).proportion_ci(0.95, method="exact")
        assert found.lift_ci[:, i, j] == pytest.approx(
            [share.low / false.mean(), share.high / false.mean()], rel=1e-9
        )
        assert found.lift_ci[0, i, j] <= found.lift[i, j] <= found.lift_ci[1, i, j]


def test_a_lift_from_two_rows_is_no_fact():
    """Two of two misses, beside one false alarm elsewhere: a lift of 67, and a lower end far below it."""
    y_true, y_pred = np.zeros((200, 2), dtype=bool), np.zeros((200, 2), dtype=bool)
    y_true[:2, 0], y_pred[:3, 1] = True, True
    found = confused_pairs(y_true, y_pred)
    assert found.lift[0, 1] == pytest.approx(200 / 3)
    assert found.lift_ci[0, 0, 1] < 11
    assert found.p_holm_in_wrong_rows[0, 1] == 1


def test_independent_mistakes_rarely_stand_out():
    """Mistakes drawn without any confusion: Holm keeps the chance of any false finding at 5 %."""
    findings = 0
    for seed in range(60):
        y_true, y_pred = random_case(100 + seed, rows=400)
        found = confused_pairs(y_true, y_pred)
        findings += bool((found.p_holm < 0.05).any())
    assert findings <= 8  # the chance of more at 5 % of 60 is below 0.3 %


def test_clustered_mistakes_raise_lifts_over_all_rows_and_not_those_in_wrong_rows():
    """One row in ten is hopeless: a random label is missed there and another one falsely predicted."""
    rng = np.random.default_rng(5)
    gold = rng.integers(0, 6, size=6_000)
    hopeless = rng.random(6_000) < 0.1
    guess = np.where(hopeless, (gold + rng.integers(1, 6, size=6_000)) % 6, gold)
    found = confused_pairs(np.eye(6, dtype=bool)[gold], np.eye(6, dtype=bool)[guess])
    apart = ~np.eye(6, dtype=bool)
    assert (found.lift[apart] > 4).all()
    assert (found.p_holm[apart] < 0.05).all()
    assert found.lift_in_wrong_rows[apart] == pytest.approx(np.ones(30), abs=0.5)
    assert found.lift_in_wrong_rows[apart].mean() == pytest.approx(1, abs=0.02)
    assert not (found.p_holm_in_wrong_rows < 0.05).any()


def test_pair_differences_of_a_hand_worked_table():
    y_true = hot("ab", "ab", "abc", "a", "c")
    y_pred = hot("ab", "a", "bc", "ab", "bc")
    found = pair_differences(y_true, y_pred)
    assert found.gold.tolist() == [[4, 3, 1], [3, 3, 1], [1, 1, 2]]
    assert found.predicted.tolist() == [[3, 2, 0], [2, 4, 2], [0, 2, 2]]
    assert found.both.tolist() == [[3, 1, 0], [1, 2, 1], [0, 1, 2]]
    # ab: once only predicted, twice only gold; ac: once only gold; bc: once only predicted. All p are 1.
    assert found.p_holm[~np.eye(3, dtype=bool)].tolist() == [1] * 6
    assert np.isnan(np.diag(found.p_holm)).all()


def test_a_pair_that_is_never_predicted_together_is_found():
    y_true = np.ones((30, 3), dtype=bool)
    y_pred = y_true.copy()
    y_pred[:, 1] = False
    found = pair_differences(y_true, y_pred)
    assert found.p_holm[0, 1] == found.p_holm[1, 0] == pytest.approx(3 * 2 / 2**30)  # 3 pairs, two-sided
    assert found.p_holm[0, 2] == 1


@pytest.mark.parametrize("seed", range(3))
def test_balance_is_the_margins_of_the_confusion_matrices(seed: int):
    y_true, y_pred = random_case(seed)
    found = label_balance(y_true, y_pred, resamples=400)
    for at, table in enumerate(multilabel_confusion_matrix(y_true, y_pred)):
        (_, false), (missed, hit) = table
        assert found.ratio[at] == (hit + false) / (hit + missed)
        assert found.ratio_ci[0, at] < found.ratio[at] < found.ratio_ci[1, at]
    single = [
        binomtest(int(table[0, 1]), int(table[0, 1] + table[1, 0])).pvalue
        for table in multilabel_confusion_matrix(y_true, y_pred)
    ]
    assert found.p_holm.tolist() == pytest.approx(by_hand(single), rel=1e-9)


def test_ratio_intervals_cover_the_truth_about_as_often_as_they_say():
    """Gold with 0.3, a cell wrong with 0.15: predicted with 0.36, 1.2 times as often."""
    rng = np.random.default_rng(2)
    covered = 0
    for trial in range(100):
        y_true = rng.random((150, 1)) < 0.3
        y_pred = y_true ^ (rng.random((150, 1)) < 0.15)
        low, high = label_balance(y_true, y_pred, resamples=200, seed=trial).ratio_ci[:, 0]
        covered += low <= 1.2 <= high
    assert 87 <= covered <= 100


def test_labels_that_are_never_gold_or_never_predicted():
    y_true, y_pred = np.zeros((50, 4), dtype=bool), np.zeros((50, 4), dtype=bool)
    y_true[:10, 0] = True  # never predicted
    y_pred[:4, 1] = True  # never gold
    y_true[0, 2] = y_pred[0, 2] = True  # once: many resamples miss it
    found = label_balance(y_true, y_pred, resamples=300)
    assert found.ratio[0] == 0
    assert found.ratio_ci[:, 0] == pytest.approx([0, 3.688879 / 10])  # the Poisson bound of a count of 0
    assert np.isnan(found.ratio[1])
    assert np.isnan(found.ratio_ci[:, 1]).all()
    always = y_true[:, 2].sum()  # rows, none of them wrong: at most z² / (n + z²) of all rows are
    assert found.ratio_ci[:, 2] == pytest.approx([always / (always + 3.8415), 1 + 3.8415 / always], abs=1e-4)
    assert np.isnan(found.p_holm).tolist() == [False, False, False, True]


def test_row_losses_are_scikit_learns():
    rng = np.random.default_rng(0)
    y_true, y_prob = rng.random((20, 4)) < 0.5, rng.random((20, 4), dtype=np.float32)
    direct = [
        log_loss(gold, prob.astype(np.float64), labels=[False, True]) * 4
        for gold, prob in zip(y_true, y_prob, strict=True)
    ]
    assert row_losses(y_true, y_prob) == pytest.approx(direct, rel=1e-6)


def test_a_certain_mistake_has_a_finite_loss():
    y_true, y_prob = np.array([[True, False]]), np.array([[0, 1]], dtype=np.float32)
    assert row_losses(y_true, y_prob) == pytest.approx([2 * np.log(1e7)], rel=1e-6)


@pytest.mark.parametrize("rows", [1, 2])
def test_the_smallest_files_are_counted_too(rows: int):
    y_true, y_pred = hot("a", "b")[:rows], hot("b", "b")[:rows]
    found = confused_pairs(y_true, y_pred)
    assert found.count[0, 1] == 1
    assert found.lift[0, 1] == 1  # in the second row b is gold and cannot be a false alarm
    assert label_balance(y_true, y_pred, resamples=20).gold.tolist() == y_true.sum(axis=0).tolist()


def test_confident_disagreements_as_by_hand() -> None:
    # Means of a: 0.75 over its two rows, 0.5 over the others. b is gold in every row, c in none; d does not separate.
    y_true = np.array([[1, 1, 0, 1], [1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]], dtype=np.bool_)
    y_prob = np.array(
        [[1.0, 0.1, 0.9, 0.1], [0.5, 0.9, 0.1, 0.9], [0.75, 0.5, 0.9, 0.5], [0.25, 0.5, 0.9, 0.5]],
        dtype=np.float32,
    )
    found = confident_disagreements(y_true, y_prob)
    assert np.argwhere(found.extra).tolist() == [[2, 0]]
    assert np.argwhere(found.missed).tolist() == [[1, 0]]
    assert found.usual[:, 0] == pytest.approx([0.75, 0.5])
    assert np.isnan(found.usual[1, 1])
    assert np.isnan(found.usual[0, 2])
