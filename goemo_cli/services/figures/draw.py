"""`goemo figures`: draw the figures of one run, or of several runs next to each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goemo_cli.core.errors import DAMAGE, GoemoError, StorageError
from goemo_cli.core.events import EventHandler, FileWritten, ignore, progress
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import PictureFormat
from goemo_cli.services.figures.registry import FigureSpec, figure_of, figures
from goemo_cli.services.figures.sidecar import write_record, write_table
from goemo_cli.services.figures.style import Theme, house_style, save_figure
from goemo_cli.services.runs.references import open_run
from goemo_cli.services.runs.run_data import RunData


@dataclass(frozen=True)
class FiguresResult:
    """The figures that were drawn, of which runs, and those that failed."""

    runs: tuple[RunName, ...]
    """At least one, in the order they were named."""
    drawn: tuple[Path, ...]
    skipped: tuple[tuple[str, str], ...]
    """(figure, why it was not drawn)."""
    of_first: tuple[str, ...]
    """Figures that show only the first run although several were named."""
    damage: GoemoError | None = None
    """The first file that exists and cannot be used; its figures are in `skipped`."""


def draw_figures(
    layout: Layout,
    *,
    runs: Sequence[RunName | str] = (),
    only: Sequence[str] = (),
    picture_format: PictureFormat = "png",
    theme: Theme = "light",
    data_dir: Path | None = None,
    on_event: EventHandler = ignore,
) -> FiguresResult:
    """Draw figures into output/figures, each with its numbers below data/. One that fails does not stop the others.

    Args:
        runs: which runs, as `services.runs.references` understands them; the newest finished one by default. Figures
            that compare show all of them, the others the first.
        only: numbers or names of figures; all by default.
        picture_format: png, svg or pdf.
        theme: light or dark.
        data_dir: the data's folder, if it has moved since the run.

    Raises:
        SettingError: no such figure.
        RunNotFoundError: no run of that name.
        NoRunError: no run is finished.
        OSError, StorageError: the disk is full, read-only or damaged; no further figure is tried.
    """
    wanted = list(dict.fromkeys([figure_of(name) for name in only] or figures()))
    source = _source([str(run) for run in runs] or ["@latest"], layout, data_dir, on_event)
    drawn: list[Path] = []
    skipped: list[tuple[str, str]] = []
    damage: GoemoError | None = None
    with progress(on_event, "Drawing", len(wanted), "figures") as advance:
        for figure in wanted:
            path = layout.figures / figure.file_name(picture_format)
            try:
                _draw(figure, source, path, theme, layout)
            except StorageError:
                raise
            except GoemoError as error:
                damage = damage or (error if isinstance(error, DAMAGE) else None)
                skipped.append((str(figure), f"{error}{_left_behind(path)}"))
            else:
                drawn.append(path)
                on_event(FileWritten(path))
            advance(1, str(figure))
    return FiguresResult(
        runs=tuple(one.checkpoint.run for one in (source, *source.others)),
        drawn=tuple(drawn),
        skipped=tuple(skipped),
        of_first=tuple(str(figure) for figure in wanted if source.others and not figure.several),
        damage=damage,
    )


def _source(
    references: Sequence[str], layout: Layout, data_dir: Path | None, on_event: EventHandler
) -> RunData:
    """The first run, with the other runs in `others`; a run that is named twice counts once."""
    opened = {
        checkpoint.run: checkpoint for checkpoint in (open_run(one, layout, on_event) for one in references)
    }
    first, *others = opened.values()
    return RunData(
        first,
        layout,
        data_dir,
        on_event,
        others=tuple(RunData(other, layout, data_dir, on_event) for other in others),
    )


def _draw(figure: FigureSpec, source: RunData, path: Path, theme: Theme, layout: Layout) -> None:
    """Write the numbers, the picture, and last the record of what both were drawn from."""
    source.forget_use()
    with house_style(theme):
        drawn = figure.draw(source)
        sources = source.files_used()
        shown = (source, *source.others) if figure.several else (source,)
        table = layout.figure_data / figure.table_name
        write_table(table, drawn.table)
        save_figure(drawn.figure, path, sources)
    write_record(
        layout.figure_data / figure.record_name,
        runs=[one.checkpoint.run for one in shown],
        sources=sources,
        data=source.data_used(),
        files={file.relative_to(layout.figures).as_posix(): file for file in (path, table)},
    )


def _left_behind(path: Path) -> str:
    """An older picture may be of another run: it is kept, and the message says that it is older."""
    return f"; {path} is from an earlier drawing" if path.exists() else ""
