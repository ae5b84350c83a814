"""pinned.json and the lock files of runs."""

from goemo_cli.core.documents.base import Document
from goemo_cli.core.schema import SCHEMA_VERSION


class Pins(Document):
    """pinned.json: runs that are never removed, in the order in which they were pinned."""

    schema_version: int = SCHEMA_VERSION
    pinned: list[str]


class LockHolder(Document):
    """The lock file of a run: the process that changes it."""

    pid: int
    host: str
    started: float
    """When the process was started, in seconds since 1970, since process numbers are used again."""
    command: str

    def __str__(self) -> str:
        return f"{self.command} (process {self.pid} on {self.host})"
