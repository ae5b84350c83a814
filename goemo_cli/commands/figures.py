"""goemo figures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.commands._progress import Screen
from goemo_cli.core.hints import root_option
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import PictureFormat
from goemo_cli.services.data.result_tables import counted

if TYPE_CHECKING:
    from goemo_cli.services.figures import CheckResult, FiguresResult

FOUND_STALE = 3
Style = Literal["light", "dark"]

RunsOpt = Annotated[
    list[str] | None,
    typer.Option("--run", help=f"{opt.RUN} Several are compared. [default: @latest]", metavar="RUN"),
]
OnlyOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--only", help="Numbers or names of figures, separated by commas. [default: all]", metavar="07,15"
    ),
]
FormatOpt = Annotated[
    PictureFormat | None, opt.choice(PictureFormat, "--format", help="Format of the pictures.", default="png")
]
StyleOpt = Annotated[Style | None, opt.choice(Style, "--style", help="Background.", default="light")]
CheckOpt = Annotated[
    bool, typer.Option("--check", help="Draw nothing; name the figures whose sources or data changed.")
]


def figures(
    run: RunsOpt = None,
    only: OnlyOpt = None,
    picture_format: FormatOpt = None,
    style: StyleOpt = None,
    check: CheckOpt = False,
    data_dir: opt.DataDirOpt = None,
    *,
    common: opt.Common,
) -> None:
    """Draw the figures of one or several runs.

    Data, training, thresholds and the F1 of each label, into output/figures; the numbers in them into
    output/figures/data. --check exits with 3 if one is stale.

    Examples:
        goemo figures
        goemo figures --run @minilm --run @tfidf --only 08,20
    """
    if check and (run or picture_format or style):
        raise typer.BadParameter(
            "only --only and --data-dir go with it: nothing is drawn", param_hint="--check"
        )
    wanted = [name for names in only or () for name in names.split(",")]
    out, layout = common.console(), common.layout
    if check:
        _check(out, layout, wanted, data_dir)
        return
    from goemo_cli.services.figures import draw_figures

    look: dict[str, Any] = {"picture_format": picture_format or "png", "theme": style or "light"}
    with Screen(out) as screen:
        result = draw_figures(layout, runs=run or [], only=wanted, data_dir=data_dir, on_event=screen, **look)
    _say(result, out, named=bool(wanted))
    out.hint(f"goemo figures --check{root_option(common.root)}", f"goemo validate{root_option(common.root)}")


def _check(out: Console, layout: Layout, only: list[str], data_dir: Path | None) -> None:
    from goemo_cli.services.figures import check_figures

    _say_check(check_figures(layout, only=only, data_dir=data_dir), out, layout.root)


def _say(result: "FiguresResult", out: Console, *, named: bool) -> None:
    from goemo_cli.core.errors import NotFoundError

    first, *others = result.runs
    runs = f"{first} and {', '.join(map(str, others))}" if others else str(first)
    for name, reason in result.skipped:
        out.warn(f"figure {name} was not drawn: {reason}")
    if result.drawn or out.as_json:
        document: dict[str, Any] = {
            "runs": [str(run) for run in result.runs],
            "drawn": list(result.drawn),
            "skipped": [{"figure": name, "reason": reason} for name, reason in result.skipped],
            "of_first": list(result.of_first),
        }
        out.result(
            f"Drew {counted(len(result.drawn), 'figure')} of {runs}",
            **(document if out.as_json else {path.name[:2]: path for path in result.drawn}),
        )
    if result.of_first:
        numbers = ", ".join(name[:2] for name in result.of_first)
        out.note(f"Figures of one run show the first, {first}: {numbers}")
    if result.damage:
        raise result.damage
    if result.skipped and (named or not result.drawn):
        raise NotFoundError(f"{counted(len(result.skipped), 'figure')} of {runs} could not be drawn")


def _say_check(found: "CheckResult", out: Console, root: Path) -> None:
    for path, reason in found.stale:
        out.fail(f"{path} is stale: {reason}")
    for path, reason in found.unknown:
        out.warn(f"{path} was drawn from data that cannot be looked at: {reason}")
    checked = len(found.fresh) + len(found.stale)
    document: dict[str, Any] = {
        "ok": not found.stale,
        "fresh": list(found.fresh),
        "stale": [{"path": path, "reason": reason} for path, reason in found.stale],
        "unknown": [{"path": path, "reason": reason} for path, reason in found.unknown],
    }
    stale = len(found.stale)
    out.result(
        f"{stale} of {counted(checked, 'figure')} {'is' if stale == 1 else 'are'} stale"
        if stale
        else f"{counted(checked, 'figure')} checked, none is stale",
        **(document if out.as_json else {}),
    )
    if stale:
        numbers = ",".join(dict.fromkeys(path.name[:2] for path, _ in found.stale))
        out.hint(f"goemo figures --only {numbers}{root_option(root)}")
        raise typer.Exit(FOUND_STALE)
