"""What the machine computes on, and in which precision."""

from typing import Literal

import torch

from goemo_cli.core.errors import SettingError

Precision = Literal["fp32", "bf16"]


def pick_device(wanted: str) -> torch.device:
    """The device of a setting; `auto` is the best there is.

    Raises:
        SettingError: a device that this machine or this build of torch does not have.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return torch.device("cuda" if there["cuda"] else "mps" if there["mps"] else "cpu")
    if not there.get(wanted):
        here = ", ".join(["auto", *(name for name in there if there[name])])
        raise SettingError([f"device: {wanted!r} is not available here; available: {here}"])
    return torch.device(wanted)


def pick_precision(wanted: str, device: torch.device) -> Precision:
    """bf16 if it was asked for, or with `auto` if the hardware has instructions for it; else fp32."""
    if wanted == "bf16" or (wanted == "auto" and has_fast_bf16(device)):
        return "bf16"
    return "fp32"


def has_fast_bf16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are faster than in float32: AMX, AVX512-BF16, or a GPU with bf16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        features = torch.cpu.get_capabilities()
        return bool(features.get("amx_bf16") or features.get("avx512_bf16"))
    return False


def is_out_of_memory(error: Exception) -> bool:
    """Whether an allocation failed; torch has no error type for a full CPU memory."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def describe_device(device: torch.device) -> str:
    """For people: the device and how much of it there is."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"CPU, {torch.get_num_threads()} threads"
    return device.type
