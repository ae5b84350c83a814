"""Checkpoint folders: files, hashes, labels and the shape of metrics.json."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import CARD, MANIFEST, METRICS, Checkpoint
from goemo_cli.core.errors import CheckpointNotFoundError, GoemoError
from goemo_cli.core.files import read_json_object
from goemo_cli.core.schema import (
    HISTORY_KEYS,
    PER_CLASS_COLUMNS,
    RANKING_KEYS,
    RULE_KEYS,
    RULES,
)
from goemo_cli.services.validation.report import ValidationReport

_FILES_OF_KIND = {
    "transformer": (
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        CARD,
    ),
    "tfidf": ("tfidf.json", "tfidf.safetensors", CARD),
}
_WEIGHTS_OF = {
    "both": ("pytorch_model.bin", "model.safetensors"),
    "bin": ("pytorch_model.bin",),
    "safetensors": ("model.safetensors",),
}
_FRACTIONS = (*RULE_KEYS, *RANKING_KEYS, "val_f1_macro", "val_f1_micro", "val_auc_micro")


def check_checkpoint(folder: Path, report: ValidationReport) -> Checkpoint | None:
    """Check one folder; the opened checkpoint, or None where the rest makes no sense."""
    if not (folder / MANIFEST).is_file():
        report.warn(
            folder, "unfinished: it has no manifest.json (still training, or killed); it counts for nothing"
        )
        return None
    try:
        report.checks.append(("opens", folder))
        checkpoint = Checkpoint.open(folder)
        settings, metrics = checkpoint.config, checkpoint.metrics
        _ = checkpoint.thresholds
    except CheckpointNotFoundError as error:
        report.problem(folder, str(error))
        return None
    except GoemoError as error:
        report.problem(getattr(error, "path", folder), str(error))
        return None
    faults = list(checkpoint.hash_faults())
    report.checks.append(("SHA-256 of every file", folder / MANIFEST))
    for fault in faults:
        report.problem(*fault)
    report.check(
        "name",
        folder,
        holds=folder.name == str(checkpoint.run),
        otherwise=f"holds the run {checkpoint.run}, not the one of its name",
    )
    _check_files(checkpoint, settings.output.weights, report)
    if checkpoint.kind != "tfidf":
        _check_model_config(checkpoint, report)
    if not _check_metrics(folder / METRICS, metrics, checkpoint, report):
        return None
    return checkpoint


def _check_files(checkpoint: Checkpoint, weights: str, report: ValidationReport) -> None:
    kind = "tfidf" if checkpoint.kind == "tfidf" else "transformer"
    wanted = _FILES_OF_KIND[kind] + (_WEIGHTS_OF[weights] if kind == "transformer" else ())
    on_disk = {
        path.relative_to(checkpoint.path).as_posix() for path in checkpoint.path.rglob("*") if path.is_file()
    }
    listed = set(checkpoint.manifest["files"])
    for name in wanted:
        report.check(
            "present",
            checkpoint.path / name,
            holds=name in listed,
            otherwise="is missing from checkpoint and manifest",
        )
    for name in sorted(on_disk - listed - {MANIFEST}):
        report.warn(checkpoint.path / name, "is not named in the manifest")


def _check_model_config(checkpoint: Checkpoint, report: ValidationReport) -> None:
    path = checkpoint.path / "config.json"
    try:
        config = read_json_object(path)
        names = config.get("id2label", {})
        labels = tuple(names.get(str(at)) for at in range(len(names)))
    except (GoemoError, OSError, AttributeError) as error:
        report.problem(path, f"cannot be read ({error})")
        return
    report.check(
        "label order",
        path,
        holds=labels == checkpoint.labels,
        otherwise="id2label differs from the manifest's labels",
    )
    problem_type = config.get("problem_type")
    report.check(
        "problem type",
        path,
        holds=problem_type == "multi_label_classification",
        otherwise=f"problem_type is {problem_type!r} instead of 'multi_label_classification'",
    )
    report.check(
        "no foreign code", path, holds="auto_map" not in config, otherwise="auto_map asks for code of its own"
    )


def _check_metrics(
    path: Path, metrics: dict[str, Any], checkpoint: Checkpoint, report: ValidationReport
) -> bool:
    """Whether metrics.json has the promised shape, so that others may rely on its keys."""
    before = len(report.problems)
    report.check(
        "run", path, holds=metrics["run"] == str(checkpoint.run), otherwise=f"is of run {metrics['run']}"
    )
    for name in _missing_keys(metrics):
        report.problem(path, f"lacks {name}")
    names = tuple(row.get("emotion") for row in metrics["per_class"])
    report.check(
        "label order",
        path,
        holds=names == checkpoint.labels,
        otherwise="per_class has other labels, or another order",
    )
    for place, value in _numbers(metrics):
        if not math.isfinite(value):
            report.problem(path, f"{place} is {value}")
        elif place.rsplit(".", 1)[-1] in _FRACTIONS and not 0 <= value <= 1:
            report.problem(path, f"{place} is {value}, not between 0 and 1")
    epochs = [entry.get("epoch") for entry in metrics["history"]]
    report.check(
        "epochs",
        path,
        holds=epochs == list(range(1, len(epochs) + 1)),
        otherwise=f"history counts epochs {epochs}",
    )
    report.check(
        "best epoch",
        path,
        holds=metrics["best_epoch"] in epochs,
        otherwise=f"best_epoch {metrics['best_epoch']} is not in history",
    )
    return len(report.problems) == before


def _missing_keys(metrics: dict[str, Any]) -> Iterator[str]:
    for at, entry in enumerate(metrics["history"]):
        yield from (f"history[{at}].{key}" for key in HISTORY_KEYS if key not in entry)
    for at, row in enumerate(metrics["per_class"]):
        yield from (f"per_class[{at}].{key}" for key in PER_CLASS_COLUMNS if key not in row)
    yield from (f"test.{key}" for key in RANKING_KEYS if key not in metrics["test"])
    for rule in RULES:
        yield from (f"test.{rule}.{key}" for key in RULE_KEYS if key not in metrics["test"].get(rule, {}))
    yield from (
        f"data.{key}"
        for key in ("name", "source", "sha256", "split_sha256", "sizes")
        if key not in metrics["data"]
    )


def _numbers(value: Any, place: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _numbers(entry, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for at, entry in enumerate(value):
            yield from _numbers(entry, f"{place}[{at}]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield place, float(value)
