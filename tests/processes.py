"""Python in processes of its own, with goemo importable."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.waiting import GUARD_SECONDS


def python(
    *arguments: object, env: Mapping[str, str] | None = None, without: str = "-", cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run Python with some arguments.

    Args:
        arguments: such as `"-c", program` or `"-m", "goemo_cli", "models"`.
        env: variables besides those of this process.
        without: beginning of the names of variables that the process does not get.
        cwd: the folder to run in.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(without)}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**inherited, "PYTHONPATH": str(REPOSITORY), **(env or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=GUARD_SECONDS,
        check=False,
    )


def free_port() -> int:
    """A port of the loopback that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
