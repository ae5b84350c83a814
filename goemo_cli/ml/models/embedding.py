"""Texts as vectors, as a trained model sees them, and the same vectors in two dimensions."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from goemo_cli.core.arrays import FloatArray, IntArray
from goemo_cli.core.errors import NotFoundError
from goemo_cli.ml.models.ensemble import Ensemble
from goemo_cli.ml.models.tfidf import TfidfClassifier

if TYPE_CHECKING:  # torch loads for models that need it
    from goemo_cli.ml.models.classifier import Classifier
    from goemo_cli.ml.models.transformer import TransformerClassifier

SEED = 0
SVD_DIMENSIONS = 50
_PERPLEXITY = 30.0
_STEPS = 750
"""Of t-SNE, 250 of them with early exaggeration; 1,000, scikit-learn's default, place texts next to the same neighbours."""
_ANGLE = 0.8
"""How coarse t-SNE's distant points are: the fastest value below which errors are small."""


def embed(
    classifier: "Classifier", texts: Sequence[str], on_progress: Callable[[int], None] = lambda rows: None
) -> FloatArray:
    """What a model makes of texts before it decides, each of length 1, float32, (n_examples, size).

    A transformer's last hidden states, averaged over the tokens of the comment (special ones included), since what its
    classifier reads is another vector in every family. A TF-IDF model's vectors, reduced by truncated SVD of these
    very texts to at most `SVD_DIMENSIONS`: vectors of two calls do not compare. A text of no known term is all zeros.

    Args:
        classifier: a trained model.
        texts: at least one.
        on_progress: called with the number of rows done since the last call.

    Raises:
        NotFoundError: an ensemble, which has no embeddings.
    """
    from sklearn.preprocessing import normalize

    if isinstance(classifier, TfidfClassifier):
        found = _reduced_tfidf(classifier, texts)
        on_progress(len(texts))
    elif _is_transformer(classifier):
        found = _mean_hidden_state(classifier, texts, on_progress)
    else:
        raise NotFoundError("an ensemble has no embeddings: use one of its members")
    unit: FloatArray = normalize(found).astype(np.float32)
    return unit


def project(embeddings: FloatArray) -> FloatArray:
    """The embeddings in two dimensions, float32, (n_examples, 2); the same for the same on one machine.

    Embeddings that are all equal are all at the origin.

    Source:
        van der Maaten and Hinton 2008, Visualizing data using t-SNE, Journal of Machine Learning Research 9. Steps: Policar,
        Strazar and Zupan 2024, openTSNE, Journal of Statistical Software 109 (its default). Angle: the documentation of
        scikit-learn's TSNE (the error grows quickly above 0.8).
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has neither types nor stubs

    if (embeddings == embeddings[0]).all():
        return np.zeros(
            (len(embeddings), 2), dtype=np.float32
        )  # t-SNE would crash: it scales by their spread
    perplexity = min(_PERPLEXITY, (len(embeddings) - 1) / 3)
    with threadpool_limits(1):  # sums over threads come out in another order every time
        tsne = TSNE(perplexity=perplexity, max_iter=_STEPS, angle=_ANGLE, random_state=SEED, n_jobs=1)
        points: FloatArray = tsne.fit_transform(embeddings)
    return points


def _is_transformer(classifier: "Classifier") -> "TypeGuard[TransformerClassifier]":
    if isinstance(classifier, Ensemble):
        return False
    from goemo_cli.ml.models.transformer import TransformerClassifier  # torch, which the others do without

    return isinstance(classifier, TransformerClassifier)


def _mean_hidden_state(
    classifier: "TransformerClassifier", texts: Sequence[str], on_progress: Callable[[int], None]
) -> FloatArray:
    import torch

    from goemo_cli.ml.models.cpu import packed_linears

    encoder, encoded = classifier.model.base_model, classifier.encode(texts)
    device = next(encoder.parameters()).device
    means: list[tuple[IntArray, FloatArray]] = []
    with torch.no_grad(), packed_linears(encoder, len(texts)):
        for rows in encoded.batches_by_length():
            batch = encoded.padded(rows, device)
            hidden = encoder(**batch).last_hidden_state.float()  # (batch, tokens, size)
            mask = batch["attention_mask"][:, :, None]
            means.append((rows, ((hidden * mask).sum(1) / mask.sum(1)).cpu().numpy()))
            on_progress(len(rows))
    found: FloatArray = np.empty((len(texts), means[0][1].shape[1]), dtype=np.float32)
    for rows, mean in means:
        found[rows] = mean
    return found


def _reduced_tfidf(classifier: TfidfClassifier, texts: Sequence[str]) -> FloatArray:
    from sklearn.decomposition import TruncatedSVD

    vectors = classifier.vectorizer.transform(texts)
    size = min(SVD_DIMENSIONS, vectors.shape[1], len(texts))
    with np.errstate(
        invalid="ignore"
    ):  # the share of explained variance, unused, is undefined for equal texts
        found: FloatArray = TruncatedSVD(size, random_state=SEED).fit_transform(vectors).astype(np.float32)
    return found
