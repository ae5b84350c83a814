"""The files next to each picture: its numbers as CSV and a record of its sources as JSON; and whether they agree."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import CorruptArtifactError, GoemoError, NotFoundError, RemoteError
from goemo_cli.core.files import read_json_object, sha256_file, write_sealed_json
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import PICTURE_FORMATS, SCHEMA_VERSION
from goemo_cli.services.data.find import first_of_shuffle, load_data
from goemo_cli.services.data.result_tables import write_table as write_csv
from goemo_cli.services.figures.registry import FigureSpec, Table, figure_of, figures
from goemo_cli.services.runs.provenance import FilesNow, read_figure_record
from goemo_cli.services.runs.references import open_run

_STATES = {"gone": "is gone", "changed": "has changed since", "unrecorded": "is named without its SHA-256"}


def write_table(path: Path, table: Table) -> None:
    """Write what a figure shows: a column for each entry, the shortest decimals that read back, empty if undefined.

    Raises:
        ValueError: columns of different lengths.
    """
    columns = [_cells(column) for column in table.values()]
    write_csv(path, list(table), zip(*columns, strict=True))


def write_record(
    path: Path,
    *,
    runs: Sequence[RunName],
    sources: Mapping[str, str],
    data: Mapping[str, str],
    files: Mapping[str, Path],
) -> None:
    """Write what the files of a figure were drawn from. It is written last, so the files it names are complete.

    The same picture in another format stays in the record if it was drawn from the same files.

    Args:
        runs: which runs are shown.
        sources: SHA-256 of artifacts by path from the root.
        data: SHA-256 of the splits of the data set, if it was read.
        files: the picture and its table, by their names below output/figures.
    """
    made = {"runs": [str(run) for run in runs], "sources": dict(sources), "data": dict(data)}
    now = {name: sha256_file(file) for name, file in files.items()}
    earlier = _earlier(path)
    files_then = earlier.get("files")
    is_same = isinstance(files_then, dict) and all(earlier.get(key) == value for key, value in made.items())
    kept = files_then if is_same and files_then else {}
    write_sealed_json(
        path, {"schema_version": SCHEMA_VERSION, **made, "files": dict(sorted({**kept, **now}.items()))}
    )


def _earlier(path: Path) -> dict[str, Any]:
    """The record of an earlier drawing; a damaged one is ignored, since it is written again."""
    if not path.is_file():
        return {}
    try:
        return read_json_object(path)
    except CorruptArtifactError:
        return {}


def _cells(column: Sequence[Any] | NDArray[Any]) -> list[Any]:
    return [_cell(value) for value in (column.tolist() if isinstance(column, np.ndarray) else column)]


def _cell(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


@dataclass(frozen=True)
class CheckResult:
    """Pictures that are up to date, those that are not, and those whose data is unavailable."""

    fresh: tuple[Path, ...]
    stale: tuple[tuple[Path, str], ...]
    """(picture, what has changed since)."""
    unknown: tuple[tuple[Path, str], ...]
    """(picture, why its data is unavailable); everything else agrees."""


def check_figures(layout: Layout, *, only: Sequence[str] = (), data_dir: Path | None = None) -> CheckResult:
    """Compare every picture below output/figures with what it was drawn from; nothing is written or downloaded.

    A PNG names the artifacts it was drawn from; for SVG, PDF and the data set, the record next to the table does. Data
    is read again if a figure was drawn from it.

    Args:
        only: numbers or names of figures; all by default. Figures that were never drawn are left out.
        data_dir: where the data is now, if it was moved.

    Raises:
        SettingError: no such figure.
    """
    now, data = FilesNow(layout.root), _DataNow(layout, data_dir)
    fresh, stale, unknown = [], [], []
    for spec in dict.fromkeys([figure_of(name) for name in only] or figures()):
        for picture_format in PICTURE_FORMATS:
            path = layout.figures / spec.file_name(picture_format)
            if not path.exists():
                continue
            try:
                fault = next(_faults(spec, path, layout, now, data), None)
            except (NotFoundError, RemoteError) as error:
                unknown.append((path, str(error)))
                continue
            if fault:
                stale.append((path, fault))
            else:
                fresh.append(path)
    return CheckResult(tuple(fresh), tuple(stale), tuple(unknown))


@dataclass
class _DataNow:
    """SHA-256 of each split of the data of runs as it is now; each data set is read once."""

    layout: Layout
    data_dir: Path | None
    _known: dict[str, dict[str, str] | GoemoError] = field(default_factory=dict)

    def of(self, run: str) -> dict[str, str]:
        """SHA-256 by split, with train cut as the run cut it.

        Raises:
            NotFoundError, RemoteError: the run or its data is unavailable.
            DataError: the data can no longer be used.
        """
        if run not in self._known:
            try:
                self._known[run] = self._hashes(open_run(run, self.layout))
            except GoemoError as error:
                self._known[run] = error
        found = self._known[run]
        if isinstance(found, GoemoError):
            raise found
        return found

    def _hashes(self, checkpoint: Checkpoint) -> dict[str, str]:
        config = checkpoint.config
        moved = {} if self.data_dir is None else {"dir": self.data_dir}
        found = load_data(config.data.model_copy(update=moved), root=self.layout.root, may_fetch=False)
        train = first_of_shuffle(found.train, config.data.max_train_samples, config.training.seed)
        return {split: rows.sha256() for split, rows in {**found.splits, "train": train}.items()}


def _faults(spec: FigureSpec, path: Path, layout: Layout, now: FilesNow, data: _DataNow) -> Iterator[str]:
    """What no longer agrees with a picture and its numbers, the most important first.

    Raises:
        NotFoundError, RemoteError: the data that was drawn is unavailable.
    """
    record_path, table = layout.figure_data / spec.record_name, layout.figure_data / spec.table_name
    try:
        record = read_figure_record(path)
    except CorruptArtifactError as error:
        yield str(error)
        return
    if record is None:
        yield f"{layout.shown(record_path)} is missing, which records what it was drawn from"
        return
    for name, state in now.states(record.sources):
        if state == "outside" and ".." not in PurePosixPath(name).parts:  # of a run outside the root
            state = now.state_of(Path(name), record.sources[name])
        if state == "outside":
            yield f"{layout.shown(record_path)} names {name}"
        elif state != "current":
            yield f"{name} {_STATES[state]}"
    for file in (path, table):
        name = file.relative_to(layout.figures).as_posix()
        state = now.state_of(file, record.files.get(name))
        if state == "gone":
            yield f"{layout.shown(file)} is gone"
        elif state != "current":
            yield f"{name} is of another drawing than {spec.record_name}"
    if record.data:
        yield from _data_faults(next(iter(record.runs), ""), record.data, data)


def _data_faults(run: str, recorded: Mapping[str, str], data: _DataNow) -> Iterator[str]:
    try:
        now = data.of(run)
    except (NotFoundError, RemoteError):
        raise
    except GoemoError as error:
        yield f"the data of {run} cannot be used any more ({error})"
        return
    for split, digest in recorded.items():
        if now.get(split) != digest:
            yield f"the {split} split of the data of {run} has changed since"
