"""`goemo sweep`: search for settings, each trial a training of its own, from one file in W&B's sweep syntax."""

from goemo_cli.services.sweep.results import SweepResult, open_sweep
from goemo_cli.services.sweep.running import sweep

__all__ = ["SweepResult", "open_sweep", "sweep"]
