"""References to W&B runs as people type them, and files as a W&B server lists them."""

import re
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from goemo_cli.core.errors import SettingError

# W&B refuses these in names of projects and runs.
_NAME = re.compile(r"[^\s/\\#?%:\x00-\x1f\x7f]{1,128}")
Algorithm = Literal["md5", "xxh128"]
"""How a digest was computed."""


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
    algorithm: Algorithm = "md5"


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


def _parts_of_url(text: str) -> list[str]:
    """Entity, project and id of `https://host/ENTITY/PROJECT/runs/ID...`."""
    parts = [unquote(part) for part in urlsplit(text.strip()).path.split("/") if part]
    if len(parts) < 4 or parts[2] != "runs":
        raise SettingError([f"{text!r} is no URL of a W&B run: it ends in /ENTITY/PROJECT/runs/ID"])
    return [parts[0], parts[1], parts[3]]
