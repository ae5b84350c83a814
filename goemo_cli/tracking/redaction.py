"""Paths of this machine in what is uploaded: only their last part is kept."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

# Not in the middle of a URL or of a relative path.
_ABSOLUTE = re.compile(
    r"(?<![\w.:/~-])(?:~?/|[A-Za-z]:[/\\])(?:[^\s'\"`<>|,;()\[\]{}]*[^\s'\"`<>|,;:.()\[\]{}])"
)


def without_places(value: Any) -> Any:
    """A value as it may be uploaded: an absolute path, also inside a text, becomes its last part."""
    if isinstance(value, Mapping):
        return {key: without_places(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_places(inner) for inner in value]
    if isinstance(value, PurePath):
        return without_places(str(value))
    return _ABSOLUTE.sub(_last_part, value) if isinstance(value, str) else value


def _last_part(found: "re.Match[str]") -> str:
    return re.split(r"[/\\]", found[0].rstrip("/\\"))[-1] or found[0]
