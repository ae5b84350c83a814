"""Parameters of commands that are groups of options: a dataclass whose fields are options, or a set of settings."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Annotated, Any, get_args, get_origin

from goemo_cli.commands._settings import SettingsGroup

_BY_NAME = inspect.Parameter.KEYWORD_ONLY


def expanded(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command with each group of options replaced by its options, as Typer reads them.

    A group is a parameter whose type is a dataclass, or `Annotated[Settings, SettingsGroup(...)]`.
    """
    own = inspect.signature(command, eval_str=True).parameters
    groups = {name: group for name, one in own.items() if (group := _group(one.annotation))}
    if not groups:
        return command

    @functools.wraps(command)
    def with_options(**values: Any) -> Any:
        built = {
            name: group.value({key: values.pop(key) for key in group.options})
            for name, group in groups.items()
        }
        return command(**values, **built)

    parameters: list[inspect.Parameter] = []
    for name, one in own.items():
        parameters += groups[name].options.values() if name in groups else [one.replace(kind=_BY_NAME)]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by Typer
    with_options.__annotations__ = {one.name: one.annotation for one in parameters}
    return with_options


class _Fields:
    """The options in the fields of a dataclass."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        fields = inspect.signature(kind, eval_str=True).parameters
        self.options = {name: one.replace(kind=_BY_NAME) for name, one in fields.items()}

    def value(self, given: dict[str, Any]) -> Any:
        """The dataclass of the values that Typer read."""
        return self._kind(**given)


def _group(annotation: Any) -> _Fields | SettingsGroup | None:
    if is_dataclass(annotation):
        return _Fields(annotation)
    extra = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return next((one for one in extra if isinstance(one, SettingsGroup)), None)
