"""Typer with goemo's rules for every command: empty values are refused, help pages are goemo's."""

from collections.abc import Callable, Iterator, MutableMapping
from importlib import import_module
from keyword import iskeyword
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from goemo_cli.commands._help import argument_name, help_page

_MAY_BE_EMPTY = ("text", "notes", "tags")
"""Parameters whose value is text for people or models, not a reference, a path or a name."""
_NAMES_A_RUN = ("--checkpoint", "--run", "-c")
_SAME = (_NAMES_A_RUN, ("--data", "--input"), ("--model", "--student"), ("--lr", "--learning-rate"))
"""Options that mean the same in different commands, or in other programs."""
_UsageError: Any = typer.BadParameter.__base__


class Command(TyperCommand):
    """A command that refuses empty values: `--root "$UNSET"` is a mistake, not the current folder.

    After an option of another command, the error names what has its meaning here.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        try:
            given, more, _ = self.make_parser(ctx).parse_args(list(args))
        except _UsageError as error:
            self._explain(error, ctx)
            raise
        if more and not ctx.resilient_parsing and (option := self._option_for_a_run()):
            ctx.fail(
                f"Got unexpected extra argument(s) ({', '.join(map(repr, more))}); a run is named by {option} RUN"
            )
        params: list[Any] = self.params
        for param in params:
            values = given.get(param.name)
            values = values if isinstance(values, (list, tuple)) else [values]
            if "" in values and param.name not in _MAY_BE_EMPTY and not ctx.resilient_parsing:
                raise typer.BadParameter("the value is empty", ctx=ctx, param=param)
        return super().parse_args(ctx, args)

    def _explain(self, error: Any, ctx: Any) -> None:
        """Complete the error about an option that this command does not have."""
        if not hasattr(error, "possibilities"):  # another mistake
            return
        wanted, known = error.option_name, self._option_names()
        same = [name for names in _SAME if wanted in names for name in names if name in known]
        if same:
            error.possibilities = same[:1]
        elif wanted in _NAMES_A_RUN and "RUN" in (argument.metavar for argument in self._arguments(ctx)):
            error.message += f"; the run is an argument: {ctx.command_path} RUN"
            error.possibilities = None

    def _option_for_a_run(self) -> str | None:
        known = self._option_names()
        return next((name for name in _NAMES_A_RUN if name in known), None)

    def _option_names(self) -> list[str]:
        return [name for param in self.params for name in param.opts]

    def _arguments(self, ctx: Any) -> list[Any]:
        params: list[Any] = self.get_params(ctx)
        return [param for param in params if param.param_type_name == "argument"]

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line: `[OPTIONS] RUN [TEXT]...`."""
        return ["[OPTIONS]", *(argument_name(argument) for argument in self._arguments(ctx))]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        formatter.write(help_page(self, ctx))


class Group(TyperGroup):
    """A command with subcommands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        formatter.write(help_page(self, ctx))

    def summaries(self, ctx: Any) -> dict[str, dict[str, str]]:
        """What each subcommand does, by panel and name."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        shown = {name: (one.help or "").partition("\n\n")[0] for name, one in commands.items() if one}
        return {"Commands": {name: " ".join(text.split()) for name, text in shown.items()}}


class Typer(typer.Typer):
    """Typer whose commands are `Command`s and whose help texts are plain: brackets in them are brackets."""

    def __init__(self, **options: Any) -> None:
        rules = {"cls": Group, "no_args_is_help": True, "add_completion": False, "rich_markup_mode": None}
        super().__init__(**{**rules, **options})

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Register a command, as in Typer."""
        register = super().command(name, **{"cls": Command, **options})

        def registered(function: Any) -> Any:
            from goemo_cli.commands._groups import expanded  # pydantic, which `goemo --help` does not need

            register(expanded(function))
            return function

        return registered


class LazyCommands(MutableMapping[str, Any]):
    """Subcommands by name; the module of one is imported when it is asked for.

    Args:
        names: `export-metrics` is the function, or the Typer, `export_metrics` in `commands/export_metrics.py`; a word of
            Python has an underscore at its end, as `import_`.
    """

    def __init__(self, names: list[str]) -> None:
        self._loaded: dict[str, Any] = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Any:
        """The command."""
        if self._loaded[name] is None:
            self._loaded[name] = _load(name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)


def _load(name: str) -> Any:
    word = name.replace("-", "_") + "_" * iskeyword(name)
    found = getattr(import_module(f"goemo_cli.commands.{word}"), word)
    if isinstance(found, typer.Typer):
        return typer.main.get_command(found)
    single = Typer()
    single.command(name)(found)
    return typer.main.get_command(single)
