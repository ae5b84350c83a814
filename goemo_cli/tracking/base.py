"""The interface of an experiment tracker. The local files of a run are complete; a tracker only copies them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from goemo_cli.core.names import RunName

if TYPE_CHECKING:  # a tracker of another package may do without numpy
    from goemo_cli.core.arrays import Histogram

Chart = Literal["precision_recall", "confusion", "projector"]
"""How a tracker may draw a table; `projector`: columns of texts, then one column per dimension."""


@dataclass(frozen=True)
class Table:
    """Rows to show."""

    name: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    """Numbers, texts and None; one per column."""
    chart: Chart | None = None


@dataclass(frozen=True)
class Picture:
    """An image to show."""

    name: str
    png: bytes
    """The content of a PNG file."""


@dataclass(frozen=True)
class Artifact:
    """Files that belong together and that a tracker may version under one name."""

    name: str
    """`{run_id}` in it is replaced by the tracker's id of the run."""
    type: str
    files: Mapping[str, Path] = field(default_factory=dict)
    """Existing files by their name inside the artifact."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Contents that are not stored in a file, by their name inside the artifact."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    is_input: bool = False
    """Whether the run used it; otherwise the run made it."""

    def named(self, run_id: str) -> str:
        """The name in a tracker that uses this id for the run."""
        return self.name.format(run_id=run_id)


class Tracker:
    """Follows one run. Every method does nothing here: a tracker overrides those that it needs."""

    run_id: str | None = None
    """The tracker's id of the run; None if it has none."""
    address: str | None = None
    """Where people find the run, known after `start`: a URL or a path without secrets; None if there is none to show."""

    def start(self, run: RunName, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Begin to follow a run with its resolved settings and other facts; called before the other methods.

        Raises:
            GoemoError: the tracker is required and unavailable.
        """

    def log(self, values: Mapping[str, float], *, step: int, epoch: int | None = None) -> None:
        """Record numbers under the names of the contract (`val/f1_macro`).

        Args:
            values: finite numbers by name.
            step: optimizer steps so far; never decreases.
            epoch: set if the numbers describe this whole epoch.
        """

    def event(self, name: str, values: Mapping[str, float]) -> None:
        """Record that something happened (`early_stopping`), with its numbers."""

    def table(self, table: Table, *, step: int) -> None:
        """Show rows."""

    def picture(self, picture: Picture, *, step: int) -> None:
        """Show an image."""

    def histograms(self, histograms: "Mapping[str, Histogram]", *, step: int) -> None:
        """Show distributions by name (`gradients/{parameter}`) at an optimizer step."""

    def write(self, name: str, text: str) -> None:
        """Append to a text that is shown as a file: `output.log`, `requirements.txt`, `wandb-metadata.json`."""

    def save(self, path: Path, *, name: str) -> None:
        """Copy a finished file under a name such as `predictions/x.csv`."""

    def artifact(self, artifact: Artifact) -> None:
        """Copy finished files as one artifact."""

    def finish(self, summary: Mapping[str, float], *, exit_code: int = 0) -> None:
        """Record the final numbers and close; an exit code other than 0 means that the run failed."""


@dataclass(frozen=True)
class TrackerContext:
    """What a registered tracker is made from."""

    run_id: str
    """Eight characters that identify the run in any project; a resumed run keeps them."""
    root: Path
    """The absolute path of the project."""
    folder: Path
    """The absolute path that the tracker may write to, `output/trackers/{name}/`. It need not exist. A folder in it that
    has the run's name is removed with the run."""


class TrackerFactory(Protocol):
    """What an entry point of the group `goemo.trackers` names: a class derived from `Tracker`, or a function.

    goemo makes the tracker in a process that follows the run, and calls it with the lines of the run's journal. So it may
    block and print, and an exception costs one warning. A resumed run starts the tracker again, with the same
    `context.run_id` and all lines from the beginning: a tracker that keeps what it has received skips what it knows.
    """

    def __call__(self, context: TrackerContext) -> Tracker:
        """The tracker of one run, before `start` is called."""
