"""What every model can do once it is trained, and loading any of them from a checkpoint."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.ml.devices import pick_device
from goemo_cli.ml.ensemble import Ensemble
from goemo_cli.ml.tfidf import load_tfidf
from goemo_cli.ml.transformer import load_transformer


class Classifier(Protocol):
    """Texts in, probabilities out."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in column order."""
        ...

    def predict_proba(self, texts: Sequence[str], advanced: Callable[[int], None] = ...) -> FloatArray:
        """Probability of every label, float32, (n_examples, n_labels)."""
        ...


def load_classifier(checkpoint: Checkpoint, *, device: str = "auto") -> Classifier:
    """The model of a checkpoint, after every file's hash was checked.

    Raises:
        CorruptArtifactError: a file differs from the manifest, or the weights do not fit.
    """
    checkpoint.require_intact()
    if checkpoint.kind == "ensemble":
        return Ensemble(checkpoint.labels, tuple(_member_loaders(checkpoint, device)))
    if checkpoint.kind == "tfidf":
        return load_tfidf(checkpoint.path, checkpoint.labels)
    return load_transformer(
        checkpoint.path, checkpoint.labels, checkpoint.config.model, device=pick_device(device)
    )


def _member_loaders(ensemble: Checkpoint, device: str) -> Iterator[Callable[[], Classifier]]:
    """How to load each member, which lies beside its ensemble; a missing one fails now."""
    for run in ensemble.manifest["parents"]["members"]:
        member = Checkpoint.open(ensemble.path.parent / run)
        yield partial(load_classifier, member, device=device)
