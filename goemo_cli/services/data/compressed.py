"""Compressed data files: their names, and their content for the readers."""

import bz2
import gzip
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from goemo_cli.core.errors import DataFileError, MissingPackageError


def _zstd_blocks(path: Path) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError as error:
        raise MissingPackageError("zstandard", "zstd", "reading .zst files") from error
    # `zstandard.open` does not notice that the end of the last frame is missing.
    frame = None
    with path.open("rb") as stream:
        for block in _blocks(stream):
            while block:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                yield frame.decompress(block)
                block = frame.unused_data
                if frame.eof:
                    frame = None
    if frame is not None:
        raise EOFError("the end is missing")


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: stream.read(_BLOCK), b"")


def _blocks_by(opener: Callable[[Path], Any]) -> Callable[[Path], Iterator[bytes]]:
    def blocks(path: Path) -> Iterator[bytes]:
        with opener(path) as stream:
            yield from _blocks(stream)

    return blocks


_BLOCK = 2**20
_READERS: Mapping[str, Callable[[Path], Iterator[bytes]]] = {
    ".gz": _blocks_by(gzip.open),
    ".bz2": _blocks_by(bz2.open),
    ".xz": _blocks_by(lzma.open),
    ".zst": _zstd_blocks,
}
COMPRESSIONS = tuple(_READERS)
"""Suffixes of compressed files."""


def plain_name(path: Path) -> Path:
    """The path without the suffix of its compression: `train.csv` of `train.csv.gz`."""
    return path.with_suffix("") if path.suffix.lower() in COMPRESSIONS else path


@contextmanager
def uncompressed(path: Path, *, named: str) -> Iterator[Path]:
    """The file itself, or a temporary file with its content if it is compressed.

    The readers of tables need a file because they read it more than once.

    Args:
        path: the file; its suffix says how it is compressed.
        named: the file in errors.

    Raises:
        DataFileError: the compressed data are damaged or incomplete.
        MissingPackageError: a .zst file without zstandard.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        yield path
        return
    with tempfile.NamedTemporaryFile() as copy:
        with _damage_named(named):
            copy.writelines(reader(path))
        copy.flush()
        yield Path(copy.name)


@contextmanager
def _damage_named(named: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        is_of_system = isinstance(error, OSError) and error.errno is not None  # for example a full disk
        is_damage = isinstance(error, OSError | EOFError | lzma.LZMAError | zlib.error)
        if is_of_system or not (is_damage or type(error).__name__ == "ZstdError"):
            raise
        raise DataFileError(named, f"cannot be decompressed ({error})") from error
