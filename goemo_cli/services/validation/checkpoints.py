"""Checkpoint folders: files, hashes, labels, metrics.json, and the recorded splits."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import CARD, CONFIG, MANIFEST, METRICS, Checkpoint
from goemo_cli.core.documents.manifest import Manifest, Parents
from goemo_cli.core.documents.metrics import Metrics
from goemo_cli.core.errors import CheckpointNotFoundError, CorruptArtifactError, GoemoError
from goemo_cli.core.files import PARTIAL_PREFIX, read_json_object, sha256_file
from goemo_cli.core.hints import command_line
from goemo_cli.core.labels import SPLITS
from goemo_cli.core.layering import flat
from goemo_cli.core.schema import PROBLEM_TYPES, RANKING_KEYS, RULE_KEYS
from goemo_cli.ml.data.goemotions import SPLIT_SHA256, moved_label
from goemo_cli.services.runs.index import is_resumable
from goemo_cli.services.runs.provenance import is_inside
from goemo_cli.services.validation.report import ValidationReport, reason_of

_TRANSFORMER_FILES = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", CARD
)  # fmt: skip
_FILES_OF_KIND = {"tfidf": ("tfidf.json", "tfidf.safetensors", CARD), "ensemble": (CARD,)}
_FRACTIONS = {*RULE_KEYS, *RANKING_KEYS, "val_f1_macro", "val_f1_micro", "val_auc_micro"}
_WEIGHTS_OF = {
    "both": ("pytorch_model.bin", "model.safetensors"),
    "bin": ("pytorch_model.bin",),
    "safetensors": ("model.safetensors",),
}


def check_checkpoint(
    folder: Path, report: ValidationReport, sha256: Callable[[Path], str] = sha256_file
) -> Checkpoint | None:
    """Check one folder; the opened checkpoint, or None if it cannot be checked further.

    Args:
        sha256: of a file.
    """
    try:
        (folder / MANIFEST).lstat()
    except FileNotFoundError:
        if is_resumable(folder):
            report.warn(folder, f"interrupted; `goemo train --resume {folder.name}` continues it")
        else:
            report.warn(
                folder,
                "unfinished: it has no manifest.json, since its training was killed; it does not count",
            )
        return None
    except OSError as error:
        report.check("can be read", folder, holds=False, otherwise=f"cannot be read ({error.strerror})")
        return None
    if is_resumable(folder):
        report.warn(
            folder,
            f"the end of its training, or another seed, is missing; `goemo train --resume {folder.name}` continues it",
        )
    with report.guard(folder):
        checkpoint = _opened(folder, report)
        if checkpoint and _check_opened(checkpoint, report, sha256):
            return checkpoint
    return None


def _opened(folder: Path, report: ValidationReport) -> Checkpoint | None:
    report.checks.append(("opens", folder))
    try:
        found = [(folder / MANIFEST, fault) for fault in Manifest.faults_in(folder / MANIFEST)]
        checkpoint = None if found else Checkpoint.read(folder)
        if checkpoint and checkpoint.is_half_tuned:
            raise CorruptArtifactError(
                folder,
                f"goemo tune was killed while it wrote this run; repeat: {command_line('goemo tune --checkpoint', folder)}",
            )
        if not (checkpoint and checkpoint.is_unscored):
            found += [(folder / METRICS, fault) for fault in Metrics.faults_in(folder / METRICS)]
        for fault in found:
            report.problem(*fault)
        if checkpoint is None or found:
            return None
        checkpoint.require_readable()
    except CheckpointNotFoundError as error:
        for name in error.missing or [folder.name]:
            report.problem(folder / name if error.missing else folder, "is missing")
    except GoemoError as error:
        report.problem(getattr(error, "path", folder), reason_of(error))
    else:
        return checkpoint
    return None


def _check_opened(checkpoint: Checkpoint, report: ValidationReport, sha256: Callable[[Path], str]) -> bool:
    """Whether the rest may rely on it."""
    folder = checkpoint.path
    inside = [name for name in checkpoint.manifest.files if not is_inside(name)]
    if not report.check(
        "names only its own files",
        folder / MANIFEST,
        holds=not inside,
        otherwise=f"names a file outside the checkpoint: {', '.join(map(repr, inside[:3]))}",
    ):
        return False
    report.checks.append(("SHA-256 of every file", folder / MANIFEST))
    for fault in list(checkpoint.hash_faults(sha256)):
        report.problem(*fault)
    report.check(
        "name",
        folder,
        holds=folder.name == str(checkpoint.run),
        otherwise=f"contains the run {checkpoint.run}, not the one of its name",
    )
    _check_kind(checkpoint, report)
    _check_files(checkpoint, report)
    if checkpoint.unknown_settings:
        names = ", ".join(flat(checkpoint.unknown_settings))
        report.warn(folder / CONFIG, f"has settings that this version does not know: {names}")
    if (folder / "config.json").is_file():
        with report.guard(folder / "config.json"):
            _check_model_config(checkpoint, report)
    if checkpoint.is_unscored:
        return True
    if not _check_metrics(checkpoint, report):
        return False
    if checkpoint.manifest.headline is not None:
        report.check(
            "headline",
            folder / MANIFEST,
            holds=checkpoint.manifest.headline.is_of(checkpoint.metrics),
            otherwise="its headline is not what metrics.json says",
        )
    check_recorded_splits(checkpoint, report)
    return True


def _check_kind(checkpoint: Checkpoint, report: ValidationReport) -> None:
    """The manifest's kind against what the run was made from, as manifest and metrics.json say."""
    found = [_kind_in(checkpoint.manifest.parents)]
    if not checkpoint.is_unscored:
        found.append(_kind_in(checkpoint.metrics))
    expected = {kind for kind in found if kind}
    report.check(
        "kind",
        checkpoint.path / MANIFEST,
        holds=not expected or expected == {checkpoint.kind},
        otherwise=f"kind is {checkpoint.kind}, the run was made as {' and '.join(sorted(expected))}",
    )


def _kind_in(document: Parents | Metrics) -> str | None:
    """The kind of run that has these parents or metrics; None if they do not say it."""
    if document.members:
        return "ensemble"
    kind = document.base_model.get("kind")
    return None if kind is None else str(kind)


def _check_files(checkpoint: Checkpoint, report: ValidationReport) -> None:
    wanted = _FILES_OF_KIND.get(checkpoint.kind)
    if wanted is None:
        wanted = _TRANSFORMER_FILES + _WEIGHTS_OF[checkpoint.config.output.weights]
    listed = set(checkpoint.manifest.files)
    for name in wanted:
        report.check(
            "present",
            checkpoint.path / name,
            holds=name in listed,
            otherwise="is missing from checkpoint and manifest",
        )
    weights = {name for name in listed if name.endswith((".bin", ".safetensors"))}
    if checkpoint.kind == "ensemble" and weights:
        report.warn(checkpoint.path, f"an ensemble has no weights, but this has {', '.join(weights)}")
    on_disk = {
        path.relative_to(checkpoint.path).as_posix() for path in checkpoint.path.rglob("*") if path.is_file()
    }
    for name in sorted(on_disk - listed - {MANIFEST}):
        if PARTIAL_PREFIX not in name:  # leftovers are named as such
            report.warn(checkpoint.path / name, "is not named in the manifest")


def _check_model_config(checkpoint: Checkpoint, report: ValidationReport) -> None:
    path = checkpoint.path / "config.json"
    config = read_json_object(path)
    names = config.get("id2label", {})
    labels = tuple(names.get(str(at)) for at in range(len(names)))
    report.check(
        "label order",
        path,
        holds=labels == checkpoint.labels,
        otherwise="id2label differs from the manifest's labels",
    )
    problem_type = config.get("problem_type")
    expected = PROBLEM_TYPES[checkpoint.rules.is_single_label]
    report.check(
        "problem type",
        path,
        holds=problem_type == expected,
        otherwise=f"problem_type is {problem_type!r} instead of {expected!r}",
    )
    report.check(
        "no foreign code",
        path,
        holds="auto_map" not in config,
        otherwise="auto_map asks for code in the folder",
    )


def _check_metrics(checkpoint: Checkpoint, report: ValidationReport) -> bool:
    """Whether metrics.json fits the run, and its values are possible."""
    path, metrics, before = checkpoint.path / METRICS, checkpoint.metrics, len(report.problems)
    report.check("run", path, holds=metrics.run == str(checkpoint.run), otherwise=f"is of run {metrics.run}")
    for key in RANKING_KEYS:
        if key not in metrics.test.model_fields_set:
            report.problem(path, f"test.{key} is missing")
    report.check(
        "label order",
        path,
        holds=tuple(row.emotion for row in metrics.per_class) == checkpoint.labels,
        otherwise="per_class has other labels, or another order",
    )
    for place, value in _numbers(metrics.as_json()):
        if place.rpartition(".")[2] in _FRACTIONS and not 0 <= value <= 1:
            report.problem(path, f"{place} is {value:g}, not between 0 and 1")
    if checkpoint.kind != "ensemble" and checkpoint.manifest.origin == "trained":
        epochs = [entry.epoch for entry in metrics.history]
        report.check(
            "epochs",
            path,
            holds=epochs == list(range(1, len(epochs) + 1)),
            otherwise=f"history counts epochs {epochs}",
        )
        report.check(
            "best epoch",
            path,
            holds=metrics.best_epoch in epochs,
            otherwise=f"best_epoch {metrics.best_epoch} is not in history",
        )
    return len(report.problems) == before


def _numbers(value: Any, place: str = "") -> Iterator[tuple[str, int | float]]:
    """Every number in a JSON value, with its key path."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _numbers(entry, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for i, entry in enumerate(value):
            yield from _numbers(entry, f"{place}[{i}]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield place, value


def check_recorded_splits(checkpoint: Checkpoint, report: ValidationReport) -> None:
    """Compare the splits that a run on GoEmotions recorded with the published ones.

    Train is compared only if no rows were left out, and nothing if labels were rolled up. The user's own data has no such
    second source: its predictions are compared with what the run recorded.
    """
    data, settings = checkpoint.metrics.data, checkpoint.config.data
    published = [split for split in SPLITS if data.split_sha256.of(split) == SPLIT_SHA256[split]]
    moved = moved_label(checkpoint.labels) if published else None
    report.check(
        "label names as published",
        checkpoint.path / METRICS,
        holds=moved is None,
        otherwise=f"{', '.join(published)} has the rows of GoEmotions, but the label {moved!r} is not in its published place",
    )
    if settings.name != "goemotions" or data.name != "goemotions" or settings.taxonomy:
        return
    is_cut = settings.max_train_samples is not None or data.excluded is not None
    complete = [split for split in SPLITS if split != "train" or not is_cut]
    differing = [split for split in complete if data.split_sha256.of(split) != SPLIT_SHA256[split]]
    report.check(
        "splits as published",
        checkpoint.path / METRICS,
        holds=not differing,
        otherwise=f"texts, gold labels or order of {', '.join(differing)} are not those of the published GoEmotions files",
    )
