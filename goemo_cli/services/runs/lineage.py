"""`goemo lineage`: what a run was made from and what was made from it, read from the artifacts themselves.

Edges are read from the records of sources in the files: the manifest's parents and outputs, `sources` in summaries, the
`goemo-sources` text in pictures. If nothing is recorded, the name alone connects a file with its run.
"""

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import MANIFEST, METRICS, Checkpoint
from goemo_cli.core.errors import CorruptArtifactError, DataFileError, GoemoError
from goemo_cli.core.files import PARTIAL_PREFIX, read_json_object
from goemo_cli.core.labels import SPLITS
from goemo_cli.core.layout import EVALUATED, Layout, parse_predictions_name
from goemo_cli.core.names import RunName
from goemo_cli.services.exporting.exports import read_exports
from goemo_cli.services.runs.index import listed_runs, run_files, runs_in
from goemo_cli.services.runs.lineage_tree import Kind, Lineage, Node, in_order
from goemo_cli.services.runs.provenance import (
    PICTURES,
    FilesNow,
    comparison_sources,
    figure_origin,
    is_inside,
    summary_sources,
)
from goemo_cli.services.runs.summaries import test_metrics
from goemo_cli.tracking.artifacts.registry import Registry


def trace_lineage(checkpoint: Checkpoint, *, layout: Layout) -> Lineage:
    """Everything that a run was made from and that was made from it, with what is stale. Nothing is written.

    Every file of the run is hashed once, weights too.

    Args:
        layout: of its other files; recorded paths are relative to this root.

    Raises:
        CorruptArtifactError: the run's metrics.json is damaged.
    """
    return _Tracer(checkpoint, layout).trace()


class _Tracer:
    def __init__(self, checkpoint: Checkpoint, layout: Layout) -> None:
        self.checkpoint, self.layout = checkpoint, layout
        self.nodes: dict[str, Node] = {}
        self._now = FilesNow(layout.root)
        self._runs = listed_runs(layout)

    def trace(self) -> Lineage:
        run = self.checkpoint.run
        origin = self._origin(self.checkpoint)
        members = [self._parent_run(name) for name in runs_in(_parents_of(self.checkpoint))]
        self._checkpoint(self.checkpoint, [*origin, *members])
        self._metrics()
        files = run_files(self.layout, {one.run for one in self._runs} | {run})[run]
        self._predictions(files)
        self._statistics(files)
        self._exports()
        self._figures()
        self._spread()
        self._children()
        self._registered()
        return Lineage(run, tuple(in_order(self.nodes.values())))

    def _origin(self, checkpoint: Checkpoint) -> list[str]:
        """Data and base model, as the run recorded them."""
        parents, found = _parents_of(checkpoint), []
        if data := parents.get("data"):
            node = self._add(Node("data", "data", "data", _digest_in(data)))
            recorded = checkpoint.metrics.data
            shown = ", ".join(f"{recorded.sizes.of(split):,} {split}" for split in SPLITS)
            node.name = f"{recorded.name} ({shown})"
            if recorded.sha256 != node.sha256:
                node.fault("stale", "metrics.json names other data than the manifest")
            found.append(node.id)
        if base := parents.get("base_model"):
            name = base if isinstance(base, str) else base.get("id") or base.get("kind") or "base model"
            node = self._add(Node("base model", "base model", str(name), _digest_in(base)))
            found.append(node.id)
        return found

    def _parent_run(self, name: str) -> str:
        """A run that this one was made from: a member of an ensemble, a teacher."""
        run = RunName.parse(name)
        folder = self.layout.find_checkpoint(run) if run else None
        node = Node(self.layout.shown(folder) if folder else name, "parent run", name)
        if folder is None:
            node.fault("gone", "is not here")
            return self._add(node).id
        try:
            parent = Checkpoint.open(folder)
        except GoemoError as error:
            node.fault("damaged", str(error))
            return self._add(node).id
        node.sha256 = self._now.sha256(folder / MANIFEST)
        # A run that was trained on from may have seen other data; members of an ensemble must not.
        is_base = name in runs_in(_parents_of(self.checkpoint).get("base_model"))
        if not is_base and _parents_of(parent).get("data") != _parents_of(self.checkpoint).get("data"):
            node.fault("stale", "was trained on other data")
        node.sources = [one for one in ("data", "base model") if one in self.nodes]
        return self._add(node).id

    def _checkpoint(self, checkpoint: Checkpoint, sources: list[str]) -> None:
        folder = checkpoint.path
        node = Node(self.layout.shown(folder), "checkpoint", str(checkpoint.run), sources=sources)
        node.sha256 = self._now.sha256(folder / MANIFEST)
        for path, fault in checkpoint.hash_faults(self._now.sha256):
            node.fault("damaged", f"{path.name} {fault}")
        self._add(node)

    def _metrics(self) -> None:
        if self.checkpoint.is_unscored:
            return
        self._file(self.checkpoint.path / METRICS, "metrics", [self._of_checkpoint()])
        path = self.layout.test_metrics(self.checkpoint.run.model)
        if not path.is_file():
            return
        node = Node(self.layout.shown(path), "metrics", path.name, self._now.sha256(path))
        node.sources = [self.layout.shown(self.checkpoint.path / METRICS)]
        try:
            summary = read_json_object(path)
        except CorruptArtifactError as error:
            node.fault("damaged", error.reason)
        else:
            if summary.get("run") != str(self.checkpoint.run):
                return  # of another run of the model
            if summary != test_metrics(self.checkpoint):
                node.fault("stale", f"differs from {METRICS}")
        self._add(node)

    def _predictions(self, files: list[Path]) -> None:
        recorded = self._outputs()
        members = [node.id for node in self.nodes.values() if node.kind == "parent run"]
        found = {self.layout.shown(path): path for path in files if parse_predictions_name(path)}
        named = [name for name in recorded if parse_predictions_name(Path(name))]
        for name in sorted({*found, *named}):
            path = found.get(name) or self.layout.root / name
            self._file(path, "predictions", [*members, self._of_checkpoint()], recorded.get(name))

    def _statistics(self, files: list[Path]) -> None:
        """Tables and summaries named after the run; the tables next to a summary have the same sources."""
        recorded = self._outputs()
        stats = [path for path in files if path.is_relative_to(self.layout.stats)]
        recorded_by: dict[tuple[Path, str], Mapping[str, Any]] = {}
        for path in [one for one in stats if one.suffix == ".json"]:
            try:
                named = summary_sources(path)
            except CorruptArtifactError as error:
                self._file(path, "stats", [self._of_checkpoint()]).fault("damaged", error.reason)
                continue
            if named is not None:
                recorded_by[path.parent, self._tail(path)] = named
        test = self.layout.shown(self.layout.split_predictions(self.checkpoint.run, "test"))
        for path in stats:
            name = self.layout.shown(path)
            if name in self.nodes:
                continue
            sources = recorded_by.get((path.parent, self._tail(path)))
            if sources:
                self._derived(path, "stats", sources)
            else:
                above = test if test in self.nodes else self._of_checkpoint()
                self._file(path, "stats", [above], recorded.get(name))
        self._comparisons()

    def _tail(self, path: Path) -> str:
        """The end of a name that a table and its summary share: the run, and the split or the evaluated data if named."""
        stem = self.checkpoint.run.file_stem
        before = path.stem.removesuffix(f"_{stem}").rpartition("_")[2]
        return f"{before}_{stem}" if before in SPLITS or before.startswith(EVALUATED) else stem

    def _comparisons(self) -> None:
        path = self.layout.significance_tests
        if not path.is_file():
            return
        try:
            sources = dict(comparison_sources(path))
        except DataFileError:
            return  # `goemo validate` names it
        if set(sources) & set(self.nodes):
            self._derived(path, "stats", sources)

    def _figures(self) -> None:
        for path in sorted(self.layout.figures.glob("*.*")):
            if path.suffix not in PICTURES or path.name.startswith(PARTIAL_PREFIX):
                continue
            origin = figure_origin(path)
            if set(origin.sources) & self._own():
                self._derived(path, "figure", origin.sources)
            elif not origin.sources and str(self.checkpoint.run) in origin.runs:
                self._drawn_from_data(path, origin.data)

    def _drawn_from_data(self, path: Path, splits: Mapping[str, str]) -> None:
        above = ["data"] if "data" in self.nodes else [self._of_checkpoint()]
        node = Node(self.layout.shown(path), "figure", path.name, self._now.sha256(path), sources=above)
        recorded = self.checkpoint.metrics.data.split_sha256.as_json()
        for split, digest in splits.items():
            if recorded.get(split, digest) != digest:
                node.fault("stale", f"was drawn from other {split} data")
        self._add(node)

    def _exports(self) -> None:
        for path, manifest, export in read_exports(self.layout):
            if manifest.run == str(self.checkpoint.run):
                self._derived(path, "exported model", export.sources)

    def _derived(self, path: Path, kind: Kind, sources: Mapping[str, Any]) -> None:
        """A file that names its sources: each is compared with what it is now."""
        node = Node(self.layout.shown(path), kind, path.name, self._now.sha256(path))
        for name, state in self._now.states(sources):
            inside = name in self._own() and name not in self.nodes
            node.sources.append(self._of_checkpoint() if inside else name)
            if state == "outside":
                node.reasons.append(f"{name} is outside the root and was not checked")
            elif state != "current":
                node.fault("stale", f"{name} {'is gone' if state == 'gone' else 'has changed since'}")
        self._add(node)

    def _file(self, path: Path, kind: Kind, sources: list[str], digest: str | None = None) -> Node:
        """A file that does not name its sources itself; the manifest may have recorded its hash."""
        node = Node(self.layout.shown(path), kind, path.name, sources=list(sources))
        state = self._now.state_of(path, digest)
        if state == "gone":
            node.fault("gone", "is named by the manifest and missing")
            return self._add(node)
        node.sha256 = self._now.sha256(path)
        if state == "changed":
            node.fault("stale", "has changed since the run was concluded")
        elif state == "unrecorded" and kind in ("predictions", "stats"):
            node.state = "unrecorded"
        return self._add(node)

    def _spread(self) -> None:
        """What was made from something stale or gone is stale too."""
        for node in in_order(self.nodes.values()):
            for name in node.sources:
                source = self.nodes.get(name)
                if source and source.state == "stale" and source.kind in ("stats", "predictions"):
                    node.fault("stale", f"{name} is stale")

    def _children(self) -> None:
        """Runs that were made from this one, such as an ensemble."""
        for one in self._runs:
            parents = one.manifest.parents.as_json() if one.manifest else None
            if str(self.checkpoint.run) in runs_in(parents) and one.path != self.checkpoint.path:
                digest = self._now.sha256(one.path / MANIFEST)
                sources = [self._of_checkpoint()]
                self._add(
                    Node(self.layout.shown(one.path), "child run", str(one.run), digest, sources=sources)
                )

    def _registered(self) -> None:
        """Versions in the local store that hold files of this run, or name it."""
        registry = Registry(self.layout.registry)
        by_hash: dict[str, set[str]] = defaultdict(set)
        for node in self.nodes.values():
            by_hash[node.sha256 or ""].add(node.id)
        for entry in self.checkpoint.manifest.files.values():
            by_hash[entry.sha256].add(self._of_checkpoint())
        for name in registry.names():
            try:
                versions = registry.versions(name)
            except CorruptArtifactError:
                continue
            for version in versions:
                held = set[str]().union(*(by_hash.get(one.sha256, ()) for one in version.files.values()))
                if version.metadata.get("goemo_run") == str(self.checkpoint.run):
                    held.add(self._of_checkpoint())
                if held:
                    node = Node(
                        version.reference, "registry", f"{version.type} {version.reference}", version.digest
                    )
                    node.sources = sorted(held)
                    self._add(node)

    def _outputs(self) -> Mapping[str, str]:
        return {name: digest for name, digest in self.checkpoint.manifest.outputs.items() if is_inside(name)}

    def _of_checkpoint(self) -> str:
        return self.layout.shown(self.checkpoint.path)

    def _own(self) -> set[str]:
        """Paths by which a derived file may name this run."""
        return self._inside | {
            node.id for node in self.nodes.values() if node.kind in ("predictions", "stats", "metrics")
        }

    @cached_property
    def _inside(self) -> set[str]:
        """The files of the checkpoint."""
        return {self.layout.shown(self.checkpoint.path / name) for name in self.checkpoint.manifest.files}

    def _add(self, node: Node) -> Node:
        return self.nodes.setdefault(node.id, node)


def _parents_of(checkpoint: Checkpoint) -> Mapping[str, Any]:
    return checkpoint.manifest.parents.as_json()


def _digest_in(parent: Any) -> str | None:
    """The hash of a parent, which is one itself or names one."""
    digest = parent.get("sha256") if isinstance(parent, Mapping) else parent
    return digest if isinstance(digest, str) and len(digest) == 64 else None
