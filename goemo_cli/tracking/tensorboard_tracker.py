"""TensorBoard event files as a mirror."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from goemo_cli.core.names import RunName


class TensorboardTracker:
    """Writes one folder of event files per run."""

    run_id: str | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None

    def start(self, run: RunName, settings: Mapping[str, Any]) -> None:
        """Open the folder of the run."""
        self._writer = SummaryWriter(str(self.folder / str(run)))

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Write the numbers of an epoch."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def save(self, path: Path) -> None:
        """TensorBoard shows numbers, no files."""

    def finish(self, summary: Mapping[str, float]) -> None:
        """Write the final numbers and close."""
        for name, value in summary.items():
            self._writer.add_scalar(name, value, 0)
        self._writer.close()
