"""`goemo runs gc`: which runs and leftovers may go, and their removal. The manifest always goes first."""

import shutil
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from goemo_cli.core.checkpoint import MANIFEST
from goemo_cli.core.errors import BusyError
from goemo_cli.core.events import EventHandler, Warning, ignore
from goemo_cli.core.files import STILL_WRITTEN_SECONDS, files_below, last_change, partial_paths
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.services.runs.index import ListedRun, best_first, best_metric, listed_runs, run_files, runs_in
from goemo_cli.services.runs.locks import held, holder_of
from goemo_cli.services.runs.pins import pinned_runs
from goemo_cli.services.runs.summaries import write_summaries

UNFINISHED_AFTER = 24.0
"""Hours without a change after which an unfinished run counts as killed."""


@dataclass(frozen=True)
class RemovalCandidate:
    """One thing that may go, with everything that goes with it."""

    kind: Literal["run", "unfinished", "leftover"]
    path: Path
    """A checkpoint folder, or what a killed write left behind."""
    run: RunName | None
    outside: tuple[Path, ...]
    """Files of the run outside its folder."""
    size: int
    """Bytes, all in all."""


@dataclass(frozen=True)
class RemovalPlan:
    """What `goemo runs gc` would do."""

    candidates: tuple[RemovalCandidate, ...]
    kept: Mapping[str, str]
    """Finished and damaged runs that stay, and why."""
    unfinished_after: float


def find_removable(
    layout: Layout,
    *,
    keep: int | None = None,
    unfinished_after: float = UNFINISHED_AFTER,
    on_event: EventHandler = ignore,
) -> RemovalPlan:
    """What may go below a root; nothing is touched.

    Always kept are the best run of each model by its val score (on each val split), pinned runs, and what a kept
    run was made from, and runs that a process uses now. A damaged run is left for people to look at.

    Args:
        keep: number of newest finished runs of each model to keep; None keeps all.
        unfinished_after: hours since the last change of a run without manifest, or of a partial file; such a file stays
            for ten minutes in any case, since what writes it holds no lock.

    Raises:
        CorruptArtifactError: it is unknown which runs are pinned.
    """
    runs = listed_runs(layout, on_event)
    files = run_files(layout, {listed.run for listed in runs})
    kept = _kept([listed for listed in runs if listed.is_finished], keep, pinned_runs(layout))
    kept |= {listed.path: "damaged" for listed in runs if listed.state == "damaged"}
    kept |= {listed.path: "a link" for listed in runs if listed.path.is_symlink()}
    kept |= {listed.path: f"in use by {holder}" for listed in runs if (holder := holder_of(listed.path))}
    before = time.time() - unfinished_after * 3600
    for listed in runs:
        if listed.path in kept:
            files[listed.run] = []  # though a copy of its folder may go
    candidates = [
        _candidate("run" if listed.is_finished else "unfinished", listed.path, listed.run, files[listed.run])
        for listed in runs
        if listed.path not in kept
        and (listed.is_finished or last_change([listed.path, *files[listed.run]]) < before)
    ]
    gone = {piece.path for piece in candidates}
    candidates += [
        _candidate("leftover", path, None, [])
        for path in _leftovers(layout)
        if not gone & set(path.parents)
        and last_change([path]) < min(before, time.time() - STILL_WRITTEN_SECONDS)
    ]
    return RemovalPlan(tuple(candidates), {path.name: why for path, why in kept.items()}, unfinished_after)


def remove_planned(
    plan: RemovalPlan, *, layout: Layout, on_event: EventHandler = ignore
) -> tuple[RemovalCandidate, ...]:
    """Remove what a plan names, then rebuild the summaries; what was removed.

    A run that went on since the plan was made stays, and with a warning what the disk does not let go. Whatever
    interrupts this, no half checkpoint counts.
    """
    before = time.time() - plan.unfinished_after * 3600
    removed: list[RemovalCandidate] = []
    try:
        for piece in plan.candidates:
            if piece.kind == "run" or _is_still_removable(piece, before):
                try:
                    with held(piece.path, "goemo runs gc") if piece.run else nullcontext():
                        _remove(piece)
                except BusyError as error:
                    on_event(Warning(f"{error}; it stays"))
                except OSError as error:
                    on_event(
                        Warning(f"{error.filename or piece.path}: could not be removed ({error.strerror})")
                    )
                else:
                    removed.append(piece)
    finally:
        if models := {piece.run.model for piece in removed if piece.run and piece.kind == "run"}:
            write_summaries(layout, models=models, on_event=on_event)
    return tuple(removed)


def _kept(runs: Sequence[ListedRun], keep: int | None, pinned: Sequence[str]) -> dict[Path, str]:
    """Finished runs that stay, with the reason; `runs` are the oldest first."""
    if keep is None:
        return {listed.path: "finished" for listed in runs}
    kept: dict[Path, str] = {}
    by_model: dict[str, list[ListedRun]] = defaultdict(list)
    by_split: dict[tuple[str, Any], list[ListedRun]] = defaultdict(list)
    for listed in runs:
        by_model[listed.run.model].append(listed)
        by_split[listed.run.model, listed.headline.val_sha256].append(listed)
        if str(listed.run) in pinned:
            kept[listed.path] = "pinned"
    for alike in by_split.values():
        best = next(iter(best_first(alike)), alike[-1])
        kept.setdefault(best.path, f"best {best_metric(best)} of {best.run.model}")
    for of_model in by_model.values():
        for listed in of_model[max(0, len(of_model) - keep) :]:
            kept.setdefault(listed.path, f"among the newest {keep} of {listed.run.model}")
    return _with_parents(kept, runs)


def _with_parents(kept: Mapping[Path, str], runs: Sequence[ListedRun]) -> dict[Path, str]:
    """Also the runs that kept runs were made from, and what those were made from."""
    everything = dict(kept)
    by_name, by_path = {str(listed.run): listed for listed in runs}, {listed.path: listed for listed in runs}
    waiting = [by_path[path] for path in kept]
    while waiting:
        child = waiting.pop()
        for name in runs_in(child.manifest.parents.as_json() if child.manifest else {}):
            parent = by_name.get(name)
            if parent and parent.path not in everything:
                everything[parent.path] = f"{child.run} was made from it"
                waiting.append(parent)
    return everything


def _candidate(
    kind: Literal["run", "unfinished", "leftover"], path: Path, run: RunName | None, outside: Sequence[Path]
) -> RemovalCandidate:
    inside = files_below(path) if path.is_dir() else [path]
    return RemovalCandidate(kind, path, run, tuple(outside), sum(_size(file) for file in [*inside, *outside]))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # gone, or not for this user
        return 0


def _leftovers(layout: Layout) -> list[Path]:
    """Partial files and folders below the root, outermost only."""
    return sorted(path for base in (layout.artifacts, layout.output) for path in partial_paths(base))


def _is_still_removable(piece: RemovalCandidate, before: float) -> bool:
    return not (piece.path / MANIFEST).exists() and last_change([piece.path, *piece.outside]) < before


def _remove(piece: RemovalCandidate) -> None:
    """Manifest first, the folder last: what is left of an interrupted removal is an unfinished run with its files."""
    if piece.path.is_dir():
        (piece.path / MANIFEST).unlink(missing_ok=True)
    for path in piece.outside:
        path.unlink(missing_ok=True)
        if path.parent.name == str(piece.run):  # its folder of event files
            with suppress(OSError):
                path.parent.rmdir()  # only if empty
    with suppress(FileNotFoundError):
        if piece.path.is_dir():
            shutil.rmtree(piece.path)
        else:
            piece.path.unlink()
