"""Markdown that cards and reports are made of: tables, numbers with intervals, texts that stay texts."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from goemo_cli.core.events import decimal

_MEANS_SOMETHING = re.compile(r"([\\`*\[\]|~])")


def plain(text: str) -> str:
    """A text on one line, escaped so that nothing in it is Markdown or HTML."""
    line = "".join(char for char in " ".join(text.split()) if unicodedata.category(char)[0] != "C")
    escaped = _MEANS_SOMETHING.sub(r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;"))
    return escaped or "(no name)"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown themselves: pass what others wrote through `plain` first."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def score(scores: Mapping[str, Any], key: str) -> str:
    """A score with its interval, `0.525 (0.497 to 0.547)`; `undefined` if it is null, without interval if none is known."""
    value, interval = scores.get(key), scores.get(f"{key}_ci")
    if value is None:
        return "undefined"
    if interval is None:
        return decimal(value, 3)
    return f"{decimal(value, 3)} ({decimal(interval[0], 3)} to {decimal(interval[1], 3)})"
