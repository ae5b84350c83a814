"""How a run came to be: its epochs, its lineage, what it ran on, and how to repeat it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from goemo_cli.core.checkpoint import CONFIG
from goemo_cli.core.errors import GoemoError
from goemo_cli.services.model_card.card import repeating
from goemo_cli.services.runs.lineage import trace_lineage
from goemo_cli.services.runs.lineage_tree import Node
from goemo_cli.services.runs.run_data import RunData
from goemo_cli.services.runs.show import describe_run


def epochs(source: RunData) -> list[Mapping[str, Any]]:
    """What was recorded of each epoch.

    Raises:
        GoemoError: the run has no epochs, or an entry of an epoch is missing in metrics.json.
    """
    if members := source.checkpoint.metrics.members:
        names = ", ".join(one.run for one in members)
        raise GoemoError(f"an ensemble was not trained itself; its members were: {names}")
    return [epoch.as_json() for epoch in source.history()]


@dataclass(frozen=True)
class Line:
    """One line of the lineage tree."""

    depth: int
    node: Node
    made_from: tuple[str, ...]
    """Parent runs at other places in the tree."""

    @property
    def is_faulty(self) -> bool:
        """Whether it no longer fits what it was made from."""
        return self.node.state in ("stale", "gone", "damaged")


def lineage(source: RunData) -> list[Line]:
    """The run's lineage, from the data down. Every file of the run is hashed."""
    found = trace_lineage(source.checkpoint, layout=source.layout)
    parents = {node.id: node.name for node in found.nodes if node.kind == "parent run"}
    return [
        Line(depth, node, tuple(parents[one] for one in node.sources if one in parents))
        for depth, node in found.tree()
    ]


@dataclass(frozen=True)
class Environment:
    """What a run ran on."""

    facts: Mapping[str, str]
    versions: Mapping[str, str]


def environment(source: RunData) -> Environment:
    """Machine, time, memory and versions.

    Raises:
        GoemoError: metrics.json does not say.
    """
    metrics = source.checkpoint.metrics
    device, memory = metrics.device, metrics.peak_memory_bytes
    if device is None or memory is None or not metrics.versions:
        raise GoemoError("metrics.json has no device, peak_memory_bytes or versions")
    facts = {
        "finished": metrics.finished or "–",
        "processor": f"{device.processor} ({device.type}, {device.precision})",
        "training": f"{metrics.training_seconds:,.0f} s",
        "memory at peak": f"{memory / 2**30:.2f} GiB",
        "W&B run": metrics.wandb_run_id or "none",
    }
    return Environment(facts, metrics.versions)


@dataclass(frozen=True)
class Repeating:
    """How to make the run again."""

    command: str
    settings: Mapping[str, Any]
    """Those that differ from the defaults of its model, by dotted name."""
    data_sha256: str | None
    seed: int | None


def repeat(source: RunData) -> Repeating:
    """The command that repeats the run, and what sets it apart.

    Raises:
        GoemoError: settings that cannot be read.
    """
    checkpoint = source.checkpoint
    folder = source.layout.shown(checkpoint.path)
    return Repeating(
        command=repeating(checkpoint.metrics).replace(CONFIG, f"{folder}/{CONFIG}"),
        settings=describe_run(checkpoint, layout=source.layout).settings,
        data_sha256=checkpoint.metrics.data.sha256,
        seed=checkpoint.metrics.seed,
    )
