"""`goemo download`: what a run holds on W&B, brought into the local layout whole, checked, and only once."""

from collections.abc import Collection
from pathlib import Path

from goemo_cli.core.checkpoint import MANIFEST
from goemo_cli.core.errors import GoemoError, MissingPackageError, RemoteError, SettingError
from goemo_cli.core.events import EventHandler, Info, Warning, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import check_val_metric
from goemo_cli.services.wandb.access import require_network
from goemo_cli.services.wandb.install import DownloadResult, download_files
from goemo_cli.services.wandb.listing import USUAL, Listing, list_artifact, list_run
from goemo_cli.services.wandb.plan import ArtifactName, What
from goemo_cli.services.wandb.records import DownloadRecord, read_records
from goemo_cli.tracking.wandb.client import RunReference, WandbSource
from goemo_cli.tracking.wandb.http import Limits


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
    """Bring a run's files to where they would lie had it been trained here.

    Args:
        run: `ID`, `PROJECT/ID`, `ENTITY/PROJECT/ID`, or the URL of the run's page.
        layout: where to.
        entity: where the run names none; the user's own by default.
        project: where the run names none; WANDB_PROJECT or goemo by default.
        base_url: W&B server; WANDB_BASE_URL or W&B's own by default.
        what: which kinds; each must be there. None takes whatever the run holds.
        overwrite: replace a checkpoint that is here, is sound, and is another version than ever was downloaded.
        limits: when to give up on the server.
        on_event: called with each event.

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
        source = WandbSource(base_url=base_url)
        complete = source.complete(reference)
        listing = list_run(source, complete, what or USUAL, layout=layout, on_event=on_event)
    except (RemoteError, MissingPackageError) as error:
        return _from_record(reference, what, error, layout=layout, on_event=on_event)
    return download_files(
        listing, source, what, layout=layout, overwrite=overwrite, limits=limits, on_event=on_event
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
    """Bring one version of a W&B artifact of a goemo run.

    Args:
        name: `NAME:VERSION` or `NAME:ALIAS`, also with `PROJECT/` or `ENTITY/PROJECT/` before it.
        layout: where to.
        entity: where the name has none.
        project: where the name has none.
        base_url: as in `download_run`.
        overwrite: as in `download_run`.
        limits: when to give up on the server.
        on_event: called with each event.

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
    source = WandbSource(base_url=base_url)
    place = source.complete(place)
    found = source.artifact(f"{place.entity}/{place.project}/{base}:{version or 'latest'}")
    files = list_artifact(found, kind.what, source, layout=layout)
    return download_files(
        Listing(str(found), tuple(files)),
        source,
        (kind.what,),
        layout=layout,
        overwrite=overwrite,
        limits=limits,
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
    """The finished run of a project that scores best on val, by what W&B knows of each.

    Raises:
        SettingError: a test score, or no score at all.
        GoemoError: as in `download_run`.
    """
    check_val_metric(metric)
    require_network(f"the best run by {metric}")
    source = WandbSource(base_url=base_url)
    place = source.complete(RunReference("best", project, entity))
    best = source.best(str(place.entity), str(place.project), metric)
    on_event(Info(f"{best.reference} has the best {metric} of {best.among}: {best.score:.4f}"))
    return str(best.reference)


def _from_record(
    reference: RunReference,
    what: Collection[What] | None,
    error: GoemoError,
    *,
    layout: Layout,
    on_event: EventHandler,
) -> DownloadResult:
    """What an earlier download brought, where all of it is here as it came; else the error that kept us from asking."""
    records = [one for one in read_records(layout) if one.is_of(reference)]
    usable = [one for one in records if set(what or USUAL) <= set(one.what)]
    if len(usable) != 1:
        raise error
    record = usable[0]
    wanted = what or USUAL
    if changed := record.changed(layout, wanted):
        raise RemoteError(
            f"{error}; of what was downloaded before, {len(changed)} file(s) changed since, such as {changed[0]}"
        ) from error
    on_event(Warning(f"{error}; {record.source} is here whole, as downloaded at {record.downloaded}"))
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
