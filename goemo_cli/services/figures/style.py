"""How every figure looks: colours, light and dark, sizes, titles, rows of labels, and the one way a picture is written."""

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib import colors as matplotlib_colors
from matplotlib import style as matplotlib_style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike

from goemo_cli.core.arrays import DoubleArray, IntArray
from goemo_cli.core.files import atomic_path
from goemo_cli.core.labels import Split
from goemo_cli.core.schema import SOURCES_KEY

DPI = 150
WIDTH = 10.0
"""Inches; 1500 pixels."""

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
# Names, not values: the theme that a figure is drawn in gives the values.
BLUE, VERMILLION, GREEN, ORANGE, PURPLE = (
    "goemo:blue", "goemo:vermillion", "goemo:green", "goemo:orange", "goemo:purple",
)  # fmt: skip
INK, MUTED, FAINT, PAPER = "goemo:ink", "goemo:muted", "goemo:faint", "goemo:paper"
"""Text and marks; axes and small print; grids; the background."""
# Okabe and Ito 2008, https://jfly.uni-koeln.de/color/: distinct with every common colour blindness. On dark the same
# hues, lighter.
_COLORS: dict[Theme, dict[str, str]] = {
    "light": {
        BLUE: "#0072B2", VERMILLION: "#D55E00", GREEN: "#009E73", ORANGE: "#E69F00", PURPLE: "#CC79A7",
        INK: "#1A1A1A", MUTED: "#5A5A5A", FAINT: "#E4E4E4", PAPER: "#FFFFFF",
    },
    "dark": {
        BLUE: "#56B4E9", VERMILLION: "#F28C4B", GREEN: "#2FC99A", ORANGE: "#F2C84B", PURPLE: "#E3A3C7",
        INK: "#F0F0F0", MUTED: "#B4B8BE", FAINT: "#353A42", PAPER: "#15181D",
    },
}  # fmt: skip
_COLORMAPS: dict[Theme, str] = {"light": "viridis_r", "dark": "viridis"}
"""Little is near the background, much is far from it."""
SPLIT_COLOR: dict[Split, str] = {"train": BLUE, "val": VERMILLION, "test": GREEN}
SPLIT_MARKER: dict[Split, str] = {"train": "o", "val": "s", "test": "^"}
"""Shape and colour both tell the split."""

_TITLE, _SUBTITLE, _TEXT, _LEAST = 15.0, 10.5, 11.0, 8.0
"""Font sizes in points."""
_LINE = 1.3
_MARGIN = 0.3
LONGEST = 30
"""Characters of a label that are shown."""
MOST_LABELS = 100
"""Maximum number of labels in a picture: of more, those with the most texts are shown."""

# Tried in this order if they are installed, for scripts that DejaVu Sans does not draw.
_MORE_FONTS = (
    "Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "Noto Sans KR",
    "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Sans Thai", "WenQuanYi Zen Hei",
    "Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Yu Gothic", "Microsoft YaHei", "Malgun Gothic",
    "Segoe UI", "Arial Unicode MS", "Noto Emoji",
)  # fmt: skip


def _name_colors(values: Mapping[str, str]) -> None:
    """Give matplotlib the values of the colour names."""
    known = matplotlib_colors.get_named_colors_mapping()
    for name, value in values.items():
        known[name] = value  # one by one: `update` would leave what it remembers of the old ones


_name_colors(_COLORS["light"])


@contextmanager
def house_style(theme: Theme = "light") -> Iterator[None]:
    """Matplotlib's defaults with goemo's on top, independent of the user's matplotlibrc.

    A figure is drawn and saved in the same theme: some of its colours are looked up when it is saved.
    """
    settings = {
        "font.family": list(_families()),
        "font.size": _TEXT,
        "text.parse_math": False,  # a label may hold a dollar sign
        "text.color": INK,
        "figure.facecolor": PAPER,
        "axes.facecolor": PAPER,
        "image.cmap": _COLORMAPS[theme],
        "axes.labelcolor": MUTED,
        "axes.edgecolor": MUTED,
        "axes.titlesize": _TEXT,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": FAINT,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "legend.frameon": False,
        "lines.linewidth": 2.2,
        "lines.markersize": 6,
        "svg.hashsalt": "goemo",  # its identifiers are random otherwise
        "pdf.fonttype": 42,
    }
    known = matplotlib_colors.get_named_colors_mapping()
    before = {name: known[name] for name in _COLORS[theme]}
    _name_colors(_COLORS[theme])
    try:
        with matplotlib_style.context(["default", settings]):
            yield
    finally:
        _name_colors(before)


def new_figure(title: str, subtitle: str, *, height: float, width: float = WIDTH) -> Figure:
    """An empty figure under a title that wraps instead of being cut.

    Args:
        title: the finding, one sentence.
        subtitle: model, run, split and n.
        height: inches below the title.
        width: inches.
    """
    room = (width - 2 * _MARGIN) * 72
    title = wrapped(_sentence(title), room, size=_TITLE, weight="bold")
    subtitle = wrapped(subtitle, room, size=_SUBTITLE)
    above = _lines_height(title, _TITLE)
    header = _MARGIN * 0.7 + above + 0.06 + _lines_height(subtitle, _SUBTITLE) + 0.12
    whole = height + header
    figure = Figure(figsize=(width, whole), dpi=DPI)
    FigureCanvasAgg(figure)
    figure.set_layout_engine(
        ConstrainedLayoutEngine(rect=(0.1 / width, 0, 1 - 0.2 / width, height / whole), h_pad=0.1, w_pad=0.08)
    )
    left, top = _MARGIN / width, 1 - _MARGIN * 0.7 / whole
    words: dict[str, Any] = {"ha": "left", "va": "top", "linespacing": _LINE}
    figure.text(left, top, title, size=_TITLE, weight="bold", **words)
    figure.text(left, top - (above + 0.06) / whole, subtitle, size=_SUBTITLE, color=MUTED, **words)
    return figure


def save_figure(figure: Figure, path: Path, sources: Mapping[str, str]) -> None:
    """Write a figure atomically; the same figure of the same files gives the same bytes.

    Call it within the `house_style` that the figure was drawn in.

    Args:
        figure: what to write.
        path: where; its suffix says how: .png, .svg or .pdf.
        sources: SHA-256 of the files it was drawn from, kept in a PNG so that `goemo validate` recognizes a stale one.
    """
    kind = path.suffix.removeprefix(".")
    # Times and matplotlib's version would be the only things in the file that are not the picture.
    left_out = {
        "png": ("Software",),
        "svg": ("Date", "Creator"),
        "pdf": ("CreationDate", "Creator", "Producer"),
    }
    metadata: dict[str, str | None] = dict.fromkeys(left_out[kind])
    if kind == "png" and sources:
        metadata[SOURCES_KEY] = json.dumps(dict(sources), sort_keys=True)
    _settle(figure)
    with atomic_path(path) as partial:
        if kind == "png":  # `savefig` would draw twice, the first time only to find what to lay out
            canvas: Any = figure.canvas  # its renderer has measured the texts already, for the layout
            canvas.print_png(partial, metadata=metadata)
        else:
            figure.savefig(partial, format=kind, dpi=DPI, metadata=metadata)


def _settle(figure: Figure) -> None:
    """Lay the figure out for good, at rounded places.

    The last digits that the layout's solver finds differ from one call to the next, and an SVG is named by them.
    """
    engine = figure.get_layout_engine()
    if engine is None:
        return
    engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(Bbox(np.round(axes.get_position(original=True).get_points(), 6)))


@dataclass(frozen=True)
class LabelRows:
    """The sizes that fit a number of labels in rows."""

    count: int
    font: float
    """Points."""
    height: float
    """Inches of all rows."""

    @classmethod
    def of(cls, count: int, *, n_runs: int = 1) -> "LabelRows":
        """Full size up to 40 labels, then smaller, down to what can still be read; taller for several runs."""
        font = min(_TEXT, max(_LEAST, _TEXT - (count - 40) * 0.02))
        height = max(1.3, count * font * (1.95 if count <= 40 else 1.6) / 72) * (1 + 0.22 * (n_runs - 1))
        return cls(count, font, height)

    def marker(self, n_runs: int = 1) -> float:
        """Points of a marker that leaves the rows apart."""
        return min(7.0 if n_runs == 1 else 5.5, self.font * 0.62)

    def label(self, axes: Any, names: Sequence[str], *, longest: int = LONGEST) -> None:
        """Put the labels on the y axis, first on top, each on a separate line."""
        axes.set_yticks(range(self.count), [shown(name, longest) for name in names], fontsize=self.font)
        axes.set_ylim(self.count - 0.4, -0.6)
        axes.tick_params(axis="y", length=0, pad=8)
        axes.grid(visible=False, axis="y")
        if self.count > 40:  # readers at the top should not have to scroll for the scale
            axes.tick_params(axis="x", top=True, labeltop=True)

    def column(self, axes: Any, heading: str, cells: Sequence[str], *, at: float, color: str = INK) -> None:
        """A column of numbers next to the rows, right-aligned `at` points right of the axes."""
        style: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "annotation_clip": False}
        # The heading ends where the cells end, so it alone reserves the room.
        raised = 22 if self.count > 40 else 4
        axes.annotate(
            heading,
            (1, 1),
            (at, raised),
            xycoords="axes fraction",
            va="bottom",
            size=10,
            color=color,
            **style,
        )
        for row, cell in enumerate(cells):
            axes.annotate(
                cell, (1, row), (at, 0), xycoords=("axes fraction", "data"), va="center_baseline",
                size=self.font * 0.92, color=color, in_layout=False, **style,
            )  # fmt: skip


def limited(order: IntArray, counts: IntArray | DoubleArray) -> IntArray:
    """An order of labels without those that are not shown.

    Args:
        order: places of labels.
        counts: texts of each label, (n_labels,).

    Returns:
        all, or the `MOST_LABELS` with the most texts, in the given order.
    """
    if len(order) <= MOST_LABELS:
        return order
    kept = order[np.argsort(-counts[order], kind="stable")[:MOST_LABELS]]
    return order[np.isin(order, kept)]


def limit_note(n_labels: int, texts: str) -> str:
    """What a caption says about labels that are not shown; empty if all are shown.

    Args:
        n_labels: of the run.
        texts: those that decide which labels are shown: `test comments`.
    """
    if n_labels <= MOST_LABELS:
        return ""
    return f" Of {n_labels:,} labels, only the {MOST_LABELS} with the most {texts} are shown."


def shown(text: str, longest: int = LONGEST) -> str:
    """A name as a picture shows it: one line, no control characters, its middle left out if it is long.

    Characters that no installed font draws are written as their code points.
    """
    kept = (
        " " if char.isspace() else char
        for char in text
        if char.isspace() or unicodedata.category(char)[0] != "C"
    )
    line = " ".join("".join(kept).split()) or "(no name)"
    line = "".join(char if ord(char) in _drawable() else f"\\u{ord(char):04x}" for char in line)
    if len(line) <= longest:
        return line
    tail = longest // 3
    return f"{line[: longest - tail - 1].rstrip()}…{line[-tail:].lstrip()}"


def wrapped(text: str, room: float, *, size: float, weight: str = "normal") -> str:
    """Text broken at spaces into lines of at most `room` points."""
    lines: list[list[str]] = [[]]
    space, taken = text_width(" ", size, weight), 0.0
    for word in text.split(" "):
        width = text_width(word, size, weight)
        if lines[-1] and taken + space + width > room:
            lines.append([])
        taken = taken + space + width if lines[-1] else width
        lines[-1].append(word)
    return "\n".join(map(" ".join, lines))


@cache
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Points that a line of text takes."""
    font = FontProperties(family=list(_families()), size=size, weight=weight)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)


def mark_places(axes: Any, marks: Sequence[tuple[float, str, str, str]]) -> None:
    """Vertical lines (place, name, line style, colour), named above the axes.

    The leftmost name is the highest and all run to the right, so that no name crosses a line or another name.
    """
    for row, (place, text, line, color) in enumerate(sorted(marks, reverse=True)):
        axes.axvline(place, color=color, linewidth=1.4, linestyle=line, zorder=1)
        axes.annotate(
            f" {text}", (place, 1), (0, 3 + 16 * row), xycoords=("data", "axes fraction"),
            textcoords="offset points", va="bottom", color=color,
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.8, "relpos": (0, 0), "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip


def mark_intervals(
    axes: Any,
    places: ArrayLike,
    values: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    color: str,
    marker: str,
    size: float = 6.0,
    label: str | None = None,
) -> None:
    """Values in rows with whiskers from `low` to `high`; NaN draws nothing. All (n_rows,)."""
    axes.hlines(places, low, high, color=color, linewidth=1.4)
    for ends in (low, high):
        axes.plot(ends, places, linestyle="", marker="|", color=color, markersize=size)
    axes.plot(
        values, places, linestyle="", marker=marker, color=color, markersize=size, label=label, zorder=3,
        clip_on=not np.isfinite(values).any(),  # unclipped marks without a place would be at the figure's corner
    )  # fmt: skip


def log_scale(axes: Any, low: float, high: float) -> None:
    """A log scale on the x axis from `low` to `high`, with few ticks at round numbers."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    steps = (1, 2, 5) if high < 60 * low else (1, 3) if high < 1000 * low else (1,)
    # Within a decade the steps above are too few, and LogLocator would put a number at every place.
    axes.xaxis.set_major_locator(MaxNLocator(4) if high < 10 * low else LogLocator(subs=steps, numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def ink_on(color: Any) -> str:
    """White on what is dark, black on what is light."""
    red, green, blue = matplotlib_colors.to_rgb(color)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else "black"


def round_limit(highest: float) -> float:
    """The end of an axis of fractions: the next round number that leaves room, at most 1."""
    return next((end for end in (0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8) if highest <= 0.97 * end), 1.0)


def caption(figure: Figure, text: str) -> None:
    """How to read the figure, small, at its foot."""
    room = (figure.get_figwidth() - 2 * _MARGIN) * 72
    figure.supxlabel(wrapped(text, room, size=_SUBTITLE), size=_SUBTITLE, color=MUTED, linespacing=_LINE)


def caption_height(text: str, width: float) -> float:
    """Inches that a caption takes at the foot of a figure of some inches."""
    return _lines_height(wrapped(text, (width - 2 * _MARGIN) * 72, size=_SUBTITLE), _SUBTITLE)


def percent(share: float) -> str:
    """`28 %`, with a decimal below ten, and a space that does not break; `0 %` and `100 %` only if they are exact."""
    value = 100 * share
    if 0 < value < 0.1:
        return "<0.1\u00a0%"
    if 99.95 <= value < 100:
        return ">99.9\u00a0%"
    if 99.5 <= value < 100:
        return f"{value:.1f}\u00a0%"
    return f"{value:.0f}\u00a0%" if value >= 9.95 or value == 0 else f"{value:.1f}\u00a0%"


def signed(value: float) -> str:
    """`+0.05`, `−0.12`; `0.00` without a sign."""
    text = f"{value:+.2f}".replace("-", "\u2212")
    return text[1:] if text[1:] == "0.00" else text


def span(values: Sequence[float] | DoubleArray, names: Sequence[str] = (), *, digits: int = 2) -> str:
    """`runs from 0.13 (relief) to 0.90 (gratitude)`; `is 1.00` if all are written alike.

    Args:
        values: at least one that is not NaN.
        names: of the values, if they are to be named.
        digits: decimals.
    """
    ends = [int(np.nanargmin(values)), int(np.nanargmax(values))]
    low, high = (f"{values[at]:.{digits}f}" for at in ends)
    if low == high:
        return f"is {low}"
    first, last = (f" ({shown(names[at])})" if names else "" for at in ends)
    return f"runs from {low}{first} to {high}{last}"


def counted(number: int, noun: str) -> str:
    """`1 comment`, `1,427 comments`."""
    return f"{number:,}\u00a0{noun}{'' if number == 1 else 's'}"


def named(names: Sequence[str]) -> str:
    """`: grief, pride and relief`; empty if they are too many for a title."""
    if len(names) > 3:
        return ""
    *first, last = (shown(name) for name in names)
    return f": {', '.join(first)} and {last}" if first else f": {last}"


def padded_limits(
    values: ArrayLike, *, least_span: float, floor: float, ceiling: float
) -> tuple[float, float]:
    """Axis limits around values that do not blow a hair's breadth up into a mountain."""
    found = np.asarray(values, dtype=np.float64)
    found = found[np.isfinite(found)]
    low, high = (float(found.min()), float(found.max())) if found.size else (floor, floor + least_span)
    missing = max(0.0, least_span - (high - low)) / 2
    pad = 0.08 * max(high - low, least_span)
    return max(low - missing - pad, floor - pad / 2), min(high + missing + pad, ceiling + pad / 2)


def _sentence(text: str) -> str:
    """With a capital if it begins with a word; a label such as `a$b` stays as it is."""
    return text[:1].upper() + text[1:] if text.split(" ", 1)[0].isalpha() else text


def _lines_height(text: str, size: float) -> float:
    return (text.count("\n") + 1) * size * _LINE / 72


@cache
def _families() -> tuple[str, ...]:
    """Fonts to draw with: DejaVu Sans, which comes with matplotlib, then what is installed for other scripts."""
    installed = set(fontManager.get_font_names())
    return ("DejaVu Sans", *(name for name in _MORE_FONTS if name in installed))


@cache
def _drawable() -> frozenset[int]:
    """Code points for which one of the fonts has a shape."""
    return frozenset().union(*(get_font(findfont(name)).get_charmap() for name in _families()))
