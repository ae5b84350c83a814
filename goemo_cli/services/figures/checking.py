"""`goemo figures --check`: which pictures are no longer of the files that they were drawn from."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image, UnidentifiedImageError

from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import read_json_object, sha256_file
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import SOURCES_KEY
from goemo_cli.services.figures.description import FORMATS, Description
from goemo_cli.services.figures.drawing import FIGURES, figure_of


@dataclass(frozen=True)
class CheckResult:
    """Pictures that are up to date, and those that are not."""

    fresh: tuple[Path, ...]
    stale: tuple[tuple[Path, str], ...]
    """(picture, why it no longer holds)."""


def check_figures(layout: Layout, *, only: Sequence[str] = ()) -> CheckResult:
    """Compare every picture below output/figures with the files that it was drawn from; nothing is written.

    A PNG says itself what it was drawn from; of SVG and PDF the record beside the table says it.

    Args:
        layout: where they lie.
        only: numbers or names of figures; all by default. Those that were never drawn are left out.

    Raises:
        SettingError: no such figure.
    """
    hashes: dict[Path, str] = {}
    fresh, stale = [], []
    for figure in dict.fromkeys([figure_of(name) for name in only] or FIGURES):
        for picture_format in FORMATS:
            path = layout.figures / figure.file_name(picture_format)
            if not path.exists():
                continue
            if fault := next(_faults(figure, path, layout, hashes), None):
                stale.append((path, fault))
            else:
                fresh.append(path)
    return CheckResult(tuple(fresh), tuple(stale))


def _faults(figure: Description, path: Path, layout: Layout, hashes: dict[Path, str]) -> Iterator[str]:
    """Why a picture and its numbers do not hold, the weightiest reason first."""
    record_path = layout.figures / figure.record_name
    try:
        record = read_json_object(record_path) if record_path.is_file() else {}
        sources = _own_sources(path) if path.suffix == ".png" else None
        if sources is None:
            sources = _mapping(record_path, record, "sources")
        files = _mapping(record_path, record, "files")
    except CorruptArtifactError as error:
        yield str(error)
        return
    if not record:
        yield f"{figure.record_name} is missing, which says what it was drawn from"
        return
    for name, digest in sources.items():
        source = layout.root / name  # an absolute name, of a run outside the root, stays as it is
        if ".." in PurePosixPath(name).parts:
            yield f"{figure.record_name} names {name}"
        elif not source.is_file():
            yield f"{name} is gone"
        elif _hash(source, hashes) != digest:
            yield f"{name} has changed since"
    for name in (path.name, figure.table_name):
        file = layout.figures / name
        if not file.is_file():
            yield f"{name} is gone"
        elif files.get(name) != _hash(file, hashes):
            yield f"{name} is of another drawing than {figure.record_name}"


def _own_sources(path: Path) -> dict[str, Any] | None:
    """What a PNG says that it was drawn from; None where it says nothing, as one of the data set alone.

    Raises:
        CorruptArtifactError: no PNG, or another text than goemo writes.
    """
    try:
        with Image.open(path) as picture:
            text = picture.info.get(SOURCES_KEY)
        value = {} if text is None else json.loads(text)
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise CorruptArtifactError(path, f"is damaged ({error})") from error
    if not isinstance(value, dict):
        raise CorruptArtifactError(path, f"{SOURCES_KEY} is no object")
    return value or None


def _mapping(path: Path, record: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = record.get(key, {})
    if not isinstance(value, dict):
        raise CorruptArtifactError(path, f"{key} is no object")
    return value


def _hash(path: Path, known: dict[Path, str]) -> str:
    if path not in known:
        known[path] = sha256_file(path)
    return known[path]
