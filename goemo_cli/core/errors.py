"""What can go wrong through no fault of the code. One tree; `commands/_errors.py` gives each an exit code.

GoemoError
├── SettingError            a flag, config file or override that makes no sense
│   └── UnknownSettingError
├── DataError               a data file that cannot be used as it is
│   └── DataFileError       with the file, the line and the reason
│       ├── UnknownLabelError
│       └── NoLabelsError   no row of the file is labelled
├── NotFoundError           something named does not exist
│   ├── DataNotFoundError
│   ├── OwnDataNotFoundError
│   ├── ModelNotFoundError
│   ├── CheckpointNotFoundError
│   ├── RunNotFoundError
│   ├── NoRunError
│   ├── NoScoresError
│   └── MissingPackageError
├── ExportError             an exported model that does not agree with its run
├── CorruptArtifactError    a damaged or unsafe artifact
│   └── ModelFolderError    a model folder of another tool that cannot be used
├── AuthenticationError     a key that is missing or refused
│   └── HubAuthenticationError
├── RemoteError             a network or a server that failed
│   └── OfflineError        the user switched the network off
├── StorageError            the local disk refused
├── BusyError               a resource is locked by another process
├── WorkerLostError         a worker process that ended again and again
├── TrainingFailedError     not finite, or out of memory
│   └── ProcessLostError    another process of the training has ended
├── WorkerFailedError       a training in another process, with its exit code
└── TrainingStoppedError    ended by a signal; it can be resumed
"""

import copyreg
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

_COMMAND_LINE = "command line"
_T = TypeVar("_T", bound=str)


def near_names(wanted: str, known: Iterable[str]) -> list[str]:
    """The known names that look like what was typed, best first, at most three."""
    return get_close_matches(wanted, list(known))


def did_you_mean(wanted: str, known: Iterable[str]) -> str:
    """`; did you mean 'x' or 'y'?`, or nothing if no known name is near."""
    near = near_names(wanted, known)
    return f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else ""


def first_names(names: Iterable[object], most: int = 5) -> str:
    """`a, b and 3 more`: the first of some names, and the number of the others."""
    shown = [str(name) for name in names]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more


class GoemoError(Exception):
    """Base of all errors that goemo raises itself; the text is one or two sentences for the user."""

    def __reduce__(self) -> Any:
        """For other processes: subclasses have arguments that a copy cannot be made with."""
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]  # pickle's way


class SettingError(GoemoError):
    """One or more settings that cannot be used; all are listed."""

    def __init__(self, problems: Sequence[str], source: str | Path = _COMMAND_LINE) -> None:
        self.problems = list(problems)
        self.source = str(source)
        super().__init__(f"{self.source}: " + "; ".join(self.problems))


class UnknownSettingError(SettingError):
    """An unknown setting."""


def known_name(name: str, known: Iterable[_T], what: str) -> _T:
    """The one of several known names that is meant.

    Raises:
        SettingError: none of them; they are listed, with the near ones.
    """
    names = list(known)
    for one in names:
        if one == name:
            return one
    raise SettingError([f"unknown {what} {name!r}; known: {', '.join(names)}{did_you_mean(name, names)}"])


@contextmanager
def setting_errors_of(source: str) -> Iterator[None]:
    """Errors about settings of the command line name another source, such as a function of the Python API."""
    try:
        yield
    except SettingError as error:
        if error.source != _COMMAND_LINE:
            raise
        raise type(error)(error.problems, source) from error


class DataError(GoemoError):
    """Data that cannot be trained or scored on."""


class DataFileError(DataError):
    """A data file with a fault at a place."""

    def __init__(self, path: Path | str, reason: str, line: int | None = None) -> None:
        self.path, self.reason, self.line = path, reason, line
        super().__init__(f"{path}{f':{line}' if line else ''}: {reason}")


class UnknownLabelError(DataFileError):
    """A label that is not in the label list."""

    def __init__(
        self, path: Path | str, label: str, labels: Sequence[str], line: int | None = None, *, hint: str = ""
    ) -> None:
        self.label = label
        near = hint or did_you_mean(label.strip().lower(), labels)
        super().__init__(path, f"label {label!r} is not in the list of {len(labels)}{near}", line)


class NoLabelsError(DataFileError):
    """A data file in which no row is labelled, such as a test split that was published without its labels."""


class NotFoundError(GoemoError):
    """Something that the user named does not exist."""


class DataNotFoundError(NotFoundError):
    """No data in the places that were searched."""

    def __init__(self, name: str, looked_in: Sequence[str]) -> None:
        super().__init__(f"data {name!r} not found; looked in: " + "; ".join(looked_in))


class OwnDataNotFoundError(NotFoundError):
    """A file, a folder or a data set of the Hub that the user named."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"data {name!r} not found: {reason}")


class ModelNotFoundError(NotFoundError):
    """A model name that leads to no weights."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"model {name!r}: {reason}")


class CheckpointNotFoundError(NotFoundError):
    """A directory that is not a checkpoint."""

    def __init__(self, path: Path, missing: Sequence[str] = (), instead: str | None = None) -> None:
        self.path, self.missing = path, list(missing)
        absent = "it is a file; name its folder" if path.is_file() else "this folder does not exist"
        what = f"{', '.join(self.missing)} missing" if self.missing else absent
        super().__init__(f"{path} is not a goemo checkpoint: {instead or what}")


class RunNotFoundError(NotFoundError):
    """No run of that name below the root."""

    def __init__(self, name: str, root: Path, known: Sequence[str] = ()) -> None:
        self.name, self.root = name, root
        super().__init__(f"no run {name!r} below {root}{did_you_mean(name, known)}")


class NoRunError(NotFoundError):
    """No finished run at all below a root."""

    def __init__(self, models: Path) -> None:
        self.root = models.parent.parent
        super().__init__(f"no finished run in {models}")


class NoScoresError(NotFoundError):
    """Scores or data of a run that was imported without data."""

    def __init__(self, run: str) -> None:
        super().__init__(
            f"{run} was imported without data, so it has no scores: goemo import MODEL --data DATA scores it, "
            f"or goemo evaluate {run} --data DATA"
        )


class MissingPackageError(NotFoundError):
    """An optional package that is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(f"{purpose} needs the package {package}: pip install 'goemo[{extra}]'")


class ExportError(GoemoError):
    """A model that cannot be exported, or an exported one that does not agree with its run."""


class CorruptArtifactError(GoemoError):
    """An artifact whose content is damaged, inconsistent or unsafe."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class ModelFolderError(CorruptArtifactError):
    """A model folder with a file that is damaged, unsafe, missing, or does not fit the others."""


DAMAGE = (CorruptArtifactError, DataFileError)
"""Files that are here and cannot be used; a command that goes on without one ends with its exit code."""


class AuthenticationError(GoemoError):
    """A server needs a key, and the key is missing or was refused."""


class HubAuthenticationError(AuthenticationError):
    """The Hugging Face Hub needs a token, and the token is missing, wrong, or not permitted to do this."""


class RemoteError(GoemoError):
    """A download or an upload failed; trying again may help."""


class OfflineError(RemoteError):
    """The user switched the network off."""


class StorageError(GoemoError):
    """The local file system refused: full, read-only, or not permitted.

    Args:
        reason: what it refused.
        number: of the operating system (`errno`), which decides what helps.
    """

    def __init__(self, path: Path, reason: str, number: int | None = None) -> None:
        self.path, self.reason, self.number = path, reason, number
        super().__init__(f"{path}: {reason}")


class BusyError(GoemoError):
    """Another process holds what is needed."""


class WorkerLostError(GoemoError):
    """A worker process ended again and again, for example because the memory was full."""


class TrainingFailedError(GoemoError):
    """Training stopped because it could not go on."""


class ProcessLostError(TrainingFailedError):
    """Another process of a training on several devices has ended.

    Args:
        message: what happened.
        resume: the command that continues the training, if there is a saved state.
    """

    def __init__(self, message: str, resume: str | None = None) -> None:
        self.resume = resume
        super().__init__(message)


class WorkerFailedError(GoemoError):
    """One of several trainings at a time has failed.

    Args:
        message: which one and why, and what was kept.
        code: the exit code of its process.
        resume: the command that continues all of them, if there is a saved state.
    """

    code: int = 10
    """Of a process that a signal ended."""

    def __init__(self, message: str, code: int, resume: str | None) -> None:
        self.code, self.resume = code, resume
        super().__init__(message)


class TrainingStoppedError(GoemoError):
    """A signal ended a training, which can be resumed.

    Args:
        message: what happened and what was kept.
        signal: its number.
        resume: the command that continues the training, if there is a saved state.
    """

    signal = 0

    def __init__(self, message: str, signal: int, resume: str | None) -> None:
        self.signal, self.resume = signal, resume
        super().__init__(message)
