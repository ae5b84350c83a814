"""A database that holds studies: its driver, its errors, and its URL without the password."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from goemo_cli.core.errors import MissingPackageError, RemoteError, SettingError

_POSTGRES = ("postgresql", "postgres")
_ATTEMPTS = 5
"""Workers that begin at the same moment all create the tables, and one of them succeeds."""


def open_database(url: str) -> BaseStorage:
    """The storage in a database; its tables are created if they are missing.

    Args:
        url: of the database, such as `postgresql://user@host/name` or `sqlite:///sweep.db`.

    Raises:
        MissingPackageError: the driver for PostgreSQL.
        SettingError: the URL or its file cannot be used.
        RemoteError: the server refuses or does not answer.
    """
    parsed = _parsed(url)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for left in reversed(range(_ATTEMPTS)):
        try:
            storage = RDBStorage(
                parsed.render_as_string(hide_password=False), engine_kwargs={"poolclass": NullPool}
            )
            return optuna.storages.get_storage(storage)
        except DBAPIError as error:
            if left and _is_creation(error):
                continue
            reason = f"{url_without_password(url)}: {_reason(error, parsed)}"
            if parsed.get_backend_name() == "postgresql":
                raise RemoteError(reason) from None
            raise SettingError([reason], "--storage") from None
        except (ImportError, NoSuchModuleError, ValueError) as error:
            raise _unusable(error) from None
    raise AssertionError("the last attempt returns or raises")


def url_without_password(url: str) -> str:
    """A URL for messages and hints: without password and parameters, which may contain one."""
    known = _parsed(url)
    shown = URL.create(url.partition(":")[0], known.username, None, known.host, known.port, known.database)
    return shown.render_as_string()


@contextmanager
def database_errors(url: str | None) -> Iterator[None]:
    """Name the database if it fails during the block.

    Raises:
        RemoteError: it does not answer any more.
    """
    try:
        yield
    except (DBAPIError, StorageInternalError) as error:
        if url is None:
            raise
        cause = error if isinstance(error, DBAPIError) else error.__cause__
        reason = _reason(cause, _parsed(url)) if isinstance(cause, DBAPIError) else type(error).__name__
        raise RemoteError(f"{url_without_password(url)}: {reason}") from None


def _parsed(url: str) -> URL:
    """The URL with the driver that goemo uses for PostgreSQL.

    Raises:
        MissingPackageError: the driver is not installed.
        SettingError: it is not a URL.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise _unusable(error) from None
    if parsed.drivername not in _POSTGRES:
        return parsed
    if find_spec("psycopg") is None:
        raise MissingPackageError("psycopg", "postgres", "--storage postgresql://")
    return parsed.set(drivername="postgresql+psycopg")


def _unusable(error: Exception) -> SettingError:
    return SettingError(
        [f"this database cannot be used ({type(error).__name__}); a URL is like sqlite:///sweep.db"],
        "--storage",
    )


def _is_creation(error: DBAPIError) -> bool:
    """Whether another process has created a table at the same moment."""
    return isinstance(error, IntegrityError) or "already exists" in str(error.orig)


def _reason(error: DBAPIError, url: URL) -> str:
    """What the database said, in one line and without the password."""
    text = " ".join(str(error.orig).split())
    secrets = [str(url.password or ""), *(str(value) for value in url.query.values())]
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text
