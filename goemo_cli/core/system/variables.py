"""Environment variables of goemo and of its libraries: what they say, and how they are set."""

import os
from collections.abc import Mapping
from typing import Any

from goemo_cli.core.errors import SettingError
from goemo_cli.core.system.processes import usable_cores

FROZEN_FOLDER = "GOEMO_FROZEN_FOLDER"
"""Environment variable of trainings that run at the same time: the folder where they share what their frozen layers give."""
EVENTS_FILE = "GOEMO_EVENTS_FILE"
"""Environment variable of a training that another process follows: the file for its events."""
SEED_GROUP = "GOEMO_SEED_GROUP"
"""Environment variable of a training that is one of several seeds: the group as JSON."""


def environment(name: str) -> str | None:
    """An environment variable of goemo or of its libraries; None if it is unset or empty."""
    return os.environ.get(name) or None


def serving_token() -> str | None:
    """GOEMO_TOKEN, which clients of `goemo serve` must send; None if it is unset or empty.

    Raises:
        SettingError: an HTTP header cannot contain it.
    """
    token = environment("GOEMO_TOKEN")
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise SettingError(["GOEMO_TOKEN has a character other than visible ASCII"], "environment")
    return token


def forbid_usage_statistics() -> None:
    """Keep Ray from sending statistics to its makers, unless the user allows it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


def wanted_threads() -> int | None:
    """OMP_NUM_THREADS, by which users limit the threads of a process; None without a number."""
    wanted = environment("OMP_NUM_THREADS") or ""
    return int(wanted) if wanted.isdigit() else None


def usable_threads() -> int:
    """OMP_NUM_THREADS; else the number of cores that this process may use."""
    return wanted_threads() or usable_cores()


def environment_with(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that this one starts: that of this one, and some variables."""
    return {**os.environ, **variables}


def limit_threads(threads: int) -> None:
    """Limit the threads of this process; before torch or onnxruntime is imported, and for the processes that it starts."""
    # torch built with MKL takes MKL's number, if it is set, instead of OpenMP's
    os.environ.update(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))


GPUS = "CUDA_VISIBLE_DEVICES"
"""Environment variable with the GPUs of a process."""


def launched() -> tuple[int, int]:
    """Rank of this process and number of processes that torchrun or `accelerate launch` started; 0 and 1 without them."""
    rank, count = environment("RANK"), environment("WORLD_SIZE")
    return (int(rank), int(count)) if rank and count else (0, 1)


def wandb_environment() -> dict[str, Any]:
    """What the variables of the W&B SDK say, by the names of `WandbSettings`; those that are unset are left out.

    Raises:
        SettingError: WANDB_MODE is none of the known modes.
    """
    variables = {
        "project": "WANDB_PROJECT",
        "entity": "WANDB_ENTITY",
        "mode": "WANDB_MODE",
        "name": "WANDB_NAME",
        "group": "WANDB_RUN_GROUP",
        "tags": "WANDB_TAGS",
        "notes": "WANDB_NOTES",
    }
    found: dict[str, Any] = {
        name: value for name, variable in variables.items() if (value := environment(variable))
    }
    if mode := found.get("mode"):
        found["mode"] = {"dryrun": "offline"}.get(mode.lower(), mode.lower())
        if found["mode"] not in ("online", "offline", "disabled"):
            raise SettingError([f"WANDB_MODE is {mode!r}, not online, offline or disabled"], "environment")
    if tags := found.get("tags"):
        found["tags"] = [tag.strip() for tag in tags.split(",") if tag.strip()]
    return found


def is_switched_on(name: str) -> bool:
    """Whether a variable such as GOEMO_OFFLINE is set to anything but 0, false or no."""
    return (environment(name) or "0").lower() not in ("0", "false", "no")


def is_offline() -> bool:
    """Whether the user said not to use the network (`GOEMO_OFFLINE` or `HF_HUB_OFFLINE`)."""
    return is_switched_on("GOEMO_OFFLINE") or is_switched_on("HF_HUB_OFFLINE")
