"""Sweeps on W&B through its SDK: create one, and run its agent as a separate process."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from goemo_cli.core.errors import RemoteError
from goemo_cli.core.system.processes import interrupt
from goemo_cli.tracking.wandb.sdk import load_wandb, reached_server, translated

_PURPOSE = "goemo sweep --wandb"
_STDERR = 2
_POLL_SECONDS, _END_SECONDS = 0.5, 30.0


def create_sweep(content: Mapping[str, Any]) -> str:
    """Create a sweep from the content of its file, `project` and perhaps `entity` included; gives its path on W&B.

    Raises:
        MissingPackageError: wandb.
        AuthenticationError: no key, or one that is refused.
        RemoteError: W&B does not answer, or took no sweep.
    """
    wandb = load_wandb(_PURPOSE)
    reached_server()
    with translated(f"sweep {content['name']}", may_be_missing=False):
        with redirect_stdout(io.StringIO()):  # the SDK prints what the caller says itself
            id = wandb.sweep(dict(content), entity=content.get("entity"), project=content["project"])
        # The SDK leaves in the environment where the sweep really is.
        where = [os.environ.get("WANDB_ENTITY"), os.environ.get("WANDB_PROJECT") or content["project"], id]
        return "/".join(str(part) for part in where if part)


def run_agent(path: str, *, count: int, directory: Path, is_scheduled: bool) -> None:
    """Run an agent of a sweep to its end, in the current folder; W&B's own files go to `directory`.

    Args:
        path: entity/project/id of the sweep.
        count: how many runs the agent makes.
        directory: created if it is missing.
        is_scheduled: also run the scheduler that suggests the runs, one at a time, as long as the agent runs.

    Raises:
        RemoteError: the agent or the scheduler failed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with _started(directory, "agent", "--count", str(count), path) as agent:
        if not is_scheduled:
            agent.wait()
        else:
            pace = ("--batch-size", "1", "--poll-interval", "3")
            with _started(directory, "sweep-scheduler", *pace, path) as scheduler:
                while agent.poll() is None and not scheduler.poll():
                    time.sleep(_POLL_SECONDS)
                if agent.returncode is None:
                    raise RemoteError(
                        f"the scheduler of sweep {path} ended with exit code {scheduler.returncode}"
                    )
        if agent.returncode != 0:
            raise RemoteError(f"the agent of sweep {path} ended with exit code {agent.returncode}")


@contextmanager
def _started(directory: Path, *command: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A process of W&B's command line; it ends with the block."""
    environment = {"WANDB_DIR": str(directory)} | os.environ
    process = subprocess.Popen(
        [sys.executable, "-m", "wandb", *command],
        env=environment,
        stdout=_STDERR,  # standard output is for the result of the whole
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            interrupt(process)  # the scheduler finishes its step
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
