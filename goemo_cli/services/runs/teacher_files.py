"""Files with the probabilities that a run gives to the texts of its students."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from goemo_cli.core.arrays import FloatArray, not_probabilities
from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import atomic_path, library_writes

_TENSOR = "y_prob"
_AGAIN = "remove it, and the next student computes it again"


def write_probabilities(path: Path, y_prob: FloatArray, facts: Mapping[str, str]) -> None:
    """Write probabilities, float32, (n_texts, n_labels), with facts about them."""
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as partial, library_writes(partial):
        save_file({_TENSOR: np.ascontiguousarray(y_prob)}, partial, metadata=dict(facts))


def read_probabilities(path: Path, facts: Mapping[str, str]) -> FloatArray:
    """The probabilities in a file, float32, (n_texts, n_labels).

    Args:
        facts: what the file must say about them.

    Raises:
        CorruptArtifactError: it is damaged, it has other facts, or a number is not a probability.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            y_prob: FloatArray = file.get_tensor(_TENSOR)
            found: Mapping[str, Any] = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CorruptArtifactError(path, f"is damaged ({error}); {_AGAIN}") from error
    for key, value in facts.items():
        if found.get(key) != value:
            raise CorruptArtifactError(path, f"has other {key} than expected; {_AGAIN}")
    if y_prob.ndim != 2 or y_prob.dtype != np.float32 or len(not_probabilities(y_prob)):
        raise CorruptArtifactError(path, f"contains numbers that are not probabilities; {_AGAIN}")
    return y_prob


def probabilities_sha256(y_prob: FloatArray) -> str:
    """SHA-256 of probabilities, float32, row by row."""
    return hashlib.sha256(np.ascontiguousarray(y_prob).data).hexdigest()
