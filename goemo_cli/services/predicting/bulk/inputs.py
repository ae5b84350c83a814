"""The input files of a bulk prediction: a file, a folder, a pattern, or any of these as a URL."""

import glob
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

from goemo_cli.core.errors import NotFoundError, SettingError
from goemo_cli.core.files import absolute_name
from goemo_cli.core.system.variables import is_offline
from goemo_cli.services.data.data_file import shown_source
from goemo_cli.services.data.formats import format_by_suffix
from goemo_cli.services.data.urls import file_system, is_url, shown

_WILDCARDS = re.compile(r"[*?\[]")
_HIDDEN = (".", "_")
"""First characters of names that listings of folders leave out, as readers of tables do."""


@dataclass(frozen=True)
class Inputs:
    """Files in the order of their names.

    Attributes:
        locations: path or URL of each file, by its path below the common folder of all files. The same files in another
            place have the same names.
        sizes: in bytes, by name; None if it is unknown.
        ignored: names of files of a folder whose suffix says no known format.
    """

    locations: Mapping[str, str]
    sizes: Mapping[str, int | None]
    ignored: tuple[str, ...] = ()


def is_several(given: str) -> bool:
    """Whether an input may be several files: a folder or a pattern. Nothing is asked of a network."""
    if is_url(given):
        return given.endswith("/") or (not _is_http(given) and bool(_WILDCARDS.search(given)))
    return Path(given).is_dir() or _is_pattern(given)


def find_inputs(given: str, *, without: Path, data_format: str | None = None) -> Inputs:
    """The files of an input.

    Args:
        given: a file, a folder (all files below it that have a known suffix, or any suffix with `data_format`), or a
            pattern with `*`, `?`, `[...]` and `**`; or the same as a URL of a file system that fsspec knows.
        without: a folder whose files are never inputs: that of the predictions.
        data_format: that the user named.

    Raises:
        NotFoundError: no such file, or a pattern or a folder without files.
        RemoteError: a server that fails.
    """
    found = _remote(given) if is_url(given) else _local(given, without.resolve())
    if found is None:
        return _named({given: None}, ())
    kept, ignored = {}, []
    for location, size in found.items():
        name = PurePosixPath(location).name
        if data_format or _is_pattern(given) or format_by_suffix(name, "prediction"):
            kept[location] = size
        else:
            ignored.append(name)
    if not kept:
        raise NotFoundError(f"--input {shown_source(given)}: no files with texts")
    return _named(kept, tuple(sorted(ignored)))


def _named(sizes: Mapping[str, int | None], ignored: tuple[str, ...]) -> Inputs:
    """The files by the rest of their path below their common folder."""
    parts = {location: shown_source(location).split("/") for location in sizes}
    levels = zip(*(path[:-1] for path in parts.values()), strict=False)
    common = len(list(takewhile(lambda level: len(set(level)) == 1, levels)))
    names = {"/".join(path[common:]): location for location, path in parts.items()}
    ordered = dict(sorted(names.items()))
    return Inputs(ordered, {name: sizes[location] for name, location in ordered.items()}, ignored)


def _local(given: str, without: Path) -> dict[str, int | None]:
    path = Path(given)
    if path.is_dir():
        paths: Iterable[Path] = _below(path)
    elif _is_pattern(given):
        paths = map(Path, glob.glob(given, recursive=True))  # noqa: PTH207  # Path.glob takes no absolute pattern
    elif path.is_file():
        paths = [path]
    else:
        raise NotFoundError(f"--input {given}: {'is not a file' if path.exists() else 'no such file'}")
    found = {absolute_name(one) for one in paths if one.is_file()}
    return {
        path.as_posix(): path.stat().st_size
        for path in sorted(found)
        if not path.resolve().is_relative_to(without)
    }


def _below(folder: Path) -> Iterable[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(_HIDDEN)]
        yield from (Path(parent, name) for name in names if not name.startswith(_HIDDEN))


def _remote(given: str) -> dict[str, int | None] | None:
    """Files behind a URL with their sizes; None for a file of a web server, which cannot be asked."""
    if _is_http(given):
        if given.endswith("/"):
            raise SettingError([f"--input {shown(given)}: a web server has no folders; name one file"])
        return None
    with file_system(given, may_fetch=not is_offline()) as (system, path):
        return _listed(system, path, is_pattern=bool(_WILDCARDS.search(given)))


def _listed(system: Any, path: str, *, is_pattern: bool) -> dict[str, int | None]:
    details = system.glob(path, detail=True) if is_pattern else system.find(path, detail=True)
    base = path.rstrip("/") + "/"
    return {
        system.unstrip_protocol(name): detail.get("size")
        for name, detail in details.items()
        if detail.get("type") == "file"
        and (is_pattern or not any(part.startswith(_HIDDEN) for part in name.removeprefix(base).split("/")))
    }


def _is_http(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


def _is_pattern(given: str) -> bool:
    """Whether a path is a pattern; a file whose name has such characters is a file."""
    return bool(_WILDCARDS.search(given)) and (is_url(given) or not Path(given).exists())
