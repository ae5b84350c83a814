"""What training tells a tracker. Local files are the truth; a tracker only mirrors them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from goemo_cli.core.events import Histogram
from goemo_cli.core.names import RunName

Chart = Literal["precision_recall", "confusion", "projector"]
"""How a mirror that draws may draw a table; `projector`: columns of texts, then one column per dimension."""


@dataclass(frozen=True)
class Table:
    """Rows for people to look at."""

    name: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    """Numbers, texts and None; as many as there are columns."""
    chart: Chart | None = None


@dataclass(frozen=True)
class Picture:
    """An image for people to look at."""

    name: str
    png: bytes
    """The content of a PNG file."""


@dataclass(frozen=True)
class Artifact:
    """Files that belong together, as a mirror may keep them by name and version."""

    name: str
    """`{run_id}` in it stands for the mirror's own id of the run."""
    type: str
    files: Mapping[str, Path] = field(default_factory=dict)
    """Name inside the artifact to where the file lies; each is in place."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Name inside the artifact to content, for what lies in no file."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    is_input: bool = False
    """The run used it; else the run made it."""

    def named(self, run_id: str) -> str:
        """The name it has in a mirror that calls the run so."""
        return self.name.format(run_id=run_id)


class Tracker(Protocol):
    """A mirror of one run."""

    @property
    def run_id(self) -> str | None:
        """What the mirror calls the run; None where it has no name of its own."""
        ...

    def start(self, run: RunName, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Begin to mirror a run with its resolved settings and what else is known of it; the other calls follow.

        Raises:
            GoemoError: the mirror was required and cannot be had.
        """
        ...

    def log(self, values: Mapping[str, float], *, step: int, epoch: int | None = None) -> None:
        """Record numbers by the contract's names (`val/f1_macro`).

        Args:
            values: finite numbers by name.
            step: optimizer steps so far; it never decreases.
            epoch: set where the numbers are of this whole epoch.
        """
        ...

    def event(self, name: str, values: Mapping[str, float]) -> None:
        """Record that something happened (`early_stopping`), with its numbers."""
        ...

    def table(self, table: Table, *, step: int) -> None:
        """Show rows."""
        ...

    def picture(self, picture: Picture, *, step: int) -> None:
        """Show an image."""
        ...

    def histograms(self, histograms: Mapping[str, Histogram], *, step: int) -> None:
        """Show how values by name (`gradients/{parameter}`) are distributed at an optimizer step."""
        ...

    def write(self, name: str, text: str) -> None:
        """Append to a text that the mirror shows as a file: `output.log`, `requirements.txt`, `wandb-metadata.json`."""
        ...

    def save(self, path: Path, *, name: str) -> None:
        """Mirror a file that is in place under a name such as `predictions/x.csv`."""
        ...

    def artifact(self, artifact: Artifact) -> None:
        """Mirror files that are in place as one artifact."""
        ...

    def finish(self, summary: Mapping[str, float], *, exit_code: int = 0) -> None:
        """Record the final numbers and close; a code other than 0 says that the run failed."""
        ...


class NullTracker:
    """No mirror: the local files are all there is."""

    run_id: str | None = None

    def start(self, run: RunName, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Nothing."""

    def log(self, values: Mapping[str, float], *, step: int, epoch: int | None = None) -> None:
        """Nothing."""

    def event(self, name: str, values: Mapping[str, float]) -> None:
        """Nothing."""

    def table(self, table: Table, *, step: int) -> None:
        """Nothing."""

    def picture(self, picture: Picture, *, step: int) -> None:
        """Nothing."""

    def histograms(self, histograms: Mapping[str, Histogram], *, step: int) -> None:
        """Nothing."""

    def write(self, name: str, text: str) -> None:
        """Nothing."""

    def save(self, path: Path, *, name: str) -> None:
        """Nothing."""

    def artifact(self, artifact: Artifact) -> None:
        """Nothing."""

    def finish(self, summary: Mapping[str, float], *, exit_code: int = 0) -> None:
        """Nothing."""
