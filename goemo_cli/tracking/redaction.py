"""What is removed from everything that is uploaded: secrets, and the paths of this machine."""

import math
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

# Not in the middle of a URL or of a relative path.
_ABSOLUTE = re.compile(
    r"(?<![\w.:/~-])(?:~?/|[A-Za-z]:[/\\])(?:[^\s'\"`<>|,;()\[\]{}]*[^\s'\"`<>|,;:.()\[\]{}])"
)
_SECRET = re.compile(
    r"(^|[_.\-])(token|secret|password|passwd|api_?key|access_?key|credentials?)$", re.IGNORECASE
)
_USERINFO = re.compile(r"(\w+://)[^/@\s]+@")
_SIGNATURE = re.compile(
    r"([?&][^=&\s]*(?:token|secret|password|key|signature|sig)[^=&\s]*=)[^&\s]+", re.IGNORECASE
)
REDACTED = "[redacted]"


def without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that can be written and sent: values under names such as `api_key` are replaced, and those in URLs."""
    return {
        str(key): REDACTED if isinstance(value, str) and _SECRET.search(str(key)) else _clean(value)
        for key, value in settings.items()
    }


def _clean(value: Any) -> Any:
    if isinstance(value, Mapping):
        return without_secrets(value)
    if isinstance(value, (list, tuple)):
        return [_clean(entry) for entry in value]
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()  # a number of numpy or torch
    if isinstance(value, str):
        return _SIGNATURE.sub(rf"\1{REDACTED}", _USERINFO.sub(rf"\1{REDACTED}@", value))
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


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
