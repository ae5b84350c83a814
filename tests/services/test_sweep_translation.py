"""Every distribution of W&B: 4,000 draws through Optuna against the law that W&B documents."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from scipy import stats

from goemo_cli.services.sweep.search_space import DISTRIBUTIONS, Parameter, parse_parameters
from goemo_cli.services.sweep.translation import suggest

DRAWS = 4_000
LEAST_P = 0.001

_LOGS = stats.uniform(math.log(1e-5), math.log(1e-2) - math.log(1e-5))


def parameter(entry: dict[str, Any]) -> Parameter:
    problems: list[str] = []
    [found] = parse_parameters({"x": entry}, problems)
    assert problems == []
    return found


def draws(entry: dict[str, Any], n: int = DRAWS) -> list[Any]:
    """Values as Optuna's random sampler draws them, a hundred in each trial: one trial for each draw would take minutes."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    one = parameter(entry)
    values: list[Any] = []
    while len(values) < n:
        trial = study.ask()
        values += [suggest(trial, replace(one, name=f"x{at}")) for at in range(min(100, n))]
    return values


CONTINUOUS: dict[str, tuple[dict[str, Any], Any, Callable[[Any], Any]]] = {
    "uniform": ({"min": -1.0, "max": 3.0}, stats.uniform(-1, 4), np.asarray),
    "log_uniform": ({"distribution": "log_uniform", "min": math.log(1e-5), "max": math.log(1e-2)}, _LOGS, np.log),
    "log_uniform_values": ({"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-2}, _LOGS, np.log),
    # X such that log(1/X) is uniform between min and max.
    "inv_log_uniform": (
        {"distribution": "inv_log_uniform", "min": math.log(100), "max": math.log(1e5)},
        stats.uniform(math.log(100), math.log(1e5) - math.log(100)), lambda x: np.log(1 / np.asarray(x)),
    ),
    "inv_log_uniform_values": (
        {"distribution": "inv_log_uniform_values", "min": 1e-5, "max": 1e-2},
        stats.uniform(math.log(1e2), math.log(1e5) - math.log(1e2)), lambda x: np.log(1 / np.asarray(x)),
    ),
    "normal": ({"distribution": "normal", "mu": 2, "sigma": 0.5}, stats.norm(2, 0.5), np.asarray),
    "log_normal": ({"distribution": "log_normal", "mu": -1, "sigma": 0.5}, stats.norm(-1, 0.5), np.log),
    "beta": ({"distribution": "beta", "a": 2, "b": 5}, stats.beta(2, 5), np.asarray),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTINUOUS)
def test_draws_follow_the_law(name: str) -> None:
    entry, law, back = CONTINUOUS[name]
    values = draws(entry)
    assert stats.kstest(back(values), law.cdf).pvalue > LEAST_P
    if "min" in entry:
        span = parameter(entry).interval()
        assert span
        assert span[0] <= min(values)
        assert max(values) <= span[1]


QUANTIZED: dict[str, tuple[dict[str, Any], Any]] = {
    "q_uniform": ({"distribution": "q_uniform", "min": 0.1, "max": 0.5, "q": 0.05}, stats.uniform(0.1, 0.4)),
    "q_log_uniform": (
        {"distribution": "q_log_uniform", "min": math.log(8), "max": math.log(128), "q": 8}, stats.loguniform(8, 128)
    ),
    "q_log_uniform_values": (
        {"distribution": "q_log_uniform_values", "min": 8, "max": 128, "q": 8}, stats.loguniform(8, 128)
    ),
    "q_normal": ({"distribution": "q_normal", "mu": 3, "sigma": 2, "q": 0.5}, stats.norm(3, 2)),
    "q_log_normal": ({"distribution": "q_log_normal", "mu": 1, "sigma": 0.5}, stats.lognorm(0.5, scale=math.e)),
    "q_beta": ({"distribution": "q_beta", "a": 2, "b": 5, "q": 0.1}, stats.beta(2, 5)),
}  # fmt: skip


@pytest.mark.parametrize("name", QUANTIZED)
def test_rounded_draws_are_multiples_of_q_as_often_as_the_law_says(name: str) -> None:
    """round(X / q) * q: a multiple has the probability of the interval of half a q around it (chi-square)."""
    entry, law = QUANTIZED[name]
    q = entry.get("q", 1)
    values = draws(entry)
    steps = [value / q for value in values]
    assert steps == pytest.approx([round(step) for step in steps], abs=1e-9)
    assert all(isinstance(value, int) for value in values) == float(q).is_integer()
    seen = Counter(round(step) for step in steps)
    expected = {
        step: DRAWS * (law.cdf((step + 0.5) * q) - law.cdf((step - 0.5) * q)) for step in range(-50, 200)
    }
    often = [step for step, count in expected.items() if count >= 5]
    observed = np.array([seen[step] for step in often], dtype=float)
    wanted = np.array([expected[step] for step in often])
    assert stats.chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue > LEAST_P
    assert sum(seen[step] for step in seen if step not in often) < 30


def test_integers_are_equally_likely_both_ends_included() -> None:
    seen = Counter(draws({"min": 1, "max": 6}))
    assert set(seen) == set(range(1, 7))
    assert stats.chisquare(list(seen.values())).pvalue > LEAST_P


def test_choices_are_equally_likely_whatever_they_are() -> None:
    values = ["a", None, 3, 0.5, True, ["x", "y"], {"k": 1}]
    seen = Counter(map(str, draws({"values": values})))
    assert set(seen) == set(map(str, values))
    assert stats.chisquare(list(seen.values())).pvalue > LEAST_P


def test_weighted_choices_follow_their_probabilities() -> None:
    seen = Counter(draws({"values": ["a", "b", "c", "d"], "probabilities": [0.1, 0.6, 0.3, 0.0]}))
    assert set(seen) == {"a", "b", "c"}
    assert (
        stats.chisquare([seen[key] for key in "abc"], [0.1 * DRAWS, 0.6 * DRAWS, 0.3 * DRAWS]).pvalue
        > LEAST_P
    )


def test_a_constant_is_not_asked_for() -> None:
    study = optuna.create_study()
    trial = study.ask()
    assert suggest(trial, parameter({"value": [1, 2]})) == [1, 2]
    assert trial.params == {}


def test_a_normal_law_without_spread_is_its_mean() -> None:
    assert set(draws({"distribution": "normal", "mu": 2, "sigma": 0}, 10)) == {2.0}


def test_every_distribution_is_tested_here() -> None:
    others = {"constant", "categorical", "categorical_w_probabilities", "int_uniform"}
    assert {*CONTINUOUS, *QUANTIZED, *others} == set(DISTRIBUTIONS)
