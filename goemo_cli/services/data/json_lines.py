"""A line of JSONL, as training and prediction read it."""

import json
import re
from typing import Any

MOST_LEVELS = 100
"""Of nested lists and objects in one line. Python's own limit depends on what called the parser."""

_OPENS_OR_CLOSES = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]', re.DOTALL)


def json_object(line: str) -> dict[str, Any]:
    """The object in a line.

    Raises:
        ValueError: the line is not JSON, is not an object, or is nested too deeply; the text says which.
    """
    if line.count("[") + line.count("{") > MOST_LEVELS and _n_levels(line) > MOST_LEVELS:
        raise ValueError(f"not a JSON line (nested more than {MOST_LEVELS} levels deep)")
    try:
        value = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not a JSON line ({error})") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _n_levels(line: str) -> int:
    level = deepest = 0
    for found in _OPENS_OR_CLOSES.finditer(line):
        level += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        deepest = max(deepest, level)
    return deepest
