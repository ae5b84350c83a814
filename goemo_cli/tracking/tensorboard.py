"""TensorBoard event files as a tracker."""

import shutil
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from goemo_cli.core.arrays import Histogram
from goemo_cli.core.layering import dump_yaml
from goemo_cli.core.names import RunName
from goemo_cli.tracking.base import Picture, Table, Tracker
from goemo_cli.tracking.journal import Line


class FileTracker(Tracker):
    """Writes one folder of event files per run.

    Args:
        folder: for the folders of all runs.
        earlier: lines of the journal of a resumed run; its event files are written again from them.
        root: the paths in these lines are relative to it.
    """

    def __init__(self, folder: Path, earlier: Sequence[Line] = (), *, root: Path = Path()) -> None:
        self.folder, self.root = folder, root
        self._earlier = earlier
        self._writer: Any = None

    def start(self, run: RunName, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Open the folder of the run; settings and facts go to the text page."""
        shutil.rmtree(self.folder / str(run), ignore_errors=True)
        self._writer = SummaryWriter(str(self.folder / str(run)))
        self._writer.add_text("settings", _preformatted(settings))
        self._writer.add_text("facts", _preformatted(facts))
        for line in self._earlier:
            line.send(self, self.root)

    def log(self, values: Mapping[str, float], *, step: int, epoch: int | None = None) -> None:
        """Write numbers of an epoch over epochs, other numbers over optimizer steps."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step if epoch is None else epoch)

    def event(self, name: str, values: Mapping[str, float]) -> None:
        """Write an event's numbers on the text page."""
        self._writer.add_text(name, _preformatted(values))

    def table(self, table: Table, *, step: int) -> None:
        """Write a table to the text page or the projector; W&B's charts are left out."""
        if table.chart == "projector":
            self._project(table, step)
        elif table.chart is None:
            self._writer.add_text(f"tables/{table.name}", _aligned(table), step)

    def picture(self, picture: Picture, *, step: int) -> None:
        """Write an image."""
        pixels = np.asarray(Image.open(BytesIO(picture.png)).convert("RGB"))
        self._writer.add_image(f"media/{picture.name}", pixels, step, dataformats="HWC")

    def histograms(self, histograms: Mapping[str, Histogram], *, step: int) -> None:
        """Write histograms over optimizer steps."""
        for name, histogram in histograms.items():
            self._writer.add_histogram_raw(
                name,
                min=histogram.low,
                max=histogram.high,
                num=sum(histogram.counts),
                sum=histogram.total,
                sum_squares=histogram.total_squares,
                bucket_limits=histogram.edges[1:],
                bucket_counts=list(histogram.counts),
                global_step=step,
            )

    def finish(self, summary: Mapping[str, float], *, exit_code: int = 0) -> None:
        """Write the final numbers and close."""
        if self._writer is None:
            return
        for name, value in summary.items():
            self._writer.add_scalar(name, value, 0)
        self._writer.close()

    def _project(self, table: Table, step: int) -> None:
        texts = sum(isinstance(cell, str) for cell in table.rows[0])
        self._writer.add_embedding(
            np.array([row[texts:] for row in table.rows], dtype=np.float32),
            metadata=[[_cell(cell) for cell in row[:texts]] for row in table.rows],
            metadata_header=list(table.columns[:texts]),
            tag=table.name,
            global_step=step,
        )


def _aligned(table: Table) -> str:
    """Columns of equal width, as a Markdown code block."""
    rows = [[_cell(cell) for cell in row] for row in (table.columns, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join(f"    {line}" for line in lines)


def _cell(value: Any) -> str:
    """One line without tabs."""
    return f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())


def _preformatted(values: Mapping[str, Any]) -> str:
    """YAML as a Markdown code block."""
    return "\n".join(f"    {line}" for line in dump_yaml(dict(values)).splitlines())
