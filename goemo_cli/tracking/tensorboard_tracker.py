"""TensorBoard event files as a mirror."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from goemo_cli.core.names import RunName
from goemo_cli.core.yaml_files import dump_yaml
from goemo_cli.tracking.base import Artifact, Table


class TensorboardTracker:
    """Writes one folder of event files per run."""

    run_id: str | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None

    def start(self, run: RunName, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Open the folder of the run; settings and facts go to the text page."""
        self._writer = SummaryWriter(str(self.folder / str(run)))
        self._writer.add_text("settings", _preformatted(settings))
        self._writer.add_text("facts", _preformatted(facts))

    def log(self, values: Mapping[str, float], *, step: int, epoch: int | None = None) -> None:
        """Write numbers: those of an epoch over epochs, others over optimizer steps."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step if epoch is None else epoch)

    def event(self, name: str, values: Mapping[str, float]) -> None:
        """Write an event's numbers on the text page."""
        self._writer.add_text(name, _preformatted(values))

    def table(self, table: Table, *, step: int) -> None:
        """TensorBoard shows numbers, no tables."""

    def save(self, path: Path, *, name: str) -> None:
        """TensorBoard shows numbers, no files."""

    def artifact(self, artifact: Artifact) -> None:
        """TensorBoard shows numbers, no artifacts."""

    def finish(self, summary: Mapping[str, float], *, exit_code: int = 0) -> None:
        """Write the final numbers and close."""
        if self._writer is None:
            return
        for name, value in summary.items():
            self._writer.add_scalar(name, value, 0)
        self._writer.close()


def _preformatted(values: Mapping[str, Any]) -> str:
    """YAML that Markdown leaves as it is."""
    return "\n".join(f"    {line}" for line in dump_yaml(dict(values)).splitlines())
