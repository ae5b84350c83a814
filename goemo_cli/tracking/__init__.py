"""Mirrors of a run and their absence; and for pipelines of one's own, versioned artifacts with a local fallback.

What is listed here is for others to use (docs/guides/tracking-library.md). Each name loads its module when it is first
asked for, so that importing this package costs nothing: no wandb, no torch, no numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goemo_cli.tracking.artifact_manager import (
        ArtifactManager,
        LoggedArtifact,
        TrackingWarning,
    )
    from goemo_cli.tracking.callback import LoggerCallback
    from goemo_cli.tracking.logger_config import LoggerConfig
    from goemo_cli.tracking.mirrored_run import LineageNode
    from goemo_cli.tracking.registry import Registry
    from goemo_cli.tracking.versions import Version

__all__ = [
    "ArtifactManager",
    "LineageNode",
    "LoggedArtifact",
    "LoggerCallback",
    "LoggerConfig",
    "Registry",
    "TrackingWarning",
    "Version",
]

_MODULES = {
    "ArtifactManager": "artifact_manager",
    "LineageNode": "mirrored_run",
    "LoggedArtifact": "artifact_manager",
    "LoggerCallback": "callback",
    "LoggerConfig": "logger_config",
    "Registry": "registry",
    "TrackingWarning": "artifact_manager",
    "Version": "versions",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
