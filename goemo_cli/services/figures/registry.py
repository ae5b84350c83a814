"""What a figure is: its number and name, what it reads, and the function that draws it.

A figure is a module with `FIGURE = Description(number, name, needs, draw)` and one line in `drawing.FIGURES`, in the
order of the numbers. Its `draw(source)` reads everything through `RunData`, which remembers what was read, and returns
`Drawn(figure, table)`: the picture made by `style.new_figure`, and the very numbers in it, which become its sidecar.

- Colours are the names in `style` (INK, MUTED, FAINT, PAPER, BLUE, ...), never "white" or "black" on the background, and
  heat maps leave `cmap` out: both then follow `--style`.
- What cannot be drawn raises a GoemoError that names the missing file or column; the other figures are drawn.
- A title states what is drawn. It says "more than chance" only after a test, and names labels only if they have enough
  comments (`label_grid.ENOUGH`). Every mark is where the other marks of the figure say: a point on its curve, in its bar.
- `several=True` says that all runs of `source.comparable()` are shown; every other figure shows the first run only.
  What such figures have in common is in `side_by_side`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.figure import Figure
from numpy.typing import NDArray

from goemo_cli.services.runs.run_data import RunData

PictureFormat = Literal["png", "svg", "pdf"]
FORMATS: tuple[PictureFormat, ...] = ("png", "svg", "pdf")

Table = Mapping[str, Sequence[Any] | NDArray[Any]]
"""Columns by name, of one length: lists or numpy arrays of texts and numbers; None and NaN are empty cells."""


@dataclass(frozen=True)
class ResampledRanks:
    """A picture and the numbers that it shows."""

    figure: Figure
    table: Table
    """In the order of the picture; a matrix is one row per cell that is shown."""


@dataclass(frozen=True)
class Description:
    """One figure of the contract."""

    number: str
    """Two digits."""
    name: str
    needs: str
    """What it is drawn from, for people."""
    draw: Callable[[RunData], ResampledRanks]
    """Raises a GoemoError that says what is lacking where the figure cannot be drawn."""
    several: bool = False
    """Whether it shows all given runs, not the first alone."""

    def __str__(self) -> str:
        return f"{self.number}_{self.name}"

    def file_name(self, picture_format: PictureFormat = "png") -> str:
        """Its picture below output/figures."""
        return f"{self}.{picture_format}"

    @property
    def table_name(self) -> str:
        """Its sidecar below output/figures/data: the numbers that are drawn."""
        return f"{self}.csv"

    @property
    def record_name(self) -> str:
        """Beside that: what picture and numbers were drawn from."""
        return f"{self}.json"
