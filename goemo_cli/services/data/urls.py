"""Data files by URL: http and https with requests, all others with the file systems of fsspec."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from goemo_cli.core.errors import NotFoundError, OfflineError, RemoteError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_LOCAL = ("file", "local", "memory")
_TIMEOUT = 20.0
"""Seconds without data from the server after which the download fails."""
_BLOCK = 2**20


def is_url(name: str) -> bool:
    """Whether a name is a URL."""
    return bool(_URL.match(name))


def name_in_url(url: str) -> str:
    """The file name in a URL, without query and fragment."""
    return PurePosixPath(urlsplit(url).path).name


def download(url: str, target: BinaryIO, *, may_fetch: bool) -> None:
    """Write the content of a URL.

    Args:
        url: the address.
        target: where to write.
        may_fetch: whether the network may be used.

    Raises:
        NotFoundError: no such file, or the package for its protocol is not installed.
        RemoteError: the network is switched off, or the server fails.
    """
    protocol = url.partition("://")[0].lower()
    if not may_fetch and protocol not in _LOCAL:
        raise _offline(url)
    if protocol in ("http", "https"):
        _download_by_http(url, target)
    else:
        _download_by_fsspec(url, target)


def shown(url: str) -> str:
    """The URL without a user name, a password or a query, which may be secret."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _download_by_http(url: str, target: BinaryIO) -> None:
    import requests

    try:
        with requests.get(url, stream=True, timeout=_TIMEOUT) as answer:
            if answer.status_code in (404, 410):
                raise NotFoundError(f"{shown(url)}: no such file (HTTP {answer.status_code})")
            answer.raise_for_status()
            for block in answer.iter_content(_BLOCK):
                target.write(block)
    except requests.RequestException as error:
        response = error.response
        reason = f"HTTP {response.status_code}" if response is not None else type(error).__name__
        raise RemoteError(f"cannot download {shown(url)} ({reason})") from error


def _download_by_fsspec(url: str, target: BinaryIO) -> None:
    with file_system(url) as (system, path), system.open(path, "rb") as stream:
        shutil.copyfileobj(stream, target)


@contextmanager
def file_system(url: str, *, may_fetch: bool = True) -> Iterator[tuple[Any, str]]:
    """The file system of fsspec that a URL names, and the path in it.

    Args:
        url: not one of a web server.
        may_fetch: whether the network may be used.

    Raises:
        NotFoundError: an unknown protocol, or the package for it is not installed; or the block does not find a file.
        OfflineError: the network is switched off.
        RemoteError: the block failed otherwise.
    """
    if not may_fetch and url.partition("://")[0].lower() not in _LOCAL:
        raise _offline(url)
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(url)
    except ImportError as error:  # the text names the package: Install s3fs to access S3
        package = re.search(r"[Ii]nstall (?:the )?['`\"]?([\w-]+)", str(error))
        command = f" (pip install {package[1] if package else 'fsspec'})"
        raise NotFoundError(f"{shown(url)}: {error}{command}") from error
    except ValueError as error:  # an unknown protocol
        raise NotFoundError(f"{shown(url)}: {error}") from error
    try:
        yield system, path
    except FileNotFoundError as error:
        raise NotFoundError(f"{shown(url)}: no such file") from error
    except Exception as error:  # each file system has errors of another library
        raise RemoteError(f"cannot download {shown(url)} ({type(error).__name__}: {error})") from error


def _offline(url: str) -> OfflineError:
    return OfflineError(f"{shown(url)}: the network is switched off (GOEMO_OFFLINE, HF_HUB_OFFLINE)")
