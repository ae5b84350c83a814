"""A PostgreSQL server for one test: on a loopback port, with its data in a temporary folder."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import free_port

PASSWORD = "never-shown-7f3a"
_USER = "goemo"


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a new server, with its password; the test is skipped if PostgreSQL is not installed."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="goemo-postgres-"))
    try:
        password = folder / "password"
        password.write_text(PASSWORD)
        owner = _owner()
        for path in (folder, password):
            shutil.chown(path, owner)
        data, port = folder / "data", free_port()
        _run(owner, programs / "initdb", "-D", data, "-U", _USER, "-A", "scram-sha-256", "--pwfile", password)
        settings = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off"
        _run(owner, programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", settings, "start")
        try:
            yield f"postgresql://{_USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            _run(owner, programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    """The folder with initdb and pg_ctl, which Debian keeps out of PATH."""
    found = [path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    if in_path := shutil.which("initdb"):
        found.append(Path(in_path).resolve().parent)
    if not found:
        pytest.skip("needs initdb of PostgreSQL: apt-get install postgresql")
    return found[-1]


def _owner() -> str:
    """PostgreSQL refuses to run as root."""
    return "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name


def _run(owner: str, *command: object) -> None:
    as_owner = ["runuser", "-u", owner, "--"] if os.getuid() == 0 else []
    subprocess.run([*as_owner, *map(str, command)], check=True, stdout=subprocess.DEVNULL, cwd="/")
