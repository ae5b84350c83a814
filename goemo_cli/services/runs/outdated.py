"""Derived files that need to be renewed: figures, reports, tables and exported models whose sources have changed since."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from goemo_cli.core.errors import CorruptArtifactError, DataFileError
from goemo_cli.core.files import PARTIAL_PREFIX, read_json_object
from goemo_cli.core.hints import command_line, root_option
from goemo_cli.core.layout import Layout, parse_predictions_name
from goemo_cli.services.data.result_tables import counted
from goemo_cli.services.data.tables import FRAME
from goemo_cli.services.exporting.exports import export_command, read_exports
from goemo_cli.services.runs.index import listed_runs
from goemo_cli.services.runs.provenance import (
    PICTURES,
    FilesNow,
    comparison_sources,
    figure_origin,
    report_sources,
    summary_sources,
)

Kind = Literal["figure", "report", "table", "model"]
_UNREPEATABLE = (FRAME, "-")
"""Sources of data that no command can name."""
_UNREADABLE = (OSError, ValueError, RecursionError, CorruptArtifactError, DataFileError)


@dataclass(frozen=True)
class DerivedFile:
    """A file with the sources that it records."""

    path: Path
    kind: Kind
    sources: Mapping[str, Any]
    """SHA-256 by path from the root."""
    renew: str
    """The command that writes it again."""


@dataclass(frozen=True)
class OutdatedFile:
    """A derived file with a source that has changed."""

    path: Path
    kind: Kind
    reason: str
    renew: str


def derived_files(layout: Layout) -> Iterator[DerivedFile]:
    """Every derived file below the root with its sources. Unreadable ones are left out: `goemo validate` names them."""
    newest = [str(listed.run) for listed in listed_runs(layout) if listed.is_finished][-1:]
    yield from _figures(layout, newest)
    yield from _reports(layout, newest)
    yield from _tables(layout)
    for path, manifest, export in read_exports(layout):
        command = export_command(manifest.run, export.precision)
        yield DerivedFile(path, "model", export.sources, command)


def _figures(layout: Layout, newest: list[str]) -> Iterator[DerivedFile]:
    for path in _files(layout.figures, PICTURES):
        origin = figure_origin(path)
        runs = [] if list(origin.runs) == newest else [word for run in origin.runs for word in ("--run", run)]
        yield DerivedFile(path, "figure", origin.sources, command_line("goemo figures", *runs))


def _reports(layout: Layout, newest: list[str]) -> Iterator[DerivedFile]:
    for path, options in ((layout.report_page, ()), (layout.report_results, ("--format", "md"))):
        with suppress(*_UNREADABLE):
            sources = report_sources(path)
            named = _runs_in(sources)
            runs = [] if named == newest else named
            yield DerivedFile(path, "report", sources, command_line("goemo report", *runs, *options))


def _tables(layout: Layout) -> Iterator[DerivedFile]:
    for folder, command in summary_folders(layout):
        for path in _files(folder, (".json",)):
            with suppress(*_UNREADABLE):
                summary = read_json_object(path)
                sources = summary_sources(path) or {}
                yield DerivedFile(path, "table", sources, summary_command(command, summary))
    for path in layout.audit_records():
        with suppress(*_UNREADABLE):
            run = read_json_object(path).get("run")
            renew = command_line("goemo data audit", "--run", run or "RUN")
            yield DerivedFile(path, "table", summary_sources(path) or {}, renew)
    with suppress(*_UNREADABLE):
        compared = comparison_sources(layout.significance_tests)
        runs = _runs_in(name for name, _ in compared)
        command = command_line("goemo compare", *(runs if len(runs) > 1 else ("A", "B")))
        for name, digest in compared:
            yield DerivedFile(layout.significance_tests, "table", {name: digest}, command)


def summary_folders(layout: Layout) -> tuple[tuple[Path, str], ...]:
    """The folders of statistics whose JSON files name a run and its sources, with the command that writes them."""
    return (
        (layout.threshold_sweep, "goemo tune --checkpoint"),
        (layout.calibration, "goemo calibrate --checkpoint"),
        (layout.cooccurrence, "goemo errors"),
        (layout.evaluations, "goemo evaluate"),
    )


def summary_command(command: str, summary: Mapping[str, Any]) -> str:
    """The command that writes a summary again: of the run that it names, or else of its source."""
    named = summary.get("run") or next(iter(summary.get("sources") or {}), "RUN")
    data = summary.get("data")
    if not isinstance(data, dict):
        return command_line(command, named)
    source = data.get("source")
    options = ("--data", "DATA" if source in _UNREPEATABLE else source)
    return command_line(command, named, *options)


def outdated_files(layout: Layout) -> list[OutdatedFile]:
    """The derived files below the root with a source that has changed or is gone."""
    return outdated_of(derived_files(layout), FilesNow(layout.root))


def outdated_of(
    files: Iterable[DerivedFile], now: FilesNow, *, in_use: Collection[str] = ()
) -> list[OutdatedFile]:
    """Those of some derived files with a source that has changed or is gone, each once.

    Args:
        now: the files of today.
        in_use: parts of the names of sources that another process changes; these are not looked at.
    """
    found: dict[Path, OutdatedFile] = {}
    for file in files:
        settled = {
            name: digest for name, digest in file.sources.items() if not any(run in name for run in in_use)
        }
        for name, state in now.states(settled):
            if state in ("changed", "gone") and file.path not in found:
                verb = "is gone" if state == "gone" else "has changed since"
                found[file.path] = OutdatedFile(file.path, file.kind, f"{name} {verb}", file.renew)
    return list(found.values())


def renewal(files: Sequence[OutdatedFile], root: Path) -> str:
    """`23 figures and the report are out of date: goemo figures && goemo report`."""
    figures, reports, tables, models = (
        [file for file in files if file.kind == kind] for kind in ("figure", "report", "table", "model")
    )
    parts = [
        *([counted(len(figures), "figure")] if figures else []),
        *(["the report" if len(reports) == 1 else f"{len(reports)} reports"] if reports else []),
        *([counted(len(tables), "table")] if tables else []),
        *([counted(len(models), "exported model")] if models else []),
    ]
    named = ", ".join(parts[:-1]) + (" and " if parts[1:] else "") + parts[-1]
    is_one = len(files) == 1
    commands = dict.fromkeys(
        f"{file.renew}{root_option(root)}" for file in (*tables, *figures, *reports, *models)
    )
    return f"{named} {'is' if is_one else 'are'} out of date: {' && '.join(commands)}"


def _files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [
        path for path in paths if path.suffix in suffixes and not path.name.startswith((".", PARTIAL_PREFIX))
    ]


def _runs_in(sources: Iterable[str]) -> list[str]:
    """The runs whose predictions are among the sources."""
    named = [parse_predictions_name(Path(name)) for name in sources]
    return list(dict.fromkeys(str(found[1]) for found in named if found))
