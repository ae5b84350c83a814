"""Figures: whole pictures with names of the contract."""

import re

from PIL import Image

from goemo_cli.core.layout import Layout
from goemo_cli.services.validation.report import ValidationReport

_NAME = re.compile(r"^\d\d_[a-z0-9_]+\.png$")


def check_figures(layout: Layout, report: ValidationReport) -> None:
    """Open every picture twice: a header check and a full decode catch different damage."""
    for path in sorted(layout.figures.glob("*.png")):
        report.check(
            "file name", path, holds=bool(_NAME.match(path.name)), otherwise="is not named NN_name.png"
        )
        try:
            report.checks.append(("a whole picture", path))
            with Image.open(path) as picture:
                picture.verify()
            with Image.open(path) as picture:
                picture.load()
        except (OSError, SyntaxError, ValueError) as error:  # Pillow's ways to say damaged
            report.problem(path, f"is damaged ({error})")
