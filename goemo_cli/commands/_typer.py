"""Typer with goemo's rules for every command."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

_MAY_BE_EMPTY = ("text", "notes", "tags")
"""Parameters whose value is text for people or models, not a reference, a path or a name."""


class Command(TyperCommand):
    """A command that refuses empty values: `--root "$UNSET"` is a mistake, not the current folder."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        given, *_ = self.make_parser(ctx).parse_args(list(args))
        params: list[Any] = self.params
        for param in params:
            values = given.get(param.name)
            values = values if isinstance(values, (list, tuple)) else [values]
            if "" in values and param.name not in _MAY_BE_EMPTY and not ctx.resilient_parsing:
                raise typer.BadParameter("the value is empty", ctx=ctx, param=param)
        return super().parse_args(ctx, args)


class Typer(typer.Typer):
    """Typer whose commands are `Command`s."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Register a command, as in Typer."""
        return super().command(name, **{"cls": Command, **options})
