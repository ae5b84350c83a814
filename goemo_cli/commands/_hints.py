"""The next command to type after an error, fitting its cause."""

import errno
import shlex
from collections.abc import Callable
from pathlib import Path

from goemo_cli.commands._streams import OutputError
from goemo_cli.core import errors
from goemo_cli.core.hints import root_option

_FULL = (errno.ENOSPC, errno.EDQUOT)
_OPEN_FILES = (errno.EMFILE, errno.ENFILE)
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_UNREADABLE_PATH = (errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP)


def hint(error: BaseException) -> str | None:
    """The next command to type after an error, if there is one."""
    found = next((text for kind, text in _HINTS if isinstance(error, kind)), None)
    return found(error) if callable(found) else found


def storage_hint(number: int | None, path: Path | None) -> str:
    """What helps against an error of the file system.

    Args:
        number: of the operating system (`errno`); None if it is unknown.
    """
    if number in _FULL:
        return "free some space, or choose another folder"
    if number == errno.EFBIG:
        return "ulimit -f unlimited   lifts the limit for the size of files; or choose another folder"
    if number in _OPEN_FILES:
        return "ulimit -n 1024   raises the number of files that may be open"
    if number in _FORBIDDEN:
        return f"ls -ld {shlex.quote(str(path))}   shows the permissions; or choose another folder" if path else "check the permissions"  # fmt: skip
    if number == errno.EROFS:
        return "this file system is read-only: choose another folder"
    if number in _UNREADABLE_PATH:
        return "check the path"
    return "choose another folder, or try again"


def _of_system(error: BaseException) -> str:
    name, number = getattr(error, "filename", None), getattr(error, "errno", None)
    return storage_hint(number, Path(str(name)) if name else None)


def _of_storage(error: BaseException) -> str:
    assert isinstance(error, errors.StorageError)
    return storage_hint(error.number, error.path)


def _of_output(error: BaseException) -> str:
    is_full = isinstance(error, OSError) and error.errno in _FULL
    return "free some space, or send the output elsewhere" if is_full else "send the output elsewhere"


def _of_run(error: BaseException) -> str:
    assert isinstance(error, errors.RunNotFoundError)
    return f"goemo runs list{root_option(error.root)}"


def _of_no_run(error: BaseException) -> str:
    assert isinstance(error, errors.NoRunError)
    return f"goemo train{root_option(error.root)}"


def _of_goemotions(error: BaseException) -> str:
    from goemo_cli.core.settings import is_offline

    command = "unset GOEMO_OFFLINE HF_HUB_OFFLINE" if is_offline() else "goemo data download"
    return f"{command}   (or --data-dir DIR, or --data sample)"


def _of_artifact(error: BaseException) -> str | None:
    assert isinstance(error, errors.CorruptArtifactError)
    root = _root_above(error.path)
    return None if root is None else f"goemo validate --verbose{root_option(root)}"


def _root_above(path: Path) -> Path | None:
    """The project root whose artifacts or output contain a file."""
    folders = [folder for folder in path.parents if folder.name in ("artifacts", "output")]
    return folders[-1].parent if folders else None


def _of_stopped(error: BaseException) -> str | None:
    assert isinstance(error, (errors.TrainingStoppedError, errors.ProcessLostError, errors.WorkerFailedError))
    return error.resume


_Hint = str | Callable[[BaseException], str | None]
_HINTS: tuple[tuple[type[Exception], _Hint], ...] = (
    # Specific types before general ones: the first that fits decides.
    (errors.UnknownSettingError, "goemo train --print-config"),
    (errors.RunNotFoundError, _of_run),
    (errors.NoRunError, _of_no_run),
    (errors.UnknownLabelError, "a label list for your own data: --labels-file FILE, one label per line"),
    (errors.OwnDataNotFoundError, "check the path; --data sample needs no file"),
    (errors.DataNotFoundError, _of_goemotions),
    (errors.ModelNotFoundError, "goemo models"),
    (errors.CheckpointNotFoundError, "goemo train   writes one below artifacts/models/"),
    (errors.ModelFolderError, "goemo models   lists models by name; or download the folder again"),
    (errors.CorruptArtifactError, _of_artifact),
    (errors.HubAuthenticationError, "hf auth login   (or set HF_TOKEN)"),
    (errors.AuthenticationError, "wandb login   (or set WANDB_API_KEY)"),
    (errors.OfflineError, "unset GOEMO_OFFLINE HF_HUB_OFFLINE"),
    (errors.RemoteError, "check the connection and try again"),
    (errors.StorageError, _of_storage),
    (errors.TrainingStoppedError, _of_stopped),
    (errors.ProcessLostError, _of_stopped),
    (errors.WorkerFailedError, _of_stopped),
    (OutputError, _of_output),
    (OSError, _of_system),
)
