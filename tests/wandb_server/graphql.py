"""As much of GraphQL as the SDK's documents use: parse one, and cut the asked-for fields out of nested mappings.

Knows nothing of W&B. A mapping's value may be a function of the field's arguments; a field that a mapping lacks is null
in the answer and told to `missing`, so that the next one to write is seen.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Resolver = Callable[[dict[str, Any]], Any]

_TOKEN = re.compile(
    r'(?:[\s,\ufeff]+|\#[^\n]*)|(?P<token>\.\.\.|[{}()\[\]:=!$@|&]|"(?:[^"\\\n]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?'
    r"|[A-Za-z_]\w*)"
)
_INTERFACES = {"ArtifactCollection": {"ArtifactSequence", "ArtifactPortfolio"}}


class GraphQLError(Exception):
    """What the server answers in `errors`; its text reaches the SDK's user."""

    def __init__(self, message: str, *, status: int = 200) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Variable:
    """`$name`, until the request gives its value."""

    name: str


@dataclass(frozen=True)
class Field:
    """One asked-for field: under which key, of what, with which arguments and what of its value."""

    key: str
    name: str
    arguments: dict[str, Any]
    directives: dict[str, dict[str, Any]]
    selections: tuple["Selection", ...]


@dataclass(frozen=True)
class Spread:
    """`...Name` (fragment) or `... on Type { }` (selections)."""

    fragment: str | None
    condition: str | None
    directives: dict[str, dict[str, Any]]
    selections: tuple["Selection", ...]


Selection = Field | Spread


@dataclass
class Document:
    """One operation with its fragments."""

    kind: str = "query"
    name: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)
    selections: tuple[Selection, ...] = ()
    fragments: dict[str, Spread] = field(default_factory=dict)


def parse(text: str) -> Document:
    """The operation of a document.

    Raises:
        GraphQLError: what GraphQL does not allow, or this parser does not know.
    """
    return _Parser(text).document()


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = [*_tokens(text), ""]
        self.at = 0

    @property
    def next(self) -> str:
        return self.tokens[self.at]

    def take(self, *wanted: str) -> str:
        token = self.next
        if not token or (wanted and token not in wanted):
            raise GraphQLError(f"Syntax error: expected {' or '.join(wanted) or 'more'}, found {token!r}")
        self.at += 1
        return token

    def skip(self, token: str) -> bool:
        found = self.next == token
        self.at += found
        return found

    def document(self) -> Document:
        document = Document()
        while self.next:
            if self.next == "{":
                document.selections = self.selections()
            elif self.skip("fragment"):
                name = self.take()
                self.take("on")
                document.fragments[name] = Spread(None, self.take(), self.directives(), self.selections())
            else:
                document.kind = self.take("query", "mutation")
                document.name = self.take() if self.next not in ("(", "{", "@") else ""
                document.defaults = self.variables()
                self.directives()
                document.selections = self.selections()
        return document

    def variables(self) -> dict[str, Any]:
        defaults: dict[str, Any] = {}
        if self.skip("("):
            while not self.skip(")"):
                self.take("$")
                name = self.take()
                self.take(":")
                while self.next in ("[", "]", "!") or self.next[0].isalpha():
                    self.take()
                defaults[name] = self.value() if self.skip("=") else None
        return defaults

    def selections(self) -> tuple[Selection, ...]:
        found: list[Selection] = []
        self.take("{")
        while not self.skip("}"):
            found.append(self.spread() if self.skip("...") else self.field())
        return tuple(found)

    def spread(self) -> Spread:
        if self.next not in ("on", "{", "@"):
            return Spread(self.take(), None, self.directives(), ())
        condition = self.take() if self.skip("on") else None
        return Spread(None, condition, self.directives(), self.selections())

    def field(self) -> Field:
        key = name = self.take()
        if self.skip(":"):
            name = self.take()
        arguments, directives = self.arguments(), self.directives()
        return Field(key, name, arguments, directives, self.selections() if self.next == "{" else ())

    def arguments(self) -> dict[str, Any]:
        return self.members("(", ")") if self.next == "(" else {}

    def members(self, opening: str, closing: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.take(opening)
        while not self.skip(closing):
            name = self.take()
            self.take(":")
            found[name] = self.value()
        return found

    def directives(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        while self.skip("@"):
            name = self.take()
            found[name] = self.arguments()
        return found

    def value(self) -> Any:
        if self.next == "{":
            return self.members("{", "}")
        token = self.take()
        if token == "$":
            return Variable(self.take())
        if token == "[":
            items: list[Any] = []
            while not self.skip("]"):
                items.append(self.value())
            return items
        if token[0] == '"':
            return re.sub(r"\\(.)", r"\1", token[1:-1])
        if token[0] in "-0123456789":
            return float(token) if set(token) & set(".eE") else int(token)
        return {"true": True, "false": False, "null": None}.get(token, token)


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise GraphQLError(f"Syntax error: unexpected {text[at]!r}")
        if match["token"]:
            yield match["token"]
        at = match.end()


@dataclass
class Answering:
    """Cuts what a document asks for out of nested mappings."""

    document: Document
    variables: Mapping[str, Any]
    missing: Callable[[str], None]
    """Told `Type.field` for every field that was asked for and is not there."""

    def answer(self, root: Mapping[str, Any]) -> dict[str, Any]:
        """The `data` of the response."""
        return self._cut(root, self.document.selections)

    def _cut(self, value: Mapping[str, Any], selections: Sequence[Selection]) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for selection in selections:
            if not self._included(selection):
                continue
            if isinstance(selection, Spread):
                spread = self.document.fragments[selection.fragment] if selection.fragment else selection
                if _applies(spread.condition, value.get("__typename")):
                    _merge(answer, self._cut(value, spread.selections))
            else:
                _merge(answer, {selection.key: self._field(value, selection)})
        return answer

    def _field(self, value: Mapping[str, Any], wanted: Field) -> Any:
        if wanted.name not in value:
            self.missing(f"{value.get('__typename', 'Query')}.{wanted.name}")
            return None
        found = value[wanted.name]
        if callable(found):
            found = found(self._filled(wanted.arguments))
        return self._shaped(found, wanted.selections)

    def _shaped(self, value: Any, selections: tuple[Selection, ...]) -> Any:
        if value is None or not selections:
            return value
        if isinstance(value, Mapping):
            return self._cut(value, selections)
        return [self._shaped(item, selections) for item in value]

    def _included(self, selection: Selection) -> bool:
        for name, wanted in (("include", True), ("skip", False)):
            if name in selection.directives:
                condition = self._filled(selection.directives[name])["if"]
                if bool(condition) is not wanted:
                    return False
        return True

    def _filled(self, value: Any) -> Any:
        """The value with its variables replaced; an argument whose variable was not given is left out."""
        if isinstance(value, Variable):
            given = self.variables.get(value.name)
            return self.document.defaults.get(value.name) if given is None else given
        if isinstance(value, dict):
            return {name: self._filled(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        return value


def _applies(condition: str | None, typename: str | None) -> bool:
    known = condition is not None and typename is not None
    return not known or condition == typename or typename in _INTERFACES.get(str(condition), set())


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """A field that is asked for twice, as fragments do, holds what both ask of it."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
