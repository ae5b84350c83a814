"""What a figure is: its number and name, what it reads, and the function that draws it.

A new figure is one decorated function in a module of this package:

    @figure("24", "my_figure", needs="the predictions of test")
    def draw_my_figure(source: RunData) -> Drawn: ...

It reads everything through `RunData`, which remembers what was read, and returns `Drawn(figure, table)`: the picture
made by `style.new_figure`, and the numbers in it, which become its sidecar.

- Colours are the names in `style` (INK, MUTED, FAINT, PAPER, BLUE, ...), never "white" or "black" on the background, and
  heat maps leave `cmap` out: both then follow `--style`.
- A figure that cannot be drawn raises a GoemoError that names the missing file or column; the other figures are drawn.
- A title states what is drawn. It says "more than chance" only after a test, and names labels only if they have enough
  comments (`label_grid.ENOUGH`). Every mark agrees with the other marks of the figure: a point is on its curve.
- `several=True` means that all runs of `source.comparable()` are shown; every other figure shows the first run only.
  `several_runs` has what such figures share.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from numpy.typing import NDArray

from goemo_cli.core.errors import SettingError, did_you_mean
from goemo_cli.core.schema import PICTURE_FORMATS, PictureFormat

if TYPE_CHECKING:
    from goemo_cli.services.runs.run_data import RunData

Table = Mapping[str, Sequence[Any] | NDArray[Any]]
"""Columns by name, all of one length: lists or numpy arrays of texts and numbers; None and NaN are empty cells."""


@dataclass(frozen=True)
class Drawn:
    """A picture and the numbers that it shows."""

    figure: Figure
    table: Table
    """In the order of the picture; a matrix has one row for each cell that is shown."""


@dataclass(frozen=True)
class FigureSpec:
    """One figure of the contract."""

    number: str
    """Two digits."""
    name: str
    needs: str
    """What it is drawn from, for people."""
    draw: Callable[["RunData"], Drawn]
    """Raises a GoemoError that names what is missing if the figure cannot be drawn."""
    several: bool = False
    """Whether it shows all given runs, not only the first."""

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
        """Next to the table: what picture and numbers were drawn from."""
        return f"{self}.json"


_SPECS: dict[str, FigureSpec] = {}


def figure(
    number: str, name: str, *, needs: str, several: bool = False
) -> Callable[[Callable[["RunData"], Drawn]], Callable[["RunData"], Drawn]]:
    """Register the function that draws a figure.

    Args:
        number: two digits; no other figure has it.
        name: of its files, without the number.
        needs: what it is drawn from, for people.
        several: whether it shows all given runs, not only the first.
    """

    def register(draw: Callable[["RunData"], Drawn]) -> Callable[["RunData"], Drawn]:
        if number in _SPECS:
            raise ValueError(f"two figures have the number {number}: {_SPECS[number].name} and {name}")
        _SPECS[number] = FigureSpec(number, name, needs, draw, several)
        return draw

    return register


@cache
def figures() -> tuple[FigureSpec, ...]:
    """Every figure that a module of this package registers, in the order of their numbers."""
    package = import_module(__package__)
    for module in iter_modules(package.__path__):
        import_module(f"{__package__}.{module.name}")
    return tuple(_SPECS[number] for number in sorted(_SPECS))


def figure_of(name: str) -> FigureSpec:
    """The figure of a number (`07`, `7`) or a name, with or without its number.

    Raises:
        SettingError: none of the figures.
    """
    asked = name.strip()
    for picture_format in PICTURE_FORMATS:
        asked = asked.removesuffix(f".{picture_format}")
    number = asked.zfill(2) if asked.isdigit() else asked
    for spec in figures():
        if number in (spec.number, spec.name, str(spec)):
            return spec
    near = did_you_mean(asked, [spec.name for spec in figures()])
    raise SettingError([f"no figure {name!r}{near}; known: {', '.join(map(str, figures()))}"], "--only")
