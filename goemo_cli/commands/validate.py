"""goemo validate."""

from pathlib import Path
from typing import Annotated

import typer

from goemo_cli.commands._console import Console
from goemo_cli.commands._options import JsonOpt, QuietOpt, RootOpt

FOUND_PROBLEMS = 3


def validate(
    root: RootOpt = Path(),
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="List every check, not only what was found.")
    ] = False,
    as_json: JsonOpt = False,
    quiet: QuietOpt = False,
) -> None:
    """Check that all artifacts are sound.

    Exits with 3 if anything is wrong; all problems are listed. Example: goemo validate --verbose
    """
    from goemo_cli.commands._progress import Screen
    from goemo_cli.core.layout import Layout
    from goemo_cli.services.validation import validate_artifacts

    out = Console(as_json=as_json, quiet=quiet)
    with Screen(out) as screen:
        report = validate_artifacts(Layout(root), listen=screen)
    if verbose:
        faulty = {problem.path for problem in report.problems}
        for what, path in report.checks:
            out.note(f"{'  problem' if path in faulty else '  ok     '}  {path}: {what}")
    for warning in report.warnings:
        out.warn(f"{warning.path}: {warning.message}")
    for problem in report.problems:
        out.fail(f"{problem.path}: {problem.message}")
    out.result(
        "All artifacts are valid" if report.ok else f"{len(report.problems)} problem(s) found",
        checks=len(report.checks),
        files=len({path for _, path in report.checks}),
        warnings=[f"{warning.path}: {warning.message}" for warning in report.warnings]
        if as_json
        else len(report.warnings),
        **(
            {"ok": report.ok, "problems": [{"path": p.path, "message": p.message} for p in report.problems]}
            if as_json
            else {}
        ),
    )
    if not report.ok:
        raise typer.Exit(FOUND_PROBLEMS)
