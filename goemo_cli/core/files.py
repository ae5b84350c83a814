"""Atomic writes (a temporary file, fsync, rename), and what killed ones leave. Only this module renames, links and flushes."""

import errno
import hashlib
import json
import math
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from goemo_cli.core.errors import CorruptArtifactError, SettingError, StorageError

PARTIAL_PREFIX = ".goemo-partial-"
"""Beginning of the names of unfinished files and folders, so that leftovers of a killed run are recognised."""
STILL_WRITTEN_SECONDS = 600
"""A partial file that was touched since then may still be written."""

# safetensors and torch raise their own types, which tell a full disk only in words.
_WRITE_FAILURES = ("No space left", "os error", "file write failed", "unexpected pos")
_NUMBER_IN_WORDS = re.compile(r"os error (\d+)")
_NOT_OFFERED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES)
"""What file systems answer that cannot synchronise folders or have no permissions: FAT, and some of networks."""
_ON_WINDOWS = sys.platform == "win32"
_BINARY = getattr(os, "O_BINARY", 0)
"""Without it Windows changes line ends."""
_OPEN_SECONDS = 10.0
"""How long a rename on Windows waits for another process, such as a virus scanner, that has the file open."""
_POLL_SECONDS = 0.05
_STREAMS = {Path("/dev/stdout"): 1, Path("/dev/stderr"): 2}
"""Names that Windows does not have."""
_SEAL = "digest"
_MAX_LINKS = 40
"""Symbolic links that Linux follows in one path."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path; what is written there becomes `path` when the block ends well.

    The temporary file is in the same folder, which is created if it is missing. On an error it is removed, and an
    older file at `path` stays as it was. A file keeps its permissions. A symbolic link stays one: the file that it
    leads to is replaced. What is not a file (a device, a pipe, standard output) gets the bytes at the end.

    Raises:
        SettingError: a symbolic link without a target.
    """
    require_no_dangling_link(path)
    if _is_stream(path):
        with _written_through(path) as partial:
            yield partial
        return
    target = _file_to_replace(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target
    try:
        handle, name = tempfile.mkstemp(prefix=PARTIAL_PREFIX, suffix=path.suffix, dir=target.parent)
        partial = Path(name)
        os.close(handle)
        yield partial
        _set_mode(partial, stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask())
        _flush(partial)
        rename(partial, target)
        _flush(target.parent)
    except BaseException as error:
        if partial != target:
            with suppress(OSError):
                partial.unlink()
        name_file(error, path)
        raise


@contextmanager
def atomic_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """An empty temporary folder; it becomes `path` when the block ends well.

    All its files are on the disk before it gets its name. On an error it is removed.

    Args:
        path: must be new, unless it is replaced.
        replace: an older folder stays until the new one is complete, and is then removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=PARTIAL_PREFIX, dir=path.parent))
    try:
        yield partial
        for inner in (*partial.rglob("*"), partial):
            _flush(inner)
        _set_mode(partial, 0o777 & ~_umask())
        if replace and path.is_dir():
            old = partial.with_name(f"{partial.name}-old")
            rename(path, old)
            try:
                rename(partial, path)
            except BaseException:
                rename(old, path)
                raise
            shutil.rmtree(old)
        else:
            rename(partial, path)
        _flush(path.parent)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        name_file(error, path)
        raise


@contextmanager
def staged_files(directory: Path) -> Iterator[Path]:
    """An empty folder inside `directory`; its files move up, one by one and each whole, when the block ends well.

    For libraries that insist on writing several files into a folder themselves.
    """
    require_no_dangling_link(directory)
    directory.mkdir(parents=True, exist_ok=True)
    stage = directory / PARTIAL_PREFIX
    try:
        stage = Path(tempfile.mkdtemp(prefix=PARTIAL_PREFIX, dir=directory))
        yield stage
        for source in sorted(path for path in stage.rglob("*") if path.is_file()):
            with atomic_path(directory / source.relative_to(stage)) as partial:
                shutil.move(source, partial)
    except OSError as error:
        name_file(error, directory)
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def rename(source: Path, target: Path) -> None:
    """Rename a file or a folder on the same disk; an older file at `target` is replaced.

    Windows refuses this while a process has one of them open, so there it is tried again for some seconds.
    """
    deadline = time.monotonic() + (_OPEN_SECONDS if _ON_WINDOWS else 0.0)
    while True:
        try:
            os.replace(source, target)  # noqa: PTH105  # pathlib calls it too
        except PermissionError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return


def name_again(source: Path, target: Path) -> None:
    """Give a file a second name, which must be new.

    Raises:
        FileExistsError: another process was faster.
        OSError: the file system has no hard links.
    """
    os.link(source, target)


def point_to(target: Path, link: Path) -> None:
    """Make a new link to a file; a copy where links need a privilege, as on Windows."""
    try:
        link.symlink_to(target.resolve())
    except OSError:
        if not _ON_WINDOWS:
            raise
        shutil.copyfile(target, link)


def open_handle(path: Path, flags: int, mode: int = 0o666) -> int:
    """The descriptor of a file whose bytes stay as they are written, also on Windows.

    Args:
        flags: as for `os.open`.
        mode: permissions of a new file, less the umask.
    """
    return os.open(path, flags | _BINARY, mode)


def flush_handle(handle: int) -> None:
    """Push what was written to an open file to the disk."""
    os.fsync(handle)


def require_no_dangling_link(path: Path) -> None:
    """Refuse a path through a symbolic link without a target: writing would replace the link, or fail late.

    Raises:
        SettingError: with the link and its target.
    """
    for part in (path, *path.parents):
        if part.is_symlink() and not part.exists():
            raise SettingError([f"is a symbolic link to {part.readlink()}, which does not exist"], part)


def descriptor_of(path: Path) -> int | None:
    """The number of this process's open file that a path means: 1 for /dev/stdout; None for any other path."""
    if path in _STREAMS:
        return _STREAMS[path]
    folders = ("/dev/fd", f"/proc/{os.getpid()}/fd")
    for _ in range(_MAX_LINKS):
        if path.name.isdigit() and os.path.realpath(path.parent) in folders:
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with everything in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


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
            found = _NUMBER_IN_WORDS.search(text)
            number = int(found[1]) if found else None if free else errno.ENOSPC
            cause = f" ({os.strerror(number)})" if number else ""
            raise StorageError(
                path, f"cannot be written to{cause}; the disk has {free} MiB free", number
            ) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with its line ends as they are, whole or not at all."""
    with atomic_path(path) as partial:
        partial.write_bytes(text.encode("utf-8"))


def write_into(path: Path, text: str) -> None:
    """Write into a file that must stay the same file, since a lock on it is held."""
    try:
        with path.open("wb") as stream:
            stream.write(text.encode("utf-8"))
    except OSError as error:
        name_file(error, path)
        raise


def dump_json(value: Any) -> str:
    """JSON text as goemo writes it: two spaces, key order kept, final newline.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document, whole or not at all; NaN and infinity are refused."""
    write_text(path, dump_json(value))


def write_sealed_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with the SHA-256 of its other entries as `digest`, so that an edit is noticed."""
    write_json(path, {**value, _SEAL: _digest(value)})


def is_as_sealed(value: Mapping[str, Any]) -> bool:
    """Whether an object is as `write_sealed_json` wrote it; one of an earlier version has no digest, and passes."""
    rest = {key: entry for key, entry in value.items() if key != _SEAL}
    return _SEAL not in value or value[_SEAL] == _digest(rest)


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(dump_json(dict(value)).encode("utf-8")).hexdigest()


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


def absolute_name(path: Path) -> Path:
    """The absolute path, without `..`; symbolic links keep their names."""
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve follows links


def path_from_root(path: Path, root: Path, *folders: Path) -> str:
    """A path as records name it: relative to `root` if it is below it, so that a moved project stays readable.

    Symbolic links do not matter: neither a root that is reached through one, nor folders of it that are one.

    Args:
        folders: folders of the root that may be symbolic links, for paths that name their targets.
    """
    named, root_named = absolute_name(path), absolute_name(root)
    if named.is_relative_to(root_named):
        return named.relative_to(root_named).as_posix()
    real = path.resolve()
    for folder in (root, *folders):
        if real.is_relative_to(base := folder.resolve()):
            return (folder.relative_to(root) / real.relative_to(base)).as_posix()
    return real.as_posix()


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder; links to folders are not followed. None if the folder does not exist."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def last_change(paths: Sequence[Path]) -> float:
    """When the newest file was written, in seconds since 1970; of an empty folder, when it was made.

    Of files and not of folders, so that a clean-up that was interrupted does not make its folder look alive.
    """
    files = [file for path in paths for file in (files_below(path) if path.is_dir() else [path])]
    times = []
    for path in files or paths:
        with suppress(OSError):  # renamed or removed while we look, or not for this user
            times.append(path.lstat().st_mtime)
    return max(times, default=time.time())


def partial_paths(folder: Path) -> Iterator[Path]:
    """Files and folders below a folder that a write has not finished, outermost only."""
    for parent, folders, names in os.walk(folder):
        yield from (Path(parent, name) for name in [*folders, *names] if name.startswith(PARTIAL_PREFIX))
        folders[:] = [name for name in folders if not name.startswith(PARTIAL_PREFIX)]


def complete_lines(path: Path, start: int = 0, length: int | None = None) -> list[bytes]:
    """The complete lines of a file that may grow, from a byte position on, with their line ends; those of `length` bytes only."""
    with path.open("rb") as stream:
        stream.seek(start)
        lines = stream.read(-1 if length is None else length).splitlines(keepends=True)
    return lines if not lines or lines[-1].endswith(b"\n") else lines[:-1]


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise ValueError(f"key {key!r} occurs twice")
        seen[key] = value
    return seen


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def name_file(error: BaseException, path: Path) -> None:
    """Name the file in the error of a failed write, which names none or the temporary one."""
    if isinstance(error, OSError) and (error.filename is None or PARTIAL_PREFIX in str(error.filename)):
        error.filename, error.filename2 = str(path), None


def _is_stream(path: Path) -> bool:
    """Whether a path cannot be replaced like a file: a device, a pipe, or an open file of this process."""
    if descriptor_of(path) is not None:
        return True
    return path.exists() and not stat.S_ISREG(path.stat().st_mode) and not path.is_dir()


@contextmanager
def _written_through(path: Path) -> Iterator[Path]:
    """A temporary file elsewhere, whose bytes go to a stream when the block ends well."""
    with tempfile.TemporaryDirectory(prefix=PARTIAL_PREFIX) as folder:
        partial = Path(folder) / f"output{path.suffix}"
        partial.touch()
        try:
            yield partial
            number = descriptor_of(path)
            handle = open_handle(path, os.O_WRONLY) if number is None else os.dup(number)
            with partial.open("rb") as written, os.fdopen(handle, "wb") as stream:
                shutil.copyfileobj(written, stream)
        except BaseException as error:
            name_file(error, path)
            raise


def _file_to_replace(path: Path) -> Path:
    """The file itself, behind all symbolic links.

    Raises:
        OSError: a folder, or a link to a file that may not be written to (data caches protect theirs so).
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not path.is_symlink():
        return path
    target = path.resolve()
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    return target


def _umask() -> int:
    # Reading the umask means setting it; mkstemp's 0600 would hide results from a shared group.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _set_mode(path: Path, mode: int) -> None:
    """Set the permissions of a file that this process has made; without them it is readable by its owner."""
    try:
        path.chmod(mode)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise


def _flush(path: Path) -> None:
    """Push a file or a folder to the disk: without it a power cut can leave a renamed, empty file."""
    if _ON_WINDOWS and path.is_dir():
        return  # it cannot
    handle = open_handle(path, os.O_RDWR if _ON_WINDOWS else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not (error.errno in _NOT_OFFERED and path.is_dir()):
            raise
    finally:
        os.close(handle)
