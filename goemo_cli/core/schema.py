"""Columns of every CSV and keys of every JSON that goemo writes."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from goemo_cli.core.errors import SettingError

SCHEMA_VERSION = 1
"""Written to every JSON; increased when a key changes its meaning."""

Kind = Literal["transformer", "static", "tiny", "tfidf", "ensemble"]
"""The kinds of models; an ensemble has no weights, only members."""

ExportFormat = Literal["onnx"]
ExportPrecision = Literal["fp32", "int8"]
"""Of the weights of an exported model."""
PictureFormat = Literal["png", "svg", "pdf"]
PICTURE_FORMATS: tuple[PictureFormat, ...] = get_args(PictureFormat)
Executor = Literal["local", "ray"]
"""Where the processes of a command run: on this machine, or on a Ray cluster."""
Engine = Literal["auto", "torch", "onnx"]
"""What computes predictions; auto: an exported model if there is one, else torch."""

ListedKind = Literal["leak", "near_leak", "contradiction", "label", "duplicate", "near_duplicate"]
"""Why `goemo data audit` lists a row, in the order of the list."""

PROBLEM_TYPES = {False: "multi_label_classification", True: "single_label_classification"}
"""transformers' name of a task, by whether each row has exactly one label."""

ExplainMethod = Literal["integrated-gradients", "occlusion", "exact"]
"""How word scores are computed: for transformers, for any model, and for tfidf."""
CalibrationMethod = Literal["platt", "temperature"]
"""Two numbers per label, or one."""
CountScore = Literal["f1_macro", "f1_micro", "f1_weighted", "f1_samples", "subset_accuracy", "hamming_loss"]
"""Scores of labels that `goemo compare` tests."""
ComparedScore = Literal[CountScore, "auc_micro", "auc_macro"]

PROBABILITY_PREFIX = "pred_prob_"
PREDICTION_LEADING_COLUMNS = ("text", "true_labels", "pred_labels")
ID_COLUMN = "id"

SOURCES_KEY = "goemo-sources"
"""The text in a PNG that says what it was drawn from: SHA-256 by file name, relative to the root, as JSON."""

PER_CLASS_COLUMNS = (
    "emotion", "f1_score", "precision", "recall", "support", "tp", "fp", "fn", "tn",
    "threshold", "roc_auc", "average_precision", "f1_ci_low", "f1_ci_high",
)  # fmt: skip
"""Per-class metrics, one row per label in label order. Empty if undefined (no positives)."""

OLD_PER_CLASS_COLUMNS = ("rank", "emotion", "precision", "recall", "f1", "support")
"""Read, never written."""

COMBINED = "combined_score"
"""A weighted sum of scores, as sweeps search for it and as runs log it for W&B."""

RULES = ("fixed_0.5", "fixed_0.3", "global", "per_label")
"""How probabilities become labels: the threshold rules, in the order they are shown."""

ARGMAX = "argmax"
"""The rule of single-label data: the most probable label."""

RULE_KEYS = (
    "f1_macro", "f1_micro", "f1_weighted", "f1_samples",
    "precision_macro", "precision_micro", "precision_weighted", "precision_samples",
    "recall_macro", "recall_micro", "recall_weighted", "recall_samples",
    "subset_accuracy", "hamming_loss", "jaccard_samples",
)  # fmt: skip
"""Scores of one threshold rule; each has its 95 % interval next to it, `{key}_ci`. Runs of earlier versions have no Jaccard score."""

RANKING_KEYS = ("auc_micro", "auc_macro", "average_precision_macro", "lrap")
"""Scores that need no threshold; each has `{key}_ci` next to it, except on very large splits."""

SWEEP_COLUMNS = ("threshold", *RULE_KEYS, "coverage", "labels_per_comment")
"""threshold_sweep/threshold_sweep_*.csv: scores on val with one threshold for all labels; coverage is the share of
comments with a label."""

THRESHOLD_COLUMNS = (
    "emotion", "n_positives", "threshold", "ci_low", "ci_high", "own_best",
    "f1_at_threshold", "f1_at_own_best", "f1_at_0.5", "f1_at_0.3",
)  # fmt: skip
"""threshold_sweep/per_class_thresholds_*.csv, one row per label: fitted on val, F1 on val."""

EMOTION_SCORE_COLUMNS = ("run", "model", "data", "threshold_rule", *PER_CLASS_COLUMNS)
"""per_emotion_scores.csv, one row per run and label, on test."""

MULTISEED_COLUMNS = ("group", "metric", "n_seeds", "mean", "sd", "min", "max", "ensemble")
"""multiseed_summary.csv: one row per group of seeds and score; the group is named after its ensemble."""

SCORE_KEYS = (*RANKING_KEYS, *RULE_KEYS)
"""Scores of a split in a headline; those of `RULE_KEYS` follow the run's own threshold rule."""

DISPLAY_NAMES: Mapping[str, str] = {
    "f1_macro": "macro-F1", "f1_micro": "micro-F1", "f1_weighted": "weighted F1", "f1_samples": "samples F1",
    "accuracy": "accuracy", "subset_accuracy": "subset accuracy", "hamming_loss": "Hamming loss",
    "jaccard_samples": "Jaccard score (samples)", "auc_micro": "micro-AUC", "auc_macro": "macro-AUC",
    "average_precision_macro": "mean average precision",
    "lrap": "ranking precision (LRAP)",
    "precision_macro": "macro-precision",
    "recall_macro": "macro-recall",
}  # fmt: skip
"""Scores in sentences and tables."""

LOWER_IS_BETTER = frozenset({"hamming_loss"})

SIGNIFICANCE_COLUMNS = (
    "a", "b", "split", "n_examples", "metric", "emotion", "a_value", "b_value", "difference", "ci_low", "ci_high",
    "p_value", "p_holm", "family_size", "resamples", "seed", "better",
    "equal_rows", "cohen_kappa", "only_a_right", "only_b_right", "mcnemar_p",
    "a_source", "a_sha256", "b_source", "b_sha256",
)  # fmt: skip
"""significance_tests.csv: one row per pair and score, then one per pair and emotion. Empty where undefined."""

SUMMARY_COLUMNS = (
    "run", "model", "data", "train_size", "seed", "best_epoch", "threshold_rule", "auc_micro", "auc_macro",
    "average_precision_macro", "lrap", *(f"{key}_{rule}" for rule in RULES for key in ("f1_macro", "f1_micro")),
    "training_seconds", "jaccard_samples", *(f"{key}_{ARGMAX}" for key in ("f1_macro", "f1_micro")),
)  # fmt: skip
"""metric_summary.csv, one row per run; `jaccard_samples` is by the run's own rule."""


def prediction_columns(labels: Sequence[str], *, with_ids: bool) -> list[str]:
    """The columns of a predictions CSV, in order."""
    columns = [*PREDICTION_LEADING_COLUMNS, *(PROBABILITY_PREFIX + label for label in labels)]
    return [*columns, ID_COLUMN] if with_ids else columns


def refuse_test_score(metric: str, instead: str | None = None) -> None:
    """Refuse `test/...`.

    Args:
        metric: a score such as `val/f1_macro`.
        instead: what to choose by; the same score on val by default.

    Raises:
        SettingError: it is a score of the test split.
    """
    split, _, key = metric.partition("/")
    if split == "test":
        raise SettingError(
            [
                f"{metric}: a run chosen by its test score has spoiled that score; choose by {instead or f'val/{key}'}"
            ]
        )


def check_val_metric(metric: str) -> None:
    """Refuse what runs may not be chosen by.

    Raises:
        SettingError: a score of the test split, or none that runs have.
    """
    refuse_test_score(metric)
    split, _, key = metric.partition("/")
    if split != "val" or not key:
        raise SettingError([f"{metric!r} is not a score of the val split, such as val/f1_macro or val/auc"])
