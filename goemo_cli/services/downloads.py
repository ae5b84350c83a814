"""`goemo download`: what a run holds on W&B, brought into the local layout whole, checked, and only once."""

import shutil
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from goemo_cli.core.checkpoint import MANIFEST, Checkpoint
from goemo_cli.core.config import environment
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
from goemo_cli.core.events import Listener, Noted, Warned, ignore
from goemo_cli.core.files import read_json_object
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.services.download_plan import (
    ArtifactName,
    Plan,
    PlannedFile,
    What,
    as_run_files,
    plan_download,
)
from goemo_cli.services.download_records import DownloadRecord, is_same, read_records, write_record
from goemo_cli.services.staging import (
    check_staged,
    fetch_files,
    move_into_place,
    open_stage,
    refuse_links,
    require_space,
    staged_path,
)
from goemo_cli.services.summaries import write_summaries
from goemo_cli.tracking.wandb_fetch_http import Limits, digest_of
from goemo_cli.tracking.wandb_fetch_names import RemoteFile, RunReference
from goemo_cli.tracking.wandb_files import RemoteArtifact, WandbSource, check_val_metric

DEFAULT_PROJECT = "goemo"
"""Where `goemo train --wandb` logs unless told otherwise."""
ESSENTIAL: tuple[What, ...] = ("checkpoint", "predictions", "stats")
_USUAL: tuple[What, ...] = (*ESSENTIAL, "figures")
_SUMMARIES = ("metric_summary.csv", "per_emotion_scores.csv", "multiseed_summary.csv", "test_metrics_")
"""What `write_summaries` makes, as names begin."""


@dataclass(frozen=True)
class DownloadResult:
    """What a download brought."""

    source: str
    """`ENTITY/PROJECT/ID`, or `ENTITY/PROJECT/NAME:VERSION` of an artifact."""
    checkpoints: tuple[Path, ...]
    """Folders of the runs that came, whole."""
    fetched: tuple[Path, ...]
    """Files that are new or had changed."""
    fetched_bytes: int
    unchanged: int
    """How many files were here already as they should be."""
    is_offline: bool = False
    """Nothing was asked: the record of an earlier download was compared with what is here."""


@dataclass(frozen=True)
class _Listing:
    source: str
    files: tuple[RemoteFile, ...]
    name: str = ""


def download_run(
    run: str,
    *,
    layout: Layout,
    entity: str | None = None,
    project: str | None = None,
    what: Collection[What] | None = None,
    overwrite: bool = False,
    limits: Limits | None = None,
    listen: Listener = ignore,
) -> DownloadResult:
    """Bring a run's files to where they would lie had it been trained here.

    Args:
        run: `ID`, `PROJECT/ID`, `ENTITY/PROJECT/ID`, or the URL of the run's page.
        layout: where to.
        entity: where the run names none; the user's own by default.
        project: where the run names none; WANDB_PROJECT or `DEFAULT_PROJECT` by default.
        what: which kinds; each must be there. None takes whatever the run holds.
        overwrite: replace a checkpoint that is here, is sound, and is another version than ever was downloaded.
        limits: when to give up on the server.
        listen: told what happens.

    Raises:
        SettingError: no name of a run.
        NotFoundError: no such run, nothing of what was asked for, or wandb is missing or too old.
        AuthenticationError: no key, or a wrong one.
        RemoteError: the network failed, and what is here is not all of it.
        CorruptArtifactError: what came is damaged or unsafe; nothing was moved.
        BusyError: another version of the run is here, or another process downloads it.
    """
    reference = RunReference.parse(run, entity=entity, project=project)
    try:
        require_network(str(reference))
        source = WandbSource()
        complete = source.complete(reference, project=DEFAULT_PROJECT)
        listing = _of_run(source, complete, what or _USUAL, layout=layout, listen=listen)
    except (RemoteError, MissingPackageError) as error:
        return _from_record(reference, what, error, layout=layout, listen=listen)
    return _bring(listing, source, what, layout=layout, overwrite=overwrite, limits=limits, listen=listen)


def download_artifact(
    name: str,
    *,
    layout: Layout,
    entity: str | None = None,
    project: str | None = None,
    overwrite: bool = False,
    limits: Limits | None = None,
    listen: Listener = ignore,
) -> DownloadResult:
    """Bring one version of a W&B artifact of a goemo run.

    Args:
        name: `NAME:VERSION` or `NAME:ALIAS`, also with `PROJECT/` or `ENTITY/PROJECT/` before it.
        layout: where to.
        entity: where the name has none.
        project: where the name has none.
        overwrite: as in `download_run`.
        limits: when to give up on the server.
        listen: told what happens.

    Raises:
        SettingError: the name is none of a goemo run's W&B artifacts.
        GoemoError: as in `download_run`.
    """
    *folders, last = name.split("/")
    base, colon, version = last.partition(":")
    kind = ArtifactName.parse(base)
    if kind is None or len(folders) > 2 or (colon and not version):
        raise SettingError(
            [f"{name!r} is no W&B artifact of a goemo run, such as roberta-large-checkpoint-a71b9ddo:v0"]
        )
    place = RunReference.parse("/".join([*folders, kind.run_id]), entity=entity, project=project)
    require_network(name)
    source = WandbSource()
    place = source.complete(place, project=DEFAULT_PROJECT)
    found = source.artifact(f"{place.entity}/{place.project}/{base}:{version or 'latest'}")
    files = _as_run_files(found, kind.what, source, layout=layout)
    return _bring(
        _Listing(str(found), tuple(files)),
        source,
        (kind.what,),
        layout=layout,
        overwrite=overwrite,
        limits=limits,
        listen=listen,
    )


def find_best(
    metric: str, *, entity: str | None = None, project: str | None = None, listen: Listener = ignore
) -> str:
    """The finished run of a project that scores best on val, by what W&B knows of each.

    Raises:
        SettingError: a test score, or no score at all.
        GoemoError: as in `download_run`.
    """
    check_val_metric(metric)
    require_network(f"the best run by {metric}")
    source = WandbSource()
    place = source.complete(RunReference("best", project, entity), project=DEFAULT_PROJECT)
    best = source.best(str(place.entity), str(place.project), metric)
    listen(Noted(f"{best.reference} has the best {metric} of {best.among}: {best.score:.4f}"))
    return str(best.reference)


def _of_run(
    source: WandbSource, reference: RunReference, what: Collection[What], *, layout: Layout, listen: Listener
) -> _Listing:
    """All files of a run: the Files tab, and the W&B artifacts of those kinds that the Files tab lacks."""
    run = source.run(reference)
    if run.state in ("running", "pending"):
        listen(Warned(f"{reference} is still {run.state}: not all of it may be there yet"))
    kinds = {file.name.partition("/")[0] for file in run.files}
    lacking = [kind for kind in ESSENTIAL if kind in what and kind not in kinds]
    files = list(run.files)
    for artifact in source.artifacts_of(reference) if lacking else ():
        kind = ArtifactName.parse(artifact.name)
        if kind and kind.what in lacking:
            files += _as_run_files(artifact, kind.what, source, layout=layout, name=run.name)
    return _Listing(str(reference), tuple(files), run.name)


def _as_run_files(
    artifact: RemoteArtifact, what: What, source: WandbSource, *, layout: Layout, name: str = ""
) -> list[RemoteFile]:
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


def _bring(
    listing: _Listing,
    source: WandbSource,
    what: Collection[What] | None,
    *,
    layout: Layout,
    overwrite: bool,
    limits: Limits | None,
    listen: Listener,
) -> DownloadResult:
    plan = plan_download(
        listing.files, what or _USUAL, layout=layout, where=listing.source, name=listing.name
    )
    _require_kinds(plan, what, listing.source, listen)
    _tell_left_out(plan, listen)
    plan = replace(plan, files=tuple(file for file in plan.files if not _stays_local(file, plan)))
    for file in plan.files:
        refuse_links(file.target, _base(file, layout))
    changed = [file for file in plan.files if not is_same(file.target, file.remote)]
    if not overwrite:
        _refuse_conflicts(changed, plan, layout)
    if changed:
        _fetch_and_move(changed, plan, listing, source, layout=layout, limits=limits, listen=listen)
    checkpoints = _finish_checkpoints(plan, layout=layout, is_changed=bool(changed), listen=listen)
    write_record(
        layout,
        listing.source,
        what=what or _USUAL,
        files=((file.target, file.remote) for file in plan.files if not file.is_shared),
    )
    return DownloadResult(
        source=listing.source,
        checkpoints=checkpoints,
        fetched=tuple(file.target for file in changed),
        fetched_bytes=sum(file.remote.size for file in changed),
        unchanged=len(plan.files) - len(changed),
    )


def _fetch_and_move(
    changed: list[PlannedFile],
    plan: Plan,
    listing: _Listing,
    source: WandbSource,
    *,
    layout: Layout,
    limits: Limits | None,
    listen: Listener,
) -> None:
    stop = threading.Event()
    with open_stage(layout, listing.source) as stage:
        here = sum(file.remote.size for file in changed if staged_path(file, stage, layout).is_file())
        require_space(stage, sum(file.remote.size for file in changed) - here)
        fetch_files(
            changed,
            source.fetcher(limits, stop=stop),
            stage=stage,
            layout=layout,
            renew=source.renewed,
            stop=stop,
            listen=listen,
        )
        try:
            check_staged(plan, changed, stage=stage, layout=layout, where=listing.source)
        except GoemoError:
            shutil.rmtree(
                stage, ignore_errors=True
            )  # it came as it is on the server: there is nothing to go on with
            raise
        move_into_place(changed, stage=stage, layout=layout, listen=listen)
        shutil.rmtree(stage, ignore_errors=True)


def _finish_checkpoints(
    plan: Plan, *, layout: Layout, is_changed: bool, listen: Listener
) -> tuple[Path, ...]:
    """Rebuild the summaries of what came; the folders of checkpoints that other commands can open."""
    homes = [file.target.parent for file in plan.of("checkpoint") if file.is_manifest]
    whole = tuple(Checkpoint.open(home).path for home in homes)
    runs = {file.run for file in plan.of("checkpoint") if file.is_manifest}
    if without := [str(run) for run in plan.runs if run not in runs]:
        listen(
            Warned(
                f"{', '.join(without)} came without {MANIFEST}, so it is not goemo's: transformers can load the folder, "
                "goemo reads its predictions and tables only"
            )
        )
    if whole and (is_changed or not layout.metric_summary.is_file()):
        write_summaries(layout, models={run.model for run in runs if run})
    return whole


def _require_kinds(plan: Plan, what: Collection[What] | None, where: str, listen: Listener) -> None:
    there = {file.what for file in plan.files}
    if what is not None and (missing := [kind for kind in what if kind not in there]):
        raise NotFoundError(f"{where} holds no {' and no '.join(missing)} on W&B")
    if not there:
        raise NotFoundError(f"{where} holds no checkpoint, predictions, stats or figures on W&B")
    if what is None and (missing := [kind for kind in ESSENTIAL if kind not in there]):
        listen(Warned(f"{where} holds no {' and no '.join(missing)} on W&B"))


def _tell_left_out(plan: Plan, listen: Listener) -> None:
    if plan.left_out:
        shown = ", ".join(plan.left_out[:3]) + (" …" if len(plan.left_out) > 3 else "")
        listen(Warned(f"{len(plan.left_out)} file(s) left out, which goemo has no use for: {shown}"))


def _stays_local(file: PlannedFile, plan: Plan) -> bool:
    """Tables over several runs: rebuilt from the checkpoints where there are any, and never replaced."""
    if not file.is_shared:
        return False
    is_summary = file.what == "stats" and file.target.name.startswith(_SUMMARIES)
    return file.target.exists() or (is_summary and any(one.is_manifest for one in plan.files))


def _refuse_conflicts(changed: Iterable[PlannedFile], plan: Plan, layout: Layout) -> None:
    """A sound checkpoint that was never downloaded, or was changed since on purpose, is somebody's work."""
    came = {str(entry.get("digest")) for record in read_records(layout) for entry in record.files.values()}
    for run in sorted({file.run for file in changed if file.run and file.target.exists()}):
        home = layout.find_checkpoint(run)
        manifest = home / MANIFEST if home else None
        if manifest is None or not manifest.is_file() or digest_of(manifest) in came:
            continue
        remote = [file.remote for file in plan.files if file.run == run and file.is_manifest]
        if remote and is_same(manifest, remote[0]):
            continue  # the same version, damaged here
        if _is_sound(manifest.parent):
            raise BusyError(
                f"{manifest.parent} is sound and another version than the one on W&B; "
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


def require_network(subject: str) -> None:
    """Fail where the user said not to use the network.

    Raises:
        RemoteError: with GOEMO_OFFLINE.
    """
    if (environment("GOEMO_OFFLINE") or "0").lower() not in ("0", "false", "no"):
        raise RemoteError(
            f"the network is switched off (GOEMO_OFFLINE), so W&B cannot be asked for {subject}"
        )


def _from_record(
    reference: RunReference,
    what: Collection[What] | None,
    error: GoemoError,
    *,
    layout: Layout,
    listen: Listener,
) -> DownloadResult:
    """What an earlier download brought, where all of it is here as it came; else the error that kept us from asking."""
    records = [one for one in read_records(layout) if one.is_of(reference)]
    usable = [one for one in records if set(what or _USUAL) <= set(one.what)]
    if len(usable) != 1:
        raise error
    record = usable[0]
    wanted = what or _USUAL
    if changed := record.changed(layout, wanted):
        raise RemoteError(
            f"{error}; of what was downloaded before, {len(changed)} file(s) changed since, such as {changed[0]}"
        ) from error
    listen(Warned(f"{error}; {record.source} is here whole, as downloaded at {record.downloaded}"))
    return DownloadResult(
        source=record.source,
        checkpoints=tuple(_checkpoints_of(record, layout)),
        fetched=(),
        fetched_bytes=0,
        unchanged=len(record.files),
        is_offline=True,
    )


def _checkpoints_of(record: DownloadRecord, layout: Layout) -> list[Path]:
    return [
        (layout.root / path).parent
        for path, entry in record.files.items()
        if path.endswith(f"/{MANIFEST}") and str(entry.get("remote", "")).startswith("checkpoint/")
    ]
