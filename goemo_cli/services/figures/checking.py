"""`goemo figures --check`: which pictures are no longer of the files and the data that they were drawn from."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import CorruptArtifactError, GoemoError, NotFoundError, RemoteError
from goemo_cli.core.files import read_json_object, sha256_file
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import SOURCES_KEY
from goemo_cli.services.data.find import first_of_shuffle, load_data
from goemo_cli.services.figures.registry import FORMATS, FigureSpec, figure_of, figures
from goemo_cli.services.runs.references import open_run


@dataclass(frozen=True)
class CheckResult:
    """Pictures that are up to date, those that are not, and those of data that is not here."""

    fresh: tuple[Path, ...]
    stale: tuple[tuple[Path, str], ...]
    """(picture, why it no longer holds)."""
    unknown: tuple[tuple[Path, str], ...]
    """(picture, why its data could not be looked at); all else of it holds."""


def check_figures(layout: Layout, *, only: Sequence[str] = (), data_dir: Path | None = None) -> CheckResult:
    """Compare every picture below output/figures with what it was drawn from; nothing is written or downloaded.

    A PNG says itself which artifacts it was drawn from; of SVG and PDF, and of the data, the record beside the table
    says it. Data is read again where a figure was drawn from it.

    Args:
        layout: where they lie.
        only: numbers or names of figures; all by default. Those that were never drawn are left out.
        data_dir: where the data lies now, if no longer where the runs found it.

    Raises:
        SettingError: no such figure.
    """
    today = _Today(layout, data_dir)
    fresh, stale, unknown = [], [], []
    for figure in dict.fromkeys([figure_of(name) for name in only] or figures()):
        for picture_format in FORMATS:
            path = layout.figures / figure.file_name(picture_format)
            if not path.exists():
                continue
            try:
                fault = next(_faults(figure, path, layout, today), None)
            except (NotFoundError, RemoteError) as error:
                unknown.append((path, str(error)))
                continue
            if fault:
                stale.append((path, fault))
            else:
                fresh.append(path)
    return CheckResult(tuple(fresh), tuple(stale), tuple(unknown))


@dataclass
class _Today:
    """Hashes of files and data as they are now, each taken once."""

    layout: Layout
    data_dir: Path | None
    _files: dict[Path, str] = field(default_factory=dict)
    _data: dict[str, dict[str, str] | GoemoError] = field(default_factory=dict)

    def file(self, path: Path) -> str:
        """SHA-256 of a file."""
        if path not in self._files:
            self._files[path] = sha256_file(path)
        return self._files[path]

    def data(self, run: str) -> dict[str, str]:
        """SHA-256 of each split of a run's data set, train cut as the run cut it.

        Raises:
            NotFoundError, RemoteError: the run or its data is not here.
            DataError: the data can no longer be used.
        """
        if run not in self._data:
            try:
                self._data[run] = self._hashes(open_run(run, self.layout))
            except GoemoError as error:
                self._data[run] = error
        found = self._data[run]
        if isinstance(found, GoemoError):
            raise found
        return found

    def _hashes(self, checkpoint: Checkpoint) -> dict[str, str]:
        config = checkpoint.config
        moved = {} if self.data_dir is None else {"dir": self.data_dir}
        found = load_data(config.data.model_copy(update=moved), root=self.layout.root, may_fetch=False)
        train = first_of_shuffle(found.train, config.data.max_train_samples, config.training.seed)
        return {split: rows.sha256() for split, rows in {**found.splits, "train": train}.items()}


def _faults(figure: FigureSpec, path: Path, layout: Layout, today: _Today) -> Iterator[str]:
    """Why a picture and its numbers do not hold, the weightiest reason first.

    Raises:
        NotFoundError, RemoteError: the data it was drawn from cannot be looked at.
    """
    record_path = layout.figure_data / figure.record_name
    try:
        record = read_json_object(record_path) if record_path.is_file() else {}
        sources = _own_sources(path) if path.suffix == ".png" else None
        if sources is None:
            sources = _mapping(record_path, record, "sources")
        files = _mapping(record_path, record, "files")
        data = _mapping(record_path, record, "data")
    except CorruptArtifactError as error:
        yield str(error)
        return
    if not record:
        yield f"{layout.shown(record_path)} is missing, which says what it was drawn from"
        return
    for name, digest in sources.items():
        source = layout.root / name  # an absolute name, of a run outside the root, stays as it is
        if ".." in PurePosixPath(name).parts:
            yield f"{layout.shown(record_path)} names {name}"
        elif not source.is_file():
            yield f"{name} is gone"
        elif today.file(source) != digest:
            yield f"{name} has changed since"
    for file in (path, layout.figure_data / figure.table_name):
        name = file.relative_to(layout.figures).as_posix()
        if not file.is_file():
            yield f"{layout.shown(file)} is gone"
        elif files.get(name) != today.file(file):
            yield f"{name} is of another drawing than {figure.record_name}"
    if data:
        yield from _data_faults(record, data, today)


def _data_faults(record: Mapping[str, Any], data: Mapping[str, Any], today: _Today) -> Iterator[str]:
    run = str(next(iter(record.get("runs") or ()), ""))
    try:
        now = today.data(run)
    except (NotFoundError, RemoteError):
        raise
    except GoemoError as error:
        yield f"the data of {run} cannot be used any more ({error})"
        return
    for split, digest in data.items():
        if now.get(split) != digest:
            yield f"the {split} split of the data of {run} has changed since"


def _own_sources(path: Path) -> dict[str, Any] | None:
    """What a PNG says that it was drawn from; None where it says nothing, as one of the data set alone.

    Raises:
        CorruptArtifactError: no PNG, or another text than goemo writes.
    """
    try:
        with Image.open(path) as picture:
            text = picture.info.get(SOURCES_KEY)
        value = {} if text is None else json.loads(text)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # of the disk; what Pillow says of a damaged picture has no number
        raise CorruptArtifactError(path, f"is damaged ({error})") from error
    if not isinstance(value, dict):
        raise CorruptArtifactError(path, f"{SOURCES_KEY} is no object")
    return value or None


def _mapping(path: Path, record: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = record.get(key, {})
    if not isinstance(value, dict):
        raise CorruptArtifactError(path, f"{key} is no object")
    return value
