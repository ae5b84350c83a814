"""The order of a validation: checkpoints, their predictions and what follows from them, then derived files."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import MANIFEST, Checkpoint
from goemo_cli.core.events import Advance, EventHandler, FileWritten, ignore, progress
from goemo_cli.core.files import PARTIAL_PREFIX
from goemo_cli.core.layout import EVALUATED, Layout, parse_predictions_name
from goemo_cli.core.names import RunName
from goemo_cli.services.runs.index import listed_runs
from goemo_cli.services.runs.locks import holder_of
from goemo_cli.services.runs.pins import pinned_runs
from goemo_cli.services.runs.provenance import FilesNow
from goemo_cli.services.runs.run_predictions import export_command
from goemo_cli.services.validation.audits import check_audits
from goemo_cli.services.validation.checkpoints import check_checkpoint
from goemo_cli.services.validation.derived import check_derived
from goemo_cli.services.validation.ensembles import check_ensemble
from goemo_cli.services.validation.evaluations import check_evaluation
from goemo_cli.services.validation.exports import check_exports
from goemo_cli.services.validation.figures import check_figures
from goemo_cli.services.validation.leftovers import check_leftovers
from goemo_cli.services.validation.predictions import check_predictions, expected_rows
from goemo_cli.services.validation.report import ValidationReport
from goemo_cli.services.validation.scores import (
    GroupRules,
    check_taxonomies,
    check_test,
    check_val,
    check_weights,
    fit_groups,
)
from goemo_cli.services.validation.sources import SourceChecker, check_reports, check_statistics
from goemo_cli.services.validation.teachers import check_teachers


def validate_artifacts(
    layout: Layout, *, recompute: int = 0, fix: bool = False, on_event: EventHandler = ignore
) -> ValidationReport:
    """Check every artifact below a root; all problems are collected, none stops the rest.

    Checked are layout and names, manifests with hashes, schemas, ranges, label order, row counts and order
    against the recorded split and that against the published one, that labels follow from probabilities and
    thresholds, thresholds from val, metrics from predictions, ensembles from their members, summaries from
    checkpoints, statistics and figures from the files they name, and that figures are whole pictures.
    A root without a finished run is a problem. Runs that another process changes are not checked.

    Args:
        recompute: test rows of each run, drawn by a fixed seed, that go through the weights again.
        fix: rebuild derived files that are wrong or missing if their sources are sound, remove what
            killed runs left behind, and validate once more. Predictions and checkpoints are never touched.
    """
    report = _settled(layout, recompute, on_event)
    if not fix or not report.repairs:
        return report
    done: list[tuple[Path, str]] = []
    failed: list[tuple[Path, str]] = []
    for repair in report.repairs:
        try:
            repair.act()
        except OSError as error:
            failed.append((repair.path, f"could not be {repair.verb} ({error.strerror or error})"))
        else:
            done.append((repair.path, repair.verb))
            on_event(FileWritten(repair.path))
    again = _settled(layout, recompute, on_event)
    again.repaired = [*report.repaired, *done, *again.repaired]
    for path, message in failed:
        again.warn(path, message)
    return again


def _settled(layout: Layout, recompute: int, on_event: EventHandler) -> ValidationReport:
    """Validate; once more if problems were found in what other processes changed meanwhile.

    If they continue to change it, these problems are warnings.
    """
    for is_last in (False, False, True):
        before = state_of(layout)
        report = _validated(layout, recompute, on_event)
        moving = [] if report.ok else before.changes(state_of(layout))
        unsure = [problem for problem in report.problems if is_about(problem.path, moving)]
        if not unsure:
            break
        if is_last:
            report.problems = [problem for problem in report.problems if problem not in unsure]
            for problem in unsure:
                report.warn(
                    problem.path, f"{problem.message}; it was changed while it was checked: validate again"
                )
    return report


@dataclass(frozen=True)
class _File:
    """A predictions file and what its name says."""

    path: Path
    split: str
    run: RunName


def _validated(layout: Layout, recompute: int, on_event: EventHandler) -> ValidationReport:
    report = ValidationReport(layout.root)
    runs = listed_runs(layout)
    holders = {listed.path: holder for listed in runs if (holder := holder_of(listed.path))}
    for path, holder in holders.items():
        report.warn(path, f"{'running' if not (path / MANIFEST).exists() else 'not checked'}: {holder}")
    now = FilesNow(layout.root)
    folders = [listed.path for listed in runs if listed.path not in holders]
    opened = _check_checkpoints(layout, folders, now, report, on_event)
    report.check(
        "at least one finished run",
        layout.models,
        holds=bool(opened or holders),
        otherwise="no finished run below it: nothing to validate",
    )
    _check_runs(layout, opened, _names(holders), recompute, report, on_event)
    for checkpoint in opened.values():
        members = checkpoint.manifest.parents.members
        if checkpoint.kind == "ensemble" and not {*members} & {*_names(holders)}:
            with report.guard(checkpoint.path):
                check_ensemble(checkpoint, opened, layout, report)
    with report.guard(layout.stats):
        check_derived(layout, runs, holders, report)
    sources = SourceChecker(layout, report, now, in_use=_names(holders))
    for checkpoint in opened.values():
        with report.guard(checkpoint.path / MANIFEST):
            sources.check_outputs(checkpoint)
    check_statistics(layout, sources, report)
    check_figures(layout, sources, report)
    check_reports(layout, report)
    check_audits(layout, sources, report)
    with report.guard(layout.root):
        sources.check_sources()
    known = [listed.run for listed in runs if listed.state != "unfinished"]
    check_exports(layout, known, report)
    check_teachers(layout, known, opened.values(), report)
    check_leftovers(layout, known, report)
    if layout.pins.exists():
        with report.guard(layout.pins):
            report.checks.append(("pinned runs", layout.pins))
            pinned_runs(layout)
    report.drop_unsound_repairs()
    return report


def _names(folders: Iterable[Path]) -> list[str]:
    """How the files of some runs spell them."""
    runs = [run for folder in folders if (run := RunName.parse(folder.name))]
    return [name for run in runs for name in (str(run), run.file_stem)]


def _check_checkpoints(
    layout: Layout, folders: Sequence[Path], now: FilesNow, report: ValidationReport, on_event: EventHandler
) -> dict[str, Checkpoint]:
    """Every sound checkpoint by its run's name, oldest first."""
    for family in layout.models.iterdir() if layout.models.is_dir() else ():
        with report.guard(family):
            _ = family.is_dir() and list(family.iterdir())
    opened: dict[str, Checkpoint] = {}
    with progress(on_event, "Checking checkpoints", len(folders), "checkpoints") as advance:
        for folder in folders:
            if checkpoint := check_checkpoint(folder, report, now.sha256):
                run = str(checkpoint.run)
                if report.check(
                    "one folder per run",
                    folder,
                    holds=run not in opened,
                    otherwise=f"holds the same run as {opened[run].path if run in opened else ''}",
                ):
                    opened[run] = checkpoint
            advance(1, folder.name)
    return opened


def _check_runs(
    layout: Layout,
    opened: Mapping[str, Checkpoint],
    in_use: Collection[str],
    recompute: int,
    report: ValidationReport,
    on_event: EventHandler,
) -> None:
    """Read every predictions file once, run by run, so that one file's arrays are in memory at a time."""
    files = [file for file in _predictions_files(layout, report) if str(file.run) not in in_use]
    # Last what is kept for scores; epochs are only read.
    files.sort(key=lambda file: (str(file.run), file.split == "test", file.split, file.path.name))
    rows = sum(expected_rows(file.path, file.split, opened.get(str(file.run))) for file in files)
    fitted: dict[str, GroupRules] = {}
    with progress(on_event, "Reading predictions", rows, "rows") as advance:
        for file in files:
            with report.guard(file.path):
                _check_file(file, opened.get(str(file.run)), layout, recompute, fitted, report, advance)
    there = {file.path for file in files}
    for checkpoint in opened.values():
        if checkpoint.is_unscored:
            continue
        val, test = (layout.split_predictions(checkpoint.run, split) for split in ("val", "test"))
        if val not in there and not val.exists():
            command = export_command(checkpoint, "val", layout)
            report.warn(val, f"is missing, so that thresholds cannot be checked; {command}")
        if test not in there and not test.exists():
            report.problem(test, f"is missing: {checkpoint.run} is finished")


def _predictions_files(layout: Layout, report: ValidationReport) -> list[_File]:
    files = []
    for path in sorted(layout.predictions.glob("*.csv")):
        if path.name.startswith(PARTIAL_PREFIX):
            continue
        named = parse_predictions_name(path)
        report.check(
            "file name",
            path,
            holds=named is not None,
            otherwise="is not named {split}_predictions_{run}.csv",
        )
        if report.check("a file", path, holds=path.is_file(), otherwise="is not a regular file") and named:
            files.append(_File(path, *named))
    return files


def _check_file(
    file: _File,
    checkpoint: Checkpoint | None,
    layout: Layout,
    recompute: int,
    fitted: dict[str, GroupRules],
    report: ValidationReport,
    advance: Advance,
) -> None:
    if file.split.startswith(EVALUATED):
        check_evaluation(file.path, file.split, file.run, checkpoint, layout, report, advance)
        return
    scored = checkpoint is not None and file.path in layout.run_outputs(checkpoint.run)
    sampled = recompute if scored and file.split == "test" else 0
    evidence = check_predictions(
        file.path,
        file.split,
        checkpoint,
        report,
        sampled=sampled,
        on_progress=lambda rows: advance(rows, file.path.name),
    )
    if checkpoint is None or evidence is None or not scored:
        return
    advance(0, f"scoring {file.path.name}")
    with report.guard(checkpoint.path):
        if file.split == "val":
            check_val(checkpoint, evidence, report)
            if checkpoint.metrics.taxonomies:
                fitted[str(checkpoint.run)] = fit_groups(checkpoint, evidence)
        else:
            check_test(checkpoint, evidence, layout, report)
            check_taxonomies(checkpoint, evidence, fitted.get(str(checkpoint.run), {}), report)
            if recompute and checkpoint.kind != "ensemble":
                check_weights(checkpoint, evidence, report)


@dataclass(frozen=True)
class State:
    """A root at one moment."""

    signs: dict[Path, Any]
    """By folder: something that is another one after a change."""

    def changes(self, later: "State") -> list[Path]:
        """Folders of runs, statistics, figures and reports that came, went or changed between two moments."""
        return [
            path for path in {**self.signs, **later.signs} if self.signs.get(path) != later.signs.get(path)
        ]


def state_of(layout: Layout) -> State:
    """The state of a root now."""
    runs = [listed.path for listed in listed_runs(layout)]
    folders = (
        layout.stats,
        layout.threshold_sweep,
        layout.calibration,
        layout.cooccurrence,
        layout.figures,
        layout.figure_data,
        layout.report_page.parent,
    )
    return State(
        {path: (str(holder_of(path)), _time(path / MANIFEST)) for path in runs}
        | {path: _time(path) for path in folders}
    )


def is_about(path: Path, folders: Iterable[Path]) -> bool:
    """Whether a file is in one of some folders, or belongs to a run whose folder is one of them."""
    names = [folder.name for folder in folders]
    runs = [run.file_stem for name in names if (run := RunName.parse(name))]
    return any(folder == path or folder in path.parents for folder in folders) or path.stem.endswith(
        tuple(runs)
    )


def _time(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
