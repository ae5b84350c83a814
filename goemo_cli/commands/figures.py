"""goemo figures."""

from pathlib import Path
from typing import Annotated

import typer

from goemo_cli.commands._console import Console
from goemo_cli.commands._options import DataDirOpt, JsonOpt, QuietOpt, RootOpt


def figures(
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            help="A run: its folder, its name, or @latest, @best, @MODEL. [default: @latest]",
            metavar="RUN",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="Numbers or names of figures, separated by commas. [default: all]",
            metavar="07,15",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDirOpt = None,
    root: RootOpt = Path(),
    as_json: JsonOpt = False,
    quiet: QuietOpt = False,
) -> None:
    """Draw the figures of a run.

    Its data, its training, its thresholds and the F1 of each label, into output/figures. Example: goemo figures --only 07,15
    """
    from goemo_cli.commands._progress import Screen
    from goemo_cli.core.errors import NotFoundError
    from goemo_cli.core.layout import Layout
    from goemo_cli.services.figures import draw_figures

    wanted = [name for names in only or () for name in names.split(",")]
    out = Console(as_json=as_json, quiet=quiet)
    with Screen(out) as screen:
        result = draw_figures(Layout(root), run=run, only=wanted, data_dir=data_dir, listen=screen)
    for name, reason in result.skipped:
        out.warn(f"figure {name} was not drawn: {reason}")
    if result.drawn or as_json:
        out.result(
            f"Drew {len(result.drawn)} figure{'' if len(result.drawn) == 1 else 's'} of {result.run}",
            **(
                {
                    "run": str(result.run),
                    "drawn": list(result.drawn),
                    "skipped": [{"figure": name, "reason": reason} for name, reason in result.skipped],
                }
                if as_json
                else {path.name[:2]: path for path in result.drawn}
            ),
        )
    if result.skipped and (wanted or not result.drawn):
        raise NotFoundError(f"{len(result.skipped)} figure(s) of {result.run} lack what they are drawn from")
    out.hint(f"goemo validate --root {root}" if root != Path() else "goemo validate")
