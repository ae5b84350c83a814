"""The pictures that experiment trackers show with `log_embeddings`: confused labels, and embeddings by t-SNE."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.events import EventHandler, PhaseEnded, PhaseStarted, Warning
from goemo_cli.core.layout import Layout
from goemo_cli.services.training.tracker_tables import EmbeddedSample
from goemo_cli.tracking.base import Picture


def result_pictures(
    checkpoint: Checkpoint, embedded: EmbeddedSample, *, layout: Layout, on_event: EventHandler
) -> Iterator[Picture]:
    """Figures 16 and 21 of a finished run; a figure that cannot be drawn costs a warning.

    Args:
        checkpoint: of the run; its predictions of test are written.
        embedded: some comments of test as vectors.
        layout: of the project.
        on_event: called with each event.
    """
    from goemo_cli.services.figures import figure_of  # matplotlib loads late
    from goemo_cli.services.figures.embedding_projection import drawn
    from goemo_cli.services.figures.registry import Drawn, FigureSpec
    from goemo_cli.services.figures.style import house_style, save_figure
    from goemo_cli.services.runs.run_data import RunData

    source = RunData(checkpoint, layout, on_event=on_event)
    drawings: dict[FigureSpec, Callable[[], Drawn]] = {
        (confusion := figure_of("16")): lambda: confusion.draw(source),
        figure_of("21"): lambda: drawn(source, embedded.rows, embedded.vectors),
    }
    on_event(PhaseStarted("Drawing pictures for the trackers", len(drawings)))
    with tempfile.TemporaryDirectory() as folder:
        for figure, draw in drawings.items():
            path = Path(folder) / figure.file_name("png")
            try:
                with house_style():
                    save_figure(draw().figure, path, {})
            except Exception as error:  # a picture for a tracker never ends a run
                on_event(Warning(f"picture {figure.name} is not logged ({type(error).__name__}: {error})"))
            else:
                yield Picture(figure.name, path.read_bytes())
    on_event(PhaseEnded())
