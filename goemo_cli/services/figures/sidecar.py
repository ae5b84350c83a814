"""Beside every picture: the numbers that it shows as CSV, and what both were drawn from as JSON."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from goemo_cli.core.csv_files import atomic_csv
from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import read_json_object, sha256_file, write_sealed_json
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.services.figures.registry import Table


def write_table(path: Path, table: Table) -> None:
    """Write what a figure shows: a column for each entry, the shortest decimals that read back, empty where undefined.

    Raises:
        ValueError: columns of different lengths.
    """
    columns = [[_cell(value) for value in column] for column in table.values()]
    with atomic_csv(path) as writer:
        writer.writerow(table)
        writer.writerows(zip(*columns, strict=True))


def write_record(
    path: Path,
    *,
    runs: Sequence[RunName],
    sources: Mapping[str, str],
    data: Mapping[str, str],
    files: Mapping[str, Path],
) -> None:
    """Write what the files of a figure were drawn from; last, so that it speaks of whole files.

    The same picture in another format stays in the record as long as all was drawn from the same.

    Args:
        path: the record.
        runs: which runs are shown.
        sources: SHA-256 of artifacts by path from the root.
        data: SHA-256 of the splits of the data set, where it was read.
        files: the picture and its table, by their names below output/figures.
    """
    made = {"runs": [str(run) for run in runs], "sources": dict(sources), "data": dict(data)}
    now = {name: sha256_file(file) for name, file in files.items()}
    earlier = _earlier(path)
    files_then = earlier.get("files")
    is_same = isinstance(files_then, dict) and all(earlier.get(key) == value for key, value in made.items())
    kept = files_then if is_same and files_then else {}
    write_sealed_json(
        path, {"schema_version": SCHEMA_VERSION, **made, "files": dict(sorted({**kept, **now}.items()))}
    )


def _earlier(path: Path) -> dict[str, Any]:
    """The record of an earlier drawing; a damaged one counts for nothing, since it is written anew."""
    if not path.is_file():
        return {}
    try:
        return read_json_object(path)
    except CorruptArtifactError:
        return {}


def _cell(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain
