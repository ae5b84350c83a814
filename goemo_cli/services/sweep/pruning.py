"""W&B's hyperband as a pruner of Optuna: at its bands a trial goes on only among the best 1/eta of all so far.

Follows src/sweeps/hyperband_stopping.py of github.com/wandb/sweeps, after Li et al., Hyperband, JMLR 2018
(arXiv:1603.06560), with the epochs after which it looks counted from 1, as W&B's documentation counts them.
"""

import optuna
from optuna.trial import FrozenTrial

from goemo_cli.services.sweep.sweep_file import EarlyTerminate, Goal


class Hyperband(optuna.pruners.BasePruner):  # type: ignore[misc]  # optuna is not followed
    """Ends what falls behind.

    Args:
        rule: the bands, and how few go on.
    """

    def __init__(self, rule: EarlyTerminate, goal: Goal) -> None:
        self._rule, self._sign = rule, -1.0 if goal == "maximize" else 1.0

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether a trial should end after the epoch that it reported last."""
        reached = max(trial.intermediate_values, default=0)
        bands = self._rule.bands(reached)
        if not bands:
            return False
        band = bands[-1]
        at_band = sorted(
            value
            for other in study.get_trials(deepcopy=False)
            if (value := self._value(other, band)) is not None
        )
        own = self._value(trial, band)
        return own is not None and own > at_band[int(len(at_band) / self._rule.eta)]

    def _value(self, trial: FrozenTrial, band: int) -> float | None:
        """The lower the better: at the band, or the best up to it; None if the trial has not reached it."""
        values = trial.intermediate_values
        if band not in values:
            return None
        seen = (
            [values[band]]
            if self._rule.strict
            else [value for epoch, value in values.items() if epoch <= band]
        )
        return float(min(self._sign * value for value in seen))
