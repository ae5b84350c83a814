"""The registry of data formats: a decorator for readers, and the format of a file by its name."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from goemo_cli.core.errors import DataFileError, SettingError, known_name
from goemo_cli.services.data.compressed import COMPRESSIONS, plain_name
from goemo_cli.services.data.tables import Table
from goemo_cli.services.data.text_encoding import not_text

if TYPE_CHECKING:
    from goemo_cli.services.data.data_file import DataFile

Purpose = Literal["training", "prediction"]
PURPOSES: tuple[Purpose, ...] = ("training", "prediction")


@dataclass(frozen=True)
class DataFormat:
    """A format of data files."""

    name: str
    read: Callable[..., Table]
    suffixes: tuple[str, ...]
    purposes: tuple[Purpose, ...]
    sign: re.Pattern[bytes] | None
    """Matches the first bytes of most files of the format; for hints."""


_FORMATS: dict[str, DataFormat] = {}


def data_format(
    name: str, *suffixes: str, purposes: tuple[Purpose, ...] = PURPOSES, sign: bytes | None = None
) -> Callable[[Callable[["DataFile"], Table]], Callable[["DataFile"], Table]]:
    """Register a reader: a function from a `DataFile` to a `Table`.

    Args:
        name: as users type it: `--data-format csv`.
        suffixes: endings of file names, in lower case; the longest one that fits decides.
        purposes: what the format can be used for.
        sign: regular expression for the first bytes of a file, to propose the format for files with another suffix.
    """

    def register(read: Callable[["DataFile"], Table]) -> Callable[["DataFile"], Table]:
        pattern = re.compile(sign, re.DOTALL) if sign else None
        _FORMATS[name] = DataFormat(name, read, suffixes, purposes, pattern)
        return read

    return register


def formats_for(purpose: Purpose) -> dict[str, DataFormat]:
    """The registered formats by name."""
    return {name: found for name, found in _FORMATS.items() if purpose in found.purposes}


def suffixes_for(purpose: Purpose) -> tuple[str, ...]:
    """The suffixes of all formats."""
    return tuple(suffix for found in formats_for(purpose).values() for suffix in found.suffixes)


def format_by_suffix(path: Path | str, purpose: Purpose) -> tuple[str, DataFormat] | None:
    """The file name without its suffixes, and the format that they say; None for an unknown suffix."""
    name = plain_name(Path(path)).name
    fitting = [
        (suffix, found)
        for found in formats_for(purpose).values()
        for suffix in found.suffixes
        if name.lower().endswith(suffix)
    ]
    if not fitting:
        return None
    suffix, found = max(fitting, key=lambda pair: len(pair[0]))
    return name[: -len(suffix)], found


def format_named(name: str, purpose: Purpose) -> DataFormat:
    """The format that the user named; `xlsx:NAME` is a sheet of an Excel workbook.

    Raises:
        SettingError: an unknown name, or a sheet of another format.
    """
    known = formats_for(purpose)
    name, _, sheet = name.partition(":")
    known_name(name, known, "data format")
    if not sheet:
        return known[name]
    if "sheet" not in inspect.signature(known[name].read).parameters:
        raise SettingError([f"data format {name}:{sheet}: {name} has no sheets"])
    return replace(known[name], read=partial(known[name].read, sheet=sheet))


def unknown_format(file: "DataFile", purpose: Purpose) -> DataFileError:
    """The error of a file whose format its name does not say, with the format that its content looks like."""
    name = Path(file.named)
    suffix = "".join(name.suffixes[-2:]) if name.suffix.lower() in COMPRESSIONS else name.suffix
    head = file.head()
    if kind := not_text(head):
        return DataFileError(file.named, f"is {kind}")
    likely = next(
        (one.name for one in reversed(formats_for(purpose).values()) if one.sign and one.sign.match(head)),
        None,
    )
    what = f"unknown format {suffix!r}" if suffix else "the name does not say its format"
    if likely:
        return DataFileError(file.named, f"{what}; it looks like {likely}: --data-format {likely}")
    known = ", ".join(dict.fromkeys(one.suffixes[0] for one in formats_for(purpose).values() if one.suffixes))
    return DataFileError(
        file.named, f"{what}; known: {known} (or {', '.join(COMPRESSIONS)}); or --data-format NAME"
    )
