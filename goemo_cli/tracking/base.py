"""What training tells a tracker. Local files are the truth; a tracker only mirrors them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from goemo_cli.core.names import RunName


class Tracker(Protocol):
    """A mirror of one run."""

    @property
    def run_id(self) -> str | None:
        """What the mirror calls the run; None where it has no name of its own."""
        ...

    def start(self, run: RunName, settings: Mapping[str, Any]) -> None:
        """Begin to mirror a run with its resolved settings; the other calls follow."""
        ...

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Record numbers of an epoch by the contract's names (`val/f1_macro`)."""
        ...

    def save(self, path: Path) -> None:
        """Mirror a file that is in place."""
        ...

    def finish(self, summary: Mapping[str, float]) -> None:
        """Record the final numbers and close."""
        ...


class NullTracker:
    """No mirror: the local files are all there is."""

    run_id: str | None = None

    def start(self, run: RunName, settings: Mapping[str, Any]) -> None:
        """Nothing."""

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Nothing."""

    def save(self, path: Path) -> None:
        """Nothing."""

    def finish(self, summary: Mapping[str, float]) -> None:
        """Nothing."""
