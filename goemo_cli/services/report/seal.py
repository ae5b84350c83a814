"""What a written report was made from, and its own SHA-256: it says both itself, so that it can be checked anywhere."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.schema import SOURCES_KEY

_SEAL = re.compile(rb"<!-- goemo-sha256 ([0-9a-f]{64}) -->\n\Z")
_RECORD = re.compile(f"<!-- {SOURCES_KEY} (\\{{.*?\\}}) -->".encode())


def sources_comment(sources: Mapping[str, str]) -> str:
    """An HTML comment that names the files, for pages and for Markdown."""
    record = json.dumps(dict(sorted(sources.items()))).replace("--", "-\\u002d").replace(">", "\\u003e")
    return f"<!-- {SOURCES_KEY} {record} -->"


def sealed(text: str) -> str:
    """A report with its SHA-256 as a comment at the end."""
    return f"{text}<!-- goemo-sha256 {hashlib.sha256(text.encode('utf-8')).hexdigest()} -->\n"


def is_as_sealed(path: Path) -> bool:
    """Whether a report ends with the SHA-256 of all that is above it."""
    data = path.read_bytes()
    found = _SEAL.search(data)
    return found is not None and hashlib.sha256(data[: found.start()]).hexdigest().encode() == found[1]


def report_sources(path: Path) -> dict[str, str]:
    """SHA-256 of the files that a report was made from, by path from the root.

    Raises:
        CorruptArtifactError: no report of goemo.
    """
    found = _RECORD.search(path.read_bytes())
    try:
        record = json.loads(found[1]) if found else None
    except ValueError as error:
        raise CorruptArtifactError(path, f"{SOURCES_KEY} is not valid JSON ({error})") from error
    if not isinstance(record, dict):
        raise CorruptArtifactError(path, "does not say which files it was made from")
    return record
