"""JSON objects as rows: one per line, or the objects of an array, read one after another."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from goemo_cli.core.errors import DataFileError

MOST_LEVELS = 100
"""Of nested lists and objects in one row. Python's own limit depends on what called the parser."""

_OPENS_OR_CLOSES = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]', re.DOTALL)
_SPACE = re.compile(r"[ \t\r\n]*")
BLOCK = 2**20
"""Characters of an array that are read at once."""
_DECODER = json.JSONDecoder()


def json_object(line: str) -> dict[str, Any]:
    """The object in a line.

    Raises:
        ValueError: the line is not JSON, is not an object, or is nested too deeply; the text says which.
    """
    if _is_too_deep(line):
        raise ValueError(f"not a JSON line (nested more than {MOST_LEVELS} levels deep)")
    try:
        value = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not a JSON line ({error})") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def array_objects(path: Path, *, named: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line on which it begins, object) of each object in an array; only one of them is in memory.

    Args:
        path: a file in UTF-8 whose first sign is `[`.
        named: the file in errors.

    Raises:
        DataFileError: with the line, if the content is not an array of objects.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        text = _Ahead(stream)
        text.skip("[")
        separator = ""
        while not text.skip("]"):
            if separator and not text.skip(separator):
                raise DataFileError(
                    named, "not JSON (a comma is missing in the array, or its end)", text.line
                )
            separator = ","
            text.skip("")
            line = text.line
            try:
                value = text.value()
            except ValueError as error:
                raise DataFileError(named, f"not JSON ({error})", line) from error
            if not isinstance(value, dict):
                raise DataFileError(named, "the array has an entry that is not a JSON object", line)
            yield line, value
        if not text.is_at_end():
            raise DataFileError(named, "not JSON (there is text after the array)", text.line)


class _Ahead:
    """A text stream from which JSON values are taken."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._text, self._at = "", 0
        self.line = 1

    def skip(self, sign: str) -> bool:
        """Go over white space, then over a sign; False if the sign is not there."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._go_to(found.end() if found else self._at)
            if self._at < len(self._text) or not self._read():
                break
        if not self._text.startswith(sign, self._at):
            return False
        self._go_to(self._at + len(sign))
        return True

    def is_at_end(self) -> bool:
        """Whether nothing but white space follows."""
        self.skip("")
        return self._at == len(self._text)

    def value(self) -> Any:
        """The value that begins here.

        Raises:
            ValueError: not JSON, or nested too deeply.
        """
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                raise ValueError(f"nested more than {MOST_LEVELS} levels deep") from None
            except ValueError as error:
                if self._read():
                    continue
                raise ValueError(getattr(error, "msg", str(error))) from error
            if end == len(self._text) and self._read():
                continue  # a number may go on
            if _is_too_deep(self._text[self._at : end]):
                raise ValueError(f"nested more than {MOST_LEVELS} levels deep")
            self._go_to(end)
            return value

    def _go_to(self, at: int) -> None:
        self.line += self._text.count("\n", self._at, at)
        self._at = at

    def _read(self) -> bool:
        """Read as much again as is waiting, so that a long value is parsed only a few times."""
        rest = self._text[self._at :]
        more = self._stream.read(max(BLOCK, len(rest)))
        self._text, self._at = rest + more, 0
        return bool(more)


def _is_too_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= MOST_LEVELS:
        return False
    level = deepest = 0
    for found in _OPENS_OR_CLOSES.finditer(text):
        level += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        deepest = max(deepest, level)
    return deepest > MOST_LEVELS
