"""Models and tables that are in memory, written as files that can be versioned. Nothing is pickled."""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from goemo_cli.core.csv_files import TABLE_FORMATS, atomic_csv, open_table
from goemo_cli.core.errors import DataFileError, SettingError
from goemo_cli.core.files import atomic_path, staged_files

TABLE_ROWS = 10_000
"""The most that W&B shows of a table."""
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d+)?([eE][+-]?\d{1,3})?")
"""Not 007 and not the digits of a long id: these are texts."""


class HasRows(Protocol):
    """Predictions that know their rows, such as those of `Predictor.predict`."""

    def rows(self) -> Iterable[Mapping[str, Any]]:
        """A mapping of column names to cells for each row, all with the same keys."""
        ...


def write_model(folder: Path, model: Any, save: Callable[[Any, Path], object] | None) -> None:
    """Write a model into an empty folder.

    Args:
        model: with `save_pretrained(folder)`; or a mapping of names to tensors, all of torch or all of numpy.
        save: how, for any other.

    Raises:
        SettingError: a model of another kind without `save`.
    """
    if save is not None:
        save(model, folder)
    elif hasattr(model, "save_pretrained"):
        with staged_files(folder) as stage:
            model.save_pretrained(stage)
    elif isinstance(model, Mapping) and model:
        write_tensors(folder / "model.safetensors", model)
    else:
        raise SettingError(
            [f"a {type(model).__name__} has no save_pretrained; pass save=lambda model, folder: ..."]
        )


def write_tensors(path: Path, tensors: Mapping[str, Any]) -> None:
    """Write torch tensors or numpy arrays by name as safetensors.

    Raises:
        SettingError: something else among them.
    """
    kinds = {type(value).__module__.partition(".")[0] for value in tensors.values()}
    if kinds == {"torch"}:
        from safetensors.torch import save_file
    elif kinds == {"numpy"}:
        from safetensors.numpy import save_file
    else:
        raise SettingError(
            [f"a mapping of {', '.join(sorted(kinds))} values is not a state dict; pass save="]
        )
    with atomic_path(path) as partial:
        save_file(dict(tensors), partial)


def write_splits(folder: Path, data: Any) -> None:
    """Write data as one file for each split; data without splits as data.csv or data.npy.

    Args:
        data: rows as mappings, a data frame of pandas, an array or tensor; or a mapping of split names to these.

    Raises:
        SettingError: something else, no rows, or rows with other keys than the first.
    """
    for split, part in (data if isinstance(data, Mapping) else {"data": data}).items():
        if hasattr(part, "__array__") and not _is_frame(part):
            write_array(folder / f"{split}.npy", part)
        else:
            write_rows(folder / f"{split}.csv", part)


def write_array(path: Path, array: Any) -> None:
    """Write an array or tensor as .npy.

    Raises:
        SettingError: an array of Python objects.
    """
    import numpy as np

    found = np.asarray(array)
    if found.dtype.hasobject:
        raise SettingError(
            [f"{path.name}: an array of Python objects would be pickled; give rows as mappings"]
        )
    with atomic_path(path) as partial, partial.open("wb") as stream:
        np.save(stream, found, allow_pickle=False)


def write_predicted(path: Path, predictions: Any) -> None:
    """Write predictions as CSV: goemo's own, those of `Predictor.predict`, or what `write_rows` takes.

    Raises:
        SettingError: something else, no rows, or rows with other keys than the first.
    """
    if hasattr(predictions, "y_true"):
        from goemo_cli.core.predictions import write_predictions

        write_predictions(path, predictions)
    else:
        write_rows(path, predictions)


def write_rows(path: Path, data: Any) -> None:
    """Write rows as CSV, completely or not at all; None and NaN are empty cells, lists are joined by a comma.

    Args:
        data: rows as mappings, an object with `rows()`, or a data frame of pandas.

    Raises:
        SettingError: something else, no rows, or rows with other keys than the first.
    """
    rows = iter(_rows_of(path, data))
    first = next(rows, None)
    if not isinstance(first, Mapping) or not first:
        raise SettingError([f"{path.name}: rows must be mappings, at least one"])
    columns = list(first)
    with atomic_csv(path) as writer:
        writer.writerow(columns)
        writer.writerow([_cell(first[column]) for column in columns])
        for number, row in enumerate(rows, start=2):
            if not isinstance(row, Mapping) or set(row) != set(columns):
                raise SettingError([f"{path.name}: row {number} has other keys than the first"])
            writer.writerow([_cell(row[column]) for column in columns])


def read_table(path: Path, most: int) -> tuple[list[str], list[list[Any]]] | None:
    """The header and the first rows of a CSV or TSV file; columns of numbers as floats, their empty cells as None.

    Returns:
        None for any other file, and for one that is not a sound table.
    """
    format = TABLE_FORMATS.get(path.suffix.lower())
    if format is None:
        return None
    try:
        with open_table(path, format) as (header, lines):
            rows: list[list[Any]] = [fields for _, fields in islice(lines, most)]
    except DataFileError:
        return None
    if any(len(row) != len(header) for row in rows):
        return None
    for at in range(len(header)):
        cells = [row[at] for row in rows]
        if any(cells) and all(_NUMBER.fullmatch(cell) for cell in cells if cell):
            for row in rows:
                row[at] = float(row[at]) if row[at] else None
    return header, rows


def _is_frame(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "columns")


def _rows_of(path: Path, data: Any) -> Iterable[Any]:
    if _is_frame(data):
        if not data.columns.is_unique:
            raise SettingError([f"{path.name}: two columns of the data frame have the same name"])
        columns = [
            [None if is_missing else cell for cell, is_missing in zip(data[name].array, missing, strict=True)]
            for name, missing in data.isna().items()
        ]
        return (dict(zip(data.columns, cells, strict=True)) for cells in zip(*columns, strict=True))
    if hasattr(data, "rows"):
        found: Iterable[Any] = data.rows()
        return found
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes)):
        return data
    raise SettingError([f"{path.name}: a {type(data).__name__} has no rows; give mappings or a data frame"])


def _cell(value: Any) -> Any:
    if isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0:
        return ",".join(map(str, value))
    return "" if value is None or value != value else value  # NaN alone differs from itself
