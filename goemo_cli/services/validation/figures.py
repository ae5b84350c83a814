"""Figures: whole pictures with names of the contract, of the predictions as they are now."""

import json
import re
from pathlib import Path
from typing import Any

from PIL import Image

from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import SOURCES_KEY
from goemo_cli.services.validation.report import ValidationReport
from goemo_cli.services.validation.sources import SourceChecker

_MOST_PIXELS = 80_000_000
"""More than any figure has; a small file may claim to be a huge picture."""
_NAME = re.compile(r"^\d\d_[a-z0-9_]+\.png$")


def check_figures(layout: Layout, sources: SourceChecker, report: ValidationReport) -> None:
    """Open every picture twice: a header check and a full decode catch different damage."""
    for path in sorted(layout.figures.glob("*.png")):
        report.check(
            "file name", path, holds=bool(_NAME.match(path.name)), otherwise="is not named NN_name.png"
        )
        if not report.check("a file", path, holds=path.is_file(), otherwise="is no regular file"):
            continue
        report.checks.append(("a whole picture", path))
        try:
            texts = _decoded(path)
        except (
            OSError,
            SyntaxError,
            ValueError,
            Image.DecompressionBombError,
        ) as error:  # Pillow's ways to say damaged
            report.problem(path, f"is damaged ({error})")
            continue
        if SOURCES_KEY in texts:  # a picture of another tool, or an older one, cannot be checked
            with report.guard(path):
                sources.check(path, _mapping(texts[SOURCES_KEY]), "goemo figures")


def _decoded(path: Path) -> dict[Any, Any]:
    """The texts in a picture, after every pixel of it was decoded."""
    with Image.open(path) as picture:
        width, height = picture.size
        if width * height > _MOST_PIXELS:
            raise ValueError(f"claims {width} by {height} pixels")
        picture.verify()
    with Image.open(path) as picture:
        picture.load()
        return dict(picture.info)


def _mapping(text: Any) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"{SOURCES_KEY} is no object")
    return value
