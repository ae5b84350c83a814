"""What every model can do once it is trained, and loading any of them from a checkpoint."""

from collections.abc import Callable, Sequence
from typing import Protocol

from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.ml.devices import pick_device
from goemo_cli.ml.tfidf import load_tfidf
from goemo_cli.ml.transformer import load_transformer


class Classifier(Protocol):
    """Texts in, probabilities out."""

    labels: tuple[str, ...]

    def predict_proba(self, texts: Sequence[str], advanced: Callable[[int], None] = ...) -> FloatArray:
        """Probability of every label, float32, (n_examples, n_labels)."""
        ...


def load_classifier(checkpoint: Checkpoint, *, device: str = "auto") -> Classifier:
    """The model of a checkpoint, after every file's hash was checked.

    Raises:
        CorruptArtifactError: a file differs from the manifest, or the weights do not fit.
    """
    checkpoint.require_intact()
    if checkpoint.kind == "tfidf":
        return load_tfidf(checkpoint.path, checkpoint.labels)
    return load_transformer(
        checkpoint.path, checkpoint.labels, checkpoint.config.model, device=pick_device(device)
    )
