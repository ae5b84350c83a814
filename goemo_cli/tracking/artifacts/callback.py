"""A logger for your own training loop: a few calls, or a callback of the Hugging Face Trainer."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, Unpack

from goemo_cli.tracking.artifacts.config import LoggerConfig
from goemo_cli.tracking.artifacts.manager import ArtifactManager, Described, LoggedArtifact


class LoggerCallback:
    """Logs a training loop: every n-th step, every epoch, checkpoints as artifacts.

    Used as a context manager, it records a run that ends with an exception as failed.

    Args:
        config: where to log, and `log_every_n_steps`; or the name of a project.
        root: of the project, for the local store.
        warn: as for `ArtifactManager`.
        manager: an existing one to log through.
    """

    def __init__(
        self,
        config: LoggerConfig | str | None = None,
        *,
        root: Path | str = Path(),
        warn: Callable[[str], None] | None = None,
        manager: ArtifactManager | None = None,
    ) -> None:
        self.manager = manager or ArtifactManager(config, root=root, warn=warn)
        self.config = config if isinstance(config, LoggerConfig) else self.manager.config
        self._waiting: tuple[int, dict[str, Any]] | None = None
        self._step: int | None = None

    def __enter__(self) -> Self:
        self.on_train_begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.manager.run_id is not None:
            self.on_train_end(exit_code=1 if kind else 0)

    def on_train_begin(self, settings: Mapping[str, Any] | None = None, *, resume: str | None = None) -> str:
        """Begin the run, or join the one that the manager has open; its id.

        Args:
            settings: of the training; recorded if the run begins here.
            resume: id of a run to continue.
        """
        return self.manager.run_id or self.manager.init_run(config=settings, job_type="train", resume=resume)

    def on_step_end(self, step: int, values: Mapping[str, Any]) -> None:
        """Log the values of every n-th step; those of the very last step are logged at the end.

        Args:
            step: counted from 1, over all epochs.
            values: by name, such as `train/loss`.
        """
        self._step = step
        if step % self.config.log_every_n_steps:
            same_step = self._waiting[1] if self._waiting and self._waiting[0] == step else {}
            self._waiting = step, {**same_step, **values}
        else:
            self._waiting = None
            self.manager.log_metrics(values, step=step)

    def on_evaluate(self, values: Mapping[str, Any], *, step: int | None = None) -> None:
        """Log the values of an evaluation at once, whatever `log_every_n_steps` is.

        Args:
            values: by name, such as `val/f1_macro`.
            step: the training steps so far; by default the last one that was logged.
        """
        self._flush()
        if step is None:
            step = self.manager.lowest_step if self._step is None else self._step
        self.manager.log_metrics(values, step=step)

    def on_epoch_end(self, epoch: int, values: Mapping[str, Any], *, step: int | None = None) -> None:
        """Log the values of an epoch, and its number.

        Args:
            epoch: counted from 1.
            values: by name, such as `val/f1_macro`.
            step: the last step of the epoch; by default the last one that was logged, or the epoch if there was none.
        """
        if step is None and self._step is None:
            step = max(epoch, self.manager.lowest_step)
        self.on_evaluate({**values, "epoch": epoch}, step=step)

    def on_checkpoint(
        self, path: Path | str, name: str, *, is_best: bool = False, **described: Unpack[Described]
    ) -> LoggedArtifact:
        """Log a checkpoint as a version of a model; the best one so far gets the alias `best`."""
        if is_best:
            described["aliases"] = [*described.get("aliases", ()), "best"]
        return self.manager.log_model_artifact(path, name, **described)

    def on_train_end(self, summary: Mapping[str, Any] | None = None, *, exit_code: int = 0) -> None:
        """End the run."""
        self._flush()
        self.manager.finish_run(summary, exit_code=exit_code)

    def for_trainer(self) -> Any:
        """This logger as a `transformers.TrainerCallback`: `Trainer(callbacks=[logger.for_trainer()])`.

        It logs what the Trainer logs, under the Trainer's names. `logging_steps` decides how often the loss is logged,
        and `log_every_n_steps` thins it out further. Every evaluation is logged, also before and after `train()`, and the
        metrics of `predict()`. The run ends with `train()`; a later evaluation continues it until Python exits.
        """
        return _trainer_callback(self)

    def _flush(self) -> None:
        if self._waiting:
            step, values = self._waiting
            self._waiting = None
            self.manager.log_metrics(values, step=step)


def _trainer_callback(logger: LoggerCallback) -> Any:
    from transformers import TrainerCallback

    class Forwarding(TrainerCallback):  # type: ignore[misc]
        """Passes on what the Trainer reports; in training on several processes only the main one does."""

        ended: str | None = None
        """The run of the last training, which later evaluations belong to."""
        repeats = False
        """Whether a continued run trains steps again that it has logged."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if not state.is_world_process_zero:
                return
            if self.ended and logger.manager.run_id == self.ended:
                logger.manager.finish_run()
            self.ended = None
            self._open(args)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if not state.is_world_process_zero:
                return
            self._open(args)
            values = {name: value for name, value in (logs or {}).items() if _is_loggable(value)}
            step, lowest = state.global_step, logger.manager.lowest_step
            if "loss" not in values:  # training steps have it; the names of evaluations have a prefix
                if values:
                    logger.on_evaluate(values, step=max(step, lowest))
            elif step >= lowest:
                logger.on_step_end(step, values)
            elif not self.repeats:
                self.repeats = True
                logger.manager.warn(f"steps before {lowest} are logged already; the run continues there")

        def on_predict(self, args: Any, state: Any, control: Any, metrics: Any, **kwargs: Any) -> None:
            self.on_log(args, state, control, metrics)

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.is_world_process_zero:
                self.ended = logger.manager.run_id
                logger.on_train_end({"steps": state.global_step})

        def _open(self, args: Any) -> None:
            settings = {"trainer": {key: getattr(args, key) for key in _TRAINER_SETTINGS}}
            logger.on_train_begin(settings, resume=self.ended)

    return Forwarding()


def _is_loggable(value: Any) -> bool:
    return isinstance(value, Mapping) or (hasattr(value, "__float__") and not isinstance(value, str))


_TRAINER_SETTINGS = (
    "learning_rate", "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps",
    "weight_decay", "seed",
)  # fmt: skip
"""What is recorded of TrainingArguments: an allow-list, since they also hold tokens."""
