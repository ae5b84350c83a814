"""Layers of settings: YAML files and `key=value` arguments, and how they are merged.

YAML as people expect it: `2e-5` is a number, a duplicate key is an error, and there are no aliases and no objects.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from goemo_cli.core.errors import SettingError


class _Loader(yaml.SafeLoader):
    """Safe loading with YAML 1.2's numbers and booleans, unique keys, and neither dates nor aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not used in goemo's files")
        return super().compose_node(parent, index)


# PyYAML follows YAML 1.1: `2e-5` is a string there, `on` is true, `010` is 8, 2025-12-12 a date.
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan)$",
        "-+.0123456789",
    ),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    value: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in value:
            raise yaml.YAMLError(f"key {key!r} occurs twice, again in line {key_node.start_mark.line + 1}")
        value[key] = loader.construct_object(value_node, deep=True)
    return value


def _decimal(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _decimal)


def parse_yaml(text: str, source: str | Path = "command line") -> Any:
    """The value of a YAML text.

    Raises:
        SettingError: not YAML, a duplicate key, or an alias.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        RecursionError,
    ) as error:  # TypeError: a key that is a mapping
        raise SettingError([f"not valid YAML: {' '.join(str(error).split())}"], source) from error


def read_yaml_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty mapping."""
    try:
        value = parse_yaml(path.read_text(encoding="utf-8"), path)
    except UnicodeDecodeError as error:
        raise SettingError([f"not UTF-8 text ({error.reason} at byte {error.start})"], path) from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SettingError([f"holds a {type(value).__name__} instead of settings (key: value)"], path)
    return {str(key): entry for key, entry in value.items()}


class _Dumper(yaml.SafeDumper):
    """Quotes every string that YAML 1.1 or `_Loader` would take for something else; writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.yaml_implicit_resolvers = {
    first: [
        *yaml.SafeDumper.yaml_implicit_resolvers.get(first, []),
        *_Loader.yaml_implicit_resolvers.get(first, []),
    ]
    for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Loader.yaml_implicit_resolvers}
}


def dump_yaml(value: Any) -> str:
    """YAML text of plain values, key order kept, that `parse_yaml` reads back to the same values."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


_QUOTES, _NULLS = ("'", '"'), ("", "~", "null", "Null", "NULL", "None")


def dotted_overrides(arguments: Sequence[str], texts: Collection[str] = ()) -> dict[str, Any]:
    """`training.epochs=3` on the command line as nested settings; values are YAML.

    Args:
        texts: names whose values are texts, taken as they are typed unless they are quoted, empty or null: YAML reads the
            text `# {}` as a comment, `a: b` as a mapping and `|` as an empty text.

    Raises:
        SettingError: an argument without `=`, or a value that is not YAML.
    """
    values: dict[str, Any] = {}
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if not equals:
            raise SettingError(
                [f"{argument!r} is not a setting: write section.key=value, e.g. training.epochs=3"]
            )
        name, text = name.strip(), text.strip()
        is_typed = name in texts and text[:1] not in _QUOTES and text not in _NULLS
        is_null = text == "None"  # as W&B's agents write it
        value = None if is_null else text if is_typed else parse_yaml(text, name)
        values = merge_layers(values, nested(name, value))
    return values


def nested(dotted: str, value: Any) -> dict[str, Any]:
    """`nested("a.b", 1)` is `{"a": {"b": 1}}`."""
    for part in reversed(dotted.split(".")):
        value = {part: value}
    return dict(value)


def divide(
    values: Mapping[str, Any], names: Sequence[str], prefix: str = ""
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Nested settings without those of some dotted names, and these."""
    rest: dict[str, Any] = {}
    named: dict[str, Any] = {}
    for key, value in values.items():
        if f"{prefix}{key}" in names:
            named[key] = value
        elif isinstance(value, Mapping):
            inner = divide(value, names, f"{prefix}{key}.")
            for part, found in zip((rest, named), inner, strict=True):
                if found:
                    part[key] = found
        else:
            rest[key] = value
    return rest, named


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name, the inverse of `nested`; an empty mapping is a value."""
    named: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            named |= flat(value, f"{prefix}{key}.")
        else:
            named[f"{prefix}{key}"] = value
    return named


def merge_layers(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings; those of `above` replace those of `below` key by key."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = (
            merge_layers(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
        )
    return merged
