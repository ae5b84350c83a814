"""`goemo sweep`: search for settings from one file in W&B's sweep syntax; each trial is a separate training.

`sweep`, `open_sweep` and `SweepResult` load Optuna when they are first used; a sweep on W&B does not need it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goemo_cli.services.sweep.results import SweepResult, open_sweep
    from goemo_cli.services.sweep.running import sweep

__all__ = ["SweepResult", "open_sweep", "sweep"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        module = "running" if name == "sweep" else "results"
        return getattr(import_module(f"goemo_cli.services.sweep.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
