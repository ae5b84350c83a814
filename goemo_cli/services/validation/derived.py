"""Files derived from checkpoints: the tables over all runs and test_metrics_{model}.json."""

import csv
import io
from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path

from goemo_cli.core.checkpoint import MANIFEST, METRICS, THRESHOLDS, Checkpoint
from goemo_cli.core.csv_files import csv_writer
from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import read_json_object, write_text
from goemo_cli.core.layout import Layout
from goemo_cli.services.runs.index import ListedRun
from goemo_cli.services.runs.summaries import (
    are_behind,
    finished_checkpoints,
    summary_tables,
    test_metrics_files,
    write_summaries,
)
from goemo_cli.services.validation.report import ValidationReport


def check_derived(
    layout: Layout, runs: Collection[ListedRun], in_use: Collection[Path], report: ValidationReport
) -> None:
    """Compare the derived files with what the checkpoints say now.

    If runs came, went or changed since, as after a killed training, the files are renewed, which is not a problem. Other
    differences are; the files can then be rebuilt if the checkpoints are sound. What they say of damaged runs and of
    runs that another process changes is not looked at.

    Args:
        runs: all runs below the root.
        in_use: folders of runs that another process changes.
    """
    every = list(finished_checkpoints(layout))
    checkpoints = [checkpoint for checkpoint in every if checkpoint.path not in in_use]
    if not checkpoints:
        return
    others = {str(listed.run) for listed in runs} - {str(checkpoint.run) for checkpoint in checkpoints}
    expected = {**summary_tables(layout, checkpoints), **test_metrics_files(layout, checkpoints)}
    differing = [path for path, content in expected.items() if not _agrees(path, content, others)]
    is_sound = all(
        report.sound(checkpoint.path / name)
        for checkpoint in checkpoints
        for name in (MANIFEST, METRICS, THRESHOLDS)
    )
    if differing and is_sound and are_behind(layout, every):
        if not _renewed(layout, checkpoints, differing, report):
            return
        differing = [path for path in differing if not _agrees(path, expected[path], others)]
    for path, content in expected.items():
        report.check(
            "as the checkpoints say",
            path,
            holds=path not in differing,
            otherwise=_fault(path, content),
        )
        if path in differing and content is not None and is_sound:
            report.can_be_rebuilt(path, partial(write_text, path, content))


def _renewed(
    layout: Layout, checkpoints: Iterable[Checkpoint], behind: Iterable[Path], report: ValidationReport
) -> bool:
    try:
        write_summaries(layout, models={checkpoint.run.model for checkpoint in checkpoints})
    except OSError as error:
        for path in behind:
            report.warn(path, f"is behind the checkpoints and cannot be renewed ({error.strerror})")
        return False
    report.repaired += [(path, "renewed") for path in behind]
    return True


def _agrees(path: Path, content: str | None, others: Collection[str]) -> bool:
    """Whether a file is as expected, but for what it says of other runs."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return content is None
    except OSError:
        return False
    if content is not None and data == content.encode("utf-8"):
        return True
    if not others:
        return False
    if path.suffix == ".json":
        return _run_in(path) in others
    return _without(data, others) == (content or "").encode("utf-8")


def _run_in(path: Path) -> str | None:
    try:
        return str(read_json_object(path).get("run"))
    except (OSError, CorruptArtifactError):
        return None


def _without(table: bytes, runs: Collection[str]) -> bytes:
    """A table without the rows of some runs, which are named in its first column."""
    text = io.StringIO()
    writer = csv_writer(text)
    try:
        writer.writerows(
            row for row in csv.reader(io.StringIO(table.decode("utf-8"))) if not {*row[:1]} & {*runs}
        )
    except (ValueError, csv.Error):
        return table
    return text.getvalue().encode("utf-8")


def _fault(path: Path, content: str | None) -> str:
    if content is None:
        return "tells of groups of seeds, and there are none"
    if not path.exists():
        return "is missing"
    if path.suffix == ".json":
        return "is not what the newest run of its model says: stale or edited"
    written, expected = (set(text.partition("\n")[0].split(",")) for text in (_text(path), content))
    missing = ", ".join(sorted(expected - written))
    return f"differs from the checkpoints' metrics.json: {f'column {missing} is missing' if missing else 'stale or edited'}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
