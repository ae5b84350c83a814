"""Missing parts of a report: the report shows the reason instead."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from goemo_cli.core.errors import DAMAGE, GoemoError, StorageError

_T = TypeVar("_T")
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Missing:
    """A part that cannot be shown."""

    reason: str
    damage: GoemoError | None = None
    """The error, if a file is here and cannot be used."""


def part(make: Callable[[], _T]) -> _T | Missing:
    """What `make` gives, or why it cannot.

    Raises:
        OSError, StorageError: a file cannot be read.
    """
    try:
        return make()
    except StorageError:
        raise
    except GoemoError as error:
        return Missing(visible(str(error)), error if isinstance(error, DAMAGE) else None)


def visible(text: str) -> str:
    """Text that cannot act: control characters as their pictures, marks that turn the writing direction spelled out.

    Newlines and tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    if char in "\n\t":
        return char
    if char in _BIDI or unicodedata.category(char) == "Cs":
        return f"\\u{ord(char):04x}"
    if unicodedata.category(char) == "Cc":
        return "\u2421" if char == "\x7f" else chr(0x2400 + ord(char)) if ord(char) < 0x20 else "\ufffd"
    return char
