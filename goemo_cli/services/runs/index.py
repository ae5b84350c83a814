"""The runs below a root as their manifests say, and their files: read each time, so that nothing becomes stale."""

import json
import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from goemo_cli.core.checkpoint import MANIFEST, STATE, TRAINING_RECORD, Checkpoint, readable_steps
from goemo_cli.core.documents.manifest import Headline, Manifest
from goemo_cli.core.errors import CheckpointNotFoundError, CorruptArtifactError, SettingError, did_you_mean
from goemo_cli.core.events import EventHandler, Warning, ignore
from goemo_cli.core.files import files_below
from goemo_cli.core.layout import Layout, parse_predictions_name
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import LOWER_IS_BETTER, SCORE_KEYS, refuse_test_score
from goemo_cli.services.runs.locks import holder_of

State = Literal["finished", "running", "interrupted", "unfinished", "damaged"]
"""`running` if its training still goes on; if it was killed, `interrupted` if it can be resumed, else `unfinished`."""
BEST_METRIC = "val/average_precision_macro"
"""What the best run is chosen by. Nothing is fitted for it; the thresholds behind an F1 are fitted on the same val rows."""
OLD_BEST_METRIC = "val/f1_macro"
"""What runs without it are ranked by, below those that have it: earlier versions did not write it."""
VAL_METRICS = tuple(f"val/{key}" for key in SCORE_KEYS)
"""What runs may be ranked by. Test scores are not among them: choosing by them would spoil them."""
_STAMP_LENGTH = len("20251212-211010")


@dataclass(frozen=True)
class ListedRun:
    """One folder below artifacts/models/, as far as its manifest tells."""

    path: Path
    run: RunName
    manifest: Manifest | None
    """None if the run is not finished or damaged."""
    state: State
    fault: str | None = None
    """What is wrong with a damaged one, in a sentence that names the file."""

    @property
    def is_finished(self) -> bool:
        """Whether it has a sound manifest; its other files have not been looked at."""
        return self.state == "finished"

    @property
    def family(self) -> str:
        """The name of its parent folder."""
        return self.path.parent.name

    @property
    def saved_step(self) -> int | None:
        """The step of the newest saved state; None without one, or if they cannot be read."""
        return max(readable_steps(self.path), default=None)

    @cached_property
    def headline(self) -> Headline:
        """What lists show; without facts if nothing is known."""
        if self.manifest is None:
            return Headline()
        if self.manifest.headline is not None:
            return self.manifest.headline
        try:  # the manifest of an older version
            return Headline.of(Checkpoint.read(self.path).metrics)
        except (OSError, CheckpointNotFoundError, CorruptArtifactError):
            return Headline()

    def score(self, metric: str) -> float | None:
        """A score such as `val/f1_macro`; None if it is unknown or undefined."""
        split, _, key = metric.partition("/")
        return self.headline.scores(split).get(key)


def listed_runs(layout: Layout, on_event: EventHandler = ignore) -> list[ListedRun]:
    """Every run folder below the root, oldest first; unfinished and damaged ones too.

    Of runs that began in the same second, those without manifest are first, then those that were finished earlier.
    """
    found = [_listed(Path(path), run) for path, run in _run_folders(layout, on_event)]
    found.sort(key=_age)
    for listed in found:
        if listed.fault:
            on_event(Warning(damage(listed.run, listed.fault)))
    return found


def _age(listed: ListedRun) -> tuple[str, str, str, str]:
    """By which runs are sorted, the oldest first. Times of files are not used: a download changes them."""
    created = listed.manifest.created if listed.manifest else None
    return listed.run.stamp, created or "", listed.run.model, str(listed.path)


def run_files(layout: Layout, runs: Collection[RunName]) -> dict[RunName, list[Path]]:
    """The files of each run outside its checkpoint, found by the names that core/layout.py gives them.

    They are predictions of every split and epoch, tables named after one run, exported models, the probabilities for its
    students, and event files.

    Args:
        runs: all runs below the root, not only those that are asked for: a name may end in another's.

    Returns:
        Sorted paths by run; a run without files has an empty list.
    """
    found: dict[RunName, list[Path]] = {run: [] for run in runs}
    for path in files_below(layout.predictions):
        named = parse_predictions_name(path)
        if named and named[1] in found:
            found[named[1]].append(path)
    by_stamp: dict[str, list[RunName]] = defaultdict(list)
    for run in found:
        by_stamp[run.stamp].append(run)
        for tracker in (layout.tensorboard, *layout.trackers.glob("*")):
            found[run] += files_below(tracker / str(run))
        found[run] += layout.exported_files(run)
        found[run] += files_below(layout.teachers / str(run))
        found[run] += [path for path in [layout.journal(run)] if path.is_file()]
    for path in files_below(layout.stats):
        named_here = [run for run in by_stamp.get(path.stem[-_STAMP_LENGTH:], ()) if _is_of(path.stem, run)]
        if named_here:
            found[max(named_here, key=lambda run: len(run.model))].append(path)
    return {run: sorted(paths) for run, paths in found.items()}


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is, as its journal says."""

    finished_epochs: int
    epochs: int


def training_progress(listed: ListedRun, layout: Layout) -> TrainingProgress | None:
    """How far the training of a run is that is not finished; None if its journal is missing or does not say it."""
    try:
        with layout.journal(listed.run).open(encoding="utf-8") as stream:
            start = json.loads(next(stream, "{}"))
            # Numbers of a whole epoch have its number; other lines are not parsed, since there may be many.
            finished = sum(
                line.startswith('{"kind": "log"') and '"epoch": null' not in line for line in stream
            )
        return TrainingProgress(finished, int(start["settings"]["training"]["epochs"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_resumable(folder: Path) -> bool:
    """Whether a run, or the training with several seeds that it belongs to, can be continued."""
    return (folder / STATE / TRAINING_RECORD).is_file()


def damage(run: RunName, fault: object) -> str:
    """The warning of a damaged run."""
    return f"{run} is damaged and does not count: {fault}"


def runs_in(parents: Any) -> Iterator[str]:
    """Every run that parents name, in lists (members) or alone (a teacher)."""
    if isinstance(parents, str):
        if RunName.parse(parents):
            yield parents
    elif isinstance(parents, Mapping):
        yield from runs_in(list(parents.values()))
    elif isinstance(parents, list):
        for entry in parents:
            yield from runs_in(entry)


def check_metric(metric: str) -> None:
    """Refuse what runs may not be ranked by.

    Raises:
        SettingError: a score of the test split, or none that is known.
    """
    if metric in VAL_METRICS:
        return
    key = metric.partition("/")[2]
    refuse_test_score(metric, f"val/{key}" if f"val/{key}" in VAL_METRICS else BEST_METRIC)
    near = did_you_mean(metric, VAL_METRICS) or f"; known: {', '.join(VAL_METRICS)}"
    raise SettingError([f"unknown metric {metric!r}{near}"])


def ranked(runs: list[ListedRun], metric: str) -> list[ListedRun]:
    """Runs that have a score, best first; the newer one first if two are equal."""
    sign = -1 if metric.partition("/")[2] in LOWER_IS_BETTER else 1
    scored = [
        (sign * score, listed.run.stamp, listed)
        for listed in runs
        if (score := listed.score(metric)) is not None
    ]
    return [listed for *_, listed in sorted(scored, key=lambda entry: entry[:2], reverse=True)]


def best_first(runs: list[ListedRun]) -> list[ListedRun]:
    """Runs by `BEST_METRIC`, then those without it by `OLD_BEST_METRIC`; runs without val scores are left out."""
    older = [listed for listed in runs if listed.score(BEST_METRIC) is None]
    return ranked(runs, BEST_METRIC) + ranked(older, OLD_BEST_METRIC)


def best_metric(run: ListedRun) -> str:
    """What a run is ranked by in `best_first`."""
    return OLD_BEST_METRIC if run.score(BEST_METRIC) is None else BEST_METRIC


def _run_folders(layout: Layout, on_event: EventHandler) -> Iterator[tuple[str, RunName]]:
    """Path and run of every folder that is named like one; scandir, since a root may hold thousands."""
    for family in _folders(layout.models, on_event):
        for folder in _folders(family.path, on_event):
            if run := RunName.parse(folder.name):
                yield folder.path, run


def _folders(path: str | Path, on_event: EventHandler) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            # An entry's own is_dir fails on a link into a folder that cannot be read.
            return [entry for entry in entries if os.path.isdir(entry.path)]  # noqa: PTH112
    except FileNotFoundError:
        return []
    except OSError as error:
        on_event(Warning(f"{path}: cannot be read ({error.strerror}); the runs in it are left out"))
        return []


def _listed(path: Path, run: RunName) -> ListedRun:
    try:
        manifest = Manifest.read(path / MANIFEST)
    except FileNotFoundError:
        if holder_of(path):
            return ListedRun(path, run, None, "running")
        return ListedRun(path, run, None, "interrupted" if is_resumable(path) else "unfinished")
    except OSError as error:
        fault = f"{path / MANIFEST}: cannot be read ({error.strerror})"
        return ListedRun(path, run, None, "damaged", fault)
    except CorruptArtifactError as error:
        return ListedRun(path, run, None, "damaged", str(error))
    return ListedRun(path, run, manifest, "finished")


def _is_of(stem: str, run: RunName) -> bool:
    return stem == run.file_stem or stem.endswith(f"_{run.file_stem}")
