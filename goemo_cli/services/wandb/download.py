"""`goemo download`: a run or artifact from W&B into the local layout, complete, checked, and only once."""

import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from goemo_cli.core.checkpoint import MANIFEST, Checkpoint
from goemo_cli.core.errors import (
    BusyError,
    CheckpointNotFoundError,
    CorruptArtifactError,
    GoemoError,
    MissingPackageError,
    NotFoundError,
    RemoteError,
    SettingError,
)
from goemo_cli.core.events import EventHandler, Info, Warning, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import check_val_metric
from goemo_cli.services.runs.locks import held
from goemo_cli.services.runs.summaries import write_summaries
from goemo_cli.services.wandb.plan import (
    ESSENTIAL,
    USUAL,
    ArtifactName,
    Listing,
    Plan,
    PlannedFile,
    What,
    list_artifact,
    list_run,
    plan_download,
)
from goemo_cli.services.wandb.records import read_records, write_record
from goemo_cli.services.wandb.transfer import (
    check_staged,
    fetch_files,
    move_into_place,
    open_stage,
    refuse_links,
    require_space,
    staged_path,
)
from goemo_cli.tracking.wandb.client import RunReference, WandbClient, open_client
from goemo_cli.tracking.wandb.http import Limits, digest_of, is_same

_SUMMARIES = (
    "metric_summary.csv",
    "per_emotion_scores.csv",
    "multiseed_summary.csv",
    "summaries.json",
    "test_metrics_",
)
"""How the names of files begin that `write_summaries` makes."""


FetchFiles = Callable[[Sequence[PlannedFile], Path], None]
"""Fetches files into a stage, as `staged_path` names them; files of an earlier attempt are there."""


@dataclass(frozen=True)
class DownloadResult:
    """The outcome of a download."""

    source: str
    """`ENTITY/PROJECT/ID`, `ENTITY/PROJECT/NAME:VERSION` of an artifact, or `OWNER/NAME@COMMIT` of the Hub."""
    checkpoints: tuple[Path, ...]
    """Folders of the downloaded runs that are complete."""
    fetched: tuple[Path, ...]
    """Files that are new or had changed."""
    fetched_bytes: int
    unchanged: int
    """Number of files that were in place already."""


def download_run(
    run: str,
    *,
    layout: Layout,
    entity: str | None = None,
    project: str | None = None,
    base_url: str | None = None,
    what: Collection[What] | None = None,
    overwrite: bool = False,
    limits: Limits | None = None,
    on_event: EventHandler = ignore,
) -> DownloadResult:
    """Download a run's files to the places that they have after a local training.

    Args:
        run: `ID`, `PROJECT/ID`, `ENTITY/PROJECT/ID`, or the URL of the run's page.
        entity: used if the run names none; the user's own by default.
        project: used if the run names none; WANDB_PROJECT or goemo by default.
        base_url: W&B server; WANDB_BASE_URL or W&B's own by default.
        what: the kinds to download, which must exist. None downloads every kind that the run has.
        overwrite: replace a sound local checkpoint of another version that was never downloaded.
        limits: when to give up on the server.

    Raises:
        SettingError: not the name of a run.
        NotFoundError: the run or a wanted kind is unknown to W&B, or wandb is missing or too old.
        AuthenticationError: no API key, or a wrong one.
        RemoteError: the network failed, and the local files are incomplete.
        CorruptArtifactError: a file is damaged or unsafe; nothing was moved.
        BusyError: the local checkpoint is another version, or another process downloads the run.
    """
    reference = RunReference.parse(run, entity=entity, project=project)
    try:
        client = open_client(str(reference), base_url=base_url)
        listing = list_run(
            client, client.complete(reference), what or USUAL, layout=layout, on_event=on_event
        )
    except (RemoteError, MissingPackageError) as error:
        return _from_record(reference, what or USUAL, error, layout=layout, on_event=on_event)
    return install(
        listing,
        _fetch_from(client, limits, layout, on_event),
        what,
        layout=layout,
        overwrite=overwrite,
        on_event=on_event,
    )


def download_artifact(
    name: str,
    *,
    layout: Layout,
    entity: str | None = None,
    project: str | None = None,
    base_url: str | None = None,
    overwrite: bool = False,
    limits: Limits | None = None,
    on_event: EventHandler = ignore,
) -> DownloadResult:
    """Download one version of a W&B artifact of a goemo run.

    Args:
        name: `NAME:VERSION` or `NAME:ALIAS`, optionally after `PROJECT/` or `ENTITY/PROJECT/`.
        entity: used if the name has none.
        project: used if the name has none.
        base_url: as in `download_run`.
        overwrite: as in `download_run`.
        limits: when to give up on the server.

    Raises:
        SettingError: not the name of a goemo run's W&B artifact.
        GoemoError: as in `download_run`.
    """
    *folders, last = name.split("/")
    base, colon, version = last.partition(":")
    kind = ArtifactName.parse(base)
    if kind is None or len(folders) > 2 or (colon and not version):
        raise SettingError(
            [f"{name!r} is not a W&B artifact of a goemo run, such as roberta-large-checkpoint-a71b9ddo:v0"]
        )
    run = RunReference.parse("/".join([*folders, kind.run_id]), entity=entity, project=project)
    client = open_client(name, base_url=base_url)
    run = client.complete(run)
    artifact = client.artifact(f"{run.entity}/{run.project}/{base}:{version or 'latest'}")
    files = list_artifact(artifact, kind.what, client, layout=layout)
    return install(
        Listing(str(artifact), tuple(files)),
        _fetch_from(client, limits, layout, on_event),
        (kind.what,),
        layout=layout,
        overwrite=overwrite,
        on_event=on_event,
    )


def find_best(
    metric: str,
    *,
    entity: str | None = None,
    project: str | None = None,
    base_url: str | None = None,
    on_event: EventHandler = ignore,
) -> str:
    """The finished run of a project with the best val score, according to W&B.

    Raises:
        SettingError: a test score, or not a score.
        GoemoError: as in `download_run`.
    """
    check_val_metric(metric)
    client = open_client(f"the best run by {metric}", base_url=base_url)
    place = client.complete(RunReference("best", project, entity))
    best = client.best(str(place.entity), str(place.project), metric)
    on_event(Info(f"{best.reference} has the best {metric} of {best.among}: {best.score:.4f}"))
    return str(best.reference)


def _fetch_from(
    client: WandbClient, limits: Limits | None, layout: Layout, on_event: EventHandler
) -> FetchFiles:
    def fetch(files: Sequence[PlannedFile], stage: Path) -> None:
        fetch_files(
            files,
            client.fetcher(limits),
            stage=stage,
            layout=layout,
            renew=client.renewed,
            on_event=on_event,
        )

    return fetch


def install(
    listing: Listing,
    fetch: FetchFiles,
    what: Collection[What] | None,
    *,
    layout: Layout,
    overwrite: bool,
    on_event: EventHandler,
) -> DownloadResult:
    """Fetch, check and move the wanted files of a listing that are missing or differ here; record the download.

    Args:
        listing: all files, as the server lists them.
        fetch: called with the files to fetch and the folder for them.
        what: the kinds to install, which must exist. None installs every kind.
        overwrite: replace a sound local checkpoint of another version that was never downloaded.

    Raises:
        CorruptArtifactError: a file is damaged or unsafe; nothing was moved.
        BusyError: the local checkpoint is another version, or another process downloads the same.
    """
    plan = plan_download(listing.files, what or USUAL, layout=layout, where=listing.source, name=listing.name)
    _require_kinds(plan, what, listing.source, on_event)
    _report_left_out(plan, on_event)
    plan = replace(plan, files=tuple(file for file in plan.files if not _stays_local(file, plan)))
    for file in plan.files:
        refuse_links(file.target, _base(file, layout))
    changed = [file for file in plan.files if not is_same(file.target, file.remote)]
    if not overwrite:
        _refuse_conflicts(changed, plan, layout)
    if changed:
        with open_stage(layout, listing.source) as stage:
            _require_space(changed, stage, layout)
            fetch(changed, stage)
            _move_checked(changed, plan, stage, where=listing.source, layout=layout, on_event=on_event)
    checkpoints = _finish_checkpoints(plan, layout=layout, is_changed=bool(changed), on_event=on_event)
    own = ((file.target, file.remote) for file in plan.files if not file.is_shared)
    write_record(layout, listing.source, what=what or USUAL, files=own)
    return DownloadResult(
        source=listing.source,
        checkpoints=checkpoints,
        fetched=tuple(file.target for file in changed),
        fetched_bytes=sum(file.remote.size for file in changed),
        unchanged=len(plan.files) - len(changed),
    )


def _require_space(changed: Iterable[PlannedFile], stage: Path, layout: Layout) -> None:
    missing = (file for file in changed if not staged_path(file, stage, layout).is_file())
    require_space(stage, sum(file.remote.size for file in missing))


def _move_checked(
    changed: Collection[PlannedFile],
    plan: Plan,
    stage: Path,
    *,
    where: str,
    layout: Layout,
    on_event: EventHandler,
) -> None:
    """Check the staged files and move them into place. The stage is removed; a file that fails is wrong on the server."""
    try:
        check_staged(plan, list(changed), stage=stage, layout=layout, where=where)
    except GoemoError:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    with ExitStack() as locks:
        for file in changed:
            if file.is_manifest:
                locks.enter_context(held(file.target.parent, "goemo download"))
        move_into_place(list(changed), stage=stage, layout=layout, on_event=on_event)
    shutil.rmtree(stage, ignore_errors=True)


def _finish_checkpoints(
    plan: Plan, *, layout: Layout, is_changed: bool, on_event: EventHandler
) -> tuple[Path, ...]:
    """Rebuild the summaries; the folders of checkpoints that other commands can open."""
    manifests = [file for file in plan.of("checkpoint") if file.is_manifest]
    complete = tuple(Checkpoint.open(file.target.parent).path for file in manifests)
    runs = {file.run for file in manifests if file.run}
    if without := [str(run) for run in plan.runs if run not in runs]:
        on_event(
            Warning(
                f"{', '.join(without)} came without {MANIFEST}, so it is not goemo's: transformers can load the folder, "
                "goemo reads its predictions and tables only"
            )
        )
    if complete and (is_changed or not layout.metric_summary.is_file()):
        write_summaries(layout, models={run.model for run in runs})
    return complete


def _from_record(
    reference: RunReference,
    what: Collection[What],
    error: GoemoError,
    *,
    layout: Layout,
    on_event: EventHandler,
) -> DownloadResult:
    """The files of an earlier download, if all of them are still here unchanged; otherwise the error is raised."""
    records = [
        record for record in read_records(layout) if record.is_of(reference) and set(what) <= set(record.what)
    ]
    if len(records) != 1:
        raise error
    record = records[0]
    if changed := record.changed(layout, what):
        raise RemoteError(
            f"{error}; of what was downloaded before, {len(changed)} file(s) changed since, such as {changed[0]}"
        ) from error
    on_event(Warning(f"{error}; {record.source} is here, complete, as downloaded at {record.downloaded}"))
    checkpoints = (
        (layout.root / path).parent
        for path, file in record.files.items()
        if path.endswith(f"/{MANIFEST}") and file.remote.startswith("checkpoint/")
    )
    return DownloadResult(
        source=record.source,
        checkpoints=tuple(checkpoints),
        fetched=(),
        fetched_bytes=0,
        unchanged=len(record.files),
    )


def _require_kinds(plan: Plan, what: Collection[What] | None, where: str, on_event: EventHandler) -> None:
    there = {file.what for file in plan.files}
    if what is not None and (missing := [kind for kind in what if kind not in there]):
        raise NotFoundError(f"{where} has no {' and no '.join(missing)} on W&B")
    if not there:
        raise NotFoundError(f"{where} has no checkpoint, predictions, stats or figures on W&B")
    if what is None and (missing := [kind for kind in ESSENTIAL if kind not in there]):
        on_event(Warning(f"{where} has no {' and no '.join(missing)} on W&B"))


def _report_left_out(plan: Plan, on_event: EventHandler) -> None:
    if plan.left_out:
        shown = ", ".join(plan.left_out[:3]) + (" …" if len(plan.left_out) > 3 else "")
        on_event(Warning(f"{len(plan.left_out)} file(s) skipped, which goemo does not use: {shown}"))


def _stays_local(file: PlannedFile, plan: Plan) -> bool:
    """Tables over several runs are never replaced, and are rebuilt if checkpoints are downloaded."""
    if not file.is_shared:
        return False
    is_summary = file.what == "stats" and file.target.name.startswith(_SUMMARIES)
    return file.target.exists() or (is_summary and any(planned.is_manifest for planned in plan.files))


def _refuse_conflicts(changed: Iterable[PlannedFile], plan: Plan, layout: Layout) -> None:
    """Protect a sound local checkpoint that is not an earlier download: it may be the user's own work."""
    downloaded = {file.digest for record in read_records(layout) for file in record.files.values()}
    for run in sorted({file.run for file in changed if file.run and file.target.exists()}):
        home = layout.find_checkpoint(run)
        manifest = home / MANIFEST if home else None
        if manifest is None or not manifest.is_file() or digest_of(manifest) in downloaded:
            continue
        remote = [file.remote for file in plan.files if file.run == run and file.is_manifest]
        if remote and is_same(manifest, remote[0]):
            continue  # the same version, damaged here
        if _is_sound(manifest.parent):
            raise BusyError(
                f"{manifest.parent} is sound and another version than the one of the download; "
                "--overwrite replaces it, or choose another place with --root DIR"
            )


def _is_sound(folder: Path) -> bool:
    try:
        return not any(Checkpoint.open(folder).hash_faults())
    except (CheckpointNotFoundError, CorruptArtifactError):
        return False


def _base(file: PlannedFile, layout: Layout) -> Path:
    return {
        "checkpoint": layout.models,
        "predictions": layout.predictions,
        "stats": layout.stats,
        "figures": layout.figures,
    }[file.what]
