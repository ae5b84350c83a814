"""Markdown of cards and reports: tables, and texts that are escaped."""

import re
import unicodedata
from collections.abc import Sequence

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
