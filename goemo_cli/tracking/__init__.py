"""Experiment trackers of a run; and for your own pipeline, versioned artifacts with a local fallback.

The names listed here are public (docs/guides/tracking.md and tracking-library.md). Each loads its module when it is first used, so
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
    from goemo_cli.tracking.base import Artifact, Picture, Table, Tracker, TrackerContext, TrackerFactory

__all__ = [
    "Artifact",
    "ArtifactManager",
    "LineageNode",
    "LoggedArtifact",
    "LoggerCallback",
    "LoggerConfig",
    "Picture",
    "Registry",
    "Table",
    "Tracker",
    "TrackerContext",
    "TrackerFactory",
    "TrackingWarning",
    "Version",
]

_MODULES = {
    "Artifact": "base",
    "ArtifactManager": "artifacts.manager",
    "LineageNode": "artifacts.lineage",
    "LoggedArtifact": "artifacts.manager",
    "LoggerCallback": "artifacts.callback",
    "LoggerConfig": "artifacts.config",
    "Picture": "base",
    "Registry": "artifacts.registry",
    "Table": "base",
    "Tracker": "base",
    "TrackerContext": "base",
    "TrackerFactory": "base",
    "TrackingWarning": "artifacts.manager",
    "Version": "artifacts.versions",
}
"""The module of each name."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
