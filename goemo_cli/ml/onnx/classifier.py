"""An exported model as a classifier: texts in, probabilities out, through onnxruntime, without torch and transformers."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from goemo_cli.core.arrays import FloatArray, require_probabilities
from goemo_cli.core.documents.manifest import Export
from goemo_cli.core.errors import CorruptArtifactError, MissingPackageError
from goemo_cli.core.system.processes import usable_cores
from goemo_cli.core.system.variables import wanted_threads
from goemo_cli.ml.training.batches import (
    EncodedTexts,
    PlainTokenizer,
    encode,
)

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
_SLOW_OPTIMIZERS = ["SkipLayerNormFusion"]
"""onnxruntime's fused sum and layer normalization takes a fifth of the time of an int8 model, the two by themselves a tenth."""
_ERRORS_ONLY = 3
"""The level of onnxruntime's log."""


@dataclass(frozen=True)
class OnnxClassifier:
    """A model in an onnxruntime session with its tokenizer."""

    session: "InferenceSession"
    tokenizer: PlainTokenizer
    labels: tuple[str, ...]
    max_length: int
    is_single_label: bool
    folder: Path

    def predict_proba(
        self,
        texts: Sequence[str],
        on_progress: Callable[[int], None] = lambda rows: None,
        cut: Callable[[int], None] = lambda texts: None,
    ) -> FloatArray:
        """Probability of every label.

        Args:
            texts: n_examples texts.
            on_progress: called with the number of rows done since the last call.
            cut: called with the number of texts that were longer than the model's maximum.

        Returns:
            float32, (n_examples, n_labels).

        Raises:
            CorruptArtifactError: the model gives numbers that are not probabilities.
        """
        encoded = encode(self.tokenizer, texts, self.max_length)
        cut(encoded.n_cut)
        logits = self.logits(encoded, on_progress)
        y_prob = softmax(logits) if self.is_single_label else sigmoid(logits)
        require_probabilities(y_prob, self.labels, self.folder)
        return y_prob

    def logits(
        self, encoded: EncodedTexts, on_progress: Callable[[int], None] = lambda rows: None
    ) -> FloatArray:
        """What the model gives before the activation, float32, (n_examples, n_labels)."""
        found = np.zeros((len(encoded), len(self.labels)), dtype=np.float32)
        for rows in encoded.batches_by_length():
            found[rows] = self.session.run(None, encoded.inputs(rows))[0]
            on_progress(len(rows))
        return found


def load_onnx(
    folder: Path, labels: tuple[str, ...], export: Export, *, is_single_label: bool
) -> OnnxClassifier:
    """The model of an exported folder on the CPU.

    Args:
        folder: with model.onnx and tokenizer.json.
        labels: label names in output order.
        export: what the manifest says of the model.
        is_single_label: whether probabilities are a softmax instead of sigmoids.

    Raises:
        CorruptArtifactError: onnxruntime or tokenizers cannot read a file, or the model has another number of labels.
        MissingPackageError: onnxruntime is missing.
    """
    session = _session(folder / MODEL)
    if (found := session.get_outputs()[0].shape[-1]) != len(labels):
        raise CorruptArtifactError(folder / MODEL, f"gives {found} numbers per text, not {len(labels)}")
    tokenizer = PlainTokenizer(_tokenizer(folder / TOKENIZER), export.pad_token_id, export.truncation_side)
    return OnnxClassifier(session, tokenizer, labels, export.max_length, is_single_label, folder)


def sigmoid(logits: FloatArray) -> FloatArray:
    """Probability of each label by itself; accurate for small ones."""
    y_prob: FloatArray = np.exp(-np.logaddexp(0, -logits))
    return y_prob


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities that add up to 1 in each row, (n_examples, n_labels)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    y_prob: FloatArray = powers / powers.sum(axis=1, keepdims=True)
    return y_prob


def _session(path: Path) -> "InferenceSession":
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError("onnxruntime", "runtime", "predicting with an exported model") from error
    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.log_severity_level = _ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"], disabled_optimizers=_SLOW_OPTIMIZERS
        )
    except Exception as error:  # onnxruntime's own types have no common base
        raise CorruptArtifactError(path, f"onnxruntime cannot load it ({error})") from error


def _threads() -> int:
    """OMP_NUM_THREADS, as for torch; else the cores that this process may use; 0 lets onnxruntime choose."""
    if (wanted := wanted_threads()) is not None:
        return wanted
    usable = usable_cores()
    return 0 if usable == os.cpu_count() else usable


def _tokenizer(path: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the only type that tokenizers raises
        raise CorruptArtifactError(path, f"is not a tokenizer ({error})") from error
