"""Frozen lower layers: they keep their weights, and what they give is computed once."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import torch
from torch import Tensor

from goemo_cli.core.arrays import IntArray
from goemo_cli.core.files import atomic_path
from goemo_cli.ml.models.cpu import packed_linears
from goemo_cli.ml.models.devices import Precision
from goemo_cli.ml.models.layers import encoder_parts, output_below
from goemo_cli.ml.training.batches import EncodedTexts

CacheType = Literal["float16", "float32"]


def freeze(model: Any, layers: int) -> None:
    """Let embeddings and the lowest layers keep their weights: no gradient and no dropout.

    Args:
        model: in training mode; one with `encoder_parts`.
        layers: at least 1.
    """
    parts = encoder_parts(model)
    assert parts
    for module in (*parts.embeddings, *parts.layers[:layers]):
        module.requires_grad_(False).eval()


@dataclass(frozen=True)
class FrozenOutputs:
    """What the frozen layers give for each token of some texts.

    Attributes:
        layer: the layer that they enter, counted from 0.
        texts: the texts.
        values: float16 or float32, (n_tokens, width), in a file that is mapped into memory.
    """

    layer: int
    texts: EncodedTexts
    values: np.ndarray[Any, np.dtype[Any]]

    def padded(self, rows: IntArray, width: int, device: torch.device) -> Tensor:
        """The rows of a batch in fp32, with zeros after their last token, (batch, width, size)."""
        lengths = self.texts.lengths[rows]
        found = np.zeros((len(rows), width, self.values.shape[1]), dtype=np.float32)
        for at, row in enumerate(rows):
            start = self.texts.offsets[row]
            found[at, : lengths[at]] = self.values[start : start + lengths[at]]
        return torch.from_numpy(found).to(device)


class FrozenStore:
    """Computes what frozen layers give, and remembers it for trainings that differ in other things.

    The trainings of one process share the newest outputs, in a file without a name, which the system removes when the process
    ends, however it ends; those of several processes share the files of a folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """With a folder for named files; its owner removes it."""
        self._folder = folder
        self._key = ""
        self._outputs: FrozenOutputs | None = None

    def outputs(
        self,
        model: Any,
        layers: int,
        texts: EncodedTexts,
        *,
        folder: Path,
        dtype: CacheType,
        precision: Precision,
        on_progress: Callable[[int], None] = lambda rows: None,
    ) -> FrozenOutputs:
        """As `frozen_outputs`, computed again only if the texts, the frozen weights or the precision are others."""

        def compute(file: IO[bytes]) -> FrozenOutputs:
            return frozen_outputs(
                model, layers, texts, file, dtype=dtype, precision=precision, on_progress=on_progress
            )

        key = _digest(model, layers, texts, f"{layers} {dtype} {precision}")
        if self._outputs is None or key != self._key:
            self._outputs = None  # its file goes before the new one comes
            if self._folder is None:
                with tempfile.TemporaryFile(dir=folder) as file:
                    self._outputs = compute(file)
            else:
                self._outputs = self._in_folder(self._folder / key, layers, texts, dtype, compute)
            self._key = key
        return self._outputs

    def _in_folder(
        self,
        path: Path,
        layers: int,
        texts: EncodedTexts,
        dtype: CacheType,
        compute: Callable[[IO[bytes]], FrozenOutputs],
    ) -> FrozenOutputs:
        """From a file, which is written first unless another process has done so."""
        if not path.is_file():
            with atomic_path(path) as partial, partial.open("r+b") as file:
                compute(file)
        width = path.stat().st_size // (np.dtype(dtype).itemsize * len(texts.tokens))
        values = np.memmap(path, dtype=dtype, mode="r", shape=(len(texts.tokens), width))
        return FrozenOutputs(layers, texts, values)


def file_bytes(model: Any, texts: EncodedTexts, dtype: CacheType) -> int:
    """The size of the temporary file."""
    return int(len(texts.tokens) * model.config.hidden_size * np.dtype(dtype).itemsize)


@torch.no_grad()
def frozen_outputs(
    model: Any,
    layers: int,
    texts: EncodedTexts,
    file: IO[bytes],
    *,
    dtype: CacheType,
    precision: Precision,
    on_progress: Callable[[int], None] = lambda rows: None,
) -> FrozenOutputs:
    """Compute embeddings and the lowest layers for all texts, without dropout.

    Args:
        model: where it will be trained.
        layers: the number of frozen layers.
        texts: n_examples texts.
        file: open for reading and writing, and empty; gets n_tokens * width values.
        dtype: of the values in the file.
        precision: of the forward pass.
        on_progress: called with the number of texts done since the last call.

    Raises:
        OSError: no room for the file.
    """
    device = next(model.parameters()).device
    shape = (len(texts.tokens), model.config.hidden_size)
    _reserve(file, file_bytes(model, texts, dtype))
    values = np.memmap(file, dtype=dtype, mode="r+", shape=shape)
    was_training = model.training
    model.eval()
    in_bf16 = precision == "bf16"
    packed = packed_linears(model, 0 if in_bf16 else len(texts))  # the packed layers know fp32 only
    with packed, torch.autocast(device.type, torch.bfloat16, enabled=in_bf16):
        for rows in texts.batches_by_length():
            hidden = output_below(model, layers, texts.padded(rows, device)).float().cpu().numpy()
            for at, row in enumerate(rows):
                start, end = texts.offsets[row : row + 2]
                values[start:end] = hidden[at, : end - start]
            on_progress(len(rows))
    model.train(was_training)
    return FrozenOutputs(layers, texts, values)


def _reserve(file: IO[bytes], size: int) -> None:
    """Fill a file with zeros: writing to memory that is mapped from a full disk would end the process."""
    block = bytes(2**20)
    while size > 0:
        size -= file.write(block[:size])
    file.flush()


def _digest(model: Any, layers: int, texts: EncodedTexts, kind: str) -> str:
    """Of everything that decides what the frozen layers give."""
    parts = encoder_parts(model)
    assert parts
    sha256 = hashlib.sha256(kind.encode())
    for module in (*parts.embeddings, *parts.layers[:layers]):
        for tensor in module.state_dict().values():
            sha256.update(tensor.detach().cpu().contiguous().numpy().data)
    sha256.update(texts.tokens.data)
    sha256.update(texts.offsets.data)
    return sha256.hexdigest()
