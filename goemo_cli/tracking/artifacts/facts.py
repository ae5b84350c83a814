"""Facts about an artifact that goemo reads from its files: sizes, framework, versions, rows, labels."""

import json
import math
import re
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goemo_cli.core.csv_files import TABLE_FORMATS, TableFormat, open_table
from goemo_cli.core.errors import DataFileError
from goemo_cli.tracking.software import installed_versions

_LABEL_COLUMNS = ("labels", "true_labels", "label", "emotions")
_PACKAGES = ("torch", "transformers", "scikit-learn", "numpy", "tensorflow", "jax", "xgboost", "lightgbm")
_MOST_LABELS = 1_000
_LONGEST_HEADER = 100 * 2**20
_SECRET = re.compile(
    r"(^|[_.\-])(token|secret|password|passwd|api_?key|access_?key|credentials?)$", re.IGNORECASE
)
_USERINFO = re.compile(r"(\w+://)[^/@\s]+@")
REDACTED = "[redacted]"


def software() -> dict[str, str]:
    """Versions of goemo, Python and the libraries that models are made with, as far as they are installed."""
    return installed_versions(_PACKAGES)


def size_facts(files: Mapping[str, Path]) -> dict[str, Any]:
    """Number of files and bytes."""
    return {"n_files": len(files), "total_bytes": sum(path.stat().st_size for path in files.values())}


def model_facts(files: Mapping[str, Path]) -> dict[str, Any]:
    """Framework, parameters and labels, as far as the files show them."""
    by_name = {Path(name).name: path for name, path in files.items()}
    facts: dict[str, Any] = {}
    if framework := _framework(set(by_name)):
        facts["framework"] = framework
    weights = [path for path in files.values() if path.suffix == ".safetensors"]
    counts = [_parameters(path) for path in weights]
    if weights and all(count is not None for count in counts):
        facts["parameters"] = sum(count or 0 for count in counts)
    config = _json_object(by_name.get("config.json"))
    if isinstance(names := config.get("id2label"), dict):
        facts["n_labels"] = len(names)
    if isinstance(architectures := config.get("architectures"), list):
        facts["architectures"] = architectures
    run = _json_object(by_name.get("manifest.json")).get("run")
    if isinstance(run, str):
        facts["goemo_run"] = run
    return facts | {"versions": software()}


def table_facts(files: Mapping[str, Path]) -> dict[str, Any]:
    """Rows of CSV, TSV and .npy files, how often each label occurs, and shape and type of arrays; no facts of other files.

    Labels are read from the first of the columns `labels`, `true_labels`, `label`, `emotions`, names joined by a comma.
    A file that cannot be read is listed as `unreadable`, with the reason.
    """
    rows: dict[str, int] = {}
    arrays: dict[str, Any] = {}
    labels: Counter[str] = Counter()
    unreadable: dict[str, str] = {}
    for name, path in files.items():
        if format := TABLE_FORMATS.get(path.suffix.lower()):
            try:
                rows[name] = _count(path, format, labels)
            except DataFileError as error:
                unreadable[name] = str(error).rpartition(": ")[2]
        elif path.suffix.lower() == ".npy":
            try:
                arrays[name] = _array_facts(path)
            except (ValueError, EOFError) as error:
                unreadable[name] = str(error)
            else:
                rows[name] = (arrays[name]["shape"] or [1])[0]
    facts: dict[str, Any] = {"arrays": arrays} if arrays else {}
    if rows:
        facts |= {"rows": sum(rows.values())} | ({"rows_by_file": rows} if len(rows) > 1 else {})
    if labels:
        facts["label_distribution"] = dict(sorted(labels.items()))
    if unreadable:
        facts["unreadable"] = unreadable
    return facts


def without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that can be written and sent: values under names such as `api_key` are replaced, and URL passwords."""
    return {
        str(key): REDACTED if isinstance(value, str) and _SECRET.search(str(key)) else _clean(value)
        for key, value in settings.items()
    }


def _clean(value: Any) -> Any:
    if isinstance(value, Mapping):
        return without_secrets(value)
    if isinstance(value, (list, tuple)):
        return [_clean(entry) for entry in value]
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()  # a number of numpy or torch
    if isinstance(value, str):
        return _USERINFO.sub(rf"\1{REDACTED}@", value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def _framework(names: set[str]) -> str | None:
    if "config.json" in names and names & {
        "model.safetensors",
        "pytorch_model.bin",
        "model.safetensors.index.json",
    }:
        return "transformers"
    suffixes = {Path(name).suffix for name in names}
    for suffix, framework in (
        (".onnx", "onnx"), (".safetensors", "safetensors"), (".pt", "pytorch"), (".pth", "pytorch"),
        (".joblib", "scikit-learn"), (".skops", "scikit-learn"), (".keras", "keras"),
    ):  # fmt: skip
        if suffix in suffixes:
            return framework
    return None


def _parameters(path: Path) -> int | None:
    """The number of parameters in a safetensors file, from its header alone; None if the header is damaged."""
    with path.open("rb") as stream:
        length = stream.read(8)
        if len(length) < 8 or (size := struct.unpack("<Q", length)[0]) > _LONGEST_HEADER:
            return None
        try:
            header = json.loads(stream.read(size))
            return sum(
                int(math.prod(entry["shape"])) for name, entry in header.items() if name != "__metadata__"
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None


def _json_object(path: Path | None) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _array_facts(path: Path) -> dict[str, Any]:
    """Shape and type in the header of a .npy file; ValueError or EOFError if it has none."""
    from numpy.lib import format as npy

    with path.open("rb") as stream:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(stream)
    return {"shape": list(shape), "dtype": str(dtype)}


def _count(path: Path, format: TableFormat, labels: Counter[str]) -> int:
    counted: Counter[str] = Counter()
    n_rows = 0
    with open_table(path, format) as (header, rows):
        column = next((header.index(name) for name in _LABEL_COLUMNS if name in header), None)
        for line, fields in rows:
            n_rows += 1
            if len(fields) != len(header):
                raise DataFileError(path, f"{len(fields)} fields instead of {len(header)}", line)
            if column is not None and len(counted) <= _MOST_LABELS:
                counted.update(name.strip() for name in fields[column].split(",") if name.strip())
    if len(counted) <= _MOST_LABELS:  # more are no labels but texts
        labels.update(counted)
    return n_rows
