"""goemo validate."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.commands._progress import Screen
from goemo_cli.core.hints import root_option

if TYPE_CHECKING:
    from goemo_cli.services.validation import ValidationReport

Format = Literal["table", "md", "json"]

FOUND_PROBLEMS = 3
SHOWN_PER_FILE = 20
"""Problems of one file that are shown to people; --json has all of them."""

RecomputeOpt = Annotated[
    int,
    typer.Option(
        "--recompute",
        min=0,
        metavar="N",
        help="Put N sampled test rows of each run through its weights again.",
    ),
]
FixOpt = Annotated[
    bool,
    typer.Option(
        "--fix",
        help="Rebuild derived tables, remove leftovers of killed runs, validate again. "
        "Predictions and checkpoints do not change.",
    ),
]
WandbOpt = Annotated[
    str | None,
    typer.Option(
        "--wandb",
        metavar="RUN",
        help="Instead of the files here: compare this run, by its name or its W&B ID, with its copy on W&B.",
    ),
]
FormatOpt = Annotated[
    Format | None,
    opt.choice(
        Format, "--format", help="Format of standard output; md for the summary of a CI job.", default="table"
    ),
]
VerboseOpt = Annotated[
    bool, typer.Option("--verbose", "-v", help="List every check, not only what was found.")
]


def validate(
    recompute: RecomputeOpt = 0,
    fix: FixOpt = False,
    wandb: WandbOpt = None,
    verbose: VerboseOpt = False,
    shape: FormatOpt = None,
    *,
    common: opt.Common,
) -> None:
    """Check all files of all runs.

    Exits with 3 if anything is wrong; all problems are listed.

    Examples:
        goemo validate --recompute 200
    """
    out = common.console(shape=shape)
    if wandb is not None and (recompute or fix):
        raise typer.BadParameter(
            "only compares; --recompute and --fix are for the files here", param_hint="--wandb"
        )

    from goemo_cli.services.validation import validate_artifacts

    with Screen(out) as screen:
        if wandb is not None:
            from goemo_cli.services.wandb.check import validate_remote

            report = validate_remote(wandb, layout=common.layout, on_event=screen)
        else:
            report = validate_artifacts(common.layout, recompute=recompute, fix=fix, on_event=screen)
    _say(report, out, verbose=verbose)
    valid = "All artifacts are valid" if wandb is None else "W&B has all of the run, as it is here"
    verdict = valid if report.ok else f"{len(report.problems)} problem(s) found"
    if shape == "md":
        out.text(_markdown(report, verdict))
    else:
        out.result(verdict, **(_document(report) if out.as_json else _headline(report)))
    if report.repairs and not fix:
        out.hint(f"goemo validate --fix{root_option(common.root)}")
    if not report.ok:
        raise typer.Exit(FOUND_PROBLEMS)


def _say(report: "ValidationReport", out: Console, *, verbose: bool) -> None:
    """Everything found, on stderr; every check too where that is wanted."""
    if verbose:
        faulty = {problem.path for problem in report.problems}
        for what, path in report.checks:
            out.note(f"{'  problem' if path in faulty else '  ok     '}  {path}: {what}")
        for file in report.outdated:
            out.note(f"  renew    {file.path}: {file.reason}")
    for path, verb in report.repaired:
        out.note(f"{verb.capitalize()} {path}")
    for message in _warnings(report):
        out.warn(message)
    for path, message in _shown_problems(report):
        out.fail(f"{path}: {message}")


def _shown_problems(report: "ValidationReport") -> Iterator[tuple[Path, str]]:
    """Problems with their files, at most SHOWN_PER_FILE of a file."""
    counts = Counter[Path]()
    for problem in report.problems:
        counts[problem.path] += 1
        if counts[problem.path] <= SHOWN_PER_FILE:
            yield problem.path, problem.message
    for path, count in counts.items():
        if count > SHOWN_PER_FILE:
            yield path, f"{count - SHOWN_PER_FILE:,} more problems; --json lists all of them"


def _warnings(report: "ValidationReport") -> list[str]:
    """A sentence for each file, and one for all that only need to be renewed."""
    from goemo_cli.services.runs.outdated import renewal

    found = [f"{warning.path}: {warning.message}" for warning in report.warnings]
    return [*found, *([renewal(report.outdated, report.root)] if report.outdated else [])]


def _headline(report: "ValidationReport") -> dict[str, Any]:
    values: dict[str, Any] = {
        "checks": len(report.checks),
        "files": len({path for _, path in report.checks}),
        "warnings": len(_warnings(report)),
    }
    if report.repaired:
        values["repaired"] = len(report.repaired)
    if report.recomputed:
        values["recomputed"] = [f"{run} within {largest:.1e}" for run, largest in report.recomputed.items()]
    return values


def _markdown(report: "ValidationReport", verdict: str) -> str:
    """Verdict, counts, and a table of the problems and warnings."""
    from goemo_cli.services.report.text import plain, table

    found = [["problem", plain(str(path)), plain(message)] for path, message in _shown_problems(report)]
    found += [["warning", plain(str(one.path)), plain(one.message)] for one in report.warnings]
    found += [["renew", plain(str(one.path)), plain(one.reason)] for one in report.outdated]
    values = [[name, plain(str(value))] for name, value in _headline(report).items()]
    parts = [f"**goemo validate: {verdict}**", table(["", ""], values)]
    return "\n\n".join([*parts, table(["", "file", "found"], found)] if found else parts)


def _document(report: "ValidationReport") -> dict[str, Any]:
    return {
        "ok": report.ok,
        "checks": len(report.checks),
        "files": len({path for _, path in report.checks}),
        "warnings": _warnings(report),
        "problems": [{"path": one.path, "message": one.message} for one in report.problems],
        "out_of_date": [
            {"path": one.path, "reason": one.reason, "renew": f"{one.renew}{root_option(report.root)}"}
            for one in report.outdated
        ],
        "repaired": [{"path": path, "how": verb} for path, verb in report.repaired],
        "recomputed": report.recomputed,
    }
