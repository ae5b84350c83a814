"""Statistics and reports: they are as they were written, and made from files that have not changed since."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import MANIFEST, Checkpoint
from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import PARTIAL_PREFIX, is_as_sealed, read_json_object
from goemo_cli.core.hints import command_line, root_option
from goemo_cli.core.layout import Layout
from goemo_cli.services.runs.outdated import derived_files, outdated_of, summary_command, summary_folders
from goemo_cli.services.runs.provenance import (
    FilesNow,
    comparison_sources,
    is_inside,
    is_report_as_sealed,
    report_sources,
)
from goemo_cli.services.validation.report import ValidationReport


class SourceChecker:
    """Compares recorded sources with the files of today; each file is hashed once.

    Args:
        now: hashes of files, of those too that were checked with the checkpoints.
        in_use: names of runs that another process changes, as their files spell them; these are not looked at.
    """

    def __init__(
        self, layout: Layout, report: ValidationReport, now: FilesNow, in_use: Collection[str] = ()
    ) -> None:
        self._layout, self._report = layout, report
        self._in_use = in_use
        self._now = now

    def check_sources(self) -> None:
        """Find the derived files that need to be renewed, since a file that they were made from has changed."""
        files = list(derived_files(self._layout))
        for file in files:
            self._report.checks.append(("sources", file.path))
            for name in file.sources:
                if not is_inside(name):
                    self._report.warn(
                        file.path, f"was made from {name}, which is outside the root and was not checked"
                    )
        self._report.outdated += outdated_of(files, self._now, in_use=self._in_use)

    def check_files(self, record: Path, value: Mapping[str, Any], folder: Path, renew: str) -> set[Path]:
        """Compare a record and the files that were written with it with their hashes.

        Args:
            record: a JSON document with `files`: SHA-256 by path from `folder`.
            value: what it holds.
            folder: of the files.
            renew: the command that writes them again.

        Returns:
            The files that it names.
        """
        self._report.check(
            "as it was written",
            record,
            holds=is_as_sealed(value),
            otherwise=f"was edited since it was written; renew: {renew}",
        )
        named = set()
        for name, digest in _texts(record, value, "files").items():
            path = folder / name
            if not is_inside(name):
                self._report.problem(record, f"names {name}, which is not one of its files")
                continue
            named.add(path)
            state = self._now.state_of(path, digest)
            self._report.check(
                "as its record says",
                path,
                holds=state == "current",
                otherwise=f"{'is missing:' if state == 'gone' else 'is not as'} {record.name} says; renew: {renew}",
            )
        return named

    def check_outputs(self, checkpoint: Checkpoint) -> None:
        """Compare a run's files outside its checkpoint with the hashes in its manifest; a missing one is reported elsewhere."""
        manifest = checkpoint.path / MANIFEST
        own = {self._layout.shown(path): path for path in self._layout.run_outputs(checkpoint.run)}
        for name, digest in checkpoint.manifest.outputs.items():
            path = own.get(self._layout.shown(self._layout.root / name))
            if path is None:
                self._report.problem(
                    manifest, f"outputs names {name!r}, which is not a file of {checkpoint.run}"
                )
            elif (state := self._now.state_of(path, digest)) != "gone":
                self._report.check(
                    "as its run wrote it",
                    path,
                    holds=state == "current",
                    otherwise=f"differs from the SHA-256 in the manifest of {checkpoint.run}",
                )


def check_statistics(layout: Layout, sources: SourceChecker, report: ValidationReport) -> None:
    """Check the summaries that name a run, its sources and their tables, and the table of comparisons."""
    for folder, command in summary_folders(layout):
        named: set[Path] = set()
        for path in sorted(folder.glob("*.json")):
            if not path.name.startswith(PARTIAL_PREFIX):
                with report.guard(path):
                    named |= _check_summary(path, command, layout, sources)
        for path in sorted({*folder.glob("*.csv")} - named):
            if not path.name.startswith(PARTIAL_PREFIX):
                report.warn(
                    path,
                    f"is named by no summary, so it was not checked; renew: {command} RUN{root_option(layout.root)}",
                )
    if layout.significance_tests.exists() or layout.significance_record.exists():
        with report.guard(layout.significance_tests):
            _check_comparisons(layout, sources, report)


def _check_summary(path: Path, command: str, layout: Layout, sources: SourceChecker) -> set[Path]:
    summary = read_json_object(path)
    named, run = summary.get("sources"), summary.get("run", "")
    if not isinstance(named, dict) or not named or not isinstance(run, str | None):
        raise CorruptArtifactError(path, "does not say which run and which files it was made from")
    renew = f"{summary_command(command, summary)}{root_option(layout.root)}"
    return sources.check_files(path, summary, path.parent, renew)


def _check_comparisons(layout: Layout, sources: SourceChecker, report: ValidationReport) -> None:
    path, record = layout.significance_tests, layout.significance_record
    renew = command_line("goemo compare A B", root=layout.root)
    if report.check(
        "recorded", path, holds=record.exists(), otherwise=f"{record.name} is missing; renew: {renew}"
    ):
        with report.guard(record):
            sources.check_files(record, read_json_object(record), path.parent, renew)
    if path.is_file():
        comparison_sources(path)  # raises if the table is damaged


def _texts(path: Path, value: Mapping[str, Any], key: str) -> dict[str, str]:
    """A mapping of texts in a document; empty if an earlier version wrote none."""
    found = value.get(key, {})
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise CorruptArtifactError(path, f"{key} is not an object of texts")
    return found


def check_reports(layout: Layout, report: ValidationReport) -> None:
    """Compare reports with their own SHA-256."""
    renew = command_line("goemo report", root=layout.root)
    for path in (layout.report_page, layout.report_results):
        if path.is_file():
            with report.guard(path):
                report_sources(path)  # raises if there are none
                report.check(
                    "as it was written",
                    path,
                    holds=is_report_as_sealed(path),
                    otherwise=f"was edited, or is of an earlier version; renew: {renew}",
                )
