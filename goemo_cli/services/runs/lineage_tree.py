"""The history of a run as a graph: its nodes, their states, and the tree that people see."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

from goemo_cli.core.names import RunName

Kind = Literal[
    "data",
    "base model",
    "parent run",
    "checkpoint",
    "metrics",
    "predictions",
    "stats",
    "exported model",
    "figure",
    "child run",
    "registry",
]
State = Literal["ok", "stale", "gone", "damaged", "unrecorded"]
"""stale: a source changed since, or a source is stale. gone: named and not here. unrecorded: no file records what its
content was when the run was concluded, so it is tied to the run by its name alone."""

_ORDER: tuple[Kind, ...] = get_args(Kind)


@dataclass
class Node:
    """One thing of a run's history."""

    id: str
    """Its path from the root; `data`, `base model`, or a registry reference if it is not a file."""
    kind: Kind
    name: str
    sha256: str | None = None
    """As it is now; of data and base models as the run recorded it."""
    state: State = "ok"
    reasons: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    """Ids of what it was made from."""

    def fault(self, state: State, reason: str) -> None:
        """Note what is wrong; the first state stays."""
        if self.state in ("ok", "unrecorded"):
            self.state = state
        if reason not in self.reasons:
            self.reasons.append(reason)


@dataclass(frozen=True)
class Lineage:
    """The history of a run: nodes, each naming its sources."""

    run: RunName
    nodes: tuple[Node, ...]
    """Sources before what was made from them."""

    @property
    def faulty(self) -> tuple[Node, ...]:
        """Those that are stale, gone or damaged."""
        return tuple(node for node in self.nodes if node.state in ("stale", "gone", "damaged"))

    def tree(self) -> Iterator[tuple[int, Node]]:
        """(depth, node) from the data down; each node once, below the nearest of its sources.

        The base model is shown below the data, although it was not made from it: a run needs both.
        """
        by_parent: dict[str | None, list[Node]] = {}
        # Members are shown next to their ensemble: below one member it would seem to be made from that one only.
        at = {node.id: place for place, node in enumerate(self.nodes) if node.kind != "parent run"}
        for node in self.nodes:
            sources = ["data"] if node.kind == "base model" else node.sources
            above = max((one for one in sources if one in at), key=lambda one: at[one], default=None)
            by_parent.setdefault(above, []).append(node)
        waiting = [(0, node) for node in reversed(by_parent.get(None, []))]
        while waiting:
            depth, node = waiting.pop()
            yield depth, node
            waiting += [(depth + 1, one) for one in reversed(by_parent.get(node.id, []))]


def in_order(nodes: Iterable[Node]) -> list[Node]:
    """Sources before what was made from them, as far as kinds tell; otherwise as they came."""
    return sorted(nodes, key=lambda node: _ORDER.index(node.kind))
