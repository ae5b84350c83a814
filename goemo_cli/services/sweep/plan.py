"""What a sweep would do, without doing it."""

import math
import random
from collections.abc import Iterator
from itertools import product
from typing import Any

from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.errors import GoemoError
from goemo_cli.core.layering import nested
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import named_settings, setting_field
from goemo_cli.core.settings.effects import effects_missing, without_effect
from goemo_cli.services.sweep.objectives import objectives_of
from goemo_cli.services.sweep.sweep_file import SweepFile
from goemo_cli.services.training.settings import resolve_settings

_MOST_TRIED = 200
"""Combinations of values that are resolved, to see which settings have an effect."""


def plan_of(config: SweepFile, trials: int | None) -> dict[str, Any]:
    """Facts of a sweep by their names, for people."""
    aims = objectives_of(config)
    return {
        "method": config.method,
        "objectives": [f"{one.goal} {one.name}" for one in aims.objectives],
        "trials": total_trials(config, trials),
        **({"grid_size": config.grid_size} if config.method == "grid" else {}),
    }


def useless_parameters(config: SweepFile, layout: Layout) -> str:
    """One sentence for the parameters that have no effect in any trial; empty without any.

    A constant that is goemo's default is not counted.
    """
    names = [
        name
        for one in config.parameters
        for name in named_settings(nested(one.name, None))
        if not one.is_constant or one.values[0] != setting_field(name).default
    ]
    reasons: dict[str, str] | None = None
    for settings in _combinations(config):
        try:
            resolved = resolve_settings(None, settings, layout=layout)
        except GoemoError:  # values that fit each alone, but not together: such a trial fails
            continue
        unused = without_effect(resolved, model_entry(resolved.model.name).kind)
        before = dict.fromkeys(names) if reasons is None else reasons
        reasons = {name: unused[name] for name in before if name in unused}
        if not reasons:
            break
    return effects_missing(reasons or {}, names)


def _combinations(config: SweepFile) -> Iterator[dict[str, Any]]:
    """All combinations of the values with which the parameters are checked; if they are too many, a sample."""
    values = {one.name: one.probes() for one in config.parameters if one.probes()}
    if math.prod(map(len, values.values())) <= _MOST_TRIED:
        yield from (dict(zip(values, chosen, strict=True)) for chosen in product(*values.values()))
        return
    draws = random.Random(0)
    for _ in range(_MOST_TRIED):
        yield {name: draws.choice(some) for name, some in values.items()}


DEFAULT_TRIALS = 20


def total_trials(config: SweepFile, trials: int | None) -> int:
    """How many trials the whole sweep has: as asked, else the file's `run_cap`, else all of a grid, else 20."""
    wanted = trials or config.run_cap
    if config.method == "grid":
        return min(config.grid_size, wanted or config.grid_size)
    return wanted or DEFAULT_TRIALS
