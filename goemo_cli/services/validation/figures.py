"""Figures: complete pictures with numbered names, and the records of what they were drawn from."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import PARTIAL_PREFIX, read_json_object
from goemo_cli.core.hints import command_line
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import PICTURE_FORMATS, SOURCES_KEY
from goemo_cli.services.runs.provenance import sources_in_text
from goemo_cli.services.validation.report import ValidationReport
from goemo_cli.services.validation.sources import SourceChecker

_NAME = re.compile(r"\d\d_[a-z0-9_]+")
_MAX_PIXELS = 80_000_000
"""More than any figure has; a small file may claim to be a huge picture."""
_MIN_SIDE = 200
"""Pixels; every figure is wider and higher."""


def check_figures(layout: Layout, sources: SourceChecker, report: ValidationReport) -> None:
    """Check the pictures, their tables and their records, and that there is nothing else."""
    if not layout.figures.is_dir():
        return
    downloaded, files = _downloaded(layout), list(_files(layout))
    known: set[Path] = {layout.figure_data}
    for name in sorted({path.stem for path in files if _NAME.fullmatch(path.stem)}):
        pictures = [layout.figures / f"{name}.{one}" for one in PICTURE_FORMATS]
        table, record = layout.figure_data / f"{name}.csv", layout.figure_data / f"{name}.json"
        known |= {*pictures, table, record}
        renew = command_line("goemo figures --only", name[:2], root=layout.root)
        for picture in pictures:
            if picture.suffix == ".png" and picture.exists():
                _check_picture(picture, report, renew)
        present = [path for path in (*pictures, table) if path.exists()]
        if record.exists():
            with report.guard(record):
                _check_record(record, present, layout, sources, report, renew)
        for path in present:
            if path not in downloaded and not record.exists():
                report.check(
                    "recorded", path, holds=False, otherwise=f"{record.name} is missing; renew: {renew}"
                )
    for path in files:
        if path not in downloaded:
            report.check(
                "file name",
                path,
                holds=path in known,
                otherwise="is not named like a figure of goemo (NN_name.png, svg or pdf; data/NN_name.csv and json)",
            )


def _files(layout: Layout) -> Iterator[Path]:
    """What is in the two folders of figures, except hidden and partial files."""
    for folder in (layout.figures, layout.figure_data):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not path.name.startswith((".", PARTIAL_PREFIX)):
                yield path


def _downloaded(layout: Layout) -> set[Path]:
    """The files that goemo downloaded from W&B."""
    if not layout.downloads.is_dir():
        return set()
    from goemo_cli.services.wandb.records import read_records  # loads requests

    return {layout.root / name for record in read_records(layout) for name in record.files}


def _check_picture(path: Path, report: ValidationReport, renew: str) -> None:
    """Open a picture twice: a header check and a full decode catch different damage."""
    if not report.check("a file", path, holds=path.is_file(), otherwise="is not a regular file"):
        return
    report.checks.append(("a complete picture", path))
    try:
        texts = _decoded(path)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # what Pillow raises
        report.problem(path, f"is damaged ({error}); renew: {renew}")
        return
    if SOURCES_KEY in texts:  # a figure of the data alone has none
        with report.guard(path):
            sources_in_text(texts[SOURCES_KEY])  # raises if it is damaged


def _check_record(
    record: Path,
    present: list[Path],
    layout: Layout,
    sources: SourceChecker,
    report: ValidationReport,
    renew: str,
) -> None:
    value = read_json_object(record)
    for key, kind in (("runs", list), ("sources", dict), ("data", dict), ("files", dict)):
        if not isinstance(value.get(key), kind):
            raise CorruptArtifactError(record, f"{key} is missing or has another form; renew: {renew}")
    named = sources.check_files(record, value, layout.figures, renew)
    for path in present:
        report.check(
            "recorded",
            path,
            holds=path in named,
            otherwise=f"is not in {record.name}: it is of an earlier drawing; renew: {renew}",
        )


def _decoded(path: Path) -> dict[Any, Any]:
    """The texts in a picture, after every pixel of it was decoded."""
    with Image.open(path) as picture:
        width, height = picture.size
        if width * height > _MAX_PIXELS:
            raise ValueError(f"claims {width} by {height} pixels")
        if min(width, height) < _MIN_SIDE:
            raise ValueError(f"has {width} by {height} pixels, less than any figure")
        picture.verify()
    with Image.open(path) as picture:
        picture.load()
        return dict(picture.info)
