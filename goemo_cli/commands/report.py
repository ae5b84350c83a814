"""goemo report."""

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.commands._progress import Screen

if TYPE_CHECKING:
    from goemo_cli.services.report.create import ReportResult

ReportFormat = Literal["html", "md"]
_OFTEN_MISSING = ("taxonomies",)
"""Parts that most data sets do not have; the report says so in their place."""

RunsArg = Annotated[
    list[str] | None,
    typer.Argument(
        help=f"Up to six runs that are compared, or predictions of goemo evaluate. Each is: {opt.RUN} [default: @latest]",
        metavar="RUN",
    ),
]
AllOpt = Annotated[
    bool, typer.Option("--all", help="The best runs, as @best ranks them, that compare with the newest.")
]
OpenOpt = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]
FormatOpt = Annotated[
    ReportFormat | None, opt.choice(ReportFormat, "--format", help="A page or Markdown.", default="html")
]
WandbOpt = Annotated[
    bool, typer.Option("--wandb", help="Create a report of these runs in W&B instead; prints its address.")
]


def report(
    runs: RunsArg = None,
    every: AllOpt = False,
    show: OpenOpt = False,
    report_format: FormatOpt = None,
    output: opt.OutputFileOpt = None,
    on_wandb: WandbOpt = False,
    data_dir: opt.DataDirOpt = None,
    *,
    common: opt.Common,
) -> None:
    """Write a report of runs: one interactive HTML page.

    It needs no network. With `--format md`: results.md. Key numbers, scores with intervals, curves, a threshold explorer,
    calibration, confusions, each test text, training, data, settings and lineage, into output/report.

    Examples:
        goemo report --open
        goemo report @minilm @tfidf
    """
    _check(runs or [], every=every, show=show, on_wandb=on_wandb, local=(report_format, output, data_dir))

    out = common.console(output=output)
    if on_wandb:
        _on_wandb(runs or [], common.layout, out)
        return

    from goemo_cli.services.report.create import create_report

    with Screen(out) as screen:
        result = create_report(
            runs or [],
            layout=common.layout,
            every=every,
            report_format=report_format or "html",
            output=output,
            data_dir=data_dir,
            on_event=screen,
        )
    _say(result, out)
    if show:
        _open(result.path, out)
    if result.damage:
        raise result.damage


def _check(runs: list[str], *, every: bool, show: bool, on_wandb: bool, local: tuple[object, ...]) -> None:
    """Refuse flags that would do nothing."""
    if every and runs:
        raise typer.BadParameter("it chooses the runs itself: name none", param_hint="--all")
    if on_wandb and (every or show or any(local)):
        raise typer.BadParameter("only runs go with it: nothing is written here", param_hint="--wandb")
    if show and local[0] == "md":
        raise typer.BadParameter("only an HTML page can be opened", param_hint="--open")


def _say(result: "ReportResult", out: Console) -> None:
    by_reason: dict[tuple[str, str], list[str]] = {}
    for run, part, reason in result.missing:
        if part not in _OFTEN_MISSING:
            by_reason.setdefault((run, reason), []).append(part)
    for (run, reason), parts in by_reason.items():
        out.note(f"{run}, {', '.join(parts)}: {reason}")
    if result.left_out:
        out.note(result.left_out)
    details: dict[str, Any] = {
        "runs": list(result.runs),
        "missing": [{"run": run, "part": part, "reason": reason} for run, part, reason in result.missing],
    }
    runs = f"{len(result.runs)} runs" if len(result.runs) > 1 else result.runs[0]
    out.result(f"Wrote a report of {runs}", path=result.path, **(details if out.as_json else {}))


def _open(page: Path, out: Console) -> None:
    address = page.resolve().as_uri()
    if not webbrowser.open(address):
        out.warn(f"no browser could be started; open {address}")


def _on_wandb(runs: list[str], layout: Any, out: Console) -> None:
    from goemo_cli.services.wandb.report import create_wandb_report

    with Screen(out) as screen:
        url = create_wandb_report(runs, layout=layout, on_event=screen)
    out.result("Made a report in W&B", url=url)
