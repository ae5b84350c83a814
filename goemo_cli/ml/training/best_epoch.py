"""Which epoch is the best, and when to stop early."""

import math

from goemo_cli.core.settings import EarlyStopping


class BestEpoch:
    """Finds the best epoch by one val metric, and decides when to stop."""

    def __init__(self, settings: EarlyStopping) -> None:
        self.settings = settings
        self.epoch = 0
        """Of the best value; 0 before the first finite one."""
        self.value = math.nan
        self.waited = 0
        """Epochs since the best one."""

    def update(self, epoch: int, value: float) -> bool:
        """Whether this epoch is the best so far. A value that is not finite never is."""
        sign = -1.0 if self.settings.metric == "val_loss" else 1.0
        improved = math.isfinite(value) and (
            self.epoch == 0 or sign * (value - self.value) > self.settings.min_delta
        )
        if improved:
            self.epoch, self.value, self.waited = epoch, value, 0
        else:
            self.waited += 1
        return improved

    @property
    def should_stop(self) -> bool:
        """Whether `patience` epochs have passed without an improvement."""
        return self.settings.patience is not None and self.waited >= self.settings.patience
