"""The pictures that experiment trackers show with `log_embeddings`: confused labels, and embeddings by t-SNE."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.events import Listener, PhaseEnded, PhaseStarted, Warned
from goemo_cli.core.layout import Layout
from goemo_cli.services.training.tracker_tables import EmbeddedSample
from goemo_cli.tracking.base import Picture


def result_pictures(
    checkpoint: Checkpoint, embedded: EmbeddedSample, *, layout: Layout, listen: Listener
) -> Iterator[Picture]:
    """Figures 16 and 21 of a finished run; a figure that cannot be drawn costs a warning.

    Args:
        checkpoint: of the run; its predictions of test are written.
        embedded: some comments of test as vectors.
        layout: of the project.
        listen: called with progress and warnings.
    """
    from goemo_cli.services.figures import embedding_projection, label_confusion  # matplotlib loads late
    from goemo_cli.services.figures.description import Description, Drawn
    from goemo_cli.services.figures.style import house_style, save_figure
    from goemo_cli.services.runs.run_data import Source

    source = Source(checkpoint, layout, listen=listen)
    drawings: dict[Description, Callable[[], Drawn]] = {
        label_confusion.FIGURE: lambda: label_confusion.draw(source),
        embedding_projection.FIGURE: lambda: embedding_projection.drawn(
            source, embedded.rows, embedded.vectors
        ),
    }
    listen(PhaseStarted("Drawing pictures for the trackers", len(drawings)))
    with tempfile.TemporaryDirectory() as folder:
        for figure, draw in drawings.items():
            path = Path(folder) / figure.file_name("png")
            try:
                with house_style():
                    save_figure(draw().figure, path, {})
            except Exception as error:  # a picture for a tracker never ends a run
                listen(Warned(f"picture {figure.name} is not logged ({type(error).__name__}: {error})"))
            else:
                yield Picture(figure.name, path.read_bytes())
    listen(PhaseEnded())
