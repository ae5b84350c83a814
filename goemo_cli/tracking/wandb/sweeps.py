"""Sweeps on W&B through its SDK: create one, and run its agent as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goemo_cli.core.errors import RemoteError
from goemo_cli.tracking.wandb.sdk import load_wandb, reached_server, translated

_PURPOSE = "goemo sweep --wandb"


def create_sweep(content: Mapping[str, Any]) -> str:
    """Create a sweep from the content of its file, `project` and perhaps `entity` included; gives W&B's id of it.

    Raises:
        MissingPackageError: wandb.
        AuthenticationError: no key, or one that is refused.
        RemoteError: W&B does not answer, or took no sweep.
    """
    wandb = load_wandb(_PURPOSE)
    reached_server()
    with translated(f"sweep {content['name']}", may_be_missing=False):
        return str(wandb.sweep(dict(content), entity=content.get("entity"), project=content["project"]))


def run_agent(id: str, *, project: str, entity: str | None, count: int, directory: Path) -> None:
    """Run an agent of a sweep to its end, where paths of its runs begin; its own files go to `directory`.

    Raises:
        RemoteError: the agent did not come to its end.
    """
    directory.mkdir(parents=True, exist_ok=True)
    agent = [sys.executable, "-m", "wandb", "agent", "--count", str(count), "--project", project]
    agent += ["--entity", entity] if entity else []
    done = subprocess.run([*agent, id], env={"WANDB_DIR": str(directory)} | os.environ, check=False)
    if done.returncode != 0:
        raise RemoteError(f"the agent of sweep {id} ended with exit code {done.returncode}")
