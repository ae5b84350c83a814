"""A data file as its readers need it: local, not compressed, in UTF-8; from a path, a pipe, a URL or standard input."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from goemo_cli.core.errors import DataFileError
from goemo_cli.services.data.compressed import COMPRESSIONS, uncompressed
from goemo_cli.services.data.text_encoding import (
    UTF8,
    check_utf8,
    encoding_of,
    named_encoding,
    not_text,
    not_utf8_line,
    transcode,
)
from goemo_cli.services.data.urls import download, is_url, name_in_url, shown

STDIN = "-"
_HEAD_BYTES = 4096
_T = TypeVar("_T")


class DataFile:
    """An input that a reader opens. Its temporary files exist until the exit stack closes.

    Attributes:
        name: the file name with its suffixes.
        named: what errors call the input.
    """

    def __init__(
        self,
        source: Path | str,
        *,
        resources: ExitStack,
        stdin: BinaryIO | None = None,
        encoding: str | None = None,
        may_fetch: bool = False,
    ) -> None:
        self._source = str(source)
        self.name = name_in_url(self._source) if is_url(self._source) else Path(source).name
        self.named = shown_source(self._source)
        self._stdin = stdin
        self._encoding = named_encoding(encoding)
        self._resources = resources
        self._may_fetch = may_fetch
        self._read_ahead = b""

    def sibling(self, path: Path) -> "DataFile":
        """Another file that belongs to this one."""
        return DataFile(path, resources=self._resources, encoding=self._encoding)

    def enter(self, context: AbstractContextManager[_T]) -> _T:
        """Enter a context that ends when the table is closed."""
        return self._resources.enter_context(context)

    @cached_property
    def stored(self) -> Path:
        """A regular file with the bytes of the source, which may be compressed.

        Raises:
            NotFoundError, RemoteError: a URL that cannot be read.
        """
        if is_url(self._source):
            return self._copy(lambda target: download(self._source, target, may_fetch=self._may_fetch))
        if (stream := self._stream) is not None:
            return self._copy(lambda target: shutil.copyfileobj(stream, target))
        return Path(self._source)

    @cached_property
    def path(self) -> Path:
        """A regular file with the content, not compressed.

        Raises:
            DataFileError: damaged compression.
            MissingPackageError: a package for the compression or the URL is not installed.
            NotFoundError, RemoteError: a URL that cannot be read.
        """
        return self.enter(uncompressed(self.stored, named=self.named))

    @property
    def text_path(self) -> Path:
        """The content in UTF-8, checked.

        Raises:
            DataFileError: with the line of bytes that are not valid in the encoding.
        """
        return self._text[0]

    @property
    def n_lines(self) -> int | None:
        """The number of line ends of a text, which is checked; None for a stream that is still arriving.

        Raises:
            DataFileError: with the line of bytes that are not valid in the encoding.
        """
        return None if self._arrives else self._text[1]

    @cached_property
    def _text(self) -> tuple[Path, int]:
        """The content in UTF-8, and the number of its line ends."""
        path, head = self.path, self.head()
        if kind := not_text(head):
            raise DataFileError(self.named, f"is not text, but {kind}")
        encoding = self._encoding or encoding_of(head)
        if encoding != UTF8:
            path = self._copy(lambda target: transcode(self.path, target, encoding, named=self.named))
        return path, check_utf8(path, named=self.named)

    def head(self) -> bytes:
        """The first bytes of the content."""
        with self.path.open("rb") as stream:
            return stream.read(_HEAD_BYTES)

    def lines(self) -> Iterator[tuple[int, str]]:
        """(line number, text without its line end) of each line of a text; those of a stream as they arrive.

        Raises:
            DataFileError: with the line of bytes that are not valid in the encoding.
        """
        if self._arrives and (stream := self._stream) is not None:
            first = stream.readline()
            if encoding_of(first) == UTF8:
                yield from self._decoded(chain([first] if first else [], stream))
                return
            self._read_ahead = first
        with self.text_path.open("rb") as file:
            yield from self._decoded(file)

    def _decoded(self, lines: Any) -> Iterator[tuple[int, str]]:
        for number, line in enumerate(lines, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else UTF8)
            except UnicodeDecodeError as error:
                raise not_utf8_line(line, number, error, named=self.named) from error
            yield number, text.removesuffix("\n").removesuffix("\r")

    @cached_property
    def _stream(self) -> BinaryIO | None:
        """Standard input or a pipe, which can be read only once; None for other files."""
        if self._source == STDIN:
            return self._stdin
        if is_url(self._source) or Path(self._source).is_file():
            return None
        return self._resources.enter_context(Path(self._source).open("rb"))

    @property
    def _arrives(self) -> bool:
        """Whether lines can be read while they arrive."""
        is_compressed = Path(self.name).suffix.lower() in COMPRESSIONS
        is_utf8 = self._encoding in (None, UTF8)
        return self._stream is not None and is_utf8 and not is_compressed and "path" not in vars(self)

    def _copy(self, write: Callable[[BinaryIO], object]) -> Path:
        temporary = tempfile.NamedTemporaryFile(suffix=Path(self.name).suffix)  # noqa: SIM115  # closed by the stack
        copy: Any = self.enter(temporary)
        copy.write(self._read_ahead)
        self._read_ahead = b""
        write(copy)
        copy.flush()
        return Path(copy.name)


def shown_source(source: str) -> str:
    """What messages call a source: a URL without secrets, or the path."""
    if source == STDIN:
        return "standard input"
    return shown(source) if is_url(source) else source
