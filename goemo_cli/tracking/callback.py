"""A logger for training loops of one's own: a few calls, or a callback of the Hugging Face Trainer."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, SupportsFloat

from goemo_cli.tracking.artifact_manager import ArtifactManager, LoggedArtifact
from goemo_cli.tracking.logger_config import LoggerConfig


class LoggerCallback:
    """Logs what a training loop tells it; every n-th step, every epoch, checkpoints as artifacts.

    Used as a context manager, a run that ends with an exception is recorded as failed.

    Args:
        config: where to log, and `log_every_n_steps`.
        root: of the project, for the local store.
        warn: as for `ArtifactManager`.
        manager: one to log through instead of an own.
    """

    def __init__(
        self,
        config: LoggerConfig | None = None,
        *,
        root: Path | str = Path(),
        warn: Callable[[str], None] | None = None,
        manager: ArtifactManager | None = None,
    ) -> None:
        self.manager = manager or ArtifactManager(config, root=root, warn=warn)
        self.config = config or self.manager.config
        self._waiting: tuple[int, Mapping[str, SupportsFloat]] | None = None
        self._step: int | None = None

    def __enter__(self) -> Self:
        self.on_train_begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.manager.run_id is not None:
            self.on_train_end(exit_code=1 if kind else 0)

    def on_train_begin(self, settings: Mapping[str, Any] | None = None) -> str:
        """Begin the run, unless the manager has one; its id."""
        return self.manager.run_id or self.manager.init_run(config=settings, job_type="train")

    def on_step_end(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Log the numbers of every n-th step; those of the last step of all are logged at the end.

        Args:
            step: counted from 1, over all epochs.
            values: by name, such as `train/loss`.
        """
        self._step = step
        if step % self.config.log_every_n_steps:
            self._waiting = step, dict(values)
        else:
            self._waiting = None
            self.manager.log_metrics(values, step=step)

    def on_epoch_end(
        self, epoch: int, values: Mapping[str, SupportsFloat], *, step: int | None = None
    ) -> None:
        """Log the numbers of an epoch, and its number.

        Args:
            epoch: counted from 1.
            values: by name, such as `val/f1_macro`.
            step: of the last step of the epoch; by default the last one that was told, or the epoch where none was.
        """
        self._flush()
        at = step or self._step or epoch
        self.manager.log_metrics({**values, "epoch": epoch}, step=at)

    def on_checkpoint(
        self,
        path: Path | str,
        name: str,
        *,
        is_best: bool = False,
        aliases: Iterable[str] = (),
        parents: Sequence[str] = (),
    ) -> LoggedArtifact:
        """Log a checkpoint as a version of a model; the best one so far gets the alias `best`."""
        wanted = [*aliases, *(["best"] if is_best else [])]
        return self.manager.log_model_artifact(path, name, aliases=wanted, parents=parents)

    def on_train_end(self, summary: Mapping[str, Any] | None = None, *, exit_code: int = 0) -> None:
        """End the run."""
        self._flush()
        self.manager.finish_run(summary, exit_code=exit_code)

    def for_trainer(self) -> Any:
        """The same as a `transformers.TrainerCallback`: `Trainer(callbacks=[logger.for_trainer()])`.

        Logs what the Trainer logs (its `logging_steps` counts; `log_every_n_steps` thins it out), under its names.
        """
        from transformers import TrainerCallback

        logger = self

        class Forwarding(TrainerCallback):  # type: ignore[misc]
            """Tells the logger what the Trainer tells its callbacks."""

            def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                logger.on_train_begin({"trainer": {key: getattr(args, key) for key in _TRAINER_SETTINGS}})

            def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
                numbers = {
                    key: value for key, value in (logs or {}).items() if isinstance(value, (int, float))
                }
                logger.on_step_end(state.global_step, numbers)

            def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                logger.on_train_end({"steps": state.global_step})

        return Forwarding()

    def _flush(self) -> None:
        if self._waiting:
            step, values = self._waiting
            self._waiting = None
            self.manager.log_metrics(values, step=step)


_TRAINER_SETTINGS = (
    "learning_rate", "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps",
    "weight_decay", "seed",
)  # fmt: skip
"""What is recorded of TrainingArguments: an allow-list, since they also hold tokens."""
