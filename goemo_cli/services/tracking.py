"""The trackers that the settings ask for, as one that cannot hurt the run."""

from goemo_cli.core.config import TrainConfig
from goemo_cli.core.events import Listener, Warned, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.tracking.base import NullTracker, Tracker
from goemo_cli.tracking.guarded import GuardedTrackers


def open_tracker(config: TrainConfig, *, layout: Layout, listen: Listener = ignore) -> Tracker:
    """The mirrors of a run. A package that is missing costs a warning, not the run."""
    trackers: dict[str, Tracker] = {}
    wanted = config.logging
    if wanted.wandb.enabled:
        try:
            from goemo_cli.tracking.wandb_tracker import WandbTracker

            trackers["W&B"] = WandbTracker(
                project=wanted.wandb.project, entity=wanted.wandb.entity, directory=layout.wandb
            )
        except ImportError:
            listen(
                Warned(
                    "W&B is not installed: pip install 'goemo[wandb]', or train with --no-wandb; going on without"
                )
            )
    if wanted.tensorboard:
        try:
            from goemo_cli.tracking.tensorboard_tracker import TensorboardTracker

            trackers["TensorBoard"] = TensorboardTracker(layout.tensorboard)
        except ImportError:
            listen(Warned("TensorBoard is not installed: pip install 'goemo[tensorboard]'; going on without"))
    return GuardedTrackers(trackers, lambda message: listen(Warned(message))) if trackers else NullTracker()
