"""The three splits and their names."""

from typing import Literal, get_args

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

_ALIASES = {"dev": "val", "validation": "val", "valid": "val"}


def parse_split(text: str) -> Split | None:
    """The split that a name means (`dev` and `validation` are val), or None."""
    name = _ALIASES.get(text.lower(), text.lower())
    return next((split for split in SPLITS if split == name), None)
