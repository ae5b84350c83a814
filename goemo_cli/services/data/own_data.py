"""The user's own data as a data set: files, folders, URLs, standard input, data frames, and data sets of the Hub."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from goemo_cli.core.arrays import IntArray
from goemo_cli.core.errors import (
    DataError,
    MissingPackageError,
    NoLabelsError,
    NotFoundError,
    OfflineError,
    OwnDataNotFoundError,
    RemoteError,
)
from goemo_cli.core.events import EventHandler, Info, Warning, ignore
from goemo_cli.core.labels import SPLITS, Split, parse_split
from goemo_cli.core.settings import DataSettings
from goemo_cli.core.system.variables import is_offline
from goemo_cli.ml.data import goemotions
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts, joined
from goemo_cli.ml.data.groups import aggregated, grouped_split, shared_groups
from goemo_cli.services.data.compressed import plain_name
from goemo_cli.services.data.data_file import STDIN
from goemo_cli.services.data.labelled_rows import RawRows, rows_of, sorted_labels
from goemo_cli.services.data.readers import feature_names, open_data
from goemo_cli.services.data.split_files import split_files
from goemo_cli.services.data.tables import FRAME, Table, column_in, frame_table
from goemo_cli.services.data.urls import is_url, name_in_url, shown

if TYPE_CHECKING:
    from pandas import DataFrame

STANDARD_INPUT = "standard input"
"""The source of data from standard input, as metrics.json has it."""


def table_source(name: str) -> Path | str | None:
    """The table that a name of data means: a file, a URL or `-`; None for a folder or a named data set."""
    if name == STDIN or is_url(name):
        return name
    path = Path(name).expanduser()
    return path if path.exists() and not path.is_dir() else None


def name_and_source(source: Path | str) -> tuple[str, str]:
    """What a file, a URL or standard input is called, without suffixes, and the whole for messages."""
    if source == STDIN:
        return "stdin", STANDARD_INPUT
    if isinstance(source, Path):
        return plain_name(source.absolute()).stem, str(source)
    return plain_name(Path(name_in_url(source))).stem, shown(source)


def listed_labels(settings: DataSettings) -> tuple[str, ...] | None:
    """The labels of `labels_file`; None without one.

    Raises:
        DataNotFoundError: no such file.
        DataFileError: not a list of labels.
    """
    if settings.labels_file is None:
        return None
    if not settings.labels_file.is_file():
        raise OwnDataNotFoundError(str(settings.labels_file), "data.labels_file: no such file")
    return goemotions.read_label_list(settings.labels_file)


def read_rows(
    source: Path | str,
    settings: DataSettings,
    names: Sequence[str] | None = None,
    *,
    stdin: BinaryIO | None = None,
) -> RawRows:
    """All rows of a data file.

    Args:
        source: a file, a URL, or `-` for standard input.
        settings: format and encoding, names of the columns, and the separator of labels within a cell.
        names: the list of labels, if there is one: it says what numbers mean, unless the file says it itself.
        stdin: standard input.

    Raises:
        DataFileError: unknown format, damaged content, a missing column, labels that cannot be read, or no rows.
        MissingPackageError: an optional package is missing.
    """
    with open_data(
        source, "training", format=settings.format, encoding=settings.encoding, stdin=stdin
    ) as table:
        return rows_of(table, settings, names)


def data_of_path(
    source: Path | str, settings: DataSettings, stdin: BinaryIO | None, on_event: EventHandler
) -> Dataset:
    """A file, a folder with a file for each split, a URL, or standard input."""
    sources: dict[Split, list[Path | str]] = {"train": [source]}
    if isinstance(source, Path) and source.is_dir():
        if not goemotions.missing_files(source):
            return replace(goemotions.read_goemotions(source), name=source.name)
        found = split_files(source, settings.format)
        sources = {split: [*found[split]] for split in SPLITS if split in found}
    if source == STDIN and stdin is None:
        raise NotFoundError("data from standard input can be read only once, by the training itself")
    for split, named in (("val", settings.val_file), ("test", settings.test_file)):
        if named:
            if not named.is_file():
                raise OwnDataNotFoundError(str(named), f"data.{split}_file: no such file")
            sources[parse_split(split) or "val"] = [named]
    _require_different(sources)
    listed = listed_labels(settings)
    rows: dict[Split, list[RawRows]] = {}
    for split, parts in sources.items():
        try:
            rows[split] = [read_rows(part, settings, listed, stdin=stdin) for part in parts]
        except NoLabelsError as error:
            if split == "train" or parts[0] in (settings.val_file, settings.test_file):
                raise
            on_event(Warning(f"{error}; {split} is taken from train"))
    for part in (part for parts in rows.values() for part in parts if part.note):
        on_event(Info(part.note))
    return _completed(*name_and_source(source), rows, listed, settings, on_event)


def data_of_frames(
    frames: "DataFrame | Mapping[str, DataFrame]", settings: DataSettings, on_event: EventHandler
) -> Dataset:
    """Data frames that the caller has in memory."""
    by_split = frames if isinstance(frames, Mapping) else {"train": frames}
    listed = listed_labels(settings)
    rows: dict[Split, list[RawRows]] = {}
    for name, frame in by_split.items():
        split = parse_split(str(name))
        if split is None or split in rows:
            raise DataError(f"{FRAME}: {name!r} should be one of train, val and test, each once")
        rows[split] = [rows_of(frame_table(frame), settings, listed)]
    if "train" not in rows:
        raise DataError(f"{FRAME}: no train split; there are {', '.join(map(repr, by_split))}")
    return _completed("frame", FRAME, rows, listed, settings, on_event)


def data_of_hub(name: str, settings: DataSettings, *, may_fetch: bool, on_event: EventHandler) -> Dataset:
    """A data set of the Hugging Face Hub, or of its local cache."""
    try:
        import datasets
    except ImportError as error:
        raise MissingPackageError(
            "datasets", "hub", f"no file or folder is called {name!r}; reading it from the Hub"
        ) from error
    if not may_fetch:
        datasets.config.HF_HUB_OFFLINE = True
    try:
        loaded = datasets.load_dataset(name)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise OwnDataNotFoundError(name, f"no such file or folder; the Hub: {error}") from error
    except (ConnectionError, OSError) as error:
        if is_offline():
            raise OfflineError(
                f"data {name!r} is not a local file, and the network is switched off (GOEMO_OFFLINE, HF_HUB_OFFLINE)"
            ) from error
        raise RemoteError(
            f"data {name!r} is not a local file, and the Hub cannot be reached ({error})"
        ) from error
    return from_hub_splits(name, loaded, settings, on_event=on_event)


def from_hub_splits(
    name: str, loaded: Any, settings: DataSettings, *, on_event: EventHandler = ignore
) -> Dataset:
    """A `datasets.DatasetDict` as a data set; label numbers become names if the features have them.

    Raises:
        DataError: no train split, or a column that is not there.
    """
    listed = listed_labels(settings)
    raw: dict[Split, list[RawRows]] = {}
    for key, rows in loaded.items():
        split = parse_split(str(key))
        if split is None:
            continue
        wanted = [
            settings.text_column,
            *(settings.label_columns or [settings.label_column]),
            settings.id_column,
            settings.group_column,
        ]
        there = [column_in(rows.column_names, column) for column in wanted if column]
        if None not in there:
            rows = rows.select_columns(list(dict.fromkeys(there)))  # others may be slow to decode
        features = rows.features.to_dict().items()
        names = {column: found for column, feature in features if (found := feature_names(feature))}
        table = Table(enumerate(rows, start=1), tuple(rows.column_names), len(rows), names, named=name)
        raw[split] = [rows_of(table, settings, listed)]
    if "train" not in raw:
        raise DataError(f"{name}: no train split; there are {', '.join(map(str, loaded))}")
    return _completed(name, f"Hugging Face Hub: {name}", raw, listed, settings, on_event)


def _require_different(sources: Mapping[Split, Sequence[Path | str]]) -> None:
    for one, other in combinations(sources, 2):
        for file, another in product(sources[one], sources[other]):
            if isinstance(file, Path) and isinstance(another, Path) and file.samefile(another):
                raise DataError(f"{file}: {one} and {other} are the same file")


def _completed(
    name: str,
    source: str,
    rows: Mapping[Split, Sequence[RawRows]],
    listed: tuple[str, ...] | None,
    settings: DataSettings,
    on_event: EventHandler,
) -> Dataset:
    """The rows with the listed labels, or with those of train; missing splits are taken from train, stratified by label."""
    named = [part for split, parts in rows.items() for part in parts if split == "train" or part.has_names]
    labels = listed or tuple(settings.label_columns) or sorted_labels(named)
    given = {split: joined([part.labelled(labels) for part in parts]) for split, parts in rows.items()}
    if settings.aggregate:
        given = {split: aggregated(part, settings.aggregate, source=source) for split, part in given.items()}
    if doubt := shared_groups(given):
        on_event(Warning(f"{source}: {doubt}"))
    missing: list[Split] = [split for split in SPLITS if split not in given]
    if missing:
        given |= _split_off(given["train"], missing, source, settings)
    n_unlabelled = sum(part.n_unlabelled for parts in rows.values() for part in parts)
    return Dataset(name, labels, given, source=source, split_off=tuple(missing), n_unlabelled=n_unlabelled)


def _split_off(
    whole: LabelledTexts, missing: Sequence[Split], source: str, settings: DataSettings
) -> dict[Split, LabelledTexts]:
    """Divide the rows into train and the missing splits, by their shares.

    Raises:
        DataError: a split would be empty.
    """
    shares = {"val": settings.val_fraction, "test": settings.test_fraction}
    taken = [shares[split] for split in missing]
    shares_of_all = [1 - sum(taken), *taken]
    parts: list[IntArray] = grouped_split(whole, shares_of_all, settings.split_seed)
    found: dict[Split, LabelledTexts] = {}
    for split, rows in zip(("train", *missing), parts, strict=True):
        if not len(rows):
            percent = ":".join(f"{100 * share:.3g}" for share in shares_of_all)
            options = [f"data.{name}_file=FILE or a larger data.{name}_fraction" for name in missing]
            raise DataError(
                f"{source}: the {split} split is empty: {_rows_and_labels(whole)} cannot be split {percent} by label; "
                f"give {' and '.join(options)}"
            )
        found[split if split == "train" else parse_split(split) or "val"] = whole.take(rows)
    return found


def _rows_and_labels(rows: LabelledTexts) -> str:
    n_rows, n_labels = rows.y_true.shape
    median = float(np.median(rows.y_true.sum(axis=0)))
    return f"{n_rows:,} rows with {n_labels:,} labels (half of these have {median:g} rows or fewer)"
