"""Programs in processes that have the SDK of W&B loaded: forks of a process that has only imported it."""

import atexit
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from tests.waiting import GUARD_SECONDS

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__, "wandb.apis.public", "goemo_cli.services.wandb.download"])


def run_in_fork(
    variables: Mapping[str, str], out: Path, err: Path, work: Callable[..., object], *given: object
) -> None:
    """The main function of a fork: call `work` with these variables, and with its outputs in two files."""
    os.environ.clear()
    os.environ.update(variables)
    tempfile.tempdir = None
    for number, path in ((1, out), (2, err)):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
        os.close(handle)
    try:
        work(*given)
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out


def execute(program: str, arguments: tuple[str, ...]) -> None:
    """Run a program as `python -c` does."""
    sys.argv = ["-c", *arguments]
    exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})


def answer(commands: Any) -> None:
    """Run the goemo commands that come through a pipe; what the SDK keeps of a process is as users have it."""
    from typer.testing import CliRunner

    from goemo_cli.app import app

    with suppress(EOFError):
        while arguments := commands.recv():
            done = CliRunner().invoke(app, arguments)
            is_bug = done.exception and not isinstance(done.exception, SystemExit)
            commands.send(
                (done.exit_code, done.stdout, done.stderr, repr(done.exception) if is_bug else None)
            )


def forked_python(
    program: str, *arguments: object, env: Mapping[str, str], without: str = "WANDB"
) -> "CompletedProcess[str]":
    """Run a Python program in a fork.

    Args:
        program: as after `python -c`.
        arguments: what it finds in `sys.argv`.
        env: variables besides those of this process.
        without: beginning of the names of variables that the fork does not get.
    """
    words = tuple(map(str, arguments))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(without)}
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, name) for name in ("out", "err")]
        process = FORKS.Process(
            target=run_in_fork, args=({**inherited, **env}, *outputs, execute, program, words)
        )
        process.start()
        process.join(GUARD_SECONDS)
        assert process.exitcode is not None, "it does not end"
        out, err = (path.read_text(encoding="utf-8") for path in outputs)
        return CompletedProcess(["python", "-c", *words], process.exitcode, out, err)
