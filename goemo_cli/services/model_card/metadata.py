"""The YAML at the head of a card, as the Hugging Face Hub reads it, with the measured values as a model-index.

Source:
    https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

from collections.abc import Iterator
from typing import Any

from goemo_cli.core.layering import dump_yaml
from goemo_cli.core.schema import RULES
from goemo_cli.services.model_card.facts import GOEMOTIONS_ON_HUB, Facts

_OF_RULE = (
    ("f1", "f1_macro", "macro-F1", "macro"),
    ("f1", "f1_micro", "micro-F1", "micro"),
    ("precision", "precision_macro", "macro-precision", "macro"),
    ("recall", "recall_macro", "macro-recall", "macro"),
    ("accuracy", "subset_accuracy", "subset accuracy", None),
)
"""The Hub's name of a metric, ours, for people, and how labels are averaged."""
_OF_RANKING = (
    ("roc_auc", "auc_micro", "AUC micro", "micro"),
    ("roc_auc", "auc_macro", "AUC macro", "macro"),
    ("average_precision", "average_precision_macro", "average precision", "macro"),
)


def front_matter(facts: Facts) -> str:
    """The YAML between its dashes. It claims no licence and, for the user's data, no language: goemo does not know them."""
    found: dict[str, Any] = {}
    if facts.is_goemotions or facts.is_sample:
        found["language"] = ["en"]
    found["library_name"] = "transformers" if facts.is_transformer else "goemo"
    found["pipeline_tag"] = "text-classification"
    if facts.base_model and facts.is_transformer:
        found |= {"base_model": facts.base_model, "base_model_relation": "finetune"}
    if facts.is_goemotions:
        found["datasets"] = [GOEMOTIONS_ON_HUB]
    found["metrics"] = ["f1", "roc_auc", "precision", "recall", "accuracy"]
    found["tags"] = ["emotion", "multi-label", "goemo", *([facts.kind] if not facts.is_transformer else [])]
    found["model-index"] = [{"name": facts.metrics["run"], "results": [_result(facts)]}]
    return f"---\n{dump_yaml(found)}---"


def _result(facts: Facts) -> dict[str, Any]:
    return {
        "task": {"type": "text-classification", "name": "Multi-label text classification"},
        "dataset": _dataset(facts),
        "metrics": [*_of_rules(facts), *_of_ranking(facts)],
    }


def _dataset(facts: Facts) -> dict[str, Any]:
    """Which comments were scored; their SHA-256 is over texts and labels, because the user's data has no revision."""
    args = {"sha256": facts.data["split_sha256"]["test"]}
    if taxonomy := facts.data.get("taxonomy"):
        args["taxonomy"] = taxonomy
    if facts.is_goemotions:
        known = {"type": GOEMOTIONS_ON_HUB, "config": "simplified"}
    else:
        known = {"type": facts.data_name}
    return {"name": facts.data_name, **known, "split": "test", "args": args}


def _of_rules(facts: Facts) -> Iterator[dict[str, Any]]:
    """Every score by the run's own rule, and F1 by the others."""
    for rule in dict.fromkeys((facts.rule, *RULES)):
        for hub_name, key, name, average in _OF_RULE:
            if rule == facts.rule or hub_name == "f1":
                args = {"threshold_rule": rule, **({"average": average} if average else {})}
                yield from _metric(
                    facts.metrics["test"][rule], hub_name, key, f"{name} ({rule} thresholds)", args
                )


def _of_ranking(facts: Facts) -> Iterator[dict[str, Any]]:
    for hub_name, key, name, average in _OF_RANKING:
        yield from _metric(facts.metrics["test"], hub_name, key, name, {"average": average})


def _metric(
    scores: Any, hub_name: str, key: str, name: str, args: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """One metric; none if it is undefined."""
    if scores[key] is not None:
        yield {"type": hub_name, "value": scores[key], "name": name, "args": args}
