"""Texts and numbers of reports and cards: rounded for people, escaped, and with every character visible."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

_MEANS_SOMETHING = re.compile(r"([\\`*\[\]|~])")
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def number(value: float | None, digits: int = 3) -> str:
    """A number for people; a dash if it is undefined, and a real minus sign."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "\u2212")


def signed(value: float | None, digits: int = 3) -> str:
    """A difference with its sign."""
    return "–" if value is None else f"{value:+.{digits}f}".replace("-", "\u2212")


def compact(value: float | str | None) -> str:
    """A setting or an objective: whole numbers whole, others with four digits, texts as they are."""
    if not isinstance(value, float):
        return value or "–"
    is_whole = value.is_integer() and abs(value) < 1e15
    return (f"{value:.0f}" if is_whole else f"{value:.4g}").replace("-", "\u2212")


def data_name(name: str) -> str:
    """The name of a data set for people; of a path the last part."""
    return {"goemotions": "GoEmotions", "sample": "the sample"}.get(name, Path(name).name or name)


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


def plain(text: str) -> str:
    """A text on one line, escaped so that nothing in it is Markdown or HTML."""
    line = "".join(char for char in " ".join(text.split()) if unicodedata.category(char)[0] != "C")
    escaped = _MEANS_SOMETHING.sub(r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;"))
    return escaped or "(no name)"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of cells that are Markdown themselves: pass what others wrote through `plain` first."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
