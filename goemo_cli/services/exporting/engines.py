"""The engine of predictions: torch, or an exported model in onnxruntime."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import CorruptArtifactError, NotFoundError, SettingError, known_name
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import Engine
from goemo_cli.services.exporting.exports import export_command, fault_of_export

_GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Device files of the drivers of GPUs."""


def with_engine(
    checkpoint: Checkpoint,
    layout: Layout,
    engine: str = "auto",
    *,
    device: str = "auto",
    precision: str = "fp32",
) -> Checkpoint:
    """The checkpoint itself, or the exported model that predicts instead of it.

    With `auto`, that is an exported fp32 model made from the files that the run has now, if onnxruntime is installed
    and nothing asks for torch: another device than the CPU, a GPU that torch could use, or bf16.

    Args:
        checkpoint: a run or an exported model.
        layout: below which exported models are looked for.
        engine: auto, torch or onnx.
        device: that was asked for.
        precision: that was asked for.

    Raises:
        SettingError: an unknown engine, or one that the model, the device or the precision excludes.
        NotFoundError: `onnx` without an up-to-date exported model.
    """
    chosen = known_name(engine, get_args(Engine), "engine")
    if checkpoint.manifest.export is not None:
        if chosen == "torch":
            raise SettingError(
                [f"engine torch: {checkpoint.path} is an exported model; name {checkpoint.run}"]
            )
        _require_cpu(device, precision)
        return checkpoint
    if chosen == "onnx":
        return _exported(checkpoint, layout, device, precision)
    if chosen == "torch" or not _is_onnx_faster(checkpoint, device, precision):
        return checkpoint
    try:
        fault = fault_of_export(checkpoint, layout)
    except (CorruptArtifactError, OSError):  # `goemo validate` names it
        return checkpoint
    return checkpoint if fault else Checkpoint.open(layout.export(checkpoint.run, "onnx", "fp32"))


def engine_of(checkpoint: Checkpoint) -> str:
    """What computes the predictions of a checkpoint: onnx, torch or scikit-learn."""
    if checkpoint.manifest.export is not None:
        return checkpoint.manifest.export.format
    if checkpoint.kind == "ensemble":
        return " and ".join(sorted({engine_of(member) for member in checkpoint.members()}))
    return "scikit-learn" if checkpoint.kind == "tfidf" else "torch"


def require_transformer(checkpoint: Checkpoint, purpose: str) -> None:
    """Refuse runs that have no ONNX form.

    Raises:
        SettingError: a tfidf model or an ensemble.
    """
    if checkpoint.kind == "ensemble":
        members = ", ".join(checkpoint.manifest.parents.members)
        raise SettingError(
            [f"{purpose}: {checkpoint.run} is an ensemble; take one of its members: {members}"]
        )
    if checkpoint.kind == "tfidf":
        raise SettingError(
            [f"{purpose}: {checkpoint.run} is a tfidf model; only transformers have an ONNX form"]
        )


def may_have_gpu() -> bool:
    """Whether torch could find a GPU (always on other systems than Linux); known without torch, which takes longer to import than most predictions."""
    return sys.platform != "linux" or any(Path(name).exists() for name in _GPU_FILES)


def _exported(checkpoint: Checkpoint, layout: Layout, device: str, precision: str) -> Checkpoint:
    require_transformer(checkpoint, "engine onnx")
    _require_cpu(device, precision)
    if fault := fault_of_export(checkpoint, layout):
        int8 = layout.export(checkpoint.run, "onnx", "int8")
        other = f"; the int8 model is used by its folder: {int8}" if int8.is_dir() else ""
        command = export_command(str(checkpoint.run), "fp32", layout.root)
        raise NotFoundError(f"engine onnx: {checkpoint.run} {fault}: {command}{other}")
    return Checkpoint.open(layout.export(checkpoint.run, "onnx", "fp32"))


def _require_cpu(device: str, precision: str) -> None:
    problems = []
    if device not in ("auto", "cpu"):
        problems.append(f"device {device}: exported models run on the CPU")
    if precision != "fp32":
        problems.append(
            f"precision {precision}: an exported model has the precision that it was exported with"
        )
    if problems:
        raise SettingError(problems)


def _is_onnx_faster(checkpoint: Checkpoint, device: str, precision: str) -> bool:
    is_on_cpu = device == "cpu" or (device == "auto" and not may_have_gpu())
    is_transformer = checkpoint.kind not in ("tfidf", "ensemble")
    return is_transformer and is_on_cpu and precision == "fp32" and find_spec("onnxruntime") is not None
