"""Models and rows that are in memory, written as files that can be versioned. Nothing is pickled."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from goemo_cli.core.csv_files import atomic_csv
from goemo_cli.core.errors import SettingError
from goemo_cli.core.files import atomic_path, staged_files


def write_model(folder: Path, model: Any, save: Callable[[Any, Path], object] | None) -> None:
    """Write a model into an empty folder.

    Args:
        folder: where to.
        model: with `save_pretrained(folder)`; or a mapping of names to tensors, all of torch or all of numpy.
        save: how, for any other.

    Raises:
        SettingError: nothing tells how.
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
        raise SettingError([f"a mapping of {', '.join(sorted(kinds))} values is no state dict; pass save="])
    with atomic_path(path) as partial:
        save_file(dict(tensors), partial)


def write_splits(folder: Path, data: Any) -> None:
    """Write data as one CSV per split; without splits as data.csv.

    Args:
        folder: where to.
        data: rows as mappings, or such rows by split, or a data frame of pandas.

    Raises:
        SettingError: no rows, or rows with other keys than the first.
    """
    if hasattr(data, "to_dict"):
        data = data.to_dict(orient="records")
    for split, rows in (data if isinstance(data, Mapping) else {"data": data}).items():
        write_rows(folder / f"{split}.csv", rows)


def write_rows(path: Path, rows: Any) -> None:
    """Write rows as CSV, whole or not at all; None is an empty cell, lists are joined by a comma.

    Raises:
        SettingError: no rows, or rows with other keys than the first.
    """
    columns = list(rows[0]) if isinstance(rows, Sequence) and rows and isinstance(rows[0], Mapping) else []
    if not columns:
        raise SettingError([f"{path.name}: rows must be mappings, at least one"])
    with atomic_csv(path) as writer:
        writer.writerow(columns)
        for number, row in enumerate(rows, start=1):
            if not isinstance(row, Mapping) or set(row) != set(columns):
                raise SettingError([f"{path.name}: row {number} has other keys than the first"])
            writer.writerow([_cell(row[column]) for column in columns])


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value
