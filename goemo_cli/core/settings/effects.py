"""Which settings a training uses, and why it does not use the others."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from goemo_cli.core.schema import Kind
from goemo_cli.core.settings import LossName, TrainConfig


@dataclass(frozen=True)
class Condition:
    """What a setting needs to have an effect."""

    holds: Callable[[TrainConfig, Kind], bool]
    """Of resolved settings and the kind of their model."""
    otherwise: Callable[[TrainConfig, Kind], str]
    """How the sentence `... has no effect` goes on if it does not hold."""


def _of_kind(config: TrainConfig, kind: Kind) -> str:
    return f"with a model of the kind {kind}"


def _is_folder(config: TrainConfig) -> bool:
    return Path(config.model.name).expanduser().is_dir()


def _with_loss(loss: LossName) -> Condition:
    return Condition(
        lambda config, kind: config.training.loss == loss,
        lambda config, kind: f"with training.loss={config.training.loss}",
    )


_STEPS = Condition(lambda config, kind: kind != "tfidf", _of_kind)
"""The model is trained in steps, by gradients."""
_HUB = Condition(
    lambda config, kind: kind in ("transformer", "static") and not _is_folder(config),
    lambda config, kind: (
        "with weights in a folder" if kind in ("transformer", "static") else _of_kind(config, kind)
    ),
)
_ATTENTION = Condition(lambda config, kind: kind in ("transformer", "tiny"), _of_kind)
_HEAD = Condition(
    lambda config, kind: kind == "transformer" or (kind == "static" and _is_folder(config)), _of_kind
)
_GOLD_LOSS = Condition(
    lambda config, kind: (
        config.data.single_label or config.distillation.teacher is None or config.distillation.weight < 1
    ),
    lambda config, kind: (
        f"with distillation.weight={config.distillation.weight:g}, which leaves out gold labels"
    ),
)
_TEACHER = Condition(
    lambda config, kind: config.distillation.weight > 0 or config.distillation.unlabelled is not None,
    lambda config, kind: "with distillation.weight=0",
)
_CACHE = Condition(
    lambda config, kind: config.training.frozen_layers > 0 and config.training.epochs > 1,
    lambda config, kind: (
        f"with training.epochs={config.training.epochs}"
        if config.training.frozen_layers
        else "with training.frozen_layers=0"
    ),
)
_SEVERAL_EPOCHS = Condition(
    lambda config, kind: config.training.epochs > 1, lambda config, kind: "with training.epochs=1"
)
_OWN_DATA = Condition(
    lambda config, kind: config.data.name not in (None, "goemotions", "sample"),
    lambda config, kind: "without your own data (data.name)",
)
_CELLS = Condition(
    lambda config, kind: not config.data.label_columns, lambda config, kind: "with data.label_columns"
)
_GOEMOTIONS = Condition(
    lambda config, kind: config.data.name in (None, "goemotions"),
    lambda config, kind: f"with data.name={config.data.name}",
)
_VAL = Condition(lambda config, kind: config.data.val_file is None, lambda config, kind: "with data.val_file")
_TEST = Condition(
    lambda config, kind: config.data.test_file is None, lambda config, kind: "with data.test_file"
)
_SPLIT = Condition(
    lambda config, kind: config.data.val_file is None or config.data.test_file is None,
    lambda config, kind: "with data.val_file and data.test_file",
)
_OBJECTIVE = Condition(
    lambda config, kind: config.thresholds.objective != "recall_guarantee",
    lambda config, kind: "with thresholds.objective=recall_guarantee",
)
_WANDB = Condition(lambda config, kind: config.logging.wandb.enabled, lambda config, kind: "without W&B")
_MLFLOW = Condition(
    lambda config, kind: "mlflow" in config.logging.tracker_names,
    lambda config, kind: "without the tracker mlflow",
)


def _each(section: str, names: str, *conditions: Condition) -> dict[str, tuple[Condition, ...]]:
    return {f"{section}.{name}": conditions for name in names.split()}


CONDITIONS: Mapping[str, tuple[Condition, ...]] = {
    **_each("model", "name"),
    **_each("model", "max_length dropout pooling", _STEPS),  # static has an error for another pooling
    **_each("model", "revision", _HUB),
    **_each("model", "new_head", _HEAD),
    **_each("model", "attention", _ATTENTION),
    **_each("data", "name single_label taxonomy exclude_audited max_train_samples"),
    **_each("data", "dir", _GOEMOTIONS),
    **_each("data", "format encoding text_column label_column label_columns id_column", _OWN_DATA),
    **_each("data", "unlabelled group_column aggregate labels_file val_file test_file", _OWN_DATA),
    **_each("data", "label_separator", _OWN_DATA, _CELLS),
    **_each("data", "val_fraction", _OWN_DATA, _VAL),
    **_each("data", "test_fraction", _OWN_DATA, _TEST),
    **_each("data", "split_seed", _OWN_DATA, _SPLIT),
    **_each("training", "recipe seed"),
    **_each(
        "training", "learning_rate head_multiplier batch_size accumulation gradient_checkpointing", _STEPS
    ),
    **_each("training", "epochs schedule warmup weight_decay clip_norm averaging frozen_layers", _STEPS),
    **_each(
        "training", "prior_bias label_template precision deterministic device save_every_minutes", _STEPS
    ),
    **_each("training.early_stopping", "metric patience min_delta", _STEPS, _SEVERAL_EPOCHS),
    **_each("training", "frozen_cache", _STEPS, _CACHE),
    **_each("training", "max_positive_weight", _STEPS, _GOLD_LOSS, _with_loss("weighted_bce")),
    **_each("training", "focal_gamma", _STEPS, _GOLD_LOSS, _with_loss("focal")),
    **_each(
        "training",
        "asymmetric_gamma_positive asymmetric_gamma_negative asymmetric_clip",
        *(_STEPS, _GOLD_LOSS, _with_loss("asymmetric")),
    ),
    "training.loss": (
        # of single-label data, cross_entropy is the only value
        Condition(lambda config, kind: kind != "tfidf" or config.data.single_label, _of_kind),
        _GOLD_LOSS,
    ),
    **_each("distillation", "teacher weight unlabelled"),  # without a teacher they are errors
    **_each("distillation", "temperature", _TEACHER),
    **_each("thresholds", "rule objective beta floor never_empty top_k"),  # beta and floor have errors
    **_each("thresholds", "shrinkage", _OBJECTIVE),
    **_each("output", "weights", _STEPS),
    **_each("output", "epoch_predictions"),
    **_each("logging", "trackers tensorboard combined_score"),
    **_each("logging.mlflow", "tracking_uri experiment", _MLFLOW),
    # The journal has the other settings of W&B, and `goemo sync` uses them later.
    **_each(
        "logging.wandb", "enabled project entity base_url name group tags notes upload_timeout environment"
    ),
    **_each("logging.wandb", "log_model log_predictions log_embeddings"),
    **_each("logging.wandb", "log_gradients watch_model log_every", _STEPS),
    **_each("logging.wandb", "mode required", _WANDB),
}
"""What each setting needs to have an effect; no conditions: it always has one, or goemo has an error for it."""


def without_effect(config: TrainConfig, kind: Kind) -> dict[str, str]:
    """The settings that a training does not use, with the reason: `with training.loss=bce`.

    Args:
        config: resolved settings.
        kind: of its model.
    """
    return {
        name: failed.otherwise(config, kind)
        for name, conditions in CONDITIONS.items()
        if (failed := next((one for one in conditions if not one.holds(config, kind)), None))
    }


def effects_missing(reasons: Mapping[str, str], names: Iterable[str]) -> str:
    """One sentence for the settings of some names that have no effect; empty without any.

    Args:
        reasons: what `without_effect` returned.
        names: of settings.
    """
    by_reason: dict[str, list[str]] = {}
    for name in names:
        if name in reasons:
            by_reason.setdefault(reasons[name], []).append(name)
    return "; ".join(
        f"{', '.join(found)} {'has' if len(found) == 1 else 'have'} no effect {reason}"
        for reason, found in by_reason.items()
    )
