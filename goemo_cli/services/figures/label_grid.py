"""Heat maps of labels by labels: how large, how cells are coloured, and what is written into them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from goemo_cli.core.arrays import BoolArray, DoubleArray, IntArray
from goemo_cli.core.labels import Terms
from goemo_cli.ml.metrics.confusions import LEAST
from goemo_cli.services.figures.style import FAINT, INK, MUTED, ink_on, text_width

ANNOTATED = 40
"""Up to this number of labels the cells hold their numbers."""
ENOUGH = 20
"""Texts that a row needs before its shares may make a title."""


def few(terms: Terms) -> str:
    """What a small dot means, for captions."""
    return f"small dot: fewer than {LEAST} {terms.texts}, too few for a colour"


def coloured(share: DoubleArray, count: IntArray, silent: BoolArray) -> Any:
    """The shares of the cells that get a colour; those of fewer than `LEAST` texts are masked, and `silent` ones."""
    return np.ma.masked_where((count < LEAST) | silent, share)


@dataclass(frozen=True)
class LabelGrid:
    """A heat map of labels by labels: how large, and its parts."""

    rows: Sequence[str]
    columns: Sequence[str]
    cell: float
    """Inches."""
    font: float
    """Points."""

    @classmethod
    def of(cls, rows: Sequence[str], columns: Sequence[str], *, side: float = 9.2) -> "LabelGrid":
        """Cells as large as `side` inches allow; many labels make small cells, and in the end a larger picture."""
        cell = min(1.1, max(0.13, side / len(columns)), 60 / len(columns))
        return cls(rows, columns, cell, min(11.0, max(3.0, cell * 72 * 0.72)))

    @property
    def side(self) -> float:
        """Inches of all cells."""
        return self.cell * len(self.columns)

    @property
    def height(self) -> float:
        """Inches with the names below."""
        return self.side + max(text_width(name, self.font) for name in self.columns) / 72

    @property
    def width(self) -> float:
        """Inches with the names on the left and the colour scale on the right."""
        return self.side + max(text_width(name, self.font) for name in self.rows) / 72 + 1.9

    @property
    def is_written(self) -> bool:
        """Whether a number fits into a cell."""
        return len(self.columns) <= ANNOTATED

    @property
    def marks(self) -> str:
        """What `mark` draws, for the caption."""
        return "Numbers" if self.is_written else "Dots"

    def draw(self, axes: Any, values: Any, norm: Normalize, *, named_rows: bool = True) -> None:
        """Colour the cells; masked ones stay blank. The names are below and, with `named_rows`, on the left."""
        axes.imshow(values, norm=norm, interpolation="nearest")
        axes.set_xticks(range(len(self.columns)), self.columns, rotation=90, fontsize=self.font)
        axes.set_yticks(range(len(self.rows)), self.rows, fontsize=self.font)
        axes.tick_params(length=0, labelleft=named_rows)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)

    def shade(self, axes: Any, cells: BoolArray) -> None:
        """Make cells grey: there is nothing to show there."""
        axes.imshow(np.ma.masked_where(~cells, cells), cmap=ListedColormap([FAINT]), interpolation="nearest")

    def dot(self, axes: Any, count: IntArray, blank: BoolArray) -> None:
        """Small dots in the cells of some texts, but fewer than `LEAST`; none in `blank` cells."""
        rows, columns = np.nonzero((count > 0) & (count < LEAST) & ~blank)
        axes.plot(
            columns, rows, linestyle="", marker="o", markersize=self.cell * 72 * 0.1, color=MUTED, alpha=0.6
        )

    def add_scale(self, axes: Any, label: str) -> None:
        """The colour scale of the cells, in per cent, on the right of the axes; none if no cell is coloured.

        Args:
            axes: those with the cells.
            label: what the colours are, in a few words.
        """
        image = axes.images[0]
        if not image.get_array().count():
            return
        place = axes.inset_axes((1.015, 0.2, 0.2 / self.side, 0.6))
        bar = axes.figure.colorbar(image, cax=place)
        is_log = isinstance(image.norm, LogNorm)
        steps = MaxNLocator(6 if self.side > 4 else 3)
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12) if is_log else steps)
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}\u00a0%"))
        bar.outline.set_visible(False)
        size = min(11.0, 11.0 * self.side * 72 / text_width(label, 11.0))
        bar.set_label(label, fontsize=size, labelpad=8)

    def mark(self, axes: Any, values: Any, cells: BoolArray) -> None:
        """Write the per cent of some cells, or dots if the cells are too small; also in cells without a colour."""
        image, plain = axes.images[0], np.ma.getmaskarray(values)
        for row, column in np.argwhere(cells):
            share = float(values.data[row, column])
            color = INK if plain[row, column] else ink_on(image.cmap(image.norm(share)))
            if self.is_written:
                value = 100 * share
                text = "<1" if value < 0.95 else f"{value:.0f}"
                font = min(10.0, self.cell * 72 * 0.36)
                axes.text(
                    column, row, text, ha="center", va="center", size=font, color=color, in_layout=False
                )
            else:
                axes.plot(column, row, marker="o", markersize=self.cell * 72 * 0.3, color=color)
