"""From a list of remote files to files in place: planned, fetched beside, checked, moved, put on record."""

import shutil
from collections.abc import Collection, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from goemo_cli.core.checkpoint import MANIFEST, Checkpoint
from goemo_cli.core.errors import (
    BusyError,
    CheckpointNotFoundError,
    CorruptArtifactError,
    GoemoError,
    NotFoundError,
)
from goemo_cli.core.events import EventHandler, Warning
from goemo_cli.core.layout import Layout
from goemo_cli.services.runs.locks import held
from goemo_cli.services.training.summaries import write_summaries
from goemo_cli.services.wandb.listing import ESSENTIAL, USUAL, Listing
from goemo_cli.services.wandb.plan import Plan, PlannedFile, What, plan_download
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
from goemo_cli.tracking.wandb.client import WandbSource
from goemo_cli.tracking.wandb.http import Limits, digest_of, is_same

_SUMMARIES = (
    "metric_summary.csv",
    "per_emotion_scores.csv",
    "multiseed_summary.csv",
    "summaries.json",
    "test_metrics_",
)
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


def download_files(
    listing: Listing,
    source: WandbSource,
    what: Collection[What] | None,
    *,
    layout: Layout,
    overwrite: bool,
    limits: Limits | None,
    on_event: EventHandler,
) -> DownloadResult:
    """Bring the wanted files of a listing to their places; `downloads.download_run` has the arguments and errors."""
    plan = plan_download(listing.files, what or USUAL, layout=layout, where=listing.source, name=listing.name)
    _require_kinds(plan, what, listing.source, on_event)
    _tell_left_out(plan, on_event)
    plan = replace(plan, files=tuple(file for file in plan.files if not _stays_local(file, plan)))
    for file in plan.files:
        refuse_links(file.target, _base(file, layout))
    changed = [file for file in plan.files if not is_same(file.target, file.remote)]
    if not overwrite:
        _refuse_conflicts(changed, plan, layout)
    if changed:
        _fetch_and_move(changed, plan, listing, source, layout=layout, limits=limits, on_event=on_event)
    checkpoints = _finish_checkpoints(plan, layout=layout, is_changed=bool(changed), on_event=on_event)
    write_record(
        layout,
        listing.source,
        what=what or USUAL,
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
    listing: Listing,
    source: WandbSource,
    *,
    layout: Layout,
    limits: Limits | None,
    on_event: EventHandler,
) -> None:
    with open_stage(layout, listing.source) as stage:
        here = sum(file.remote.size for file in changed if staged_path(file, stage, layout).is_file())
        require_space(stage, sum(file.remote.size for file in changed) - here)
        fetch_files(
            changed,
            source.fetcher(limits),
            stage=stage,
            layout=layout,
            renew=source.renewed,
            on_event=on_event,
        )
        try:
            check_staged(plan, changed, stage=stage, layout=layout, where=listing.source)
        except GoemoError:
            shutil.rmtree(
                stage, ignore_errors=True
            )  # it came as it is on the server: there is nothing to go on with
            raise
        with ExitStack() as locks:
            for file in changed:
                if file.is_manifest:
                    locks.enter_context(held(file.target.parent, "goemo download"))
            move_into_place(changed, stage=stage, layout=layout, on_event=on_event)
        shutil.rmtree(stage, ignore_errors=True)


def _finish_checkpoints(
    plan: Plan, *, layout: Layout, is_changed: bool, on_event: EventHandler
) -> tuple[Path, ...]:
    """Rebuild the summaries of what came; the folders of checkpoints that other commands can open."""
    homes = [file.target.parent for file in plan.of("checkpoint") if file.is_manifest]
    whole = tuple(Checkpoint.open(home).path for home in homes)
    runs = {file.run for file in plan.of("checkpoint") if file.is_manifest}
    if without := [str(run) for run in plan.runs if run not in runs]:
        on_event(
            Warning(
                f"{', '.join(without)} came without {MANIFEST}, so it is not goemo's: transformers can load the folder, "
                "goemo reads its predictions and tables only"
            )
        )
    if whole and (is_changed or not layout.metric_summary.is_file()):
        write_summaries(layout, models={run.model for run in runs if run})
    return whole


def _require_kinds(plan: Plan, what: Collection[What] | None, where: str, on_event: EventHandler) -> None:
    there = {file.what for file in plan.files}
    if what is not None and (missing := [kind for kind in what if kind not in there]):
        raise NotFoundError(f"{where} holds no {' and no '.join(missing)} on W&B")
    if not there:
        raise NotFoundError(f"{where} holds no checkpoint, predictions, stats or figures on W&B")
    if what is None and (missing := [kind for kind in ESSENTIAL if kind not in there]):
        on_event(Warning(f"{where} holds no {' and no '.join(missing)} on W&B"))


def _tell_left_out(plan: Plan, on_event: EventHandler) -> None:
    if plan.left_out:
        shown = ", ".join(plan.left_out[:3]) + (" …" if len(plan.left_out) > 3 else "")
        on_event(Warning(f"{len(plan.left_out)} file(s) left out, which goemo has no use for: {shown}"))


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
