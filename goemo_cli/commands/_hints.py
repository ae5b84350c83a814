"""The next command to type after an error, fitting its cause."""

import errno
import os
import shlex
from pathlib import Path

from goemo_cli.commands._streams import OutputError
from goemo_cli.core import errors
from goemo_cli.core.hints import root_option
from goemo_cli.core.system.variables import is_offline

_OFFLINE = "GOEMO_OFFLINE HF_HUB_OFFLINE"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_OPEN_FILES = (errno.EMFILE, errno.ENFILE)
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_UNREADABLE_PATH = (errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP)


def hint(error: BaseException) -> str | None:
    """The next command to type after an error, if there is one."""
    match error:  # specific types before general ones: the first that fits decides
        case errors.UnknownSettingError():
            return "goemo train --print-config"
        case errors.RunNotFoundError():
            return f"goemo runs list{root_option(error.root)}"
        case errors.NoRunError():
            return f"goemo train{root_option(error.root)}"
        case errors.UnknownLabelError():
            return "a label list for your own data: --labels-file FILE, one label per line"
        case errors.OwnDataNotFoundError():
            return "check the path; --data sample needs no file"
        case errors.DataNotFoundError():
            command = f"unset {_OFFLINE}" if is_offline() else "goemo data download"
            return f"{command}   (or --data-dir DIR, or --data sample)"
        case errors.ModelNotFoundError():
            return "goemo models"
        case errors.CheckpointNotFoundError():
            # It loads pydantic, which help pages do without.
            from goemo_cli.services.runs.index import is_resumable

            if is_resumable(error.path):
                return f"goemo train --resume {shlex.quote(str(error.path))}   continues the interrupted training"
            return "goemo train   writes one below artifacts/models/"
        case errors.ModelFolderError():
            return "goemo models   lists models by name; or download the folder again"
        case errors.CorruptArtifactError():
            root = _root_above(error.path)
            return None if root is None else f"goemo validate --verbose{root_option(root)}"
        case errors.HubAuthenticationError():
            return "hf auth login   (or set HF_TOKEN)"
        case errors.AuthenticationError():
            return "wandb login   (or set WANDB_API_KEY)"
        case errors.OfflineError():
            return f"unset {_OFFLINE}"
        case errors.RemoteError():
            return "check the connection and try again"
        case errors.TrainingStoppedError() | errors.ProcessLostError() | errors.WorkerFailedError():
            return error.resume
        case errors.StorageError():
            return storage_hint(error.number, error.path)
        case OutputError():
            is_full = error.errno in _FULL
            return "free some space, or send the output elsewhere" if is_full else "send the output elsewhere"
        case OSError():
            return storage_hint(error.errno, Path(str(error.filename)) if error.filename else None)
    return None


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
        if path is None:
            return "check the permissions"
        return f"ls -ld {shlex.quote(str(_existing(path)))}   shows the permissions; or choose another folder"
    if number == errno.EROFS:
        return "this file system is read-only: choose another folder"
    if number in _UNREADABLE_PATH:
        return "check the path"
    return "choose another folder, or try again"


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists: one that could not be created has no permissions."""
    return next((one for one in (path, *path.parents) if os.path.lexists(one)), path)


def _root_above(path: Path) -> Path | None:
    """The project root whose artifacts or output contain a file."""
    folders = [folder for folder in path.parents if folder.name in ("artifacts", "output")]
    return folders[-1].parent if folders else None
