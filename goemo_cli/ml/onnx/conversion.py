"""From a transformer in torch to an ONNX file, in fp32 or int8."""

import logging
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from goemo_cli.core.errors import ExportError, MissingPackageError
from goemo_cli.core.system.processes import cpu_facts
from goemo_cli.ml.models.layers import only_first_token
from goemo_cli.ml.models.transformer import TransformerClassifier

OPSET = 20
"""Version of the ONNX operators: the newest in which attention is written as products."""
_EXAMPLES = ("a text", "another, longer text")


class _Logits(nn.Module):
    """A classifier of transformers as a function of two tensors."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits, (batch, n_labels)."""
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def require_packages() -> None:
    """Refuse to begin if a package is missing.

    Raises:
        MissingPackageError: with the extra that installs it.
    """
    from importlib.util import find_spec

    for package in ("onnxscript", "onnxruntime"):
        if find_spec(package) is None:
            raise MissingPackageError(package, "onnx", "exporting a model")


def write_onnx(classifier: TransformerClassifier, path: Path, *, weight_bits: int | None = None) -> None:
    """Write a classifier: `input_ids` and `attention_mask`, int64, (batch, tokens), to `logits`, fp32, (batch, n_labels).

    Batch and number of tokens are free. The last layer computes the first token only, if the head reads no other.

    Args:
        classifier: on the CPU.
        path: the file to write.
        weight_bits: 7 or 8 for an int8 model, None for fp32. Use 7 for processors without VNNI (`has_vnni`): they add products of
            bytes in 16 bits, which 8 bits would overflow.

    Raises:
        ExportError: torch cannot express the architecture in ONNX.
    """
    inputs = classifier.encode(_EXAMPLES).padded(range(len(_EXAMPLES)))
    free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=classifier.max_length)}
    try:
        with _quiet(), torch.no_grad(), only_first_token(classifier.model):
            program = torch.onnx.export(
                _Logits(classifier.model).eval(),
                kwargs=inputs,
                dynamo=True,
                input_names=list(inputs),
                output_names=["logits"],
                dynamic_shapes=dict.fromkeys(inputs, free),
                opset_version=OPSET,
                verbose=False,
            )
            assert program is not None  # as it is for dynamo without a path
            from onnx_ir.passes.common import ClearMetadataAndDocStringPass  # which may be missing

            ClearMetadataAndDocStringPass()(program.model)  # lines of source code with paths of this machine
            if weight_bits is not None:
                from goemo_cli.ml.onnx.quantization import quantize

                program.model = quantize(program.model, weight_bits)
            program.save(path)
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ExportError(f"this architecture cannot be exported to ONNX ({reason})") from error


def has_vnni() -> bool:
    """Whether the processor multiplies 8-bit numbers into 32-bit sums: VNNI on x86, and each 64-bit ARM."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return True
    return bool({"avx512_vnni", "avx_vnni"} & set(cpu_facts().get("flags", "").split()))


@contextmanager
def _quiet() -> Iterator[None]:
    """Neither warnings nor log lines of torch and onnxruntime about their own working inside the block."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
