"""goemo doctor."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.core.layout import Layout
from goemo_cli.services.data.result_tables import counted

if TYPE_CHECKING:
    from goemo_cli.services.doctor.examine import Finding

_WIDTH = 80


def doctor(
    online: Annotated[bool, typer.Option("--online", help="Contact W&B and the Hugging Face Hub.")] = False,
    root: opt.NewRootOpt = Path(),
    as_json: opt.JsonOpt = False,
) -> None:
    """Examine this machine and the project.

    Shows versions, processor, precision, memory, disk, data, models, services, interrupted runs and temporary files,
    with the command for each note. No secret is shown.

    Examples:
        goemo doctor
        goemo doctor --online
    """
    from goemo_cli.services.doctor.examine import examine

    out = Console(as_json=as_json)
    findings = examine(Layout(root), online=online)
    problems = sum(finding.state == "problem" for finding in findings)
    if as_json:
        out.result("", problems=problems, findings=[asdict(finding) for finding in findings])
    else:
        for line in _lines(findings):
            out.text(line)
        out.result(_count(problems))
    if problems:
        raise typer.Exit(3)


def _lines(findings: "Sequence[Finding]") -> Iterator[str]:
    """One paragraph for each group; packages without a note are on one line."""
    for group in dict.fromkeys(finding.group for finding in findings):
        members = [finding for finding in findings if finding.group == group]
        yield group.capitalize()
        if group == "packages":
            good = [f"{finding.name} {finding.value}" for finding in members if finding.state == "ok"]
            yield from textwrap.wrap(", ".join(good), _WIDTH, initial_indent="  ", subsequent_indent="  ")
            members = [finding for finding in members if finding.state != "ok"]
        width = max((len(finding.name) for finding in members), default=0)
        for finding in members:
            mark = "" if finding.state == "ok" else f"{finding.state}: "
            yield f"  {finding.name:<{width}}  {mark}{finding.value}"
            if finding.hint:
                yield f"  {'':<{width}}  next: {finding.hint}"


def _count(problems: int) -> str:
    return counted(problems, "problem") if problems else "No problems"
