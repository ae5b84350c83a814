"""The labelled rows that `goemo evaluate` scores: any data that goemo reads, with its labels mapped by name to those of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import DataError, SettingError, did_you_mean, first_names
from goemo_cli.core.events import EventHandler, Info, Warning
from goemo_cli.core.labels import EMOTIONS, TAXONOMIES, Split
from goemo_cli.core.names import data_slug
from goemo_cli.core.settings import DataSettings, TrainConfig
from goemo_cli.ml.data.dataset import LabelledTexts
from goemo_cli.ml.data.groups import aggregated
from goemo_cli.services.data.find import load_data
from goemo_cli.services.data.labelled_rows import RawRows, rows_of, sorted_labels
from goemo_cli.services.data.own_data import listed_labels, name_and_source, read_rows, table_source
from goemo_cli.services.data.tables import FRAME, frame_table

if TYPE_CHECKING:
    from pandas import DataFrame

_INHERITED = ("text_column", "label_column", "label_columns", "label_separator", "unlabelled")
"""Settings of a run's own data that also describe new data unless the user gives others."""


@dataclass(frozen=True)
class EvaluatedRows:
    """Rows with gold labels over the labels of a run."""

    name: str
    """As files spell it."""
    source: str
    """What the user named."""
    rows: LabelledTexts


@dataclass(frozen=True)
class _Labelled:
    """Rows over the labels that their data has."""

    source: str
    labels: tuple[str, ...]
    rows: LabelledTexts
    lines: Sequence[int] | None = None
    """The line of each row in the file."""


def data_settings(
    checkpoint: Checkpoint, changes: Mapping[str, Any], *, source: str = "command line"
) -> DataSettings:
    """How to read new data: as the run's own data, but for what the user says.

    Args:
        changes: settings of the section `data` by name; `name` is the data.
        source: what errors call the changes.

    Raises:
        SettingError: values that do not fit, or do not fit together.
    """
    own = checkpoint.config.data
    inherited = own.model_dump(include={*_INHERITED}, exclude_defaults=True)
    for given, other in (("label_column", "label_columns"), ("label_columns", "label_column")):
        if given in changes:
            inherited.pop(other, None)
    return TrainConfig.from_layers(
        (str(checkpoint.run), {"data": inherited}), (source, {"data": changes})
    ).data


def rows_to_evaluate(
    checkpoint: Checkpoint,
    settings: DataSettings,
    *,
    split: Split | None = None,
    name: str | None = None,
    ignore_unknown_labels: bool = False,
    root: Path = Path(),
    frame: "DataFrame | None" = None,
    stdin: BinaryIO | None = None,
    on_event: EventHandler,
) -> EvaluatedRows:
    """Read labelled data and map its labels by name to those of a run.

    Numbers in label cells are positions in `labels_file`, or else in the labels of the run. The labels of a run that
    was trained on a taxonomy also mean their members.

    Args:
        settings: what to read: a table with rows, or a data set with splits.
        split: of a data set; test by default.
        name: what files call the data; by default its file name or `{data set}-{split}`.
        ignore_unknown_labels: leave out labels that the run does not have; otherwise they are an error.
        frame: the rows, instead of data with a name.
        stdin: standard input, for the name `-`.

    Raises:
        NotFoundError: no such data.
        DataError: it cannot be read, has no gold labels, or labels that the run does not have; of a single-label run
            also a row with another number of labels than one.
        SettingError: a split of a single table.
    """
    source = table_source(settings.name or "")
    if frame is not None or source is not None:
        if split:
            raise SettingError(
                [
                    f"--split {split} is for data with splits; {settings.name or FRAME} is one table, read completely"
                ]
            )
        own_name, shown = ("frame", FRAME) if frame is not None or source is None else name_and_source(source)
        raw = _read(source, frame, stdin, settings, checkpoint)
        if raw.note:
            on_event(Info(raw.note))
        labels = raw.columns or sorted_labels([raw])
        found = _Labelled(shown, labels, raw.labelled(labels), raw.lines)
        if settings.aggregate:
            found = _Labelled(shown, labels, aggregated(found.rows, settings.aggregate, source=shown))
    else:
        chosen = split or "test"
        data = load_data(settings, root=root, on_event=on_event)
        found = _Labelled(f"{data.source}, {chosen}", data.labels, data.splits[chosen])
        own_name = f"{data.name}-{chosen}"
    rows = _over_labels_of(checkpoint, found, on_event, ignore=ignore_unknown_labels)
    if not rows.y_true.any():
        raise DataError(f"{found.source}: no row has a label of {checkpoint.run}; nothing can be scored")
    if checkpoint.rules.is_single_label and (odd := np.flatnonzero(rows.y_true.sum(axis=1) != 1)).size:
        raise DataError(
            f"{found.source}: {odd.size:,} rows do not have exactly one label of {checkpoint.run}, which predicts one label "
            f"per text; the first is row {int(odd[0]) + 1:,}"
        )
    return EvaluatedRows(data_slug(name or own_name), settings.name or FRAME, rows)


def _read(
    source: Path | str | None,
    frame: "DataFrame | None",
    stdin: BinaryIO | None,
    settings: DataSettings,
    checkpoint: Checkpoint,
) -> RawRows:
    own = EMOTIONS if checkpoint.config.data.taxonomy else checkpoint.labels
    listed = listed_labels(settings) or own
    if source is None:
        assert frame is not None  # the caller has one of the two
        return rows_of(frame_table(frame), settings, listed)
    return read_rows(source, settings, listed, stdin=stdin)


def _over_labels_of(
    checkpoint: Checkpoint, found: _Labelled, on_event: EventHandler, *, ignore: bool
) -> LabelledTexts:
    """The rows over the labels of the run; labels that it does not have are an error, or are left out."""
    position = {label: at for at, label in enumerate(checkpoint.labels)}
    taxonomy = checkpoint.config.data.taxonomy
    for group, members in (TAXONOMIES[taxonomy] if taxonomy else {}).items():
        position |= {member: position[group] for member in members if member not in position}
    counts = found.rows.y_true.sum(axis=0)
    unknown = {
        label: int(count)
        for label, count in zip(found.labels, counts, strict=True)
        if count and label not in position
    }
    if unknown:
        _judge_unknown(checkpoint, found, unknown, on_event, ignore=ignore)
    y_true = np.zeros((len(found.rows), len(checkpoint.labels)), dtype=np.bool_)
    for at, label in enumerate(found.labels):
        if label in position:
            y_true[:, position[label]] |= found.rows.y_true[:, at]
    return LabelledTexts(found.rows.texts, y_true, found.rows.ids)


def _judge_unknown(
    checkpoint: Checkpoint,
    found: _Labelled,
    unknown: Mapping[str, int],
    on_event: EventHandler,
    *,
    ignore: bool,
) -> None:
    shown = first_names(f"{label!r} ({count:,} rows)" for label, count in unknown.items())
    what = f"labels that {checkpoint.run} does not have: {shown}"
    if ignore:
        on_event(Warning(f"{found.source}: left out {what}"))
        return
    first = next(iter(unknown))
    row = int(found.rows.y_true[:, found.labels.index(first)].argmax())
    place = found.source if found.lines is None else f"{found.source}:{found.lines[row]}"
    near = did_you_mean(first.lower(), checkpoint.labels)
    raise DataError(f"{place}: {what}{near}; --ignore-unknown-labels scores the other labels")
