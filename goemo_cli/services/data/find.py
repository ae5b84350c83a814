"""Find the data that the settings name: local folders, the cache, a download, the sample, the user's files or frames."""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.resources import files
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from goemo_cli.core.arrays import IntArray
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import (
    DataError,
    DataNotFoundError,
    MissingPackageError,
    NoLabelsError,
    NoScoresError,
    NotFoundError,
    OwnDataNotFoundError,
    RemoteError,
    did_you_mean,
)
from goemo_cli.core.events import EventHandler, Info, Warning, ignore
from goemo_cli.core.labels import EMOTIONS, SPLITS, Split, applicable, parse_split
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import DataSettings, environment, is_offline
from goemo_cli.ml.data import goemotions
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts, joined
from goemo_cli.ml.data.groups import aggregated, grouped_split, shared_groups
from goemo_cli.ml.metrics.taxonomy import in_taxonomy
from goemo_cli.services.data.compressed import plain_name
from goemo_cli.services.data.data_file import STDIN, DataFile
from goemo_cli.services.data.download import cache_folder, fetch_goemotions
from goemo_cli.services.data.formats import format_by_suffix, suffixes_for, unknown_format
from goemo_cli.services.data.labelled_rows import RawRows, rows_of, sorted_labels
from goemo_cli.services.data.readers import feature_names, open_data
from goemo_cli.services.data.tables import FRAME, Table, column_in, frame_table
from goemo_cli.services.data.urls import is_url, name_in_url, shown

if TYPE_CHECKING:
    from pandas import DataFrame

GOEMOTIONS, SAMPLE = "goemotions", "sample"
STANDARD_INPUT = "standard input"
_PART = re.compile(r"(?P<split>[A-Za-z]+)-\d+-of-0*(?P<count>[1-9]\d*)(?:-[0-9a-f]{8,})?")
"""The name of a part of a split on the Hub; older ones end with a hash."""


def load_data(
    settings: DataSettings,
    *,
    root: Path = Path(),
    may_fetch: bool = True,
    frames: "DataFrame | Mapping[str, DataFrame] | None" = None,
    stdin: BinaryIO | None = None,
    on_event: EventHandler = ignore,
) -> Dataset:
    """The data set that the settings name, checked.

    What the user named is never replaced. If nothing is named and GoEmotions is unavailable,
    the embedded sample is used instead, with a warning.

    Args:
        settings: what to load.
        root: project root; data/goemotions below it is one of the places that are searched.
        may_fetch: whether the network may be used.
        frames: rows of a data frame, or of one data frame for each split (train, val, test), instead of `settings.name`.
        stdin: standard input, for the name `-`.
        on_event: called with each event.

    Raises:
        DataNotFoundError: no data was found.
        DataError: data that cannot be used as it is.
        RemoteError: a named data set that is not here and could not be downloaded.
    """
    if frames is not None:
        data = _from_frames(frames, settings, on_event)
    else:
        is_online = may_fetch and not is_offline()
        data = _load(settings, root, may_fetch=is_online, stdin=stdin, on_event=on_event)
    if (doubt := goemotions.require_published_names(data)) is not None:
        on_event(Warning(doubt))
    if settings.taxonomy:
        if settings.taxonomy not in applicable(data.labels):
            raise DataError(
                f"{data.source}: only the 28 labels of GoEmotions have the taxonomy {settings.taxonomy}"
            )
        data = in_taxonomy(data, settings.taxonomy)
    data.require_usable()
    return data


def _load(
    settings: DataSettings,
    root: Path,
    *,
    may_fetch: bool,
    stdin: BinaryIO | None,
    on_event: EventHandler,
) -> Dataset:
    name = settings.name
    if name == SAMPLE:
        return load_sample()
    if name == GOEMOTIONS or (name is None and settings.dir):
        return _goemotions(settings, root, may_fetch=may_fetch, on_event=on_event)
    if name is None:
        return _goemotions_or_sample(settings, root, may_fetch=may_fetch, on_event=on_event)
    source = table_source(name)
    if source is not None or Path(name).expanduser().is_dir():
        return _from_path(source or Path(name).expanduser(), settings, stdin, on_event)
    if (
        name.count("/") == 1
        and not name.startswith((".", "/", "~"))
        and not format_by_suffix(name, "training")
    ):
        return _from_hub(name, settings, may_fetch=may_fetch, on_event=on_event)
    raise OwnDataNotFoundError(name, [f"no such file or folder{did_you_mean(name, (GOEMOTIONS, SAMPLE))}"])


def table_source(name: str) -> Path | str | None:
    """The table that a name of data means: a file, a URL or `-`; None for a folder or a named data set."""
    if name == STDIN or is_url(name):
        return name
    path = Path(name).expanduser()
    return path if path.exists() and not path.is_dir() else None


def load_sample() -> Dataset:
    """The embedded sample: 2,040 sentences written for goemo, over the GoEmotions labels."""
    folder = Path(str(files("goemo_cli") / "sample"))
    splits = {
        split: read_rows(folder / f"{split}.csv", DataSettings()).labelled(EMOTIONS) for split in SPLITS
    }
    return Dataset(SAMPLE, EMOTIONS, splits, source="goemo's embedded sample")


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


def find_goemotions(settings: DataSettings, root: Path) -> tuple[Path | None, list[str]]:
    """A folder with all four GoEmotions files, and the places that were searched.

    A folder that the user named, by setting or GOEMO_DATA_DIR, is the only one that is searched.
    """
    named = settings.dir or environment("GOEMO_DATA_DIR")
    places = [Path(named).expanduser()] if named else [root / "data" / GOEMOTIONS, cache_folder()]
    looked_in: list[str] = []
    for place in places:
        missing = goemotions.missing_files(place)
        if not missing:
            return place, looked_in
        looked_in.append(
            f"{place} ({'no such folder' if not place.is_dir() else ', '.join(missing) + ' missing'})"
        )
    return None, looked_in


def _goemotions(settings: DataSettings, root: Path, *, may_fetch: bool, on_event: EventHandler) -> Dataset:
    folder, looked_in = find_goemotions(settings, root)
    if folder is None:
        if settings.dir or environment("GOEMO_DATA_DIR"):
            raise DataNotFoundError(GOEMOTIONS, looked_in)
        if not may_fetch:
            raise DataNotFoundError(GOEMOTIONS, [*looked_in, "the network is switched off"])
        folder = fetch_goemotions(on_event=on_event)
    if changed := goemotions.changed_files(folder):
        on_event(
            Warning(
                f"{folder}: {', '.join(changed)} differ from the published files; scores do not compare with others'"
            )
        )
    return goemotions.read_goemotions(folder)


def _goemotions_or_sample(
    settings: DataSettings, root: Path, *, may_fetch: bool, on_event: EventHandler
) -> Dataset:
    try:
        return _goemotions(settings, root, may_fetch=may_fetch, on_event=on_event)
    except (RemoteError, DataNotFoundError) as error:
        if environment("GOEMO_DATA_DIR"):
            raise  # a folder that the user named is never replaced
        on_event(
            Warning(
                "GoEmotions is not here and cannot be downloaded; training on goemo's small embedded SAMPLE instead. "
                f"Its scores say nothing about real comments. ({error})"
            )
        )
        return replace(load_sample(), is_fallback=True)


def _from_path(
    source: Path | str, settings: DataSettings, stdin: BinaryIO | None, on_event: EventHandler
) -> Dataset:
    """A file, a folder with a file for each split, a URL, or standard input."""
    sources: dict[Split, list[Path | str]] = {"train": [source]}
    if isinstance(source, Path) and source.is_dir():
        if not goemotions.missing_files(source):
            return replace(goemotions.read_goemotions(source), name=source.name)
        found = _split_files(source, settings.format)
        sources = {split: [*found[split]] for split in SPLITS if split in found}
    if source == STDIN and stdin is None:
        raise NotFoundError("data from standard input can be read only once, by the training itself")
    for split, named in (("val", settings.val_file), ("test", settings.test_file)):
        if named:
            if not named.is_file():
                raise OwnDataNotFoundError(str(named), [f"data.{split}_file: no such file"])
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
    return _completed(*name_and_source(source), rows, listed, settings, on_event)


def name_and_source(source: Path | str) -> tuple[str, str]:
    """What a file, a URL or standard input is called, without suffixes, and the whole for messages."""
    if source == STDIN:
        return "stdin", STANDARD_INPUT
    if isinstance(source, Path):
        return plain_name(source.absolute()).stem, str(source)
    return plain_name(Path(name_in_url(source))).stem, shown(source)


def _from_frames(
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


def _require_different(sources: Mapping[Split, Sequence[Path | str]]) -> None:
    for one, other in combinations(sources, 2):
        for file, another in product(sources[one], sources[other]):
            if isinstance(file, Path) and isinstance(another, Path) and file.samefile(another):
                raise DataError(f"{file}: {one} and {other} are the same file")


def _split_files(folder: Path, format: str | None) -> dict[Split, list[Path]]:
    """The files of each split: one, or all parts of one as the Hub names them (train-00000-of-00002.parquet).

    If no file is called `train`, the last word of a name counts: `emotions-train.csv`.

    Args:
        folder: the folder.
        format: the format of files with any suffix; None for files whose suffix says it.
    """
    files = sorted(file for file in folder.iterdir() if file.is_file())
    stems = {file: stem for file in files if (stem := _stem(file, format)) is not None}
    for whole_name in (True, False):
        if found := _parts_by_split(folder, stems, whole_name=whole_name):
            return found
    for file in files:
        if _split_and_parts(plain_name(file).stem, whole_name=False)[0] == "train":
            with ExitStack() as resources:
                raise unknown_format(DataFile(file, resources=resources), "training")
    raise OwnDataNotFoundError(
        str(folder),
        [
            f"{folder} has no file for train; expected is {', '.join(map('train{}'.format, suffixes_for('training')))}"
        ],
    )


def _stem(file: Path, format: str | None) -> str | None:
    """The name of a file without its suffixes; None for a file that is not data."""
    known = format_by_suffix(file.name, "training")
    if known:
        return known[0]
    return plain_name(file).stem if format else None


def _split_and_parts(stem: str, *, whole_name: bool) -> tuple[Split | None, int]:
    """The split that a file name says, and the number of parts of the split."""
    named = _PART.fullmatch(stem)
    word = named["split"] if named else stem if whole_name else re.split(r"[\W_]", stem)[-1]
    return parse_split(word), int(named["count"]) if named else 1


def _parts_by_split(
    folder: Path, stems: Mapping[Path, str], *, whole_name: bool
) -> dict[Split, list[Path]] | None:
    """The files of each split; None if train is missing."""
    found: dict[Split, list[Path]] = {}
    n_parts: dict[Split, int] = {}
    for file, stem in stems.items():
        split, count = _split_and_parts(stem, whole_name=whole_name)
        if not split:
            continue
        if split in found and (n_parts[split] != count or count == 1):
            raise DataError(
                f"{folder}: both {found[split][0].name} and {file.name} could be the {split} split"
            )
        found.setdefault(split, []).append(file)
        n_parts[split] = count
    for split, parts in found.items():
        if len(parts) != n_parts[split]:
            raise DataError(
                f"{folder}: only {len(parts)} of the {n_parts[split]} parts of {split} are here, such as {parts[0].name}"
            )
    return found if "train" in found else None


def listed_labels(settings: DataSettings) -> tuple[str, ...] | None:
    """The labels of `labels_file`; None without one.

    Raises:
        DataNotFoundError: no such file.
        DataFileError: not a list of labels.
    """
    if settings.labels_file is None:
        return None
    if not settings.labels_file.is_file():
        raise OwnDataNotFoundError(str(settings.labels_file), ["data.labels_file: no such file"])
    return goemotions.read_label_list(settings.labels_file)


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


def _from_hub(name: str, settings: DataSettings, *, may_fetch: bool, on_event: EventHandler) -> Dataset:
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
        raise OwnDataNotFoundError(name, ["no such file or folder", f"the Hub ({error})"]) from error
    except (ConnectionError, OSError) as error:
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


def first_of_shuffle(train: LabelledTexts, limit: int | None, seed: int) -> LabelledTexts:
    """The first `limit` rows of a seeded shuffle, in the data's order; all of them without a limit."""
    if limit is None or limit >= len(train):
        return train
    return train.take(np.sort(np.random.default_rng(seed).permutation(len(train))[:limit]))


def checkpoint_data(
    checkpoint: Checkpoint,
    layout: Layout,
    *,
    data_dir: Path | None,
    splits: tuple[Split, ...],
    on_event: EventHandler = ignore,
) -> Dataset:
    """Load the data that a checkpoint was trained on, and compare it with the hashes in the checkpoint.

    Train is cut to the run's `max_train_samples`, as it was trained on.

    Raises:
        NotFoundError: the data was read from standard input or was in memory.
        DataError: labels or rows of a wanted split are not what the run recorded.
    """
    if checkpoint.is_unscored:
        return _data_of_unscored(checkpoint, layout, data_dir, on_event)
    recorded = checkpoint.metrics.data
    if recorded.source in (STANDARD_INPUT, FRAME):
        raise NotFoundError(
            f"{checkpoint.run} was trained on data from {recorded.source}, which cannot be read again"
        )
    data = load_data(_data_settings(checkpoint, data_dir), root=layout.root, on_event=on_event)
    on_event(Info(f"Data: {data.source}"))
    if checkpoint.manifest.origin == "imported":
        data = data.over(checkpoint.labels)  # its labels are in the order of the imported model
    if data.labels != checkpoint.labels:
        raise DataError(f"{data.source}: its labels are not those of {checkpoint.run}")
    config = checkpoint.config
    train = first_of_shuffle(data.train, config.data.max_train_samples, config.training.seed)
    data = replace(data, splits={**data.splits, "train": train})
    for split in splits:
        if data.splits[split].sha256() != recorded.split_sha256.of(split):
            raise DataError(
                f"{data.source}: the {split} split is not the one {checkpoint.run} was trained with"
            )
    return data


def _data_of_unscored(
    checkpoint: Checkpoint, layout: Layout, data_dir: Path | None, on_event: EventHandler
) -> Dataset:
    """GoEmotions, for a model that was imported without data and has these labels."""
    if not applicable(checkpoint.labels):
        raise NoScoresError(str(checkpoint.run))
    data = load_data(DataSettings(name=GOEMOTIONS, dir=data_dir), root=layout.root, on_event=on_event)
    on_event(Info(f"Data: {data.source}"))
    return data.over(checkpoint.labels)


def _data_settings(checkpoint: Checkpoint, data_dir: Path | None) -> DataSettings:
    settings = checkpoint.config.data
    # `goemo train` without --data may have used the sample. Use the same data now, even if GoEmotions was downloaded since.
    name = checkpoint.metrics.data.name if settings.name is None else settings.name
    if data_dir is None:
        return settings.model_copy(update={"name": name})
    return settings.model_copy(update={"name": name, "dir": data_dir})
