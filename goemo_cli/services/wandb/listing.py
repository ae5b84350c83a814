"""What a run holds on W&B, from the Files tab and from artifacts, under the names of the Files tab."""

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from goemo_cli.core.checkpoint import MANIFEST
from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.events import EventHandler, Warning
from goemo_cli.core.files import read_json_object
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.services.wandb.plan import ArtifactName, What, as_run_files
from goemo_cli.services.wandb.transfer import open_stage
from goemo_cli.tracking.wandb.client import RemoteArtifact, RunReference, WandbSource
from goemo_cli.tracking.wandb.http import RemoteFile, is_same

ESSENTIAL: tuple[What, ...] = ("checkpoint", "predictions", "stats")
USUAL: tuple[What, ...] = (*ESSENTIAL, "figures")
"""What is brought unless somebody says what."""


@dataclass(frozen=True)
class Listing:
    """Files of one source, as the server lists them; nothing of it has been checked."""

    source: str
    """`ENTITY/PROJECT/ID`, or `ENTITY/PROJECT/NAME:VERSION` of an artifact."""
    files: tuple[RemoteFile, ...]
    name: str = ""
    """The run's name on W&B."""


def list_run(
    source: WandbSource,
    reference: RunReference,
    what: Collection[What],
    *,
    layout: Layout,
    on_event: EventHandler,
) -> Listing:
    """All files of a run: the Files tab, and the W&B artifacts of those kinds that the Files tab lacks."""
    run = source.run(reference)
    if run.state in ("running", "pending"):
        on_event(Warning(f"{reference} is still {run.state}: not all of it may be there yet"))
    kinds = {file.name.partition("/")[0] for file in run.files}
    lacking = [kind for kind in ESSENTIAL if kind in what and kind not in kinds]
    files = list(run.files)
    for artifact in source.artifacts_of(reference) if lacking else ():
        kind = ArtifactName.parse(artifact.name)
        if kind and kind.what in lacking:
            files += list_artifact(artifact, kind.what, source, layout=layout, name=run.name)
    return Listing(str(reference), tuple(files), run.name)


def list_artifact(
    artifact: RemoteArtifact, what: What, source: WandbSource, *, layout: Layout, name: str = ""
) -> list[RemoteFile]:
    """The files of a W&B artifact.

    Args:
        artifact: one version.
        what: which kind it holds.
        source: asked for the manifest where nothing else tells whose checkpoint it is.
        layout: whose copies are compared.
        name: the run's name on W&B, where it is known.

    Raises:
        CorruptArtifactError: a checkpoint of no run.
    """
    run = _run_of(artifact, source, layout=layout, name=name) if what == "checkpoint" else None
    return as_run_files(artifact.files, what, run)


def _run_of(artifact: RemoteArtifact, source: WandbSource, *, layout: Layout, name: str) -> str | None:
    """The run whose checkpoint an artifact is: by its metadata, by a local copy of its manifest, by its manifest."""
    for told in (artifact.metadata.get("goemo_run"), name):
        if RunName.parse(str(told)):
            return str(told)
    manifest = next((file for file in artifact.files if file.name == MANIFEST), None)
    if manifest is None:
        return None
    for folder in layout.checkpoints():
        if is_same(folder / MANIFEST, manifest):
            return folder.name
    with open_stage(layout, str(artifact)) as stage:
        source.fetcher().fetch(manifest, stage / MANIFEST)
        told = str(read_json_object(stage / MANIFEST).get("run"))
        shutil.rmtree(stage, ignore_errors=True)
    if RunName.parse(told) is None:
        raise CorruptArtifactError(Path(str(artifact)), f"its manifest names no run, but {told[:80]!r}")
    return told
