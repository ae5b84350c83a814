"""The experiment trackers of a run: which ones the settings ask for, and what they log while it trains."""

import secrets
import string
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goemo_cli.core.errors import MissingPackageError, NotFoundError
from goemo_cli.core.events import Event, EventHandler, Info, Warning, ignore, line_of
from goemo_cli.core.files import dump_json
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName, model_slug
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.core.settings import LoggingSettings, TrainConfig, WandbSettings
from goemo_cli.core.system.variables import environment
from goemo_cli.ml.training.histograms import model_structure
from goemo_cli.ml.training.loop import Step
from goemo_cli.services.wandb.sync import sync_command, wandb_target
from goemo_cli.tracking.base import Artifact, Table, Tracker
from goemo_cli.tracking.environment import environment_files, versions
from goemo_cli.tracking.guarded import GuardedTrackers
from goemo_cli.tracking.journal import JournalTracker, Line, read_journal
from goemo_cli.tracking.redaction import without_places, without_secrets
from goemo_cli.tracking.registered import TENSORBOARD, find_tracker
from goemo_cli.tracking.separate import FollowingTracker
from goemo_cli.tracking.wandb.sdk import require_wandb
from goemo_cli.tracking.wandb.tracker import WandbTracker

if TYPE_CHECKING:
    from goemo_cli.services.training.build import Run

_ID_CHARACTERS = string.ascii_lowercase + string.digits
_GIT_SECONDS = 5


@dataclass(frozen=True)
class Continued:
    """The log of a run up to the step that it is resumed from."""

    mirror_id: str
    """W&B's id of the run, which continues."""
    kept_bytes: int
    """Length of the beginning of the journal that is kept."""
    lines: tuple[Line, ...]
    """Of that beginning, without the first."""


def continued_log(layout: Layout, run: RunName, kept_bytes: int) -> Continued:
    """The log of a run that is resumed.

    Args:
        kept_bytes: length of the journal when the state was saved; later lines are written again.

    Raises:
        NotFoundError, CorruptArtifactError: the journal is missing or damaged.
    """
    journal = read_journal(layout.journal(run), kept_bytes or None)
    return Continued(journal.mirror_id, kept_bytes, journal.lines if kept_bytes else ())


def open_tracker(
    config: TrainConfig,
    continued: Continued | None = None,
    *,
    layout: Layout,
    on_event: EventHandler = ignore,
) -> Tracker:
    """The trackers of a run as one: always the local journal, others if the settings ask for them.

    A missing package costs a warning, not the run. A tracker that fails is disabled.

    Args:
        continued: the log of a resumed run.

    Raises:
        MissingPackageError: wandb is missing, and W&B is required.
    """
    # An agent of a W&B sweep has named the run already; otherwise an id that looks like W&B's own.
    given = environment("WANDB_RUN_ID") if environment("WANDB_SWEEP_ID") else None
    known = continued.mirror_id if continued else given
    mirror_id = known or "".join(secrets.choice(_ID_CHARACTERS) for _ in range(8))
    trackers: dict[str, Tracker] = {
        "The journal": JournalTracker(
            layout.journals,
            root=layout.root,
            mirror_id=mirror_id,
            kept_bytes=continued.kept_bytes if continued else 0,
        )
    }
    if wandb := _wandb_tracker(config.logging.wandb, mirror_id, layout, on_event):
        trackers["W&B"] = wandb
    earlier = continued.lines if continued else ()
    trackers |= _registered_trackers(config.logging, earlier, layout, on_event)
    return GuardedTrackers(trackers, lambda message: on_event(Warning(message)))


def _wandb_tracker(
    wanted: WandbSettings, run_id: str, layout: Layout, on_event: EventHandler
) -> WandbTracker | None:
    """The W&B tracker; None if it is off, disabled, or missing and not required."""
    if not wanted.enabled:
        return None
    if wanted.resolved().mode == "disabled":
        on_event(Info("W&B is disabled (logging.wandb.mode or WANDB_MODE): nothing is sent"))
        return None
    try:
        require_wandb("--wandb")
    except MissingPackageError as error:
        if wanted.required:
            raise
        later = f"`{sync_command(layout)} RUN` sends it later"
        on_event(Warning(f"{error}; the run continues without W&B, and {later}"))
        return None
    return WandbTracker(
        target=wandb_target(wanted),
        run_id=run_id,
        journals=layout.journals,
        root=layout.root,
        folder=layout.wandb,
        required=wanted.required,
        patience=wanted.upload_timeout,
        later=sync_command(layout),
        on_event=on_event,
    )


def _registered_trackers(
    wanted: LoggingSettings, earlier: Sequence[Line], layout: Layout, on_event: EventHandler
) -> dict[str, Tracker]:
    """The trackers that the settings name, by title; `earlier` are the lines of a resumed run."""
    found: dict[str, Tracker] = {}
    for name in wanted.tracker_names:
        try:
            registered = find_tracker(name)
            if name == TENSORBOARD:
                from goemo_cli.tracking.tensorboard import FileTracker  # its package may be missing

                found[registered.title] = FileTracker(layout.tensorboard, earlier, root=layout.root)
                continue
        except (NotFoundError, ImportError) as error:
            on_event(Warning(f"{error}; the run continues without this tracker"))
            continue
        found[registered.title] = FollowingTracker(
            name=name,
            title=registered.title,
            journals=layout.journals,
            root=layout.root,
            folder=layout.trackers / name,
            variables=wanted.mlflow.variables(),
            patience=wanted.wandb.upload_timeout,
            on_event=on_event,
        )
    return found


@contextmanager
def failures_logged(tracker: Tracker) -> Iterator[None]:
    """Log the exit code of a run that is ended by Ctrl-C, a signal or an error."""
    try:
        yield
    except BaseException as error:
        code = getattr(error, "code", 130 if isinstance(error, KeyboardInterrupt) else 1)
        with suppress(Exception):
            tracker.finish({}, exit_code=code if isinstance(code, int) and code else 1)
        raise


class RunLog:
    """The log of a run: an event handler that also writes one line per event to the tracker.

    Lines of events before the start of the tracker are kept until then.

    Args:
        root: paths below it are shown from there.
    """

    def __init__(self, on_event: EventHandler, root: Path) -> None:
        self._on_event, self._root = on_event, f"{root.resolve()}/"
        self._early: list[str] = []
        self._tracker: Tracker | None = None

    def __call__(self, event: Event) -> None:
        """Pass an event on, and write its line."""
        self._on_event(event)
        if (line := line_of(event)) is None:
            return
        shown = without_places(line.replace(self._root, ""))
        text = f"{datetime.now(UTC):%H:%M:%S} {shown}\n"
        if self._tracker is None:
            self._early.append(text)
        else:
            self._tracker.write("output.log", text)

    def begin(self, tracker: Tracker, *, with_machine: bool) -> None:
        """Write to a tracker that has started: the lines so far, and the versions of packages and the machine if asked."""
        if with_machine:
            for name, text in environment_files(commit=_git_commit()).items():
                tracker.write(name, text)
        self._tracker = tracker
        if self._early:
            tracker.write("output.log", "".join(self._early))


def start_tracker(tracker: Tracker, run: "Run") -> None:
    """Start the log of a run with its settings, data, base model, device and versions.

    Raises:
        GoemoError: a required tracker cannot start.
    """
    facts = {
        "data_facts": without_places(run.data_facts),
        "base_model": without_places(run.base),
        "device": run.device_facts,
        "versions": versions(),
        "git_commit": _git_commit(),
    }
    tracker.start(run.name, logged_settings(run.config), facts)


def log_inputs(tracker: Tracker, run: "Run", log: RunLog) -> None:
    """Log what the training starts from: the machine, the data set, and the structure of the model.

    The journal of a run that continues from a saved state has them already.
    """
    wandb, is_continued = run.config.logging.wandb, run.start is not None
    if wandb.environment:
        log.begin(tracker, with_machine=not is_continued)
    if is_continued:
        return
    tracker.artifact(data_artifact(run.data_facts, run.data.labels))
    if wandb.watch_model and run.model:
        rows = list(model_structure(run.model.model))
        tracker.table(Table("model", ("parameter", "shape", "count"), rows), step=0)


def log_step(tracker: Tracker, step: Step, *, every: int | None) -> None:
    """Log an optimizer step: its numbers at every n-th step, its histograms if it has some."""
    if every and step.step % every == 0:
        values = {
            "step/loss": step.loss,
            "step/learning_rate": step.learning_rate,
            "step/grad_norm": step.grad_norm,
        }
        tracker.log(values, step=step.step)
    if step.histograms:
        tracker.histograms(step.histograms, step=step.step)


def logged_settings(config: TrainConfig) -> dict[str, Any]:
    """Every resolved setting without secrets and local paths."""
    sections = without_secrets(config.model_dump(mode="json"))
    # Notes are for others to read, and `goemo sync` reads them back.
    return {name: part if name == "logging" else without_places(part) for name, part in sections.items()}


def data_artifact(data_facts: Mapping[str, Any], labels: tuple[str, ...]) -> Artifact:
    """The data set as an input of the run: its name, hashes, sizes and labels, without its texts."""
    described = {"schema_version": SCHEMA_VERSION, **without_places(data_facts), "labels": list(labels)}
    name = f"{model_slug(str(data_facts['name']))}-data"
    return Artifact(
        name, "dataset", texts={"data.json": dump_json(described)}, metadata=described, is_input=True
    )


def _git_commit() -> str | None:
    """The commit that is checked out in the current folder; None outside a repository."""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=_GIT_SECONDS, check=True
        )
        return done.stdout.strip() or None
    return None
