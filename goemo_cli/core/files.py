"""Files that are whole or absent: write beside, fsync, rename. Nothing else in goemo writes a final file."""

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from goemo_cli.core.errors import CorruptArtifactError, StorageError

PARTIAL_PREFIX = ".goemo-partial-"
"""How unfinished files and folders are named, so that leftovers of a killed run can be told."""

# safetensors and torch raise their own types, which tell a full disk only in words.
_WRITE_FAILURES = ("No space left", "os error", "file write failed", "unexpected pos")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder; what is written there becomes `path` when the block ends well.

    The folder is created where it is missing. On an error the temporary file is removed and an older file at
    `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=PARTIAL_PREFIX, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o666 & ~_umask())
        _flush(partial)
        partial.replace(path)
        _flush(path.parent)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink()
        _name_file(error, path)
        raise


@contextmanager
def staged_files(directory: Path) -> Iterator[Path]:
    """An empty folder inside `directory`; its files move up, one by one and each whole, when the block ends well.

    For libraries that insist on writing several files into a folder themselves.
    """
    directory.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=PARTIAL_PREFIX, dir=directory))
    try:
        yield stage
        for source in sorted(path for path in stage.rglob("*") if path.is_file()):
            target = directory / source.relative_to(stage)
            target.parent.mkdir(parents=True, exist_ok=True)
            source.chmod(0o666 & ~_umask())
            _flush(source)
            source.replace(target)
        _flush(directory)
    except OSError as error:
        _name_file(error, directory)
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def remove_if_empty(*folders: Path) -> None:
    """Remove those folders, in this order, that exist and hold nothing."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def library_writes(path: Path) -> Iterator[None]:
    """Turns the words that torch and safetensors have for a failed write into one error of the disk.

    Raises:
        StorageError: the library could not write; OSErrors pass as they are.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        text = str(error)
        if any(sign in text for sign in _WRITE_FAILURES):
            free = shutil.disk_usage(path).free // 2**20
            raise StorageError(path, f"cannot be written to; the disk has {free} MiB free") from error
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with its line ends as they are, whole or not at all."""
    with atomic_path(path) as partial:
        partial.write_bytes(text.encode("utf-8"))


def dump_json(value: Any) -> str:
    """JSON text as goemo writes it: two spaces, key order kept, final newline.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document, whole or not at all; NaN and infinity are refused."""
    write_text(path, dump_json(value))


def read_json(path: Path) -> Any:
    """The value of a JSON document.

    Raises:
        CorruptArtifactError: no JSON, not UTF-8, a key twice, or a number that is not finite (NaN, 1e999).
    """
    try:
        return json.loads(
            path.read_text(encoding="utf-8"),
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise CorruptArtifactError(path, f"is not valid JSON ({error})") from error


def read_json_object(path: Path) -> dict[str, Any]:
    """The value of a JSON document that must be an object."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise CorruptArtifactError(path, f"holds a JSON {type(value).__name__} instead of an object")
    return value


def path_from_root(path: Path, root: Path, *folders: Path) -> str:
    """A path as records name it: relative to `root` if it is below it, so that a moved project stays readable.

    Symbolic links do not matter: neither a root that is reached through one, nor folders of it that are one.

    Args:
        path: the file or folder.
        root: the project root.
        folders: folders of the root that may be symbolic links, for paths that name their targets.
    """
    named, real = Path(os.path.abspath(path)), path.resolve()  # noqa: PTH100  # Path.resolve follows links
    root_named = Path(os.path.abspath(root))  # noqa: PTH100
    for place, base, prefix in (
        (named, root_named, Path()),
        (real, root.resolve(), Path()),
        *((real, folder.resolve(), folder.relative_to(root)) for folder in folders),
    ):
        if place.is_relative_to(base):
            return (prefix / place.relative_to(base)).as_posix()
    return real.as_posix()


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise ValueError(f"key {key!r} stands twice")
        seen[key] = value
    return seen


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _name_file(error: BaseException, path: Path) -> None:
    """A failed write does not know its file; whoever reads the message wants to."""
    if isinstance(error, OSError) and error.filename is None:
        error.filename = str(path)


def _umask() -> int:
    # Reading the umask means setting it; mkstemp's 0600 would hide results from a shared group.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush(path: Path) -> None:
    """Push a file or a folder to the disk: without it a power cut can leave a renamed, empty file."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
