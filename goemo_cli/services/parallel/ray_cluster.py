"""The connection to a Ray cluster."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from goemo_cli.core.errors import MissingPackageError, RemoteError
from goemo_cli.core.system.variables import forbid_usage_statistics


@contextmanager
def connected(purpose: str) -> Iterator[Any]:
    """Connect to the cluster of RAY_ADDRESS, or of `ray start` on this machine; without one, start Ray on this machine.

    Yields:
        The module `ray`.

    Args:
        purpose: the command, for the error if Ray is missing.

    Raises:
        MissingPackageError: Ray is not installed.
        RemoteError: the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingPackageError("ray", "ray", purpose) from error
    forbid_usage_statistics()
    try:
        ray.init(logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        raise RemoteError(f"the Ray cluster cannot be reached: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()
