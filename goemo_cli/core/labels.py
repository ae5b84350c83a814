"""The 28 GoEmotions labels and their coarser taxonomies, and the names of the splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

EMOTIONS: tuple[str, ...] = (
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion",
    "curiosity", "desire", "disappointment", "disapproval", "disgust", "embarrassment", "excitement",
    "fear", "gratitude", "grief", "joy", "love", "nervousness", "optimism",
    "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral",
)  # fmt: skip
"""As in labels.txt of google-research/goemotions: alphabetical, neutral last."""
_GOEMOTIONS_DATA = ("goemotions", "sample")


@dataclass(frozen=True)
class Terms:
    """What the texts and the labels of a data set are called, in the singular."""

    text: str
    label: str

    @property
    def texts(self) -> str:
        """The plural of `text`."""
        return f"{self.text}s"

    @property
    def labels(self) -> str:
        """The plural of `label`."""
        return f"{self.label}s"


def terms_of(data: str | None, labels: Sequence[str]) -> Terms:
    """What the texts and labels of a data set are called: comments and emotions in GoEmotions, else texts and labels.

    Args:
        data: the name of the data set; None if it is unknown, and then labels alone decide.
        labels: its labels. Those that are all emotions of GoEmotions are called emotions in other data too.
    """
    are_emotions = set(labels) <= set(EMOTIONS)
    are_comments = are_emotions and data in (*_GOEMOTIONS_DATA, None)
    return Terms("comment" if are_comments else "text", "emotion" if are_emotions else "label")


Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

_ALIASES = {"dev": "val", "validation": "val", "valid": "val"}


def parse_split(text: str) -> Split | None:
    """The split that a name means (`dev` and `validation` are val), or None."""
    name = _ALIASES.get(text.lower(), text.lower())
    return next((split for split in SPLITS if split == name), None)


TaxonomyName = Literal["ekman", "grouped"]
RollUp = Literal["max", "noisy_or"]
ROLL_UPS: tuple[RollUp, ...] = ("max", "noisy_or")

_JOY = (
    "admiration", "amusement", "approval", "caring", "desire", "excitement",
    "gratitude", "joy", "love", "optimism", "pride", "relief",
)  # fmt: skip
_ANGER = ("anger", "annoyance", "disapproval")
_DISGUST = ("disgust",)
_FEAR = ("fear", "nervousness")
_SADNESS = ("disappointment", "embarrassment", "grief", "remorse", "sadness")
_SURPRISE = ("confusion", "curiosity", "realization", "surprise")

TAXONOMIES: Mapping[TaxonomyName, Mapping[str, tuple[str, ...]]] = {
    "ekman": {
        "anger": _ANGER,
        "disgust": _DISGUST,
        "fear": _FEAR,
        "joy": _JOY,
        "sadness": _SADNESS,
        "surprise": _SURPRISE,
        "neutral": ("neutral",),
    },
    "grouped": {
        "positive": _JOY,
        "negative": (*_ANGER, *_DISGUST, *_FEAR, *_SADNESS),
        "ambiguous": _SURPRISE,
        "neutral": ("neutral",),
    },
}
"""Ekman's six emotions and neutral; sentiment groups. Neutral last.

Source:
    Demszky et al. 2020, https://arxiv.org/abs/2005.00547, section 5 and ekman_mapping.json of its repository.
"""

PAPER_F1: Mapping[str, float] = {
    "admiration": 0.65, "amusement": 0.80, "anger": 0.47, "annoyance": 0.34, "approval": 0.36, "caring": 0.39,
    "confusion": 0.37, "curiosity": 0.54, "desire": 0.49, "disappointment": 0.28, "disapproval": 0.39,
    "disgust": 0.45, "embarrassment": 0.43, "excitement": 0.34, "fear": 0.60, "gratitude": 0.86, "grief": 0.00,
    "joy": 0.51, "love": 0.78, "nervousness": 0.35, "optimism": 0.51, "pride": 0.36, "realization": 0.21,
    "relief": 0.15, "remorse": 0.66, "sadness": 0.49, "surprise": 0.50, "neutral": 0.68,
}  # fmt: skip
"""F1 of the paper's BERT-base on the test split at threshold .3 (table 4)."""

PAPER_F1_ROUNDING = 0.005
"""The paper prints two decimals."""

PAPER_F1_MACRO: Mapping[str, float] = {"full": 0.46, "ekman": 0.64, "grouped": 0.69}
"""Macro-F1 of the paper's BERT-base on the test split; each trained on the taxonomy it is scored on."""


def applicable(labels: Sequence[str]) -> list[TaxonomyName]:
    """The taxonomies whose members are exactly these labels; none for a label set of the user's own."""
    return [
        name
        for name, groups in TAXONOMIES.items()
        if {member for members in groups.values() for member in members} == set(labels)
    ]
