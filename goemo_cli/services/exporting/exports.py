"""Exported models below a root: which there are, and whether their run has changed since."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from goemo_cli.core.checkpoint import CALIBRATION, CONFIG, MANIFEST, METRICS, THRESHOLDS, Checkpoint
from goemo_cli.core.documents.manifest import Export, Manifest
from goemo_cli.core.errors import CorruptArtifactError, GoemoError
from goemo_cli.core.files import PARTIAL_PREFIX
from goemo_cli.core.hints import command_line
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import ExportPrecision

COPIED = ("config.json", THRESHOLDS, CALIBRATION, METRICS, CONFIG)
"""Files of a run that its exported model has too, if the run has them."""
_TOKENIZER = "tokenizer.json"
_WEIGHTS = (".safetensors", ".bin")


def sources_of(checkpoint: Checkpoint, layout: Layout) -> dict[str, str]:
    """SHA-256 of the files of a run that an exported model is made from, by path from the root.

    Taken from the manifest of the run, whose files were compared with it.
    """
    return {
        layout.shown(checkpoint.path / name): entry.sha256
        for name, entry in checkpoint.manifest.files.items()
        if name in (*COPIED, _TOKENIZER) or name.endswith(_WEIGHTS)
    }


def require_export(checkpoint: Checkpoint) -> Export:
    """What the manifest of an exported model says of it.

    Raises:
        CorruptArtifactError: the folder is a run.
    """
    if checkpoint.manifest.export is None:
        raise CorruptArtifactError(checkpoint.path / MANIFEST, "does not say how the model was exported")
    return checkpoint.manifest.export


def export_folders(layout: Layout) -> Iterator[Path]:
    """Every folder that could be an exported model."""
    for path in sorted(layout.exports.glob("*/*")):
        if not path.name.startswith(PARTIAL_PREFIX) and path.is_dir():
            yield path


def export_command(run: str, precision: ExportPrecision, root: Path = Path()) -> str:
    """The command that exports a run."""
    return command_line("goemo export-model", run, *(["--int8"] if precision == "int8" else []), root=root)


def read_exports(layout: Layout) -> Iterator[tuple[Path, Manifest, Export]]:
    """Manifest file, manifest and export of each readable exported model. `goemo validate` names the others."""
    for folder in export_folders(layout):
        with suppress(GoemoError, OSError):
            manifest = Manifest.read(folder / MANIFEST)
            if manifest.export is not None:
                yield folder / MANIFEST, manifest, manifest.export


def fault_of_export(checkpoint: Checkpoint, layout: Layout) -> str | None:
    """Why a run has no exported model that could predict instead of it; None if it has one."""
    path = layout.export(checkpoint.run, "onnx", "fp32") / MANIFEST
    if not path.is_file():
        return "is not exported"
    manifest = Manifest.read(path)
    if manifest.export is None or manifest.run != str(checkpoint.run):
        return f"is not exported: {path} is not of this run"
    recorded = {Path(name).name: digest for name, digest in manifest.export.sources.items()}
    now = {Path(name).name: digest for name, digest in sources_of(checkpoint, layout).items()}
    return None if recorded == now else "has changed since it was exported"
