"""The values of `log_metrics`: numbers, nested mappings of numbers, and objects that only W&B can show."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from goemo_cli.core.errors import SettingError

_OWN = ("step", "time")
"""What a line of metrics.jsonl has besides the values."""


def checked_values(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Numbers of Python, numpy or torch as floats; mappings inside likewise; objects of wandb, or lists of them, as given.

    Raises:
        SettingError: any other value, with its name; or a name that the log itself uses.
    """
    if not above and (taken := [name for name in _OWN if name in values]):
        raise SettingError([f"metric {taken[0]!r}: the log itself uses this name; choose another"])
    found: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping):
            found[str(name)] = checked_values(value, f"{path}.")
        else:
            found[str(name)] = value if is_media(value) else _number(path, value)
    return found


def is_media(value: Any) -> bool:
    """Whether W&B has to draw it: `wandb.Histogram`, `wandb.Image`, `wandb.Table`, ..., or a list of these."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(is_media(entry) for entry in value)
    return type(value).__module__.partition(".")[0] == "wandb"


def media_names(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The names of the objects that W&B has to draw, `val.chart` for one inside `val`."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from media_names(value, f"{above}{name}.")
        elif is_media(value):
            yield f"{above}{name}"


def local_values(values: Mapping[str, Any], *, on_wandb: bool) -> dict[str, Any]:
    """Checked values as JSON: a number that is not finite is null; of media only the type, and whether W&B got it."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found[name] = local_values(value, on_wandb=on_wandb)
        elif is_media(value):
            found[name] = {"type": _type_name(value), "on_wandb": on_wandb}
        else:
            found[name] = value if math.isfinite(value) else None
    return found


def _number(name: str, value: Any) -> float:
    if not isinstance(value, (str, bytes)):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    raise SettingError(
        [
            f"metric {name!r} is {value!r}: not a number, a mapping of numbers, or an object such as wandb.Image"
        ]
    )


def _type_name(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"{len(value)} x {_type_name(value[0])}"
    return f"wandb.{type(value).__name__}"
