"""Weights & Biases as a mirror; the only file that imports wandb for logging."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from goemo_cli.core.names import RunName


class WandbTracker:
    """One W&B run. WANDB_MODE, WANDB_API_KEY and WANDB_DIR mean what they mean to wandb itself."""

    def __init__(self, *, project: str, entity: str | None, directory: Path) -> None:
        self.project, self.entity, self.directory = project, entity, directory
        self._run: Any = None

    @property
    def run_id(self) -> str | None:
        """W&B's id of the run, once it is started."""
        return self._run.id if self._run else None

    def start(self, run: RunName, settings: Mapping[str, Any]) -> None:
        """Open the W&B run; neither code nor command line are uploaded."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=self.project,
            entity=self.entity,
            name=str(run),
            config=dict(settings),
            dir=str(self.directory),
            settings=wandb.Settings(
                save_code=False, x_disable_meta=True, silent=True, console="off", init_timeout=30
            ),
        )

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Log the numbers of an epoch."""
        self._run.log(dict(values), step=step)

    def save(self, path: Path) -> None:
        """Show a file in the Files tab, below predictions/ or stats/."""
        self._run.save(str(path.resolve()), base_path=str(path.resolve().parents[1]), policy="now")

    def finish(self, summary: Mapping[str, float]) -> None:
        """Write the summary and close the run."""
        self._run.summary.update(dict(summary))
        self._run.finish()
