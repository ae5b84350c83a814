"""The README.md of a checkpoint; every number in it is read from the run's own files."""

from goemo_cli.services.model_card.card import model_card, repeating

__all__ = ["model_card", "repeating"]
