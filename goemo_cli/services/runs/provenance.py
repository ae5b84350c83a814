"""What derived files say that they were made from: SHA-256 by path from the root."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from goemo_cli.core.csv_files import open_csv
from goemo_cli.core.errors import CorruptArtifactError, DataFileError
from goemo_cli.core.files import read_json_object
from goemo_cli.core.schema import SOURCES_KEY

_COMPARED = (("a_source", "a_sha256"), ("b_source", "b_sha256"))


PICTURES = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class FigureOrigin:
    """The sources of a picture, by the picture and the record next to it; unreadable records are ignored."""

    sources: Mapping[str, str]
    """SHA-256 of artifacts by path from the root."""
    data: Mapping[str, str]
    """SHA-256 of the splits of the data set that were drawn."""
    runs: tuple[str, ...]


def figure_origin(path: Path) -> FigureOrigin:
    """The origin of a picture: a PNG carries its sources itself, others have them in data/NAME.json only."""
    record: dict[str, Any] = {}
    with suppress(OSError, CorruptArtifactError):  # `goemo validate` names a damaged one
        record = read_json_object(path.parent / "data" / f"{path.stem}.json")
    runs = record.get("runs")
    return FigureOrigin(
        sources=_own_sources(path) or _texts(record.get("sources")),
        data=_texts(record.get("data")),
        runs=tuple(map(str, runs)) if isinstance(runs, list) else (),
    )


def _own_sources(path: Path) -> dict[str, str]:
    if path.suffix != ".png":
        return {}
    try:
        with Image.open(path) as picture:
            return _texts(json.loads(str(picture.info.get(SOURCES_KEY, "{}"))))
    except (OSError, SyntaxError, ValueError, RecursionError, Image.DecompressionBombError):
        return {}


def _texts(value: Any) -> dict[str, str]:
    return {str(name): str(digest) for name, digest in value.items()} if isinstance(value, dict) else {}


def comparison_sources(path: Path) -> dict[str, str]:
    """What significance_tests.csv was computed from.

    Raises:
        DataFileError: no such columns, or broken rows.
    """
    found: dict[str, str] = {}
    with open_csv(path) as (header, rows):
        if missing := [name for pair in _COMPARED for name in pair if name not in header]:
            raise DataFileError(path, f"column {missing[0]!r} is missing", 1)
        for line, fields in rows:
            if len(fields) != len(header):
                raise DataFileError(path, f"has {len(fields)} fields instead of {len(header)}", line)
            row = dict(zip(header, fields, strict=True))
            found.update({row[name]: row[digest] for name, digest in _COMPARED})
    return found
