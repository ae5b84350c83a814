"""Checks of files from elsewhere: weights that are plain finite tensors, settings that ask for no code."""

import math
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import read_json

if TYPE_CHECKING:  # torch loads if there are weights to read
    from torch import Tensor

PICKLED = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})
"""Endings of files that torch.load would unpickle."""
WEIGHTS = PICKLED | {".safetensors"}
"""Endings of files with weights."""

# As in torch's weights_only: what rebuilding a dict of tensors needs, and nothing that runs anything else.
_ALLOWED = frozenset(
    {
        "collections OrderedDict",
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_tensor_v3",
        "torch._utils _rebuild_parameter",
        "torch._utils _rebuild_parameter_with_state",
        "torch._tensor _rebuild_from_type_v2",
        "torch Tensor",
        "torch Size",
        "torch device",
        "torch.nn.parameter Parameter",
    }
)
_STORAGE = re.compile(
    r"[A-Z][A-Za-z0-9]*Storage|bool|b?float(16|32|64)|bfloat16|float8_\w+|u?int(8|16|32|64)"
)
# Other ways to name a global; torch.save writes none of them.
_OTHER_GLOBALS = frozenset({"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"})
_ARCHIVE = b"PK\x03\x04"
_LEGACY_PICKLES = 5
"""Magic number, protocol, machine, the object, its storages: then raw numbers follow."""


def require_sound_weights(path: Path, *, numbers: bool) -> None:
    """Read the tensors of a file; nothing in it is run.

    transformers would convert quantised weights without their scales, and start a model without any tensors at random.

    Args:
        path: a file whose ending is in `WEIGHTS`.
        numbers: read all of them; otherwise only names and types, which is quick.

    Raises:
        CorruptArtifactError: it is unsafe, is damaged, holds no tensors, quantised weights, or numbers that are not finite.
    """
    import torch

    floats = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    for name, tensor in _tensors(path, "cpu" if numbers else "meta"):
        if name.endswith(".weight") and tensor.dtype not in floats:
            raise CorruptArtifactError(
                path, f"{name} is quantised ({tensor.dtype}); goemo reads float weights"
            )
        if numbers:
            require_finite(path, name, tensor)


def require_finite(path: Path, name: str, tensor: "Tensor") -> None:
    """Refuse a tensor with a NaN or an infinity.

    Raises:
        CorruptArtifactError: with the tensor's name.
    """
    import torch

    # A sum needs no memory, and one number that is not finite makes it so.
    if not math.isfinite(float(tensor.detach().sum(dtype=torch.float64))):
        raise CorruptArtifactError(path, f"{name} holds numbers that are not finite")


def _tensors(path: Path, device: str) -> "Iterator[tuple[str, Tensor]]":
    """Name and tensor of everything in a file, at least one; on the device `meta` without their numbers."""
    read = _read_pickle if path.suffix in PICKLED else _read_safetensors
    count = 0
    for name, tensor in read(path, device):
        yield name, tensor
        count += 1
    if not count:
        raise CorruptArtifactError(path, "holds no tensors")


def _read_safetensors(path: Path, device: str) -> "Iterator[tuple[str, Tensor]]":
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            for name in file.keys():  # noqa: SIM118  # it is not a dict
                yield name, file.get_tensor(name).to(device)
    except SafetensorError as error:
        if _is_pickled(path):
            reason = "unsafe: is a pickle under another name, not a safetensors file"
        else:
            reason = f"is not a whole safetensors file ({error})"
        raise CorruptArtifactError(path, reason) from error


def _is_pickled(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_ARCHIVE)).startswith((_ARCHIVE, b"\x80"))


def _read_pickle(path: Path, device: str) -> "Iterator[tuple[str, Tensor]]":
    import torch

    require_plain_weights(path)
    try:
        state: Any = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch's advice, to load it in an unsafe way, is not passed on
        raise CorruptArtifactError(path, f"is not a whole torch file ({type(error).__name__})") from error
    if not isinstance(state, Mapping):
        raise CorruptArtifactError(path, f"holds a {type(state).__name__} instead of tensors by name")
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor):
            raise CorruptArtifactError(
                path, f"holds a {type(tensor).__name__} under {name!r} instead of a tensor"
            )
        yield name, tensor


def require_plain_weights(path: Path) -> None:
    """Read the opcodes of a pickled state dict; nothing of it is run.

    Args:
        path: a file whose ending is in `PICKLED`.

    Raises:
        CorruptArtifactError: it names anything that tensors do not need, or is not a torch file.
    """
    with path.open("rb") as stream:
        if stream.read(len(_ARCHIVE)) == _ARCHIVE:  # how torch tells the two forms apart
            _check_archive(path)
            return
        stream.seek(0)
        for _ in range(_LEGACY_PICKLES):
            _check_pickle(stream, path)


def require_plain_settings(path: Path) -> None:
    """Refuse a JSON file of a model that would have transformers run code from its folder.

    Raises:
        CorruptArtifactError: it has `auto_map` at its top, or is not JSON.
    """
    settings = read_json(path)
    if isinstance(settings, dict) and "auto_map" in settings:
        raise CorruptArtifactError(path, "unsafe: auto_map asks for code in its folder")


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(set(names)) != len(names):
                raise CorruptArtifactError(path, "unsafe: a name occurs twice in the archive")
            if any(name.endswith(("/constants.pkl", ".py")) for name in names):
                raise CorruptArtifactError(path, "unsafe: it holds a program, not only weights")
            pickles = [name for name in names if name.endswith(".pkl")]
            if len(pickles) != 1:
                raise CorruptArtifactError(path, f"holds {len(pickles)} pickles; a state dict is one")
            with archive.open(pickles[0]) as stream:
                _check_pickle(stream, path)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise CorruptArtifactError(path, f"is a damaged archive ({error})") from error


def _check_pickle(stream: IO[bytes], path: Path) -> None:
    for name in _globals(stream, path):
        module, _, attribute = name.partition(" ")
        is_storage = module in ("torch", "torch.storage") and bool(_STORAGE.fullmatch(attribute))
        if name not in _ALLOWED and not is_storage:
            raise CorruptArtifactError(
                path, f"unsafe: unpickling it would call {module}.{attribute}; a plain state dict does not"
            )


def _globals(stream: IO[bytes], path: Path) -> Iterator[str]:
    """`module name` of every global that the next pickle of the stream names."""
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "GLOBAL":
                yield str(argument)
            elif opcode.name in _OTHER_GLOBALS:
                raise CorruptArtifactError(
                    path, f"unsafe: its pickle uses {opcode.name}; a state dict does not"
                )
    except (ValueError, UnicodeDecodeError, IndexError, EOFError) as error:
        raise CorruptArtifactError(path, f"is not a torch file ({error})") from error
