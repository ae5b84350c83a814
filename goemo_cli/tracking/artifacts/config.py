"""Settings of the artifact library: one frozen value, which does not import wandb."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from goemo_cli.core.errors import SettingError
from goemo_cli.core.settings import DEFAULT_PROJECT, LibraryMode
from goemo_cli.core.system.variables import wandb_environment
from goemo_cli.tracking.artifacts.versions import check_name

MODES: tuple[LibraryMode, ...] = get_args(LibraryMode)


@dataclass(frozen=True)
class LoggerConfig:
    """Settings of one run of a pipeline. What is None or empty is taken from the WANDB_* variables, as in `goemo train`.

    Raises:
        SettingError: a value that makes no sense.
    """

    project: str | None = None
    """W&B's folder of runs; None: WANDB_PROJECT, else goemo."""
    entity: str | None = None
    """W&B user or team; None: WANDB_ENTITY, else your default one."""
    name: str | None = None
    """What people call the run; None: WANDB_NAME, else its id."""
    group: str | None = None
    """W&B's group of the run; None: WANDB_RUN_GROUP, else none."""
    tags: tuple[str, ...] = ()
    """W&B's tags of the run; if empty: WANDB_TAGS."""
    notes: str | None = None
    """W&B's notes of the run; None: WANDB_NOTES, else none."""
    base_url: str | None = None
    """W&B server; None: WANDB_BASE_URL, else W&B's own."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the pipeline. Values under names such as `api_key` are neither written nor sent."""
    mode: LibraryMode | None = None
    """online: W&B. offline: W&B's own files, for `wandb sync`, and the local store. local: the local store alone,
    nothing leaves this machine; disabled, the SDK's word, is the same. None: WANDB_MODE, else online."""
    resume: str | None = None
    """Id of a run to continue; an unknown id begins a new run."""
    log_every_n_steps: int = 1
    """Of the values that the callback is given at every step; epochs are always logged."""

    def __post_init__(self) -> None:
        below = {"project": DEFAULT_PROJECT, "mode": "online", **wandb_environment()}
        below["tags"] = tuple(below.get("tags", ()))
        for name, value in below.items():
            if getattr(self, name) in (None, ()):
                object.__setattr__(self, name, value)
        if self.mode == "disabled":
            object.__setattr__(self, "mode", "local")
        problems = []
        if self.mode not in MODES:
            problems.append(f"mode is {self.mode!r}, not one of {', '.join(MODES)}")
        if self.log_every_n_steps < 1:
            problems.append(f"log_every_n_steps is {self.log_every_n_steps}, less than 1")
        if isinstance(self.tags, str):
            problems.append(f"tags is the text {self.tags!r}; write ({self.tags!r},)")
        if not self.project or any(sign in self.project for sign in "/\\#?%:"):
            problems.append(f"project {self.project!r} is empty or has one of / \\ # ? % :")
        if problems:
            raise SettingError(problems, "LoggerConfig")
        if self.resume is not None:
            check_name(self.resume)
