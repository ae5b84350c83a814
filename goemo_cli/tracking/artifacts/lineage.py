"""What artifacts of a pipeline were made from, as a tree."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goemo_cli.core.errors import NotFoundError, SettingError
from goemo_cli.tracking.artifacts.local_runs import linked_parents
from goemo_cli.tracking.artifacts.registry import Registry

if TYPE_CHECKING:
    from goemo_cli.tracking.wandb.artifacts import WandbArtifacts


@dataclass(frozen=True)
class LineageNode:
    """An artifact and what it was made from."""

    reference: str
    type: str | None
    """None if only the reference is known."""
    digest: str | None
    parents: tuple["LineageNode", ...] = ()

    def lines(self, indent: str = "") -> list[str]:
        """The tree as text, the artifact first, what it was made from indented below."""
        about = f"  {self.type}  {self.digest[:12]}" if self.type and self.digest else "  not here"
        below = [line for parent in self.parents for line in parent.lines(f"{indent}  ")]
        return [f"{indent}{self.reference}{about}", *below]


def trace(
    reference: str,
    source: "Registry | WandbArtifacts",
    registry: Registry,
    above: frozenset[str] = frozenset(),
) -> LineageNode:
    """An artifact with what it was made from, as far back as `source` and the links in the store know.

    Raises:
        NotFoundError: no such artifact; deeper down it is a node without type.
        RemoteError: W&B does not answer.
    """
    try:
        version = source.get(reference)
    except (NotFoundError, SettingError):
        if not above:
            raise
        return LineageNode(reference, None, None)
    here = above | {version.reference}
    known = dict.fromkeys([*source.parents(version), *linked_parents(registry.folder, version.reference)])
    parents = tuple(trace(parent, source, registry, here) for parent in known if parent not in here)
    return LineageNode(version.reference, version.type, version.digest, parents)
