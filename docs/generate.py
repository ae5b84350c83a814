"""Writes the reference pages that are made from the code: docs/reference/cli.md and docs/reference/config.md.

`python docs/generate.py` writes them; tests/test_docs.py compares them with what this module would write.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel

from goemo_cli.app import app
from goemo_cli.commands._help import page_of
from goemo_cli.core.settings import TrainConfig

REFERENCE = Path(__file__).parent / "reference"


def cli_reference() -> str:
    """The help page of every command."""
    head = "# Commands\n\nThe help pages of `goemo`, as `goemo COMMAND --help` shows them.\n"
    return head + "".join(_pages(typer.main.get_command(app), "goemo", None))


def _pages(command: Any, name: str, parent: Any) -> Iterator[str]:
    ctx = command.make_context(name, [], parent=parent, resilient_parsing=True)
    page = page_of(command, ctx)
    yield "\n".join(
        [f"\n## {ctx.command_path}\n", "```", page.usage, "```\n", "\n\n".join(page.paragraphs), ""]
    )
    for title, rows in page.sections.items():
        lines = [f"| `{_cell(left)}` | {_cell(text)} |" for left, text in rows.items()]
        yield "\n".join([f"\n| {title} | |", "| --- | --- |", *lines, ""])
    if page.examples:
        yield "\n".join(["\nExamples:\n", "```", *page.examples, "```", ""])
    for subcommand in command.list_commands(ctx) if hasattr(command, "list_commands") else ():
        yield from _pages(command.get_command(ctx, subcommand), subcommand, ctx)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def config_reference() -> str:
    """Every setting with its default and meaning, by section."""
    head = (
        "# Settings\n\nOf `goemo train`: in a YAML file (`--config`), as `section.key=value` on the command line, or by "
        "their flags. Flags beat the file, the file beats the model's defaults in `configs/models.yaml`, and those beat "
        "the defaults below. An unknown key is an error. `lr` may be written for `learning_rate`.\n"
    )
    return head + "".join(_sections(TrainConfig, ""))


def _sections(section: type[BaseModel], prefix: str) -> Iterator[str]:
    rows, inner = [], []
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            inner.append((kind, f"{prefix}{name}."))
            continue
        default = (
            "null"
            if field.default is None
            else str(field.default).lower()
            if isinstance(field.default, bool)
            else field.default
        )
        rows.append(f"| `{prefix}{name}` | `{default}` | {_meaning(field.description or '', kind)} |")
    if rows:
        yield f"\n## {prefix.rstrip('.')}\n\n{(section.__doc__ or '').strip()}\n\n| setting | default | meaning |\n| --- | --- | --- |\n"
        yield "\n".join(rows) + "\n"
    for kind, name in inner:
        yield from _sections(kind, name)


def _meaning(description: str, kind: object) -> str:
    parts = [" or ".join(f"`{choice}`" for choice in _choices(kind)), " ".join(description.split())]
    return ". ".join(part.rstrip(".") for part in parts if part).replace("|", "\\|")


def _choices(kind: object) -> list[str]:
    """The texts in a `Literal`, also of an optional one."""
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    is_optional = type(None) in get_args(kind)
    return [choice for one in get_args(kind) if is_optional for choice in _choices(one)]


def main() -> None:
    """Write both pages."""
    (REFERENCE / "cli.md").write_text(cli_reference(), encoding="utf-8")
    (REFERENCE / "config.md").write_text(config_reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
