"""From W&B's distributions to Optuna's, each with the law that W&B documents.

Where Optuna has the law itself (uniform, log-uniform, integers, choices), Optuna draws the value, so that its samplers and
tools see it as it is. Every other law is its quantile function at a number that Optuna draws between 0 and 1. Rounding to
multiples of q comes after the draw, as on W&B (src/sweeps/params.py of github.com/wandb/sweeps): the multiples at both
ends of a range are half as likely as the others.
"""

import json
import math
from itertools import accumulate
from statistics import NormalDist
from typing import Any

import optuna
from scipy.special import betaincinv

from goemo_cli.services.sweep.search_space import Parameter

_EDGE = 1e-9
"""A normal law has no value at 0 and 1 themselves."""
_PLAIN = (str, int, float, bool, type(None))


def suggest(trial: optuna.trial.BaseTrial, parameter: Parameter) -> Any:
    """The value of a parameter in a trial.

    Args:
        trial: asked for it under the parameter's name.
        parameter: what is drawn; a constant is not asked for.
    """
    name, numbers = parameter.name, parameter.numbers or {}
    if parameter.is_constant:
        return parameter.values[0]
    if parameter.distribution == "categorical":
        chosen = trial.suggest_categorical(name, [choice(value) for value in parameter.values])
        return next(value for value in parameter.values if choice(value) == chosen)
    if parameter.distribution == "int_uniform":
        return trial.suggest_int(name, int(numbers["min"]), int(numbers["max"]))
    if span := parameter.interval():
        low, high, is_log = span
        return parameter.rounded(trial.suggest_float(name, low, high, log=is_log))
    return quantile(parameter, trial.suggest_float(name, _EDGE, 1 - _EDGE))


def quantile(parameter: Parameter, share: float) -> Any:
    """The value below which a share of all draws is, for distributions that Optuna does not have: normal, beta, weighted choice."""
    numbers = parameter.numbers or {}
    if parameter.weights:
        sums = list(accumulate(parameter.weights))
        return parameter.values[next(at for at, upto in enumerate(sums) if share * sums[-1] <= upto)]
    if "mu" in numbers:
        value = numbers["mu"] + numbers["sigma"] * NormalDist().inv_cdf(share)
        if "log" in parameter.distribution:
            value = math.exp(value)
    else:
        value = float(betaincinv(numbers["a"], numbers["b"], share))
    return parameter.rounded(value)


def choice(value: Any) -> Any:
    """A value of `values` as Optuna keeps it: lists and mappings as JSON text."""
    return value if isinstance(value, _PLAIN) else json.dumps(value, sort_keys=True)
