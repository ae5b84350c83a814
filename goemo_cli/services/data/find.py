"""Find the data that the settings name: local folders, the cache, a download, the sample, the user's files or frames."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import (
    DataError,
    DataNotFoundError,
    NoScoresError,
    NotFoundError,
    OwnDataNotFoundError,
    RemoteError,
    did_you_mean,
)
from goemo_cli.core.events import EventHandler, Info, Warning, ignore
from goemo_cli.core.labels import EMOTIONS, SPLITS, Split, applicable
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import DataSettings
from goemo_cli.core.system.variables import environment, is_offline
from goemo_cli.ml.data import goemotions
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts
from goemo_cli.ml.metrics.taxonomy import in_taxonomy
from goemo_cli.services.data.download import cache_folder, fetch_goemotions
from goemo_cli.services.data.formats import format_by_suffix
from goemo_cli.services.data.own_data import (
    STANDARD_INPUT,
    data_of_frames,
    data_of_hub,
    data_of_path,
    read_rows,
    table_source,
)
from goemo_cli.services.data.tables import FRAME
from goemo_cli.services.data.work_list import without_excluded

if TYPE_CHECKING:
    from pandas import DataFrame

GOEMOTIONS, SAMPLE = "goemotions", "sample"


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
        root: project root; data/goemotions below it is one of the places that are searched.
        may_fetch: whether the network may be used.
        frames: rows of a data frame, or of one data frame for each split (train, val, test), instead of `settings.name`.
        stdin: standard input, for the name `-`.

    Raises:
        DataNotFoundError: no data was found.
        DataError: data that cannot be used as it is.
        RemoteError: a named data set that is not here and could not be downloaded.
    """
    if frames is not None:
        data = data_of_frames(frames, settings, on_event)
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
    if settings.exclude_audited:
        size = len(data.train)
        data = without_excluded(data, settings.exclude_audited)
        on_event(
            Info(f"{settings.exclude_audited} excludes {size - len(data.train):,} of {size:,} rows of train")
        )
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
        return data_of_path(source or Path(name).expanduser(), settings, stdin, on_event)
    if (
        name.count("/") == 1
        and not name.startswith((".", "/", "~"))
        and not format_by_suffix(name, "training")
    ):
        return data_of_hub(name, settings, may_fetch=may_fetch, on_event=on_event)
    raise OwnDataNotFoundError(name, f"no such file or folder{did_you_mean(name, (GOEMOTIONS, SAMPLE))}")


def load_sample() -> Dataset:
    """The embedded sample: 2,040 sentences written for goemo, over the GoEmotions labels."""
    folder = Path(str(files("goemo_cli") / "sample"))
    splits = {
        split: read_rows(folder / f"{split}.csv", DataSettings()).labelled(EMOTIONS) for split in SPLITS
    }
    return Dataset(SAMPLE, EMOTIONS, splits, source="goemo's embedded sample")


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
                "GoEmotions is not here and cannot be downloaded; goemo's small embedded SAMPLE is used instead. "
                f"Its scores say nothing about real comments. ({error})"
            )
        )
        return replace(load_sample(), is_fallback=True)


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
    settings = _data_settings(checkpoint, data_dir)
    if "train" not in splits:  # the work list may be gone
        settings = settings.model_copy(update={"exclude_audited": None})
    data = load_data(settings, root=layout.root, on_event=on_event)
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
