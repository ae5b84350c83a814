"""Names that come from outside: references to W&B runs as people type them, file names as servers send them."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from goemo_cli.core.errors import CorruptArtifactError, SettingError
from goemo_cli.core.files import PARTIAL_PREFIX

# W&B refuses these in names of projects and runs.
_NAME = re.compile(r"[^\s/\\#?%:\x00-\x1f\x7f]{1,128}")
_CONTROLS = re.compile("[\x00-\x1f\x7f]")
_LONGEST_PART = 255
_LONGEST_NAME = 1_000


@dataclass(frozen=True)
class RemoteFile:
    """One file as a server lists it; nothing of it has been checked."""

    name: str
    """Relative, with `/`: as in the Files tab of a run."""
    size: int
    """Declared bytes."""
    digest: str | None
    """Base64 of the digest; None where the server has none."""
    url: str
    algorithm: Literal["md5", "xxh128"] = "md5"


@dataclass(frozen=True)
class RunReference:
    """A W&B run, as far as it is named."""

    run_id: str
    project: str | None = None
    entity: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.entity, self.project, self.run_id) if part)

    @classmethod
    def parse(cls, text: str, *, entity: str | None = None, project: str | None = None) -> Self:
        """`id`, `project/id`, `entity/project/id` or the URL of a run.

        Args:
            text: as it was typed.
            entity: where the text names none.
            project: where the text names none.

        Raises:
            SettingError: none of these, or a name that W&B does not allow.
        """
        parts = _parts_of_url(text) if "://" in text else text.strip().split("/")
        if not 1 <= len(parts) <= 3:
            raise SettingError(
                [f"{text!r} is no W&B run: write ID, PROJECT/ID, ENTITY/PROJECT/ID or the run's URL"]
            )
        names = [entity, project, None][: 3 - len(parts)] + list(parts)
        for name in names:
            check_remote_name(name)
        owner, folder, run_id = names
        return cls(str(run_id), folder or None, owner or None)


def check_remote_name(name: str | None) -> None:
    """Refuse what can be no name of an entity, project or run; None passes.

    Raises:
        SettingError: with the name.
    """
    if name is not None and (not _NAME.fullmatch(name) or name in (".", "..")):
        raise SettingError([f"{name!r} is no name of a W&B entity, project or run"])


def check_file_names(names: Iterable[str], where: str) -> None:
    """Refuse names that lead out of a folder, or that some file system cannot tell apart.

    Args:
        names: as the server sent them.
        where: whose they are, for the message.

    Raises:
        CorruptArtifactError: with the first such name.
    """
    known: dict[str, str] = {}
    for name in names:
        if reason := _fault(name):
            raise CorruptArtifactError(Path(where), f"refused: the file name {name!r} {reason}")
        other = known.setdefault(_folded(name), name)
        if other != name:
            raise CorruptArtifactError(
                Path(where), f"refused: the file names {other!r} and {name!r} differ only by case"
            )
    for name in known.values():
        for parent in PurePosixPath(name).parents:
            if (file := known.get(_folded(str(parent)))) is not None:
                raise CorruptArtifactError(Path(where), f"refused: {file!r} is both a file and a folder")


def _fault(name: str) -> str:
    parts = name.split("/")
    if not name or "" in parts:
        return "is empty in part, or absolute"
    if {".", ".."} & set(parts):
        return "leads elsewhere"
    if "\\" in name or _CONTROLS.search(name) or ":" in parts[0]:
        return "has a backslash, a colon or a control character"
    if len(name) > _LONGEST_NAME or any(len(part.encode()) > _LONGEST_PART for part in parts):
        return "is too long"
    if any(part.startswith(PARTIAL_PREFIX) for part in parts):
        return "is one of goemo's own for unfinished files"
    return ""


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _parts_of_url(text: str) -> list[str]:
    """Entity, project and id of `https://host/ENTITY/PROJECT/runs/ID...`."""
    parts = [unquote(part) for part in urlsplit(text.strip()).path.split("/") if part]
    if len(parts) < 4 or parts[2] != "runs":
        raise SettingError([f"{text!r} is no URL of a W&B run: it ends in /ENTITY/PROJECT/runs/ID"])
    return [parts[0], parts[1], parts[3]]
