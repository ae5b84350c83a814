"""Statistics and figures against the files they were made from: a source that changed makes them stale."""

from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.csv_files import open_csv
from goemo_cli.core.errors import CorruptArtifactError, DataFileError
from goemo_cli.core.files import PARTIAL_PREFIX, read_json_object, sha256_file
from goemo_cli.core.layout import Layout
from goemo_cli.services.validation.report import ValidationReport

_COMPARED_COLUMNS = (("a_source", "a_sha256"), ("b_source", "b_sha256"))


class SourceChecker:
    """Compares recorded sources with the files of today; each file is hashed once.

    Args:
        layout: where the files are.
        report: told what was checked and found.
        in_use: names of runs that another process changes, as their files spell them; these are not looked at.
    """

    def __init__(self, layout: Layout, report: ValidationReport, in_use: Collection[str] = ()) -> None:
        self._root, self._report = layout.root, report
        self._in_use = in_use
        self._hashes: dict[Path, str] = {}

    def check(self, path: Path, sources: Mapping[str, Any], renew: str) -> None:
        """Check what a derived file says it was made from.

        Args:
            path: the derived file.
            sources: SHA-256 by file name, relative to the root.
            renew: the command that makes the file again.
        """
        for name, digest in sources.items():
            if any(run in name for run in self._in_use):
                continue  # it is just being changed
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                self._report.warn(
                    path, f"was made from {name}, which lies outside the root and was not checked"
                )
                continue
            source = self._root / name
            if not source.is_file():
                self._report.check("sources", path, holds=False, otherwise=f"{name} is gone; renew: {renew}")
                continue
            self._report.check(
                "sources",
                path,
                holds=self._hash(source) == digest,
                otherwise=f"is stale: {name} has changed since; renew: {renew}",
            )

    def check_outputs(self, checkpoint: Checkpoint) -> None:
        """Compare a run's files outside its checkpoint with the hashes in its manifest; a missing one is told elsewhere."""
        for name, digest in checkpoint.manifest_json.get("outputs", {}).items():
            path = self._root / name
            if path.is_file() and ".." not in PurePosixPath(name).parts:
                self._report.check(
                    "as its run wrote it",
                    path,
                    holds=self._hash(path) == digest,
                    otherwise=f"differs from the SHA-256 in the manifest of {checkpoint.run}",
                )

    def _hash(self, path: Path) -> str:
        if path not in self._hashes:
            self._hashes[path] = sha256_file(path)
        return self._hashes[path]


def check_statistics(layout: Layout, sources: SourceChecker, report: ValidationReport) -> None:
    """Check the summaries that name a run and its sources, and the table of comparisons."""
    for folder, command in (
        (layout.threshold_sweep, "goemo tune --checkpoint"),
        (layout.calibration, "goemo calibrate --checkpoint"),
        (layout.cooccurrence, "goemo errors"),
    ):
        for path in sorted(folder.glob("*.json")):
            if not path.name.startswith(PARTIAL_PREFIX):
                with report.guard(path):
                    _check_summary(path, command, sources)
    if layout.significance_tests.exists():
        with report.guard(layout.significance_tests):
            _check_comparisons(layout.significance_tests, sources)


def _check_summary(path: Path, command: str, sources: SourceChecker) -> None:
    summary = read_json_object(path)
    named, run = summary.get("sources"), summary.get("run", "")
    if not isinstance(named, dict) or not named or not isinstance(run, str | None):
        raise CorruptArtifactError(path, "does not say which run and which files it was made from")
    sources.check(path, named, f"{command} {run or next(iter(named))}")


def _check_comparisons(path: Path, sources: SourceChecker) -> None:
    pairs: dict[tuple[str, str], None] = {}
    with open_csv(path) as (header, rows):
        if missing := [name for pair in _COMPARED_COLUMNS for name in pair if name not in header]:
            raise DataFileError(path, f"column {missing[0]!r} is missing", 1)
        for line, fields in rows:
            if len(fields) != len(header):
                raise DataFileError(path, f"has {len(fields)} fields instead of {len(header)}", line)
            row = dict(zip(header, fields, strict=True))
            pairs.update(dict.fromkeys((row[name], row[digest]) for name, digest in _COMPARED_COLUMNS))
    for name, digest in pairs:
        sources.check(path, {name: digest}, "goemo compare A B")
