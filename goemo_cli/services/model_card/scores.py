"""The tables of a card: scores by threshold rule, coarser taxonomies, and each label."""

from collections.abc import Mapping
from typing import Any

from goemo_cli.core.events import decimal
from goemo_cli.core.labels import PAPER_F1_MACRO
from goemo_cli.core.schema import RULES
from goemo_cli.services.model_card.facts import PAPER, Facts
from goemo_cli.services.report.markdown_text import plain, score, table

_OF_SETTING = {"f1_macro": "macro-F1", "f1_micro": "micro-F1"}


def thresholds(facts: Facts) -> str:
    """The rule in force, what was fitted and how."""
    fitted, settings = facts.thresholds, facts.thresholds.settings
    how = f"fitted on {fitted.fitted_on} only, for the best {_OF_SETTING.get(settings.objective, settings.objective)}"
    low, high = fitted.global_ci
    probability = "probability (the sigmoid of its logit)" if facts.is_transformer else "probability"
    text = (
        f"A label is predicted where its {probability} is at least its threshold. The rule in force "
        f"is `{facts.rule}`{_options(facts)}. Thresholds in `thresholds.json` were {how}: one for all labels, "
        f"{fitted.global_threshold:g} (95 % interval {low:g} to {high:g}), and one per label, in the table below"
    )
    if settings.shrinkage:
        text += ", drawn toward the first where val holds few comments of a label"
    return f"{text}. They are for the model's own probabilities, not for calibrated ones.\n\n{_rules(facts.metrics['test'])}"


def by_label(facts: Facts) -> str:
    """Scores on test of each label, with its threshold."""
    return table(
        [
            "label",
            "F1",
            "95 % interval",
            "precision",
            "recall",
            "average precision",
            "test comments",
            "threshold",
        ],
        [
            [
                plain(row["emotion"]),
                f"{row['f1_score']:.3f}",
                f"{decimal(row['f1_ci_low'], 3)} to {decimal(row['f1_ci_high'], 3)}",
                f"{row['precision']:.3f}",
                f"{row['recall']:.3f}",
                "undefined" if row["average_precision"] is None else f"{row['average_precision']:.3f}",
                str(row["support"]),
                f"{row['threshold']:.4g}",
            ]
            for row in facts.metrics["per_class"]
        ],
    )


def taxonomies(facts: Facts) -> str:
    """The same probabilities as coarser labels, on GoEmotions next to the paper's models; empty if no taxonomy applies."""
    found: Mapping[str, Any] = facts.metrics["taxonomies"]
    if not found:
        return ""
    header = ["taxonomy", "roll-up", "macro-F1"]
    made = "Probabilities of a group's members rolled up, thresholds per group fitted on val."
    rows = [
        [name, how, score(scores["per_label"], "f1_macro"), f"{PAPER_F1_MACRO[name]:.2f}"]
        for name, ways in found.items()
        for how, scores in ways.items()
    ]
    if not facts.is_papers_test:
        return f"{table(header, [row[:3] for row in rows])}\n\n{made}"
    return (
        table([*header, "the paper's BERT-base"], rows)
        + f"\n\n{made} The models of [the paper]({PAPER}) were trained on the groups."
    )


def _rules(test: Mapping[str, Any]) -> str:
    keys = ("f1_macro", "f1_micro", "precision_macro", "recall_macro", "subset_accuracy")
    rules = table(
        ["rule", "macro-F1", "micro-F1", "macro-precision", "macro-recall", "subset accuracy"],
        [[rule, *(score(test[rule], key) for key in keys)] for rule in RULES],
    )
    ranks = ", ".join(
        f"{name} {score(test, key)}"
        for name, key in (
            ("AUC micro", "auc_micro"),
            ("AUC macro", "auc_macro"),
            ("average precision", "average_precision_macro"),
        )
    )
    return f"{rules}\n\nWithout thresholds: {ranks}. All on test, with 95 % intervals over its comments."


def _options(facts: Facts) -> str:
    settings = facts.thresholds.settings
    options = []
    if settings.never_empty:
        options.append("a text above no threshold gets its most probable label")
    if settings.top_k:
        options.append(f"at most {settings.top_k} labels, the most probable ones")
    return f" ({'; '.join(options)})" if options else ""
