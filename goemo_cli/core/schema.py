"""Columns of every CSV and keys of every JSON that goemo writes."""

from collections.abc import Sequence

SCHEMA_VERSION = 1
"""Stands in every JSON; raised when a key changes its meaning."""

PROBABILITY_PREFIX = "pred_prob_"
PREDICTION_LEADING_COLUMNS = ("text", "true_labels", "pred_labels")
ID_COLUMN = "id"

PER_CLASS_COLUMNS = (
    "emotion", "f1_score", "precision", "recall", "support", "tp", "fp", "fn", "tn",
    "threshold", "roc_auc", "average_precision", "f1_ci_low", "f1_ci_high",
)  # fmt: skip
"""Per-class metrics, one row per label in label order. Empty where undefined (no positives)."""

OLD_PER_CLASS_COLUMNS = ("rank", "emotion", "precision", "recall", "f1", "support")
"""Read, never written."""

HISTORY_KEYS = (
    "epoch", "train_loss", "val_loss", "val_f1_macro", "val_f1_micro", "val_auc_micro",
    "learning_rate", "grad_norm", "epoch_seconds", "samples_per_second",
)  # fmt: skip

RULES = ("fixed_0.5", "fixed_0.3", "global", "per_label")
"""How probabilities become labels: the threshold rules, in the order they are shown."""

RULE_KEYS = (
    "f1_macro", "f1_micro", "f1_weighted", "f1_samples", "precision_macro", "recall_macro",
    "subset_accuracy", "hamming_loss",
)  # fmt: skip
"""Scores of one threshold rule; beside f1_macro and f1_micro stand f1_macro_ci and f1_micro_ci."""

RANKING_KEYS = ("auc_micro", "auc_macro", "average_precision_macro")
"""Scores that need no threshold."""

METRICS_KEYS = (
    "schema_version", "run", "model", "best_epoch", "history", "test", "per_class", "data",
    "training_seconds", "wandb_run_id",
)  # fmt: skip

SUMMARY_COLUMNS = (
    "run", "model", "data", "train_size", "seed", "best_epoch", "threshold_rule", "auc_micro", "auc_macro",
    "average_precision_macro", *(f"{key}_{rule}" for rule in RULES for key in ("f1_macro", "f1_micro")),
    "training_seconds",
)  # fmt: skip
"""metric_summary.csv, one row per run."""


def prediction_columns(labels: Sequence[str], *, with_ids: bool) -> list[str]:
    """The columns of a predictions CSV, in order."""
    columns = [*PREDICTION_LEADING_COLUMNS, *(PROBABILITY_PREFIX + label for label in labels)]
    return [*columns, ID_COLUMN] if with_ids else columns
