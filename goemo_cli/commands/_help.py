"""Help pages: panels over the full width of a terminal; elsewhere plain text of 80 columns."""

import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_WIDTH = 80
_WIDEST_NAME = 30
"""Columns of the left column, which has names and values; a longer one takes a line, or is folded."""
_EXAMPLES = "Examples:"


@dataclass(frozen=True)
class Page:
    """The parts of a help page."""

    usage: str
    paragraphs: list[str]
    sections: Mapping[str, Mapping[str, str]]
    """By title: names with their explanations."""
    examples: list[str]


def help_page(command: Any, ctx: Any) -> str:
    """The help page of a command for standard output."""
    page = page_of(command, ctx)
    return _panels(page) if sys.stdout.isatty() else plain_text(page)


def page_of(command: Any, ctx: Any) -> Page:
    """What the help page of a command or a group says.

    The docstring of the command is a sentence, paragraphs, and the examples after a line `Examples:`.
    """
    text, _, examples = (command.help or "").partition(f"\n\n{_EXAMPLES}\n")
    sections: dict[str, dict[str, str]] = {"Arguments": {}}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None:
            is_argument = param.param_type_name == "argument"
            title = param.rich_help_panel or ("Arguments" if is_argument else "Options")
            name = argument_name(param) if is_argument else record[0]
            sections.setdefault(title, {})[name] = " ".join(record[1].split())
    if hasattr(command, "summaries"):
        sections = {**command.summaries(ctx), **sections}
    return Page(
        usage=f"{ctx.command_path} {' '.join(command.collect_usage_pieces(ctx))}",
        paragraphs=[" ".join(paragraph.split()) for paragraph in text.split("\n\n")],
        sections={title: rows for title, rows in sections.items() if rows},
        examples=textwrap.dedent(examples).split("\n") if examples else [],
    )


def argument_name(argument: Any) -> str:
    """An argument as the usage line shows it: `RUN`, `[RUN]`, `[RUN]...`."""
    name = argument.metavar or argument.name.upper()
    return f"{name if argument.required else f'[{name}]'}{'...' if argument.nargs != 1 else ''}"


def plain_text(page: Page) -> str:
    """A page as plain text of 80 columns."""
    parts = [_wrapped(page.usage, "Usage: ")]
    parts += [_wrapped(paragraph, "  ", "  ") for paragraph in page.paragraphs]
    names = [name for rows in page.sections.values() for name in rows]
    left = min(max(map(len, names)), _WIDEST_NAME)
    for title, rows in page.sections.items():
        lines = [_row(name, text, left) for name, text in rows.items()]
        parts.append("\n".join([f"{title}:", *lines]))
    if page.examples:
        parts.append("\n".join([_EXAMPLES, *(f"  {example}" for example in page.examples)]))
    return "\n\n".join(parts) + "\n"


def _row(name: str, text: str, left: int) -> str:
    start = f"  {name:<{left}}  "
    if len(name) > left:
        return f"  {name}\n{_wrapped(text, ' ' * (left + 4), ' ' * (left + 4))}"
    return _wrapped(text, start, " " * (left + 4)) if text else start.rstrip()


def _wrapped(text: str, first: str, rest: str = "       ") -> str:
    return textwrap.fill(
        text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )  # fmt: skip


def _panels(page: Page) -> str:
    """A page with a panel for each section, over the full width of the terminal."""
    from rich.console import Console, Group, RenderableType
    from rich.padding import Padding
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = [Padding(Text.assemble(("Usage: ", "bold"), page.usage), (0, 1, 1, 1))]
    for number, paragraph in enumerate(page.paragraphs):
        parts.append(Padding(Text(paragraph, "dim" if number else ""), (0, 1, 1, 1)))
    names = [name for rows in page.sections.values() for name in rows]
    left = min(max(map(len, names)), _WIDEST_NAME)
    for title, rows in page.sections.items():
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(width=left, overflow="fold")
        table.add_column(ratio=1)
        for name, text in rows.items():
            meaning, bracket, extra = text.partition(" [") if text.endswith("]") else (text, "", "")
            table.add_row(Text(name, "cyan"), Text.assemble(meaning, (bracket + extra, "dim")))
        parts.append(Panel(table, title=title, title_align="left", border_style="dim"))
    console = Console(highlight=False)
    with console.capture() as capture:
        console.print(Group(*parts))
        if page.examples:  # without borders, so that they can be copied
            console.print(Text(f"\n {_EXAMPLES}", "bold"))
            console.print(
                Text("\n".join(f"   {example}" for example in page.examples), "green"), soft_wrap=True
            )
            console.print()
    return capture.get()
