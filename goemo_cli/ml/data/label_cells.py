"""What a label cell means: from the raw cells of one column, in any file format, to label names.

A cell is one of:

- nothing: None, NaN or blank text. The text has no label.
- names: text with a separator between names (`joy, anger`), or a list, tuple, set or array of names.
- a list written as text, as Python, JSON or numpy write it: `['joy']`, `("joy", "anger")`, `[ 6 17]`, `array([1., 0.])`.
- a mapping from names to 0 or 1, also written as text: `{"joy": 1, "anger": 0}`. The names with 1 are its labels.
- numbers. The whole column and the list of names decide what they mean:
    - lists that hold only 0 and 1, all of one length, are multi-hot: one number for each name of the list;
    - other whole numbers are positions in the list of names, counted from 0, unless the list has them as names;
    - without a list of names, one whole number per text is a name (a rating); all other numbers are an error.

Spaces around names are ignored. A name has no comma, quote or line end, since predictions join names by commas.
"""

import ast
import json
import math
import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from reprlib import Repr
from typing import Any, NoReturn

from goemo_cli.core.errors import DataError

Fault = Callable[[int, str], DataError]
"""Makes the error of a cell from its index in the column and a reason."""

DEFAULT_SEPARATOR = ","
_NOT_IN_LABELS = (",", '"', "\n", "\r")
_YES, _NO = ("1", "1.0", "1.", "true"), ("", "0", "0.0", "0.", "false")
_MISSING = ("none", "null", "nan")
_COLON = ("sign", ":")

_QUOTED = re.compile(r"""[bBuU]?(?:"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*')""", re.DOTALL)
_TOKEN = re.compile(
    rf"""\s*(?:(?P<quoted>{_QUOTED.pattern})|(?P<sign>[,:])|(?P<word>[^\s,:"'\[\]{{}}()][^\s,:"\[\]{{}}()]*))\s*""",
    re.DOTALL,
)
_CONTAINER = re.compile(
    r"(?:\w+\.)*(?:array|tensor|set|frozenset|list|tuple)\((.*[\])}]|)(?:,\s*(?:dtype|device)=[^\])}]*)?\)",
    re.DOTALL,
)
_NUMPY_SCALAR = re.compile(r"\bnp\.\w+\(([^()]*)\)")
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9]\d{0,17})(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")
_BITS = re.compile("[01]{3,}")
_SIGNS_BETWEEN_NUMBERS = re.compile(r"[\s|;#/:+&-]+")
_SIGNS = ("|", ";", "#", "/", "+", "&", ":", "\t", "-", "_", " ")
_SIGNS_IN_NAMES = ("-", "_", " ")

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 2


@dataclass(frozen=True)
class LabelRows:
    """The labels of each row."""

    names: list[list[str]]
    known: frozenset[str] = frozenset()
    """Keys of mappings: labels, also those that no row has."""


def read_label_cells(
    cells: Sequence[Any],
    *,
    fault: Fault,
    separator: str = DEFAULT_SEPARATOR,
    names: Sequence[str] | None = None,
    column: str = "labels",
    advice: str = "",
) -> LabelRows:
    """The label names of each cell of a column.

    Args:
        cells: raw cells, as a reader of files or a DataFrame has them.
        fault: makes the error of a cell.
        separator: between the names in a text; one other than the comma also splits the names in lists.
        names: label names by position, if they are known.
        column: name of the column.
        advice: what to do about a column of only 0 and 1.

    Raises:
        DataError: made by `fault`: a cell that is neither a label nor a list of labels, or numbers without a meaning.
    """
    parsed: list[_Cell] = []
    by_text: dict[str, _Cell] = {}  # most columns repeat a few texts
    for at, raw in enumerate(cells):
        try:
            cell = by_text.get(raw) if isinstance(raw, str) else None
            cell = cell or _cell(raw, separator)
        except _UnreadableError as error:
            raise fault(at, str(error)) from None
        if isinstance(raw, str):
            by_text[raw] = cell
        parsed.append(cell)
    return _Column(cells, parsed, names, column, advice, fault).labels()


def is_one(cell: object) -> bool | None:
    """Whether a cell of 0 and 1 (or false and true, or nothing for 0) says 1; None if it says neither."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return False
    if not isinstance(cell, (str, int, float)) and not hasattr(cell, "dtype"):
        return None
    said = str(cell).strip().lower()
    return True if said in _YES else False if said in _NO else None


def shown(cell: object) -> str:
    """A cell for a message, shortened if it is long or deeply nested."""
    return _SHORT.repr(cell)


def separator_within(labels: Iterable[str]) -> tuple[str, list[str]] | None:
    """The sign that joins several labels in one name, and these names; None if the labels do not look like that.

    More than half of the parts of such names are labels themselves, or occur in several such names. A single label may
    well contain a space or a hyphen; then all parts must be labels.
    """
    every = set(labels)
    found: list[tuple[str, list[str]]] = []
    for sign in _SIGNS:
        joined = sorted(label for label in every if len(_parts(label, sign)) > 1)
        if sign in _SIGNS_IN_NAMES:
            joined = [label for label in joined if every.issuperset(_parts(label, sign))]
        counts = Counter(part for label in joined for part in set(_parts(label, sign)))
        known = [part for part, count in counts.items() if part in every or count > 1]
        if 2 * len(known) > len(counts):
            found.append((sign, joined))
    return max(found, key=lambda one: len(one[1]), default=None)


def separator_into(label: str, labels: Collection[str]) -> str | None:
    """The sign that splits a name into several labels of a list, or into positions in it; None if no sign does."""
    numbers = {str(position) for position in range(len(labels))}
    for sign in _SIGNS:
        parts = set(_parts(label, sign))
        if len(parts) > 1 and (parts <= set(labels) or parts <= numbers):
            return sign
    return None


def _parts(label: str, sign: str) -> list[str]:
    return [part.strip() for part in label.split(sign) if part.strip()]


@dataclass(frozen=True)
class _Cell:
    entries: tuple[Any, ...] = ()
    """Names and numbers; other items of a list unchanged."""
    is_list: bool = False
    keys: tuple[str, ...] = ()
    """Of a mapping."""


class _UnreadableError(Exception):
    """A cell is neither a label nor a list of labels; the message gives the reason."""


@dataclass(frozen=True)
class _Column:
    """The cells of one column, as they were and parsed; what numbers mean depends on all of them."""

    raw: Sequence[Any]
    cells: list[_Cell]
    names: Sequence[str] | None
    column: str
    advice: str
    fault: Fault

    def labels(self) -> LabelRows:
        """The names of each row."""
        entries = [entry for cell in self.cells for entry in cell.entries]
        if entries and all(_number(entry) is not None for entry in entries):
            return LabelRows([list(dict.fromkeys(row)) for row in self._of_numbers()])
        if self.names is None and entries and all(map(_is_several_numbers, entries)):
            self._refuse(
                lambda cell: bool(cell.entries),
                "is 0 or 1 for several labels in one text: --label-separator says what is between them; "
                "if nothing is, use a column of 0 and 1 per label, and --label-columns",
            )
        rows = [
            list(dict.fromkeys(self._name(at, entry) for entry in cell.entries))
            for at, cell in enumerate(self.cells)
        ]
        return LabelRows(rows, frozenset(key for cell in self.cells for key in cell.keys))

    def _refuse(self, applies: Callable[[_Cell], bool], reason: str) -> NoReturn:
        """Refuse the first cell to which something applies."""
        at = next(at for at, cell in enumerate(self.cells) if applies(cell))
        raise self.fault(at, f"{shown(self.raw[at])} {reason}")

    def _name(self, at: int, entry: Any) -> str:
        """An entry of a column in which not all entries are numbers."""
        if isinstance(entry, str) and can_be_label(entry):
            return entry
        cell = shown(self.raw[at])
        if isinstance(entry, str):
            raise self.fault(
                at,
                f"{shown(entry)} cannot be a label: blank, or a comma, quote or line end in it ({cell}; "
                "--label-separator says what is between labels)",
            )
        if _number(entry) is None:
            raise self.fault(at, f"{cell} is neither a label nor a list of labels")
        if self.names is None or _as_text(entry) not in self.names:
            raise self.fault(at, f"{cell} holds the number {entry}, but other rows hold label names")
        return _as_text(entry)

    def _of_numbers(self) -> list[list[str]]:
        """The names of each row if all entries are numbers."""
        if self.names is not None:
            by_text = {_as_text(name): name for name in self.names}
            if all(_as_text(entry) in by_text for cell in self.cells for entry in cell.entries):
                return [[by_text[_as_text(entry)] for entry in cell.entries] for cell in self.cells]
        only_01 = all(_number(entry) in (0, 1) for cell in self.cells for entry in cell.entries)
        if only_01 and self._are_multi_hot():
            return self._of_multi_hot()
        if any(_repeats(cell) for cell in self.cells):
            self._refuse(_repeats, "is a list of 0 and 1, but other rows hold other numbers")
        if self.names is None:
            return self._of_unnamed_numbers(only_01=only_01)
        are_bool = any(isinstance(_number(entry), bool) for cell in self.cells for entry in cell.entries)
        if (only_01 and self.column in self.names) or (are_bool and len(self.names) != 2):
            self._refuse_only_01()
        return [
            [self._at_position(at, entry) for entry in cell.entries] for at, cell in enumerate(self.cells)
        ]

    def _are_multi_hot(self) -> bool:
        """Whether lists of only 0 and 1 are multi-hot rather than positions."""
        lists = [cell.entries for cell in self.cells if _has_several(cell)]
        return (
            any(_is_multi_hot(cell) for cell in self.cells)
            or any(isinstance(entry, (bool, float)) for entries in lists for entry in entries)
            or (
                len(self.names or ()) > 1
                and bool(lists)
                and {len(one) for one in lists} == {len(self.names or ())}
            )
        )

    def _of_multi_hot(self) -> list[list[str]]:
        length = next(len(cell.entries) for cell in self.cells if _has_several(cell))
        if length == 1 and self.names is None:
            self._refuse_only_01()
        if any(len(cell.entries) not in (0, length) for cell in self.cells):
            self._refuse(
                lambda cell: len(cell.entries) not in (0, length),
                f"is a multi-hot list of another length than the {length} numbers of the rows before",
            )
        what = f"is a multi-hot list: 0 or 1 for each of {length} labels"
        if self.names is None:
            self._refuse(
                _has_several, f"{what}; --labels-file FILE gives their names in this order, one per line"
            )
        if length != len(self.names):
            self._refuse(_has_several, f"{what}, but the list of names has {len(self.names)}")
        return [
            [name for name, entry in zip(self.names, cell.entries, strict=False) if _number(entry)]
            for cell in self.cells
        ]

    def _of_unnamed_numbers(self, *, only_01: bool) -> list[list[str]]:
        if only_01:
            self._refuse_only_01()
        if not all(_is_whole(entry) for cell in self.cells for entry in cell.entries):
            self._refuse(
                lambda cell: not all(map(_is_whole, cell.entries)), "is not a label or a list of labels"
            )
        if any(map(_has_several, self.cells)):
            self._refuse(
                _has_several,
                "holds numbers: --labels-file FILE, one label name per line, says what they mean, counted from 0",
            )
        return [[_as_text(entry) for entry in cell.entries] for cell in self.cells]

    def _refuse_only_01(self) -> NoReturn:
        at = next(at for at, cell in enumerate(self.cells) if cell.entries)
        raise self.fault(
            at, f"column {self.column!r} has only 0 and 1, which are not label names{self.advice}"
        )

    def _at_position(self, at: int, entry: Any) -> str:
        names = self.names or ()
        number = int(_number(entry) or 0)
        if number != _number(entry):
            raise self.fault(
                at, f"{shown(self.raw[at])} is neither a label nor a position in the list of labels"
            )
        if not 0 <= number < len(names):
            raise self.fault(
                at,
                f"label number {shown(number)} is not in the list of {len(names)} labels, counted from 0 to {len(names) - 1}"
                + ("; --unlabelled -1 leaves out rows that are not labelled" if number == -1 else ""),
            )
        return names[number]


def _has_several(cell: _Cell) -> bool:
    return len(cell.entries) > 1 or (cell.is_list and bool(cell.entries))


def _is_multi_hot(cell: _Cell) -> bool:
    """Whether a list of 0 and 1 cannot be positions: it has one twice, or 1 before 0."""
    numbers = [_number(entry) for entry in cell.entries]
    return (
        len(numbers) > 1
        and not cell.keys
        and set(numbers) <= {0, 1}
        and (len(numbers) > 2 or numbers in ([0, 0], [1, 1], [1, 0]))
    )


def _repeats(cell: _Cell) -> bool:
    """Whether a list of 0 and 1 has one of them twice: positions may be in any order, but occur once."""
    return _is_multi_hot(cell) and len({_number(entry) for entry in cell.entries}) < len(cell.entries)


def _is_several_numbers(entry: object) -> bool:
    """Whether an entry is a multi-hot list that another separator would separate."""
    if not isinstance(entry, str):
        return False
    parts = _SIGNS_BETWEEN_NUMBERS.split(entry)
    return bool(_BITS.fullmatch(entry)) or (len(parts) > 1 and all(_number(part) in (0, 1) for part in parts))


def can_be_label(name: str) -> bool:
    """Whether the name can be written to predictions."""
    return bool(name.strip()) and not any(sign in name for sign in _NOT_IN_LABELS)


@lru_cache(maxsize=4096, typed=True)
def _number_of_text(text: str) -> int | float | None:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if not _NUMBER.fullmatch(text):
        return None
    number = int(text) if text.lstrip("+-").isdecimal() else float(text)
    return number if math.isfinite(number) else None


def _number(entry: object) -> int | float | None:
    """The number that an entry is or contains as text; True and False are 1 and 0; None if it is something else."""
    if isinstance(entry, str):
        return _number_of_text(entry)
    if isinstance(entry, int) or (isinstance(entry, float) and math.isfinite(entry)):
        return entry
    return None


def _is_whole(entry: object) -> bool:
    number = _number(entry)
    return number is not None and not isinstance(number, bool) and number == int(number)


def _as_text(entry: object) -> str:
    """An entry as a name: 3.0, as pandas writes 3 in a column with gaps, is 3."""
    number = _number(entry)
    return str(int(number)) if number is not None and _is_whole(entry) else str(entry)


def _cell(raw: Any, separator: str) -> _Cell:
    value = raw.tolist() if hasattr(raw, "tolist") else raw
    if isinstance(value, str):
        value = _literal(value.strip())
        if isinstance(value, str):
            return _Cell(tuple(_split(value, separator)))
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return _Cell()
    if isinstance(value, list) and value and all(isinstance(one, tuple) and len(one) == 2 for one in value):
        value = dict(value)  # Parquet's maps
    if isinstance(value, Mapping):
        return _of_mapping(value)
    if not isinstance(value, (list, tuple, set, frozenset)):
        return _Cell((value,))
    entries: list[Any] = []
    for entry in sorted(value, key=str) if isinstance(value, (set, frozenset)) else value:
        if isinstance(entry, str) and separator != DEFAULT_SEPARATOR:
            entries += _split(entry, separator)
        else:
            one = entry.tolist() if hasattr(entry, "tolist") else entry
            entries.append(one.strip() if isinstance(one, str) else one)
    return _Cell(tuple(entries), is_list=True)


def _of_mapping(value: Mapping[Any, Any]) -> _Cell:
    said = {}
    for key, cell in value.items():
        name, one = str(key).strip(), is_one(cell)
        if one is None or not can_be_label(name):
            raise _UnreadableError(f"{shown(key)}: {shown(cell)} is not a label with 0 or 1")
        said[name] = one
    return _Cell(tuple(name for name, one in said.items() if one), keys=tuple(said))


def _split(text: str, separator: str) -> list[str]:
    """The names in a text; blank ones stay, unless the separator is white space."""
    if not text:
        return []
    if not separator.strip():
        return [_unquoted(part.strip()) for part in text.split(separator) if part.strip()]
    return [_unquoted(part.strip()) for part in text.split(separator.strip())]


def _literal(text: str) -> Any:
    """The list or mapping that is written in a text, without nesting; otherwise the text itself.

    Raises:
        _UnreadableError: a list that cannot be read.
    """
    if _QUOTED.fullmatch(text):
        return _literal(_unquoted(text).strip())
    container = _CONTAINER.fullmatch(text)
    body = container[1].strip() if container else text
    if container and not body:
        return []
    if len(body) < 2 or body[0] + body[-1] not in ("[]", "()", "{}"):
        return text
    in_parentheses = body[0] == "("
    try:
        return _flat(_NUMPY_SCALAR.sub(r"\1", body[1:-1]), bare_names=not in_parentheses)
    except ValueError:
        if in_parentheses:
            return text
        raise _UnreadableError(f"{shown(text)} is not a plain list of labels") from None


def _flat(inner: str, *, bare_names: bool) -> list[Any] | dict[Any, Any]:
    """The content between brackets.

    Raises:
        ValueError: nested brackets, blank entries, or names without quotes if these are not allowed.
    """
    values: list[Any] = []
    pairs: dict[Any, Any] = {}
    for item in _items(inner):
        if _COLON in item:
            at = item.index(_COLON)
            (key,), (value,) = _entries(item[:at]), _entries(item[at + 1 :])
            pairs[key] = value
        else:
            values += _entries(item, bare_names=bare_names)
    if pairs and values:
        raise ValueError(inner)
    return pairs or values


def _items(inner: str) -> list[list[tuple[str, str]]]:
    """The tokens (kind, text) of each item between commas; a comma after the last item is allowed."""
    items: list[list[tuple[str, str]]] = [[]]
    at = 0
    while at < len(inner):
        found = _TOKEN.match(inner, at)
        if not found:
            raise ValueError(inner)
        at = found.end()
        if found["sign"] == ",":
            items.append([])
        else:
            items[-1].append((found.lastgroup or "", found[found.lastgroup or 0]))
    return items if items[-1] else items[:-1]


def _entries(item: list[tuple[str, str]], *, bare_names: bool = True) -> list[Any]:
    """The entries of one item: numpy has no commas between them."""
    kinds, words = {kind for kind, _ in item}, [text for _, text in item]
    if kinds == {"quoted"}:
        return [_unquoted(word) for word in words]
    if kinds != {"word"} or "..." in words:
        raise ValueError(words)
    numbers = [_number(word) for word in words]
    if None not in numbers:
        return numbers
    if not bare_names:
        raise ValueError(words)
    if len(words) == 1 and words[0].lower() in _MISSING:
        return [None]
    return [" ".join(words)]


def _unquoted(text: str) -> str:
    """A text without the quotes around it, if it is a string as Python or JSON write it."""
    if not _QUOTED.fullmatch(text):
        return text
    inner = text[text.index(text[-1]) + 1 : -1]
    if "\\" not in inner:
        return inner
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that Python does not know
            return str(read(text))
    return inner
