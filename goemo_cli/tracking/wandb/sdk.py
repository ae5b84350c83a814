"""The wandb package: whether it is usable, which settings it gets, and what its exceptions mean. Imports it late."""

import importlib.metadata
import importlib.util
import json
import os
import re
import tempfile
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from goemo_cli.core.errors import (
    AuthenticationError,
    GoemoError,
    MissingPackageError,
    NotFoundError,
    RemoteError,
    SettingError,
)
from goemo_cli.core.files import point_to

OLDEST_WANDB = (0, 29)
"""Older ones write outside the folder that they download to (CVE-2026-91771)."""
_LONGEST_LINE = 160
_REACH_SECONDS = 4
_NO_KEY = ("no api key", "api_key")
_REFUSED = (
    "invalid api key", "invalid credentials", "bad credentials", "not logged in", "unauthorized", "permission denied",
    "relogin",
)  # fmt: skip
_UNKNOWN = ("could not find", "not found", "list index out of range", "does not exist", "doesn't exist")
_STATUS = re.compile(
    r"\b(?:error|status|status code|http)[ :=]+([45]\d\d)\b|\b([45]\d\d) (?:client|server) error", re.I
)
_SAYING = ("message", "error", "detail")
"""Keys of a server's JSON whose texts say what was wrong."""
_T = TypeVar("_T")


def require_wandb(purpose: str) -> None:
    """Check that W&B is installed, without importing it.

    Raises:
        MissingPackageError: it is not, or is too old.
    """
    try:
        found = importlib.metadata.version("wandb") if importlib.util.find_spec("wandb") else None
    except importlib.metadata.PackageNotFoundError:  # a folder named wandb is a package too, of nothing
        found = None
    if found is None:
        raise MissingPackageError("wandb", "wandb", purpose)
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST_WANDB:
        oldest = ".".join(map(str, OLDEST_WANDB))
        raise MissingPackageError(f"wandb {oldest} or newer (here is {found})", "wandb", purpose)


def load_wandb(purpose: str) -> Any:
    """The package.

    Raises:
        MissingPackageError: it is not installed, is too old, or cannot be imported.
    """
    require_wandb(purpose)
    try:
        import wandb
    except Exception as error:  # another version of a package that it needs raises anything
        reason = f"wandb, whose import failed with {type(error).__name__}: {_line(error)}"
        raise MissingPackageError(reason, "wandb", purpose) from error
    return wandb


def reached_server(base_url: str | None = None) -> str:
    """The address of the server that the SDK would ask, which answers.

    Args:
        base_url: another address to ask instead.

    Raises:
        RemoteError: it does not; the SDK would try for much longer.
    """
    import wandb

    server = base_url or str(wandb.setup(settings=wandb.Settings(silent=True)).settings.base_url)
    if not reachable(server):
        raise RemoteError(f"W&B does not answer at {server}")
    return server


def reachable(server: str, seconds: float = _REACH_SECONDS) -> bool:
    """Whether anything answers at a URL, by way of the system's proxies; an error page is an answer.

    Args:
        server: http or https URL.
    """
    request = urllib.request.Request(server, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=seconds).close()
    except urllib.error.HTTPError as error:
        error.close()
    except (OSError, ValueError) as error:
        # A certificate that Python does not know may be one that wandb is configured for.
        return "CERTIFICATE_VERIFY_FAILED" in str(error)
    return True


def run_settings(**more: Any) -> Any:
    """Settings of a W&B run: neither code nor command line nor host name is uploaded, nothing is printed.

    The path of the program needs `NO_PROGRAM` in the environment as well.
    """
    import wandb

    return wandb.Settings(
        host="",
        save_code=False,
        disable_git=True,
        disable_code=True,
        x_disable_meta=True,
        x_save_requirements=False,
        silent=True,
        console="off",
        **more,
    )


NO_PROGRAM = {"WANDB_PROGRAM": ""}
"""Keeps the SDK from uploading the path of the program; it ignores an empty setting."""


_SHARED_FOLDERS = (Path("/tmp"), Path("C:/Windows/Temp"))
"""Folders for temporary files whose paths name no user."""


def neutral_folder() -> Path:
    """A new folder whose path names neither user nor project: the SDK uploads the paths of the files of artifacts."""
    usual = (path for path in _SHARED_FOLDERS if path.is_dir() and os.access(path, os.W_OK))
    return Path(tempfile.mkdtemp(prefix="goemo-", dir=next(usual, None)))


def link_into(folder: Path, path: Path) -> Path:
    """A new link in a neutral folder to a file elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / uuid.uuid4().hex
    point_to(path, link)
    return link


@contextmanager
def translated(subject: str, *, may_be_missing: bool = True) -> Iterator[None]:
    """Turns exceptions of the SDK into goemo's errors; a full disk stays an OSError.

    Args:
        subject: of the request, for the message.
        may_be_missing: whether "not found" is about the subject; else it is W&B's failure.
    """
    try:
        yield
    except Exception as error:  # wandb.Error, WandbApiFailedError, ValueError, KeyError, ...
        ours = translation(error, subject, may_be_missing=may_be_missing)
        if ours is error:
            raise
        raise ours from error


def asked(
    question: Callable[[], _T], subject: str, *, may_be_missing: bool = True, seconds: float | None = None
) -> _T:
    """The answer to a question; errors are translated.

    Args:
        subject: what is asked for, for messages.
        may_be_missing: as in `translated`.
        seconds: the maximum time, for calls that the SDK itself does not limit; a silent server then leaves a thread
            behind, not a hang.

    Raises:
        RemoteError: no answer in time.
    """
    with translated(subject, may_be_missing=may_be_missing):
        return question() if seconds is None else _within(seconds, question, subject)


def _within(seconds: float, question: Callable[[], _T], subject: str) -> _T:
    answers: list[_T] = []
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            answers.append(question())
        except BaseException as error:  # raised in the caller's thread
            failures.append(error)

    thread = threading.Thread(target=ask, daemon=True, name=f"goemo: {subject}")
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not answers:
        raise RemoteError(f"{subject}: W&B did not answer within {seconds:.0f} s")
    return answers[0]


def translation(error: BaseException, subject: str, *, may_be_missing: bool = True) -> BaseException:
    """The goemo error for an exception of the SDK; the exception itself if it is not about W&B."""
    if isinstance(error, GoemoError) or not isinstance(error, Exception) or _is_local(error):
        return error
    line, text, status = _line(error), str(error).lower(), _status(error)
    kind = type(error).__name__
    if any(sign in text for sign in _NO_KEY):
        return AuthenticationError(f"no W&B API key was found ({line})")
    # The SDK calls every failed check of the key an AuthenticationError: one whose form alone was looked at has no
    # cause, and a dead network has one that says so.
    is_refused = status in (401, 403) or (
        (status is None or status < 500) and any(sign in text for sign in _REFUSED)
    )
    if is_refused or (kind == "AuthenticationError" and error.__cause__ is None):
        return AuthenticationError(f"W&B refuses the API key for {subject} ({line})")
    if isinstance(error, ValidationError):  # such as an address in WANDB_BASE_URL that is none
        return SettingError(
            [f"W&B: {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        )
    if kind == "UsageError":
        return SettingError([f"W&B: {line}"])
    if may_be_missing and (status == 404 or (status is None and any(sign in text for sign in _UNKNOWN))):
        return NotFoundError(f"W&B has no {subject.removeprefix('the ')}, or not for this key")
    return RemoteError(f"W&B failed for {subject} ({line})")


def _is_local(error: Exception) -> bool:
    """An OSError of this machine's files; those of requests have no errno."""
    is_network = isinstance(error, (ConnectionError, TimeoutError))
    return isinstance(error, OSError) and error.errno is not None and not is_network


def _status(error: BaseException) -> int | None:
    """The HTTP status at the bottom of an SDK exception, else the one that its text names; None if there is none."""
    inner: BaseException | None = error
    while inner is not None:
        response = getattr(inner, "response", None)
        status = getattr(response, "http_status", None) or getattr(response, "status_code", None)
        if status:
            return int(status)
        inner = inner.__cause__ or getattr(inner, "exc", None)
    named = _STATUS.search(str(error))
    return int(named[1] or named[2]) if named else None


def _line(error: Exception) -> str:
    """The first line of an SDK message, of a JSON or HTML answer in it only what it says."""
    text = _without_documents(str(error).strip())
    first = (text.splitlines() or [""])[0].strip() or type(error).__name__
    if "did not respond in time" in first:  # from the SDK's service process, which waits for the server
        return "no answer in time"
    return first if len(first) <= _LONGEST_LINE else first[:_LONGEST_LINE] + "…"


def _without_documents(text: str) -> str:
    page = re.search(r"<(!doctype|html)\b", text, re.IGNORECASE)
    text = text[: page.start()].rstrip(": ") if page else text
    begin = re.search(r"""[{\[]\s*["'{]""", text)
    if begin is None:
        return text
    try:
        value, end = json.JSONDecoder().raw_decode(text[begin.start() :])
    except ValueError:
        return text[: begin.start()].rstrip(": ")
    said = "; ".join(dict.fromkeys(_said(value)))
    return f"{text[: begin.start()]}{said}{text[begin.start() + end :]}".rstrip(": ")


def _said(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _said(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _said(inner, key)
    elif isinstance(value, str) and key in _SAYING:
        yield value.strip()
