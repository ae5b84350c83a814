"""The files of a run outside its checkpoint, found by their names, as core/layout.py makes them."""

import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from goemo_cli.core.files import PARTIAL_PREFIX
from goemo_cli.core.layout import Layout, parse_predictions_name
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import LoggingSettings

STILL_WRITTEN_SECONDS = 600
"""A partial file that was touched since then may still be written."""
_STAMP_LENGTH = len("20251212-211010")


def run_files(layout: Layout, runs: Collection[RunName]) -> dict[RunName, list[Path]]:
    """Predictions of every split and epoch, tables named after one run, and event files.

    Args:
        layout: of the files.
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
        for tracker in LoggingSettings.file_trackers():
            found[run] += files_below(layout.tracker(tracker) / str(run))
        found[run] += [path for path in [layout.journals / f"{run}.jsonl"] if path.is_file()]
    for path in files_below(layout.stats):
        named_here = [run for run in by_stamp.get(path.stem[-_STAMP_LENGTH:], ()) if _is_of(path.stem, run)]
        if named_here:
            found[max(named_here, key=lambda run: len(run.model))].append(path)
    return {run: sorted(paths) for run, paths in found.items()}


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder; links to folders are not followed. None if the folder does not exist."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def last_change(paths: Sequence[Path]) -> float:
    """When the newest file was written, in seconds since 1970; of an empty folder, when it was made.

    Of files and not of folders, so that a clean-up that was interrupted does not make its folder look alive.
    """
    files = [file for path in paths for file in (files_below(path) if path.is_dir() else [path])]
    times = []
    for path in files or paths:
        with suppress(OSError):  # renamed or removed while we look, or not for this user
            times.append(path.lstat().st_mtime)
    return max(times, default=time.time())


def partial_paths(folder: Path) -> Iterator[Path]:
    """Files and folders below a folder that a write has not finished, outermost only."""
    for parent, folders, names in os.walk(folder):
        yield from (Path(parent, name) for name in [*folders, *names] if name.startswith(PARTIAL_PREFIX))
        folders[:] = [name for name in folders if not name.startswith(PARTIAL_PREFIX)]


def _is_of(stem: str, run: RunName) -> bool:
    return stem == run.file_stem or stem.endswith(f"_{run.file_stem}")
