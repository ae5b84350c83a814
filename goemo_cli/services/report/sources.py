"""What a written report was made from: it says so itself, so that it can be checked wherever it lies."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.schema import SOURCES_KEY

_RECORD = re.compile(f"<!-- {SOURCES_KEY} (\\{{.*?\\}}) -->".encode())


def sources_comment(sources: Mapping[str, str]) -> str:
    """An HTML comment that names the files, for pages and for Markdown."""
    record = json.dumps(dict(sorted(sources.items()))).replace("--", "-\\u002d").replace(">", "\\u003e")
    return f"<!-- {SOURCES_KEY} {record} -->"


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
