"""`goemo sync`: upload runs to W&B that were trained without it, or only partly uploaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from goemo_cli.core.errors import CorruptArtifactError, NotFoundError, RemoteError, first_names
from goemo_cli.core.events import EventHandler, Info, ignore, progress
from goemo_cli.core.hints import root_option
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import WandbSettings
from goemo_cli.services.runs.references import find_run
from goemo_cli.tracking.journal import Journal, held, read_journal
from goemo_cli.tracking.wandb.process import Job, Mirror, as_error
from goemo_cli.tracking.wandb.sdk import require_wandb


@dataclass(frozen=True)
class SyncedRun:
    """A run that is complete on W&B."""

    run: RunName
    mirror_id: str
    """W&B's id of the run."""
    url: str | None
    """Its page, if it was opened."""
    sent: tuple[str, ...]
    """What was missing on W&B, as phrases; empty if nothing was sent."""


def sync_run(
    reference: str,
    *,
    layout: Layout,
    project: str | None = None,
    entity: str | None = None,
    base_url: str | None = None,
    on_event: EventHandler = ignore,
) -> SyncedRun:
    """Upload a run from its journal, under the id that was chosen when it started.

    Only what is missing on W&B is sent, so a second call changes nothing. The result is checked at the end.

    Args:
        reference: a run, as `open_run` understands it; also one that did not finish.
        project: W&B project instead of the run's own setting.
        entity: W&B entity, likewise.
        base_url: W&B server, likewise.

    Raises:
        NotFoundError: no such run or journal, a file of it is gone, or wandb is not installed.
        CorruptArtifactError: the journal is damaged.
        BusyError: the run is still in training, or another sync of it is running.
        AuthenticationError, RemoteError, SettingError: W&B refused, did not answer, or is still incomplete.
    """
    require_wandb("goemo sync")
    path = layout.journal(_named(reference, layout))
    journal = read_journal(path)
    with held(path):
        journal = read_journal(path)  # complete, since no process writes it now
        _require_files(journal, layout)
        given = {"project": project, "entity": entity, "base_url": base_url, "mode": "online"}
        recorded = _settings(journal)
        settings = recorded.model_copy(update={name: value for name, value in given.items() if value})
        job = Job(
            journal=path.resolve(),
            root=layout.root.resolve(),
            directory=layout.wandb,
            target=wandb_target(settings),
            follow=False,
        )
        return _uploaded(journal, job, settings.upload_timeout, on_event)


def wandb_target(settings: WandbSettings) -> WandbSettings:
    """The settings of a run with those of the environment; it is online unless they say offline."""
    wanted = settings.resolved()
    return wanted.model_copy(update={"mode": "offline" if wanted.mode == "offline" else "online"})


def sync_command(layout: Layout) -> str:
    """The command that uploads a run of this root later, without the run."""
    return f"goemo sync{root_option(layout.root)}"


def _named(reference: str, layout: Layout) -> RunName:
    run = RunName.parse(reference)
    if run and layout.journal(run).is_file():
        return run  # also if its checkpoint is gone
    found = find_run(reference, layout)
    if run := RunName.parse(found.name):
        return run
    raise NotFoundError(f"{found} is not a run: its name is not MODEL-YYYYMMDD-HHMMSS")


def _settings(journal: Journal) -> WandbSettings:
    try:
        recorded = journal.settings["logging"]["wandb"]
        # Another version of goemo may have written settings that this one does not know.
        known = {name: recorded[name] for name in WandbSettings.model_fields if name in recorded}
        return WandbSettings.model_validate(known)
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptArtifactError(journal.path, "has no sound logging settings") from error


def _require_files(journal: Journal, layout: Layout) -> None:
    files = [*journal.files(layout.root).values()]
    files += [path for artifact in journal.artifacts(layout.root) for path in artifact.files.values()]
    if gone := sorted({path for path in files if not path.is_file()}):
        raise NotFoundError(
            f"{first_names(gone, most=1)} belongs to {journal.run} and is gone; nothing was sent"
        )


def _uploaded(journal: Journal, job: Job, patience: float, on_event: EventHandler) -> SyncedRun:
    url: str | None = None

    def hear(answer: Mapping[str, Any]) -> None:
        nonlocal url
        if answer["what"] == "started":
            url = answer["url"]
            on_event(Info(f"W&B: {url}"))

    mirror = Mirror(job)
    with progress(on_event, f"Uploading {journal.run}", 1, "runs"):
        try:
            answer = mirror.wait(patience, hear, "finished")
        finally:
            mirror.stop()
    if answer["what"] == "failed":
        raise as_error(answer)
    if answer["missing"]:
        raise RemoteError(
            f"{journal.run}: W&B accepted everything and is still missing {', '.join(answer['missing'])}"
        )
    return SyncedRun(journal.run, journal.mirror_id, url, tuple(answer["sent"]))
