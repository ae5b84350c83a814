"""Names of artifacts, versions, aliases and the files inside: what is allowed, here and on W&B alike."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from goemo_cli.core.errors import SettingError

LATEST = "latest"
"""The alias of what was logged last."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VERSION = re.compile(r"v\d+")
_CONTROLS = re.compile("[\x00-\x1f\x7f]")
_LONGEST = 1_000


def check_name(name: str) -> str:
    """The name, if it is one.

    Raises:
        SettingError: anything that could be a path, or is longer than 128 characters.
    """
    if not _NAME.fullmatch(name):
        raise SettingError(
            [f"artifact name {name!r}: letters, digits, '.', '_' and '-', beginning with a letter or digit"]
        )
    return name


def check_alias(alias: str) -> str:
    """The alias, if it is one.

    Raises:
        SettingError: no name, or one that looks like a version.
    """
    if not _NAME.fullmatch(alias) or _VERSION.fullmatch(alias):
        raise SettingError([f"alias {alias!r}: letters, digits, '.', '_' and '-'; v0, v1, ... are versions"])
    return alias


def parse_reference(reference: str) -> tuple[str, str]:
    """Name and version or alias of `NAME` (latest), `NAME:v3`, `NAME:best`.

    Raises:
        SettingError: none of these.
    """
    name, colon, version = reference.partition(":")
    if colon and not _NAME.fullmatch(version):
        raise SettingError([f"{reference!r}: write NAME, NAME:v3 or NAME:ALIAS"])
    return check_name(name), version if colon else LATEST


def check_file_names(names: Iterable[str]) -> None:
    """Refuse names that lead out of a folder, or that some file system cannot tell apart.

    Raises:
        SettingError: with the first such name; or no name at all.
    """
    known: dict[str, str] = {}
    for name in names:
        parts = PurePosixPath(name).parts
        if (
            not name
            or len(name) > _LONGEST
            or name != "/".join(parts)
            or name.startswith("/")
            or {"..", "."} & set(parts)
            or "\\" in name
            or ":" in parts[0]
            or _CONTROLS.search(name)
        ):
            raise SettingError([f"file name {name!r} is not a plain relative path"])
        if (other := known.setdefault(name.casefold(), name)) != name:
            raise SettingError([f"file names {other!r} and {name!r} differ only by case"])
    if not known:
        raise SettingError(["an artifact needs at least one file"])
