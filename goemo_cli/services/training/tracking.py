"""What mirrors of a run are told, and the mirrors that the settings ask for, as one that cannot hurt the run."""

import secrets
import string
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from goemo_cli.core.checkpoint import MANIFEST, METRICS, THRESHOLDS, Checkpoint
from goemo_cli.core.errors import MissingPackageError
from goemo_cli.core.events import Event, EventHandler, Info, Warning, ignore, line_of
from goemo_cli.core.files import dump_json
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName, model_slug
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.schema import COMBINED, SCHEMA_VERSION
from goemo_cli.core.settings import EpochScore, TrainConfig, environment
from goemo_cli.services.training.environment import environment_files, processor, versions
from goemo_cli.services.training.tracker_tables import EmbeddedSample, result_tables
from goemo_cli.services.wandb.sync import sync_command, wandb_target
from goemo_cli.tracking.base import Artifact, Picture, Tracker
from goemo_cli.tracking.guarded import GuardedTrackers
from goemo_cli.tracking.journal import JournalTracker
from goemo_cli.tracking.redaction import without_places, without_secrets
from goemo_cli.tracking.wandb.sdk import require_wandb
from goemo_cli.tracking.wandb.tracker import WandbTracker

_ID_CHARACTERS = string.ascii_lowercase + string.digits
_GIT_SECONDS = 5


def open_tracker(config: TrainConfig, *, layout: Layout, on_event: EventHandler = ignore) -> Tracker:
    """The mirrors of a run: always the local journal, others as the settings ask.

    A package that is missing costs a warning, not the run.

    Raises:
        MissingPackageError: wandb, where W&B is required.
    """
    # An agent of a W&B sweep has named the run already; otherwise an id that looks like W&B's own.
    given = environment("WANDB_RUN_ID") if environment("WANDB_SWEEP_ID") else None
    mirror_id = given or "".join(secrets.choice(_ID_CHARACTERS) for _ in range(8))
    trackers: dict[str, Tracker] = {
        "The journal": JournalTracker(layout.journals, root=layout.root, mirror_id=mirror_id)
    }
    wanted = config.logging
    if wanted.wandb.enabled and wanted.wandb.resolved().mode == "disabled":
        on_event(Info("W&B is disabled (logging.wandb.mode or WANDB_MODE): nothing is sent"))
    elif wanted.wandb.enabled:
        try:
            require_wandb("--wandb")
        except MissingPackageError as error:
            if wanted.wandb.required:
                raise
            on_event(
                Warning(f"{error}; going on without, and `{sync_command(layout)} RUN` mirrors the run later")
            )
        else:
            trackers["W&B"] = WandbTracker(
                wandb_target(wanted.wandb),
                run_id=mirror_id,
                journals=layout.journals,
                root=layout.root,
                directory=layout.wandb,
                required=wanted.wandb.required,
                patience=wanted.wandb.upload_timeout,
                later=sync_command(layout),
                note=lambda message: on_event(Info(message)),
                warn=lambda message: on_event(Warning(message)),
            )
    if wanted.tensorboard:
        try:
            from goemo_cli.tracking.tensorboard import TensorboardTracker

            trackers["TensorBoard"] = TensorboardTracker(layout.tensorboard)
        except ImportError:
            on_event(
                Warning("TensorBoard is not installed: pip install 'goemo[tensorboard]'; going on without")
            )
    return GuardedTrackers(trackers, lambda message: on_event(Warning(message)))


@contextmanager
def failures_logged(tracker: Tracker) -> Iterator[None]:
    """Tell the tracker of a run that does not come to its end, by Ctrl-C, a signal or an error."""
    try:
        yield
    except BaseException as error:
        code = 130 if isinstance(error, KeyboardInterrupt) else getattr(error, "code", 1)
        with suppress(Exception):
            tracker.finish({}, exit_code=code if isinstance(code, int) and code else 1)
        raise


class RunLog:
    """goemo's own log of a run: a listener that also writes a line per event, from the tracker's start on.

    Lines of earlier events are kept until then.

    Args:
        on_event: called with each event.
        root: paths below it are shown from there.
    """

    def __init__(self, on_event: EventHandler, root: Path) -> None:
        self._listen, self._root = on_event, f"{root.resolve()}/"
        self._early: list[str] = []
        self._tracker: Tracker | None = None

    def __call__(self, event: Event) -> None:
        """Pass an event on, and write its line."""
        self._listen(event)
        if (line := line_of(event)) is None:
            return
        shown = without_places(line.replace(self._root, ""))
        text = f"{datetime.now(UTC):%H:%M:%S} {shown}\n"
        if self._tracker is None:
            self._early.append(text)
        else:
            self._tracker.write("output.log", text)

    def begin(self, tracker: Tracker) -> None:
        """Write to a tracker that was started: the lines so far, the versions of packages, the machine."""
        for name, text in environment_files(commit=_git_commit()).items():
            tracker.write(name, text)
        self._tracker = tracker
        if self._early:
            tracker.write("output.log", "".join(self._early))


def start_facts(
    data_facts: Mapping[str, Any], base: Mapping[str, Any], device: str, precision: str
) -> dict[str, Any]:
    """What else is known of a run at its start, as mirrors show it beside the settings."""
    return {
        "data_facts": without_places(data_facts),
        "base_model": without_places(base),
        "device": {"type": device, "precision": precision, "processor": processor()},
        "versions": versions(),
        "git_commit": _git_commit(),
    }


def logged_settings(config: TrainConfig) -> dict[str, Any]:
    """Every resolved setting as mirrors may have it."""
    told = without_secrets(config.model_dump(mode="json"))
    # Notes and the like are for others to read, and `goemo sync` reads them back.
    return {name: part if name == "logging" else without_places(part) for name, part in told.items()}


def epoch_values(
    history: Mapping[str, Any], combined: Mapping[EpochScore, float] = MappingProxyType({})
) -> dict[str, float]:
    """An epoch's numbers by the contract's names; those that a model does not have are left out.

    Args:
        history: of the epoch.
        combined: weights of numbers, whose sum is `combined_score`; it is left out if one of them is.
    """
    names = {
        "train/loss": "train_loss",
        "train/learning_rate": "learning_rate",
        "train/epoch_time": "epoch_seconds",
        "train/samples_per_sec": "samples_per_second",
        "train/grad_norm": "grad_norm",
        "val/loss": "val_loss",
        "val/auc": "val_auc_micro",
        "val/f1_micro": "val_f1_micro",
        "val/f1_macro": "val_f1_macro",
    }
    values = {name: history[key] for name, key in names.items() if history[key] is not None}
    if combined and combined.keys() <= values.keys():
        values[COMBINED] = sum(weight * values[name] for name, weight in combined.items())
    return values


def data_artifact(data_facts: Mapping[str, Any], labels: tuple[str, ...]) -> Artifact:
    """The data set as what a run used: its name, hashes, sizes and labels; no sentence of it."""
    described = {"schema_version": SCHEMA_VERSION, **without_places(data_facts), "labels": list(labels)}
    name = f"{model_slug(str(data_facts['name']))}-data"
    return Artifact(
        name, "dataset", texts={"data.json": dump_json(described)}, metadata=described, is_input=True
    )


def log_results(
    tracker: Tracker,
    checkpoint: Checkpoint,
    test: Predictions,
    written: list[Path],
    *,
    layout: Layout,
    step: int,
    embedded: EmbeddedSample | None = None,
    pictures: Iterable[Picture] = (),
) -> None:
    """Tell a tracker all that a finished run left behind: numbers, tables, files, artifacts; then close it.

    Args:
        tracker: told.
        checkpoint: of the run.
        test: predictions of test with the run's labels.
        written: files outside the checkpoint.
        layout: where they lie.
        step: the last optimizer step; numbers of the end stand one step after it.
        embedded: some comments of test as vectors, if they are to be shown.
        pictures: shown too.
    """
    metrics, wandb = checkpoint.metrics_json, checkpoint.config.logging.wandb
    tracker.log(test_values(metrics), step=step + 1)
    for table in result_tables(metrics, test, with_comments=wandb.log_predictions, embedded=embedded):
        tracker.table(table, step=step + 1)
    for picture in pictures:
        tracker.picture(picture, step=step + 1)
    saved = _checkpoint_files(checkpoint) if wandb.log_model else {}
    for name, path in saved.items():
        tracker.save(path, name=f"checkpoint/{checkpoint.run}/{name}")
    for path in written:
        tracker.save(path, name=f"{path.parent.name}/{path.name}")
    for artifact in _artifacts(checkpoint, saved, written, layout):
        tracker.artifact(artifact)
    tracker.finish(summary_values(metrics))


def test_values(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The final test scores by the contract's names; F1, precision and recall by the run's own threshold rule."""
    test, rule = metrics["test"], metrics["test"][metrics["threshold_rule"]]
    values = {f"test/{key}": test[key] for key in ("auc_micro", "auc_macro")}
    values |= {
        f"test/{key}": rule[key] for key in ("f1_macro", "f1_micro", "precision_macro", "recall_macro")
    }
    return {key: value for key, value in values.items() if value is not None}


test_values.__test__ = False  # type: ignore[attr-defined]  # values of the test split, no test for pytest


def summary_values(metrics: Mapping[str, Any]) -> dict[str, float]:
    """All final numbers of a run by the contract's names."""
    per_label = {
        f"test/{name}_{row['emotion']}": row[key]
        for row in metrics["per_class"]
        for name, key in (
            ("f1", "f1_score"),
            ("precision", "precision"),
            ("recall", "recall"),
            ("support", "support"),
        )
    }
    return {
        **test_values(metrics),
        **per_label,
        "best_epoch": metrics["best_epoch"],
        "final_epoch": len(metrics["history"]),
        "total_training_time": metrics["training_seconds"],
    }


def _checkpoint_files(checkpoint: Checkpoint) -> dict[str, Path]:
    return {name: checkpoint.path / name for name in [*checkpoint.manifest_json["files"], MANIFEST]}


def _artifacts(
    checkpoint: Checkpoint, saved: Mapping[str, Path], written: list[Path], layout: Layout
) -> Iterator[Artifact]:
    run, metrics = checkpoint.run, checkpoint.metrics_json
    facts = {
        "goemo_run": str(run),
        "best_epoch": metrics["best_epoch"],
        "labels": list(checkpoint.labels),
        "data_sha256": metrics["data"]["sha256"],
        "versions": metrics["versions"],
    }
    scores = test_values(metrics)
    if saved:
        yield _artifact(
            run,
            "checkpoint",
            "model",
            saved,
            {**facts, **scores, "base_model": without_places(metrics["base_model"])},
        )
    for split in ("test", "val"):
        files = {
            path.name: path
            for path in written
            if path.parent == layout.predictions and path.name.startswith(split)
        }
        yield _artifact(run, f"{split}-predictions", "predictions", files, {**facts, "split": split})
    table = layout.per_class_metrics(run)
    yield _artifact(run, "per-class-metrics", "metrics", {table.name: table}, {**facts, **scores})
    evaluation = {name: checkpoint.path / name for name in (METRICS, THRESHOLDS)} | {table.name: table}
    yield _artifact(run, "evaluation", "evaluation", evaluation, {**facts, **scores})


def _artifact(
    run: RunName, what: str, kind: str, files: Mapping[str, Path], metadata: Mapping[str, Any]
) -> Artifact:
    # A run keeps its best epoch only: what is latest is also best.
    return Artifact(
        f"{run.model}-{what}-{{run_id}}", kind, files, metadata=metadata, aliases=("latest", "best")
    )


def _git_commit() -> str | None:
    """The commit that is checked out where the command runs; None where there is none."""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=_GIT_SECONDS, check=True
        )
        return done.stdout.strip() or None
    return None
