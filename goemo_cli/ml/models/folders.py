"""Folders with models from any tool: which files contain the weights, and what a folder without weights is."""

import re
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import MANIFEST, STATE
from goemo_cli.core.errors import (
    CorruptArtifactError,
    ModelFolderError,
    ModelNotFoundError,
)
from goemo_cli.core.files import read_json_object
from goemo_cli.core.hints import command_line

CONFIG = "config.json"
_NO_CONFIG = f"the folder has no {CONFIG}"
_ADAPTER = "adapter_config.json"
_SETFIT = "config_setfit.json"
_MODULES = "modules.json"
# In the order in which transformers looks for them.
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_SHARD = re.compile(r"(model|pytorch_model)-\d+-of-\d+\.(safetensors|bin)")
_OTHER_FORMATS = ("*.onnx", "*.h5", "*.gguf", "*.msgpack", "*.ckpt*", "*.pt", "*.pth")


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files with a model's weights that transformers reads: one, or all shards that an index names.

    Raises:
        ModelNotFoundError: the folder has no model, or none in a format that goemo reads; with what it has.
        ModelFolderError: an index that cannot be read, or a shard that is missing.
    """
    if (reason := why_no_model(folder)) is not None:
        raise ModelNotFoundError(str(folder), reason)
    path = next(folder / name for name in _WEIGHTS if (folder / name).is_file())
    return _shards(path) if path.suffix == ".json" else (path,)


def why_no_model(folder: Path) -> str | None:
    """What a folder is instead of a model with weights, and what to do; None if it is one."""
    if (folder / _ADAPTER).is_file():
        return (
            f"it is a PEFT adapter{_base_of(folder)}, not a model: merge the two (PeftModel.merge_and_unload), "
            "save_pretrained the result to a new folder, and name that"
        )
    if not (folder / CONFIG).is_file():
        return f"{_NO_CONFIG}{_models_below(folder)}"
    if any((folder / name).is_file() for name in _WEIGHTS):
        return None
    if shards := sorted(path.name for path in folder.iterdir() if _SHARD.fullmatch(path.name)):
        return f"the folder has {shards[0]}, but not the index that names all shards (*.index.json)"
    others = sorted({path.name for pattern in _OTHER_FORMATS for path in folder.glob(pattern)})
    has = f"; it has {', '.join(others[:3])}, which goemo does not read" if others else ""
    return f"the folder has neither model.safetensors nor pytorch_model.bin{has}"


def describe_foreign(folder: Path) -> str | None:
    """What a folder without a manifest is, and how to use it; None if it does not look like a model."""
    if (reason := why_no_model(folder)) is None:
        what = only_its_encoder(folder) or "a transformers model"
        return (
            f"it is {what}, not a run: {command_line('goemo import', folder)} makes a run of a classifier; "
            f"{command_line('goemo train --model', folder)} trains on it"
        )
    return None if reason == _NO_CONFIG else reason


def only_its_encoder(folder: Path) -> str | None:
    """For folders of which goemo uses the encoder alone: what they are, and what is left out; None for others."""
    if (folder / _SETFIT).is_file():
        return "a SetFit model, of which only the encoder is used, not the head (model_head.pkl)"
    if (folder / _MODULES).is_file():
        return "a sentence-transformers model, of which only the encoder is used, not the pooling"
    return None


def _base_of(folder: Path) -> str:
    try:
        base = read_json_object(folder / _ADAPTER).get("base_model_name_or_path")
    except CorruptArtifactError:
        base = None
    return f" of {base}" if isinstance(base, str) else ""


def _models_below(folder: Path) -> str:
    """The folders inside that have a model: Trainer's checkpoints, the encoder of older sentence-transformers, finished runs."""
    models = [path.parent for path in folder.glob(f"*/{CONFIG}")]
    unfinished = {model for model in models if (model / STATE).is_dir() and not (model / MANIFEST).is_file()}
    names = sorted((model.name for model in models if model not in unfinished), key=_in_order)
    if not names:
        return ""
    what = (
        "Trainer's checkpoints"
        if names[-1].startswith("checkpoint-")
        else "a sentence-transformers model's encoder"
        if (folder / _MODULES).is_file()
        else "models"
    )
    return f"; it holds {what}: {', '.join(names[-3:])}. Name one: {folder / names[-1]}"


def _in_order(name: str) -> tuple[int, str]:
    """checkpoint-1000 comes after checkpoint-500."""
    number = re.search(r"\d+$", name)
    return (int(number.group()) if number else 0, name)


def _shards(index: Path) -> tuple[Path, ...]:
    places = _read(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise ModelFolderError(index, "has no weight_map, which names the file of each tensor")
    for name in places.values():
        if not isinstance(name, str) or Path(name).name != name:
            raise ModelFolderError(index, f"names {name!r}, which is not a file in its folder")
        if not (index.parent / name).is_file():
            raise ModelFolderError(index.parent / name, f"is missing; {index.name} names it")
    return tuple(index.parent / name for name in sorted(set(places.values())))


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json_object(path)
    except CorruptArtifactError as error:
        raise ModelFolderError(path, error.reason) from error
