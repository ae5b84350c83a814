"""Files of a W&B server: their digests, and downloads that are bounded in time and bytes, resumed and checked.

The SDK's own downloads compare neither size nor digest of run files and wait for a silent server without limit.
"""

import base64
import hashlib
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from goemo_cli.core.errors import (
    AuthenticationError,
    CorruptArtifactError,
    NotFoundError,
    RemoteError,
    StorageError,
)
from goemo_cli.core.files import open_handle, rename

_CHUNK = 1 << 18
_REDIRECTS = 5
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524})
_WRONG_BODIES = 2
"""Number of complete but wrong bodies after which the file is considered wrong on the server."""
_WORKERS = 8
"""Files fetched at once: runs are many small files and a few large ones."""
_POLL_SECONDS = 0.1
_STOP_SECONDS = 1.0

Algorithm = Literal["md5", "xxh128", "sha256", "git"]
"""How a digest was computed; git: SHA-1 of its blob."""


@dataclass(frozen=True)
class RemoteFile:
    """One file as a server lists it, unchecked."""

    name: str
    """Relative, with `/`: as in the Files tab of a run."""
    size: int
    """Declared bytes."""
    digest: str | None
    """Base64 of the digest; None if the server has none."""
    url: str
    algorithm: Algorithm = "md5"


@dataclass(frozen=True)
class Limits:
    """When to give up on a server."""

    attempts: int = 6
    """Attempts per file without progress."""
    connect_seconds: float = 10.0
    silence_seconds: float = 20.0
    """Time without progress after which a try ends."""
    patience_seconds: float = 35.0
    """Time without progress over all tries of a file after which it is given up; pauses between tries are not counted."""
    slowest: float = 1_000.0
    """Bytes per second; a slower transfer does not count as progress."""
    first_wait: float = 0.4
    """Seconds before the second try; doubled each time, with jitter."""
    longest_wait: float = 30.0
    """Also for what the server asks by Retry-After."""


class StoppedError(Exception):
    """Another file failed, or the user stopped: this one need not go on."""


class _TransientError(Exception):
    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class _WrongBodyError(Exception):
    """All of a body came, and it is not the declared one."""


class _ExpiredError(Exception):
    """A signed URL that has expired."""


class Fetcher:
    """Fetches files of one server; its methods may be called from several threads.

    Args:
        base_url: of the W&B server. The API key is sent to this server only, never to the target of a redirect.
        key: API key, or None.
        limits: when to give up.
    """

    def __init__(
        self,
        base_url: str,
        key: str | None,
        *,
        limits: Limits | None = None,
    ) -> None:
        self._base_url, self._key = base_url, key
        self._limits = limits or Limits()
        self.stop = threading.Event()
        """Set it if the files are no longer wanted."""
        self._local = threading.local()

    def fetch(
        self,
        file: RemoteFile,
        target: Path,
        *,
        arrived: Callable[[int], None] = lambda amount: None,
        renew: Callable[[RemoteFile], RemoteFile] | None = None,
    ) -> None:
        """Download a file to `target`, which appears complete and checked or not at all.

        After a failure the received bytes stay in `target` + ".part", and the next attempt continues there.

        Args:
            target: its path; the folder exists.
            arrived: called with the number of new bytes.
            renew: gives the file a new URL after the old one has expired.

        Raises:
            AuthenticationError: the server refuses the key.
            NotFoundError: the file is listed but missing.
            CorruptArtifactError: the body has another size or digest than declared.
            RemoteError: no useful answer within the limits.
            StoppedError: `stop` was set.
        """
        part = target.with_name(target.name + ".part")
        progress = _Progress(arrived)
        failures, wrong, idle = 0, 0, 0.0
        while True:
            before, begun = _size_of(part), time.monotonic()
            try:
                self._once(file, part, progress, min(self._limits.silence_seconds, self._patience(idle)))
                rename(part, target)
                return
            except _WrongBodyError as error:
                part.unlink(missing_ok=True)
                wrong += before == 0  # the earlier part may be from another version
                if wrong >= _WRONG_BODIES:
                    raise CorruptArtifactError(Path(file.name), f"the server's copy {error}") from error
            except _ExpiredError as error:
                if renew is None:
                    raise RemoteError(f"cannot download {file.name} ({error})") from error
                file, renew = renew(file), None
            except _TransientError as error:
                seconds, new = time.monotonic() - begun, _size_of(part) - before
                is_progress = new > 0 and new >= seconds * self._limits.slowest
                failures, idle = (1, 0.0) if is_progress else (failures + 1, idle + seconds)
                if failures >= self._limits.attempts or self._patience(idle) <= 0:
                    raise RemoteError(
                        f"cannot download {file.name} ({error}; tried {failures} times)"
                    ) from error
                self._wait(failures, error.wait)

    def _patience(self, idle: float) -> float:
        return self._limits.patience_seconds - idle

    def _once(self, file: RemoteFile, part: Path, progress: "_Progress", silence: float) -> None:
        if self.stop.is_set():
            raise StoppedError
        have = _size_of(part)
        if have > file.size:
            part.unlink()
            have = 0
        progress.reached(have)
        if have < file.size or not file.size:
            try:
                self._transfer(file, part, have, silence, progress)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                raise _TransientError(_reason(error)) from error
        if (size := _size_of(part)) != file.size:
            raise _WrongBodyError(f"has {size:,} bytes instead of the declared {file.size:,}")
        if file.digest is not None and digest_of(part, file.algorithm) != file.digest:
            raise _WrongBodyError(f"does not have the declared {file.algorithm.upper()}")

    def _transfer(
        self, file: RemoteFile, part: Path, have: int, silence: float, progress: "_Progress"
    ) -> None:
        with closing(self._get(file.url, have, silence)) as response:
            if response.status_code == 206 and _starts_at(response, have):
                kept = have
            elif response.status_code == 200:
                kept = 0
            else:
                if response.status_code == 416:  # the part is of another version
                    part.unlink(missing_ok=True)
                raise _TransientError(f"HTTP {response.status_code}")
            length = response.headers.get("Content-Length", "")
            encoded = bool(response.headers.get("Content-Encoding"))
            expected = int(length) if length.isdecimal() and not encoded else None
            if expected is not None and kept + expected != file.size:
                kind = response.headers.get("Content-Type", "").partition(";")[0]
                raise _WrongBodyError(
                    f"has {kept + expected:,} bytes{f' of {kind}' if kind else ''} "
                    f"instead of the declared {file.size:,}"
                )
            got = self._write(response, part, kept, file.size, silence, progress)
            if expected is not None and got < expected:
                raise _TransientError("the connection ended early")

    def _write(
        self, response: Any, part: Path, kept: int, size: int, silence: float, progress: "_Progress"
    ) -> int:
        """Append the body to the part after its first `kept` bytes; how many bytes came."""
        flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        handle = open_handle(part, flags, 0o600)
        got, begun = 0, time.monotonic()
        try:
            os.ftruncate(handle, kept)
            os.lseek(handle, kept, os.SEEK_SET)
            while chunk := response.raw.read1(_CHUNK, decode_content=True):
                if self.stop.is_set():
                    raise StoppedError
                got += len(chunk)
                if kept + got > size:
                    raise _WrongBodyError(f"has more than the declared {size:,} bytes")
                _write_all(handle, chunk, part)
                progress.reached(kept + got)
                if time.monotonic() - begun > silence + got / self._limits.slowest:
                    raise _TransientError("the server is too slow")
        finally:
            os.close(handle)
        return got

    def _get(self, url: str, have: int, silence: float) -> Any:
        """The answer to a GET, redirects followed by hand so that the key stays with its host."""
        url = urljoin(self._base_url.rstrip("/") + "/", url)
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        for _ in range(_REDIRECTS):
            if urlsplit(url).scheme not in self._schemes():
                raise RemoteError(f"the server sent an address that is not safe to follow ({_shown(url)})")
            ours = _origin(url) == _origin(self._base_url)
            response = self._session().get(
                url,
                headers=headers,
                # A function that adds nothing keeps requests from looking into .netrc.
                auth=("api", self._key) if ours and self._key else (lambda request: request),
                timeout=(min(self._limits.connect_seconds, silence), silence),
                stream=True,
                allow_redirects=False,
            )
            if not response.is_redirect:
                _check_status(response, ours=ours)
                return response
            url = urljoin(url, response.headers["Location"])
            response.close()
        raise RemoteError(f"the server redirects without end ({_shown(url)})")

    def _schemes(self) -> tuple[str, ...]:
        return ("https",) if urlsplit(self._base_url).scheme == "https" else ("https", "http")

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        session: requests.Session = self._local.session
        return session

    def _wait(self, failures: int, asked: float | None) -> None:
        backoff = self._limits.first_wait * 2 ** (failures - 1) * random.uniform(0.8, 1.2)
        if self.stop.wait(min(max(asked or 0.0, backoff), self._limits.longest_wait)):
            raise StoppedError


class _Progress:
    """Reports each byte once, also if a file is downloaded again from its start."""

    def __init__(self, arrived: Callable[[int], None]) -> None:
        self._arrived, self._most = arrived, 0

    def reached(self, position: int) -> None:
        if position > self._most:
            self._arrived(position - self._most)
            self._most = position


def fetch_all(
    files: Iterable[tuple[RemoteFile, Path]],
    fetcher: Fetcher,
    *,
    renew: Callable[[RemoteFile], RemoteFile],
    arrived: Callable[[int], None] = lambda amount: None,
) -> None:
    """Download every file to its path, largest first; correct files that exist already are kept.

    Args:
        files: what to fetch, and the paths; folders are created.
        fetcher: fetches one file; its stop event is set at the end.
        renew: gives a file a new URL, for one that expired.
        arrived: called with the number of new bytes, in the caller's thread.

    Raises:
        GoemoError: the first file that failed; the others stop. Finished files and parts are kept.
    """
    waiting: queue.SimpleQueue[tuple[RemoteFile, Path]] = queue.SimpleQueue()
    news: queue.SimpleQueue[int | BaseException | None] = queue.SimpleQueue()
    for file, target in sorted(files, key=lambda pair: -pair[0].size):
        target.parent.mkdir(parents=True, exist_ok=True)
        waiting.put((file, target))

    def work() -> None:
        try:
            while not fetcher.stop.is_set():
                file, target = waiting.get_nowait()
                if is_same(target, file):
                    news.put(file.size)
                else:
                    target.unlink(missing_ok=True)
                    fetcher.fetch(file, target, arrived=news.put, renew=renew)
        except (queue.Empty, StoppedError):
            news.put(None)
        except BaseException as error:  # raised in the caller's thread
            news.put(error)

    # Daemons: a silent server must not keep a stopped program alive.
    workers = [threading.Thread(target=work, daemon=True) for _ in range(min(_WORKERS, waiting.qsize()))]
    try:
        for worker in workers:
            worker.start()
        _follow(news, len(workers), arrived)
    finally:
        fetcher.stop.set()
        deadline = time.monotonic() + _STOP_SECONDS
        for worker in workers:
            if worker.is_alive():  # also if Ctrl-C came before it was started
                worker.join(max(0.0, deadline - time.monotonic()))


def _follow(
    news: "queue.SimpleQueue[int | BaseException | None]", working: int, arrived: Callable[[int], None]
) -> None:
    """Report progress until all workers have ended; the first failure is raised."""
    while working:
        try:
            message = news.get(timeout=_POLL_SECONDS)  # a timeout, so that Ctrl-C is heard
        except queue.Empty:
            continue
        if message is None:
            working -= 1
        elif isinstance(message, BaseException):
            raise message
        else:
            arrived(message)


def digest_of(path: Path, algorithm: str = "md5") -> str:
    """The base64 digest of a file's bytes, as W&B writes it, or of those on the Hugging Face Hub."""
    found: Any
    if algorithm == "xxh128":
        import xxhash  # wandb needs it

        found = xxhash.xxh3_128()
    else:
        name = "sha1" if algorithm == "git" else algorithm
        found = hashlib.new(name, usedforsecurity=False)
    if algorithm == "git":
        found.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
    return base64.b64encode(found.digest()).decode()


def digest_of_text(text: str) -> str:
    """The base64 MD5 of a text, as W&B writes it."""
    return base64.b64encode(hashlib.md5(text.encode(), usedforsecurity=False).digest()).decode()


def is_same(path: Path, file: RemoteFile) -> bool:
    """Whether a local file can be read and has the size and the digest that a server declares."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size != file.size:
            return False
        return file.digest is None or digest_of(path, file.algorithm) == file.digest
    except PermissionError:
        return False


def _check_status(response: Any, *, ours: bool) -> None:
    status = response.status_code
    if status < 400 or status == 416:
        return
    response.close()
    if status in (401, 403) and ours:
        raise AuthenticationError(f"W&B refuses the API key for this file (HTTP {status})")
    if status in (400, 401, 403):
        raise _ExpiredError(f"HTTP {status}")
    if status in (404, 410):
        raise NotFoundError(f"a file that W&B lists is not there (HTTP {status}, {_shown(response.url)})")
    if status in _TRANSIENT:
        raise _TransientError(f"HTTP {status}", _seconds(response.headers.get("Retry-After", "")))
    raise RemoteError(f"W&B answers HTTP {status} for {_shown(response.url)}")


def _seconds(text: str) -> float | None:
    return float(text) if text.strip().isdecimal() else None


def _starts_at(response: Any, position: int) -> bool:
    return bool(response.headers.get("Content-Range", "").startswith(f"bytes {position}-"))


def _size_of(path: Path) -> int:
    return path.lstat().st_size if path.is_file() and not path.is_symlink() else 0


def _write_all(handle: int, chunk: bytes, path: Path) -> None:
    view = memoryview(chunk)
    while view:
        try:
            written = os.write(handle, view)
        except OSError as error:
            raise StorageError(path, f"cannot be written ({error.strerror})", error.errno) from error
        view = view[written:]


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _shown(url: str) -> str:
    """Host and path: user names, passwords and signatures stay out of messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def _reason(error: Exception) -> str:
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return "no answer in time"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "the connection ended early"
    return "the connection failed" if isinstance(error, requests.ConnectionError) else type(error).__name__
