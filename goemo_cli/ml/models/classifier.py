"""What every model can do once it is trained, and loading any of them from a checkpoint."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Protocol

from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.manifest import Export
from goemo_cli.core.errors import SettingError, known_name
from goemo_cli.ml.models.ensemble import Ensemble, may_share_layers, sharing

if TYPE_CHECKING:
    from goemo_cli.ml.models.devices import Precision

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS: "tuple[Precision, ...]" = ("fp32", "bf16")


class Classifier(Protocol):
    """Texts in, probabilities out."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in column order."""
        ...

    def predict_proba(
        self, texts: Sequence[str], on_progress: Callable[[int], None] = ..., cut: Callable[[int], None] = ...
    ) -> FloatArray:
        """Probability of every label, float32, (n_examples, n_labels)."""
        ...


def load_classifier(
    checkpoint: Checkpoint,
    *,
    device: str = "auto",
    precision: "Precision" = "fp32",
    keep_members: bool = False,
) -> Classifier:
    """The model of a checkpoint, after every file's hash was checked.

    Args:
        checkpoint: of any kind, or an exported model, which has its own precision and runs on the CPU.
        device: auto, cpu, cuda or mps.
        precision: fp32, in which all artifacts are made; bf16 is faster and off by up to some hundredths.
        keep_members: an ensemble's models stay in memory once they are loaded; otherwise one is there at a time. Members
            that share frozen layers are in memory together in any case.

    Raises:
        CorruptArtifactError: a file differs from the manifest, or the weights do not fit.
        SettingError: an unknown device, or bf16 for a model that has no such weights.
    """
    known_name(device, DEVICES, "device")
    checkpoint.require_intact()
    if checkpoint.manifest.export is not None:
        return _exported(checkpoint, checkpoint.manifest.export)
    if checkpoint.kind == "ensemble":
        members = checkpoint.members()
        loaders = tuple(partial(load_classifier, one, device=device, precision=precision) for one in members)
        if may_share_layers(members):
            return sharing(checkpoint.labels, loaders)
        return Ensemble(checkpoint.labels, tuple(map(cache, loaders)) if keep_members else loaders)
    if checkpoint.kind == "tfidf":
        return _tfidf(checkpoint, precision)

    from goemo_cli.ml.models.devices import pick_device  # torch, which tfidf does without
    from goemo_cli.ml.models.transformer import load_transformer
    from goemo_cli.ml.models.weights import require_listed_weights

    require_listed_weights(checkpoint)
    classifier = load_transformer(
        checkpoint.path, checkpoint.labels, checkpoint.config.model, device=pick_device(device)
    )
    if precision == "bf16":
        classifier.model.bfloat16()
    return classifier


def _exported(checkpoint: Checkpoint, export: Export) -> Classifier:
    from goemo_cli.ml.onnx.classifier import load_onnx  # onnxruntime, which other models do without

    is_single_label = checkpoint.rules.is_single_label
    return load_onnx(checkpoint.path, checkpoint.labels, export, is_single_label=is_single_label)


def _tfidf(checkpoint: Checkpoint, precision: "Precision") -> Classifier:
    if precision != "fp32":
        raise SettingError(
            [f"precision {precision}: {checkpoint.run} is a tfidf model; only transformers have it"]
        )

    from goemo_cli.ml.models.tfidf import load_tfidf  # scikit-learn takes most of a second to import

    return load_tfidf(checkpoint.path, checkpoint.labels)
