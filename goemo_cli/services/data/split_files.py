"""The files of a folder by split, from their names."""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from goemo_cli.core.errors import DataError, OwnDataNotFoundError
from goemo_cli.core.labels import Split, parse_split
from goemo_cli.services.data.compressed import plain_name
from goemo_cli.services.data.data_file import DataFile
from goemo_cli.services.data.formats import format_by_suffix, suffixes_for, unknown_format

_PART = re.compile(r"(?P<split>[A-Za-z]+)-\d+-of-0*(?P<count>[1-9]\d*)(?:-[0-9a-f]{8,})?")
"""The name of a part of a split on the Hub; older ones end with a hash."""


def split_files(folder: Path, format: str | None) -> dict[Split, list[Path]]:
    """The files of each split: one, or all parts of one as the Hub names them (train-00000-of-00002.parquet).

    If no file is called `train`, the last word of a name counts: `emotions-train.csv`. Without such files, a folder `data`
    inside is searched, which is where repositories of the Hub keep them.

    Args:
        folder: the folder.
        format: the format of files with any suffix; None for files whose suffix says it.
    """
    files = sorted(file for file in folder.iterdir() if file.is_file())
    stems = {file: stem for file in files if (stem := _stem(file, format)) is not None}
    for whole_name in (True, False):
        if found := _parts_by_split(folder, stems, whole_name=whole_name):
            return found
    if (folder / "data").is_dir():
        return split_files(folder / "data", format)
    for file in files:
        if _split_and_parts(plain_name(file).stem, whole_name=False)[0] == "train":
            with ExitStack() as resources:
                raise unknown_format(DataFile(file, resources=resources), "training")
    raise OwnDataNotFoundError(
        str(folder),
        f"the folder has no file for train; expected is {', '.join(map('train{}'.format, suffixes_for('training')))}",
    )


def _stem(file: Path, format: str | None) -> str | None:
    """The name of a file without its suffixes; None for a file that is not data."""
    known = format_by_suffix(file.name, "training")
    if known:
        return known[0]
    return plain_name(file).stem if format else None


def _split_and_parts(stem: str, *, whole_name: bool) -> tuple[Split | None, int]:
    """The split that a file name says, and the number of parts of the split."""
    named = _PART.fullmatch(stem)
    word = named["split"] if named else stem if whole_name else re.split(r"[\W_]", stem)[-1]
    return parse_split(word), int(named["count"]) if named else 1


def _parts_by_split(
    folder: Path, stems: Mapping[Path, str], *, whole_name: bool
) -> dict[Split, list[Path]] | None:
    """The files of each split; None if train is missing."""
    found: dict[Split, list[Path]] = {}
    n_parts: dict[Split, int] = {}
    for file, stem in stems.items():
        split, count = _split_and_parts(stem, whole_name=whole_name)
        if not split:
            continue
        if split in found and (n_parts[split] != count or count == 1):
            raise DataError(
                f"{folder}: both {found[split][0].name} and {file.name} could be the {split} split"
            )
        found.setdefault(split, []).append(file)
        n_parts[split] = count
    for split, parts in found.items():
        if len(parts) != n_parts[split]:
            raise DataError(
                f"{folder}: only {len(parts)} of the {n_parts[split]} parts of {split} are here, such as {parts[0].name}"
            )
    return found if "train" in found else None
