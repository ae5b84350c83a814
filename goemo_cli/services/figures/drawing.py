"""`goemo figures`: which figures there are, and drawing those of one run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goemo_cli.core.errors import GoemoError, SettingError, did_you_mean
from goemo_cli.core.events import Advanced, FileWritten, Listener, PhaseEnded, PhaseStarted, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.services.figures import (
    class_distribution,
    class_distribution_no_neutral,
    label_cooccurrence,
    per_class_thresholds,
    per_emotion_f1_scores,
    threshold_macro,
    token_length_distributions,
    training_curves,
)
from goemo_cli.services.figures.description import Description
from goemo_cli.services.figures.source import Source
from goemo_cli.services.figures.style import house_style, save_png
from goemo_cli.services.references import open_run

FIGURES: tuple[Description, ...] = (
    class_distribution.FIGURE,
    class_distribution_no_neutral.FIGURE,
    label_cooccurrence.FIGURE,
    token_length_distributions.FIGURE,
    per_emotion_f1_scores.FIGURE,
    training_curves.FIGURE,
    threshold_macro.FIGURE,
    per_class_thresholds.FIGURE,
)
"""In the order of their numbers."""


@dataclass(frozen=True)
class FiguresResult:
    """What was drawn of which run, and what could not be."""

    run: RunName
    drawn: tuple[Path, ...]
    skipped: tuple[tuple[str, str], ...]
    """(figure, what it lacks)."""


def draw_figures(
    layout: Layout,
    *,
    run: RunName | str | None = None,
    only: Sequence[str] = (),
    data_dir: Path | None = None,
    listen: Listener = ignore,
) -> FiguresResult:
    """Draw figures of one run into output/figures; one that lacks something does not stop the others.

    Args:
        layout: where the run lies and where the pictures go.
        run: which run, as `services.references` understands it; the newest finished one by default.
        only: numbers or names of figures; all by default.
        data_dir: where the data lies now, if no longer where the run found it.
        listen: told of progress.

    Raises:
        SettingError: no such figure.
        RunNotFoundError: no run of that name.
        NoRunError: no finished run at all.
    """
    wanted = [figure_of(name) for name in only] or FIGURES
    checkpoint = open_run(str(run or "@latest"), layout)
    source = Source(checkpoint, layout, data_dir, listen)
    drawn: list[Path] = []
    skipped: list[tuple[str, str]] = []
    listen(PhaseStarted("Drawing", len(set(wanted)), "figures"))
    for figure in dict.fromkeys(wanted):
        path = layout.figures / figure.file_name
        source.forget_use()
        try:
            with house_style():
                picture = figure.draw(source)
        except (GoemoError, OSError) as error:
            skipped.append((str(figure), f"{error}{_left_behind(path)}"))
        else:
            save_png(picture, path, source.files_used())
            drawn.append(path)
            listen(FileWritten(path))
        listen(Advanced(1, str(figure)))
    listen(PhaseEnded())
    return FiguresResult(checkpoint.run, tuple(drawn), tuple(skipped))


def figure_of(name: str) -> Description:
    """The figure of a number (`07`, `7`) or a name, with or without its number.

    Raises:
        SettingError: none of the figures.
    """
    asked = name.strip().removesuffix(".png")
    number = asked.zfill(2) if asked.isdigit() else asked
    for figure in FIGURES:
        if number in (figure.number, figure.name, str(figure)):
            return figure
    near = did_you_mean(asked, [figure.name for figure in FIGURES])
    raise SettingError([f"no figure {name!r}{near}; known: {', '.join(map(str, FIGURES))}"], "--only")


def _left_behind(path: Path) -> str:
    """An older picture may be of another run: it is not ours to delete, but to be told apart."""
    return f"; {path} is from an earlier drawing" if path.exists() else ""
