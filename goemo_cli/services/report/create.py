"""`goemo report`: runs on one page that needs nothing else, or as Markdown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import (
    CheckpointNotFoundError,
    CorruptArtifactError,
    DataError,
    GoemoError,
    SettingError,
)
from goemo_cli.core.events import EventHandler, FileWritten, Warning, ignore
from goemo_cli.core.files import write_text
from goemo_cli.core.layout import Layout
from goemo_cli.services.report.gather import gather
from goemo_cli.services.report.markdown import markdown
from goemo_cli.services.report.page import page
from goemo_cli.services.runs.evaluated_run import open_evaluated
from goemo_cli.services.runs.index import ListedRun, damage
from goemo_cli.services.runs.provenance import sealed
from goemo_cli.services.runs.references import choose_best, open_run
from goemo_cli.services.runs.run_data import MOST_RUNS, RunData

ReportFormat = Literal["html", "md"]


@dataclass(frozen=True)
class ReportResult:
    """What was written of which runs."""

    path: Path
    runs: tuple[str, ...]
    missing: tuple[tuple[str, str, str], ...]
    """(run or sweep, part, reason) of each missing part; the report shows the reason too."""
    left_out: str | None
    damage: GoemoError | None = None
    """The first file that is here and cannot be used; its parts are among `missing`."""


def create_report(
    references: Sequence[str],
    *,
    layout: Layout,
    every: bool = False,
    report_format: ReportFormat = "html",
    output: Path | None = None,
    data_dir: Path | None = None,
    on_event: EventHandler = ignore,
) -> ReportResult:
    """Write a report of runs, whole or not at all; the same files give the same bytes.

    Args:
        references: one run or up to `MOST_RUNS` that compare, as `open_run` understands them, or predictions files of
            `goemo evaluate`, which are reported as the test split of their run; the newest run by default.
        every: instead of named runs, the best ones, in the order of `@best`, among those that compare with the newest.
        report_format: one HTML page, or Markdown for a repository or a pull request.
        output: the file to write instead of the usual one.
        data_dir: the data's folder, if it has moved since the run.

    Raises:
        SettingError: too many runs, or named ones together with `every`.
        NotFoundError: no such run, or no finished run at all.
        DataError: runs that do not compare: other labels, or other test comments.
        OSError, StorageError: a file of a run cannot be read, or the report cannot be written.
    """
    target = _target(layout, report_format, output)
    if every and references:
        raise SettingError(["--all chooses the runs itself: name none"])
    if every:
        checkpoints, left_out = _best(layout, on_event)
        sources = [RunData(checkpoint, layout, data_dir, on_event) for checkpoint in checkpoints]
    else:
        sources, left_out = _named(references, layout, data_dir, on_event), None
    report = gather(_comparable(sources), left_out=left_out, on_event=on_event)
    write_text(target, sealed(page(report) if report_format == "html" else markdown(report)))
    on_event(FileWritten(target))
    return ReportResult(
        path=target,
        runs=tuple(run.name for run in report.runs),
        missing=(
            *((run.name, name, part.reason) for run in report.runs for name, part in run.missing()),
            *report.sweeps.missing(),
        ),
        left_out=left_out,
        damage=report.damage,
    )


def _target(layout: Layout, report_format: ReportFormat, output: Path | None) -> Path:
    target = output or (layout.report_page if report_format == "html" else layout.report_results)
    if target.is_dir():
        raise SettingError([f"{target} is a folder; name the file to write"], "--output")
    return target


def _named(
    references: Sequence[str], layout: Layout, data_dir: Path | None, on_event: EventHandler
) -> list[RunData]:
    """Each run or evaluation once, in the order they were named."""
    opened = (_source(reference, layout, data_dir, on_event) for reference in references or ["@latest"])
    found = list({source.name: source for source in opened}.values())
    if len(found) > MOST_RUNS:
        raise SettingError([f"{len(found)} runs; a report shows at most {MOST_RUNS}"])
    return found


def _source(reference: str, layout: Layout, data_dir: Path | None, on_event: EventHandler) -> RunData:
    path = Path(reference).expanduser()
    if path.suffix == ".csv" or path.is_file():
        return open_evaluated(path, layout, data_dir, on_event)
    return RunData(open_run(reference, layout, on_event), layout, data_dir, on_event)


def _best(layout: Layout, on_event: EventHandler) -> tuple[list[Checkpoint], str | None]:
    """The best runs that compare, and a sentence on those that are not shown."""
    found = choose_best(layout, on_event=on_event)
    opened = list(_opened(found.among, on_event))
    first = opened[0]
    comparing = [one for one in opened if _compares(first, one)]
    shown = comparing[:MOST_RUNS]
    others = len(opened) - len(comparing) + found.left_out
    reasons = [f"{len(comparing) - len(shown)} ranked lower on val"] if len(comparing) > len(shown) else []
    reasons += [f"{others} scored on other comments or with other labels"] if others else []
    return shown, f"Not shown in detail: {', '.join(reasons)}." if reasons else None


def _opened(runs: Sequence[ListedRun], on_event: EventHandler) -> Iterator[Checkpoint]:
    """Of the best runs those that are sound; the first one is. Damaged ones are a warning."""
    for one in runs:
        try:
            checkpoint = Checkpoint.open(one.path)
            checkpoint.require_readable()
        except (CheckpointNotFoundError, CorruptArtifactError, OSError) as error:
            on_event(Warning(damage(one.run, error)))
        else:
            yield checkpoint


def _compares(first: Checkpoint, other: Checkpoint) -> bool:
    first_test, other_test = (one.metrics.data.split_sha256.test for one in (first, other))
    return first.labels == other.labels and first_test == other_test


def _comparable(sources: list[RunData]) -> list[RunData]:
    """The sources, each with the others."""
    for source in sources:
        source.others = tuple(other for other in sources if other is not source)
    try:
        sources[0].comparable()
    except DataError as error:
        raise DataError(f"{error}: their scores do not compare; make one report of each") from error
    return sources
