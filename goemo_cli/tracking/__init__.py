"""Experiment trackers of a run; and for your own pipeline, versioned artifacts with a local fallback.

The names listed here are public (docs/guides/tracking-library.md). Each loads its module when it is first used, so
importing this package is cheap: no wandb, no torch, no numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goemo_cli.tracking.artifacts.callback import LoggerCallback
    from goemo_cli.tracking.artifacts.config import LoggerConfig
    from goemo_cli.tracking.artifacts.lineage import LineageNode
    from goemo_cli.tracking.artifacts.manager import (
        ArtifactManager,
        LoggedArtifact,
        TrackingWarning,
    )
    from goemo_cli.tracking.artifacts.registry import Registry
    from goemo_cli.tracking.artifacts.versions import Version

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
    "ArtifactManager": "manager",
    "LineageNode": "lineage",
    "LoggedArtifact": "manager",
    "LoggerCallback": "callback",
    "LoggerConfig": "config",
    "Registry": "registry",
    "TrackingWarning": "manager",
    "Version": "versions",
}
"""The module in `artifacts/` of each name."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.artifacts.{_MODULES[name]}"), name)
