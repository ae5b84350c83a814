"""What a sweep would do, without doing it."""

from typing import Any

from goemo_cli.services.sweep.objectives import objectives_of
from goemo_cli.services.sweep.sweep_file import SweepFile


def plan_of(config: SweepFile, trials: int | None) -> dict[str, Any]:
    """Facts of a sweep by their names, for people."""
    aims = objectives_of(config)
    return {
        "method": config.method,
        "objectives": [f"{one.goal} {one.name}" for one in aims.objectives],
        "trials": total_trials(config, trials),
        **({"grid_size": config.grid_size} if config.method == "grid" else {}),
    }


DEFAULT_TRIALS = 20


def total_trials(config: SweepFile, trials: int | None) -> int:
    """How many trials the whole sweep has: as asked, else the file's `run_cap`, else all of a grid, else 20."""
    wanted = trials or config.run_cap
    if config.method == "grid":
        return min(config.grid_size, wanted or config.grid_size)
    return wanted or DEFAULT_TRIALS
