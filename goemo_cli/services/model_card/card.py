"""The card as a whole: its sections, in the order in which people ask."""

from collections.abc import Mapping
from typing import Any

from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.thresholds import Thresholds
from goemo_cli.services.model_card import about, scores, usage
from goemo_cli.services.model_card.facts import Facts
from goemo_cli.services.model_card.metadata import front_matter


def model_card(metrics: Mapping[str, Any], thresholds: Thresholds, config: TrainConfig) -> str:
    """The model card as Markdown; a section that has nothing true to say is left out."""
    facts = Facts(metrics, thresholds, config)
    sections = {
        "Intended use": about.intended_use(facts),
        "Data": about.data(facts),
        "Thresholds and scores": scores.thresholds(facts),
        "Each label": scores.by_label(facts),
        "Coarser labels": scores.taxonomies(facts),
        "Limits and biases": about.limits(facts),
        "How to use it": usage.usage(facts),
        "How it was made": usage.making(facts),
        "Citation": usage.citation(facts),
    }
    head = f"{front_matter(facts)}\n\n# {metrics['run']}\n\n{about.introduction(facts)}"
    return "\n\n".join([head, *(f"## {title}\n\n{text}" for title, text in sections.items() if text)]) + "\n"
