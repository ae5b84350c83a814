"""What a figure is: its number and name, what it reads, and the function that draws it."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from goemo_cli.services.figures.source import Source


@dataclass(frozen=True)
class Description:
    """One figure of the contract."""

    number: str
    """Two digits."""
    name: str
    needs: str
    """What it is drawn from, for people."""
    draw: Callable[[Source], Figure]
    """Raises a GoemoError that says what is lacking where the figure cannot be drawn."""

    def __str__(self) -> str:
        return f"{self.number}_{self.name}"

    @property
    def file_name(self) -> str:
        """Its file below output/figures."""
        return f"{self}.png"
