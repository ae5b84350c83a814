"""Checkpoint folders: files, hashes, labels, and that everything in them can be read."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from goemo_cli.core.checkpoint import CARD, CONFIG, MANIFEST, METRICS, Checkpoint
from goemo_cli.core.errors import CheckpointNotFoundError, CorruptArtifactError, GoemoError
from goemo_cli.core.files import PARTIAL_PREFIX, read_json_object
from goemo_cli.core.headline import headline_of
from goemo_cli.services.runs.show import flat
from goemo_cli.services.validation.metrics import check_metrics, is_ensemble
from goemo_cli.services.validation.report import ValidationReport, reason_of
from goemo_cli.services.validation.splits import check_recorded_splits

_TRANSFORMER_FILES = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", CARD
)  # fmt: skip
_FILES_OF_KIND = {"tfidf": ("tfidf.json", "tfidf.safetensors", CARD), "ensemble": (CARD,)}
_WEIGHTS_OF = {
    "both": ("pytorch_model.bin", "model.safetensors"),
    "bin": ("pytorch_model.bin",),
    "safetensors": ("model.safetensors",),
}


def check_checkpoint(folder: Path, report: ValidationReport) -> Checkpoint | None:
    """Check one folder; the opened checkpoint, or None where the rest makes no sense."""
    try:
        (folder / MANIFEST).lstat()
    except FileNotFoundError:
        report.warn(
            folder, "unfinished: it has no manifest.json, since its training was killed; it does not count"
        )
        return None
    except OSError as error:
        report.check("can be read", folder, holds=False, otherwise=f"cannot be read ({error.strerror})")
        return None
    with report.guard(folder):
        checkpoint = _opened(folder, report)
        if checkpoint and _check_opened(checkpoint, report):
            return checkpoint
    return None


def _opened(folder: Path, report: ValidationReport) -> Checkpoint | None:
    report.checks.append(("opens", folder))
    try:
        checkpoint = Checkpoint.read(folder)
        if checkpoint.is_half_tuned:
            raise CorruptArtifactError(
                folder,
                f"goemo tune was killed while it wrote this run; repeat: goemo tune --checkpoint {folder}",
            )
        checkpoint.require_readable()
    except CheckpointNotFoundError as error:
        for name in error.missing or [folder.name]:
            report.problem(folder / name if error.missing else folder, "is missing")
    except GoemoError as error:
        report.problem(getattr(error, "path", folder), reason_of(error))
    else:
        return checkpoint
    return None


def _check_opened(checkpoint: Checkpoint, report: ValidationReport) -> bool:
    """Whether the rest may rely on it."""
    folder = checkpoint.path
    inside = [name for name in checkpoint.manifest_json["files"] if not _is_inside(name)]
    if not report.check(
        "names only its own files",
        folder / MANIFEST,
        holds=not inside,
        otherwise=f"names a file outside the checkpoint: {', '.join(map(repr, inside[:3]))}",
    ):
        return False
    report.checks.append(("SHA-256 of every file", folder / MANIFEST))
    for fault in list(checkpoint.hash_faults()):
        report.problem(*fault)
    report.check(
        "name",
        folder,
        holds=folder.name == str(checkpoint.run),
        otherwise=f"holds the run {checkpoint.run}, not the one of its name",
    )
    _check_kind(checkpoint, report)
    _check_files(checkpoint, report)
    if checkpoint.unknown_settings:
        names = ", ".join(flat(checkpoint.unknown_settings))
        report.warn(folder / CONFIG, f"has settings that this version does not know: {names}")
    if (folder / "config.json").is_file():
        with report.guard(folder / "config.json"):
            _check_model_config(checkpoint, report)
    if not check_metrics(folder / METRICS, checkpoint.metrics_json, checkpoint, report):
        return False
    if "headline" in checkpoint.manifest_json:
        report.check(
            "headline",
            folder / MANIFEST,
            holds=checkpoint.manifest_json["headline"] == headline_of(checkpoint.metrics_json),
            otherwise="its headline is not what metrics.json says",
        )
    check_recorded_splits(checkpoint, report)
    return True


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _check_kind(checkpoint: Checkpoint, report: ValidationReport) -> None:
    """The manifest's kind against what the run was made from, as manifest and metrics.json say."""
    expected = {
        _kind_in(facts) for facts in (checkpoint.manifest_json["parents"], checkpoint.metrics_json)
    } - {None}
    report.check(
        "kind",
        checkpoint.path / MANIFEST,
        holds=not expected or expected == {checkpoint.kind},
        otherwise=f"kind is {checkpoint.kind}, the run was made as {' and '.join(sorted(filter(None, expected)))}",
    )


def _kind_in(facts: Mapping[str, Any]) -> str | None:
    """What kind of run has these parents or metrics; None if they do not say it."""
    if "members" in facts:
        return "ensemble"
    base = facts.get("base_model")
    return str(base["kind"]) if isinstance(base, dict) and "kind" in base else None


def _check_files(checkpoint: Checkpoint, report: ValidationReport) -> None:
    wanted = _FILES_OF_KIND.get(str(checkpoint.manifest_json.get("kind")))
    if wanted is None:
        wanted = _TRANSFORMER_FILES + _WEIGHTS_OF[checkpoint.config.output.weights]
    listed = set(checkpoint.manifest_json["files"])
    for name in wanted:
        report.check(
            "present",
            checkpoint.path / name,
            holds=name in listed,
            otherwise="is missing from checkpoint and manifest",
        )
    weights = {name for name in listed if name.endswith((".bin", ".safetensors"))}
    if is_ensemble(checkpoint) and weights:
        report.warn(checkpoint.path, f"an ensemble has no weights of its own, but here: {', '.join(weights)}")
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
    report.check(
        "problem type",
        path,
        holds=problem_type == "multi_label_classification",
        otherwise=f"problem_type is {problem_type!r} instead of 'multi_label_classification'",
    )
    report.check(
        "no foreign code", path, holds="auto_map" not in config, otherwise="auto_map asks for code of its own"
    )
