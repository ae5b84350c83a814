"""The form of manifest.json and metrics.json that readers rely on, checked once when they are read."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import METRICS_KEYS, RULES

KINDS = ("transformer", "tiny", "tfidf", "ensemble")
"""What `kind` in a manifest may be."""
_HEADLINE_TEXTS = ("data", "val_sha256", "test_sha256", "threshold_rule")


class Document(dict[str, Any]):
    """A JSON object whose missing keys are a fault of the file, not of the code that reads it."""

    def __init__(self, values: Mapping[str, Any], path: Path, place: str = "") -> None:
        super().__init__(
            (key, Document(value, path, f"{place}{key}.") if isinstance(value, dict) else value)
            for key, value in values.items()
        )
        self._path, self._place = path, place

    def __missing__(self, key: str) -> NoReturn:
        raise CorruptArtifactError(self._path, f"{self._place}{key} is missing")


def manifest_fault(manifest: Mapping[str, Any]) -> str | None:
    """What keeps a JSON object from being a manifest; None if it is one."""
    labels, files, outputs = manifest.get("labels"), manifest.get("files"), manifest.get("outputs", {})
    parents = manifest.get("parents")
    faults = {
        "run": RunName.parse(str(manifest.get("run"))) is None,
        "labels": not (_is_list_of(labels, str) and labels),
        "files": not (isinstance(files, dict) and all(map(_is_file_entry, files.values()))),
        "parents": not isinstance(parents, dict),
        "kind": manifest.get("kind", KINDS[0]) not in KINDS,
        "outputs": not (isinstance(outputs, dict) and all(isinstance(one, str) for one in outputs.values())),
        "headline": not is_headline(manifest.get("headline", {})),
    }
    names = [
        f"{name} is missing" if name not in manifest else f"{name} has another form"
        for name, is_fault in faults.items()
        if is_fault
    ]
    if isinstance(parents, dict) and not _has_members(parents, manifest.get("kind")):
        names.append("parents.members is not a list of runs")
    return f"is not a goemo manifest: {', '.join(names)}" if names else None


def is_headline(value: Any) -> bool:
    """Whether a value may be shown and sorted as a headline: scores by split, texts and numbers; any may be missing."""
    return isinstance(value, dict) and all(
        one is None
        or (
            isinstance(one, dict) and all(score is None or is_number(score) for score in one.values())
            if key in ("val", "test")
            else isinstance(one, str)
            if key in _HEADLINE_TEXTS
            else is_number(one)
        )
        for key, one in value.items()
    )


def metrics_faults(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Keys of metrics.json that are missing, and values of another kind than readers expect."""
    yield from (f"{key} is missing" for key in METRICS_KEYS if key not in metrics)
    yield from (
        f"{key} is null" for key in ("history", "per_class", "test", "data") if metrics.get(key, 0) is None
    )
    for key in ("run", "model", "threshold_rule", "wandb_run_id"):
        if not isinstance(metrics.get(key), str | None):
            yield f"{key} is not text"
    for key in ("seed", "best_epoch", "training_seconds"):
        if metrics.get(key) is not None and not is_number(metrics[key]):
            yield f"{key} is not a number"
    for key in ("history", "per_class"):
        yield from _row_faults(key, metrics.get(key))
    for key in ("val", "test"):
        yield from _score_faults(key, metrics.get(key))
    yield from _data_faults(metrics.get("data"))
    yield from _taxonomy_faults(metrics.get("taxonomies"))


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number that fits a float; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -1e300 < value < 1e300 if isinstance(value, int) else math.isfinite(value)


def _has_members(parents: Mapping[str, Any], kind: Any) -> bool:
    members = parents.get("members", [])
    return _is_list_of(members, str) and (bool(members) or kind != "ensemble")


def _is_file_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and is_number(entry.get("size")) and isinstance(entry.get("sha256"), str)


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(entry, kind) for entry in value)


def _row_faults(place: str, rows: Any) -> Iterator[str]:
    if rows is None:
        return
    if not _is_list_of(rows, dict):
        yield f"{place} is not a list of objects"
        return
    for i, row in enumerate(rows):
        for key, value in row.items():
            is_sound = isinstance(value, str) if key == "emotion" else value is None or is_number(value)
            if not is_sound:
                yield f"{place}[{i}].{key} is {'not text' if key == 'emotion' else 'not a number'}"


def _score_faults(place: str, scores: Any) -> Iterator[str]:
    if scores is None:
        return
    if not isinstance(scores, dict):
        yield f"{place} is not an object"
        return
    for key, value in scores.items():
        if key in RULES:
            yield from _score_faults(f"{place}.{key}", value)
        elif key == "per_class":
            yield from _row_faults(f"{place}.{key}", value)
        elif key.endswith("_ci"):
            if not isinstance(value, list) or len(value) != 2 or not all(map(is_number, value)):
                yield f"{place}.{key} is not an interval"
        elif value is not None and not is_number(value):
            yield f"{place}.{key} is not a number"


def _data_faults(data: Any) -> Iterator[str]:
    if data is None:
        return
    if not isinstance(data, dict):
        yield "data is not an object"
        return
    if not isinstance(data.get("name"), str | None):
        yield "data.name is not text"
    for key, kind, what in (("sizes", int, "a number of rows"), ("split_sha256", str, "a hash")):
        entries = data.get(key, {})
        if not isinstance(entries, dict):
            yield f"data.{key} is not an object"
            continue
        for split, value in entries.items():
            if (
                not isinstance(value, kind)
                or isinstance(value, bool)
                or (isinstance(value, int) and value < 0)
            ):
                yield f"data.{key}.{split} is not {what}"


def _taxonomy_faults(taxonomies: Any) -> Iterator[str]:
    if taxonomies is None:
        return
    if not isinstance(taxonomies, dict) or not all(isinstance(one, dict) for one in taxonomies.values()):
        yield "taxonomies is not an object of objects"
        return
    for name, by_way in taxonomies.items():
        for way, scores in by_way.items():
            yield from _score_faults(f"taxonomies.{name}.{way}", scores)
