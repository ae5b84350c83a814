"""Exact tests of counts: the numbers of scipy.stats and of fractions, also at the ends."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.stats import binom, binomtest, hypergeom

from goemo_cli.ml.metrics.exact_tests import binomial_tail, clopper_pearson, hypergeometric_tail, mcnemar


@pytest.mark.parametrize("total", [1, 2, 7, 12])
def test_a_hypergeometric_tail_is_the_sum_of_fractions_for_all_small_tables(total: int) -> None:
    for marked in range(total + 1):
        for drawn in range(total + 1):
            possible = comb(total, drawn)
            ways = [
                comb(marked, k) * comb(total - marked, drawn - k) if k <= drawn else 0
                for k in range(total + 2)
            ]
            tails = [float(Fraction(sum(ways[k:]), possible)) for k in range(total + 2)]
            found = hypergeometric_tail(range(total + 2), total, marked, drawn)
            assert found == pytest.approx(tails, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(("total", "rel"), [(60, 1e-10), (5_427, 1e-10), (43_410, 1e-9), (1_000_000, 1e-7)])
def test_a_hypergeometric_tail_is_scipys(total: int, rel: float) -> None:
    draw = np.random.default_rng(0)
    marked, drawn = (total * draw.random((2, 2_000)) ** 3).astype(np.int64)
    expected = marked * drawn / total
    at_least = np.maximum(0, expected + draw.normal(0, 4, 2_000) * np.sqrt(expected + 1)).astype(np.int64)
    found = hypergeometric_tail(at_least, total, marked, drawn)
    assert found == pytest.approx(hypergeom.sf(at_least - 1, total, marked, drawn), rel=rel, abs=1e-290)
    assert ((found >= 0) & (found <= 1)).all()


def test_a_tail_far_above_chance_is_small_and_not_zero() -> None:
    direct = hypergeom.sf(99, 50_000, 300, 200)
    assert 0 < direct < 1e-100
    assert hypergeometric_tail(100, 50_000, 300, 200) == pytest.approx(direct, rel=1e-8)


def test_tails_broadcast_as_a_matrix_of_pairs() -> None:
    counts = np.array([30, 0, 12])
    together = np.array([[30, 0, 9], [0, 0, 0], [9, 0, 12]])
    found = hypergeometric_tail(together, 100, counts[:, None], counts)
    assert found == pytest.approx(hypergeom.sf(together - 1, 100, counts[:, None], counts), rel=1e-10)


def test_a_binomial_tail_is_scipys() -> None:
    for share in (0.025, 0.5, 0.9):
        at_least = np.arange(0, 42)
        direct = binom.sf(at_least - 1, 40, share)
        assert binomial_tail(np.minimum(at_least, 40), 40, share)[:41] == pytest.approx(
            direct[:41], rel=1e-12
        )
    assert binomial_tail(0, 0, 0.5) == 1


def test_mcnemar_is_the_binomial_test_of_the_disagreements() -> None:
    pairs = [(0, 0), (0, 1), (3, 3), (1, 9), (9, 1), (40, 41), (165, 166), (12, 300)]
    one, other = np.array(pairs).T
    direct = [binomtest(int(a), int(a + b)).pvalue if a + b else 1.0 for a, b in pairs]
    assert mcnemar(one, other) == pytest.approx(direct, rel=1e-9)


def test_clopper_pearson_is_scipys() -> None:
    for successes, trials in ((0, 7), (7, 7), (3, 40), (1, 1)):
        direct = binomtest(successes, trials).proportion_ci(0.95, "exact")
        assert clopper_pearson(successes, trials) == pytest.approx([direct.low, direct.high], rel=1e-9)
    assert clopper_pearson(0, 0).tolist() == [0, 1]
