"""Text encodings of data files: UTF-16 is found by its bytes, others are named by the user, and all become UTF-8."""

import codecs
import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from goemo_cli.core.errors import DataFileError, SettingError

UTF8 = "utf-8"
_BLOCK = 2**20
_HEAD = 4096
_SAMPLE_LINES = 500
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_TEXT = {
    b"PK\x03\x04": "an Excel workbook or a zip archive; --data-format xlsx reads workbooks",
    b"PAR1": "Parquet; --data-format parquet reads it",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook, or one with a password; save it as .xlsx",
    b"\x1f\x8b": "compressed; its name should end with .gz",
    b"BZh": "compressed; its name should end with .bz2",
    b"\xfd7zXZ": "compressed; its name should end with .xz",
    b"(\xb5/\xfd": "compressed; its name should end with .zst",
}
"""What a file is that begins with these bytes."""
_KNOWN = {"cp1252": "Windows-1252", "cp1250": "Windows-1250", "cp1251": "Windows-1251"}
_TYPOGRAPHY = frozenset("‘’‚“”„«»‹›–—…•·€£§°©®™´`¡¿ªº½¼¾×±\u00a0\u00ad")
_SIGN_IN_WORD = re.compile(r"[^\W\d_][¡¿ªº½¼¾×±£§°€©®•][^\W\d_]")
_LONG_RUN = re.compile(r"[^\W\x00-\x7f]{5}")
"""More letters outside ASCII in a row than languages with Latin letters have."""


def named_encoding(name: str | None) -> str | None:
    """The codec of an encoding that the user names; None if none is named.

    Raises:
        SettingError: Python does not know it, or it is not one of texts.
    """
    if name is None:
        return None
    try:
        "".encode(name)
    except LookupError as error:
        raise SettingError(
            [f"data.encoding: unknown encoding {name!r}; for example cp1252, utf-16"]
        ) from error
    return codecs.lookup(name).name


def not_text(head: bytes) -> str | None:
    """What a file is that is not text, and what to do, by its first bytes; None if it may be text."""
    return next((kind for begin, kind in _NOT_TEXT.items() if head.startswith(begin)), None)


def encoding_of(head: bytes) -> str:
    """utf-8, or the form of UTF-16 or UTF-32 that the first bytes of a file show."""
    for mark, name in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return name
    if len(head) >= 4 and head.count(0) >= len(head) / 4:
        return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
    return UTF8


def transcode(source: Path, target: BinaryIO, encoding: str, *, named: str) -> None:
    """Write a file in UTF-8.

    Args:
        target: where to write.
        encoding: that of the file.
        named: the file in errors.

    Raises:
        DataFileError: with the line of bytes that are not valid in the encoding, or without one if it is not that encoding at all.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    n_lines, is_first = 0, True
    with source.open("rb") as stream:
        while True:
            block = stream.read(_BLOCK)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(encoding, "replace").count("\n")
                raise DataFileError(
                    named, f"not {encoding} text ({error.reason})", n_lines + before + 1
                ) from error
            except UnicodeError as error:
                raise DataFileError(named, f"not {encoding} text ({error})") from error
            if is_first and text:
                text, is_first = text.removeprefix("\ufeff"), False
            n_lines += text.count("\n")
            target.write(text.encode(UTF8, "replace"))
            if not block:
                return


def check_utf8(path: Path, *, named: str) -> int:
    """The number of line ends of a file in UTF-8.

    Raises:
        DataFileError: with the first line that is not UTF-8, and its likely encoding.
    """
    decoder = codecs.getincrementaldecoder(UTF8)()
    n_lines = 0
    with path.open("rb") as stream:
        while True:
            block = stream.read(_BLOCK)
            n_lines += block.count(b"\n")
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                with path.open("rb") as lines:
                    raise _not_utf8(lines, error, named=named) from error
            if not block:
                return n_lines


def not_utf8_line(line: bytes, number: int, error: UnicodeDecodeError, *, named: str) -> DataFileError:
    """The error of a line that is not UTF-8, from a source that can be read only once."""
    return DataFileError(named, f"not UTF-8 text ({error.reason}){_advice([line], n_sound=0)}", number)


def _not_utf8(lines: Iterable[bytes], error: UnicodeDecodeError, *, named: str) -> DataFileError:
    first: int | None = None
    broken: list[bytes] = []
    n_sound = 0
    for number, line in enumerate(lines, start=1):
        try:
            n_sound += not line.decode(UTF8).isascii()
        except UnicodeDecodeError:
            first = first or number
            broken.append(line)
            if len(broken) == _SAMPLE_LINES:
                break
    return DataFileError(named, f"not UTF-8 text ({error.reason}){_advice(broken, n_sound=n_sound)}", first)


def _advice(broken: list[bytes], *, n_sound: int) -> str:
    """What to do about lines that are not UTF-8; `n_sound` others have characters of several bytes."""
    if n_sound > len(broken):
        return "; other lines are UTF-8, so this one is damaged"
    likely = likely_encoding(b"".join(broken))
    if likely:
        return f"; it is probably {_KNOWN[likely]}, which --encoding {likely} reads"
    return "; --encoding NAME says which encoding it is"


def likely_encoding(sample: bytes) -> str | None:
    """The Windows encoding by which some text looks like words of a language; None if it is not certain.

    Args:
        sample: text that is not UTF-8.
    """
    for encoding in _KNOWN:
        try:
            text = sample.decode(encoding)
        except UnicodeDecodeError:
            continue
        if (_is_cyrillic if encoding == "cp1251" else _is_latin)(text):
            return encoding
    return None


def _is_latin(text: str) -> bool:
    """Whether the characters outside ASCII are some letters of words, or signs between words."""
    letters = ""
    for word in text.split():
        foreign = [sign for sign in word if not sign.isascii()]
        if any(not sign.isalpha() and sign not in _TYPOGRAPHY for sign in foreign) or _SIGN_IN_WORD.search(
            word
        ):
            return False
        if any(a.islower() and b.isupper() and not b.isascii() for a, b in pairwise(word)):
            return False
        if any(sign.isalpha() for sign in foreign):
            letters += "".join(sign for sign in word if sign.isalpha())
    n_foreign = sum(not letter.isascii() for letter in letters)
    return not _LONG_RUN.search(text) and (n_foreign <= 0.8 * len(letters) or len(letters) < 8)


def _is_cyrillic(text: str) -> bool:
    """Whether nearly all letters outside ASCII are Cyrillic, most of them in lower case."""
    letters = [sign for sign in text if not sign.isascii() and sign.isalpha()]
    cyrillic = [sign for sign in letters if "\u0410" <= sign <= "\u044f" or sign in "ёЁіїєґІЇЄҐўЎ"]
    n_lower = sum(sign.islower() for sign in cyrillic)
    return len(cyrillic) >= 0.98 * len(letters) > 0 and 2 * n_lower > len(cyrillic)
