from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from goemo_cli.core.errors import NotFoundError
from goemo_cli.ml.models.embedding import embed, project
from goemo_cli.ml.models.ensemble import Ensemble
from goemo_cli.ml.models.tfidf import fit_tfidf
from goemo_cli.ml.models.transformer import TransformerClassifier


def test_a_transformers_embedding_is_the_mean_of_its_last_hidden_state(
    make_tiny: Callable[..., TransformerClassifier], comments: tuple[list[str], Any]
) -> None:
    import torch

    classifier, texts = make_tiny(), comments[0]
    done: list[int] = []
    found = embed(classifier, texts, done.append)
    assert sum(done) == len(texts)
    assert found.dtype == np.float32
    for row in (0, 5, 17):  # one by one, without padding
        tokens = classifier.tokenizer(texts[row], return_tensors="pt")
        with torch.no_grad():
            output = classifier.model.eval()(**tokens, output_hidden_states=True)
        mean = output.hidden_states[-1][0].mean(dim=0).numpy()
        np.testing.assert_allclose(found[row], mean / np.linalg.norm(mean), atol=1e-5)


def test_tfidf_vectors_are_reduced(comments: tuple[list[str], Any]) -> None:
    texts, gold = comments
    classifier = fit_tfidf(("joy", "anger", "sadness"), texts, gold, seed=0, on_progress=lambda n: None)
    found = embed(classifier, texts)
    vectors = classifier.vectorizer.transform(texts).toarray()
    left, values, _ = np.linalg.svd(vectors, full_matrices=False)
    reduced = (left * values)[:, : found.shape[1]]
    reduced /= np.maximum(np.linalg.norm(reduced, axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(found @ found.T, reduced @ reduced.T, atol=1e-4)


def test_an_ensemble_has_none() -> None:
    with pytest.raises(NotFoundError, match="use one of its members"):
        embed(Ensemble(("joy",), ()), ["text"])


def test_equal_texts_are_one_point() -> None:
    """The t-SNE of scikit-learn ends the process with a segmentation fault."""
    assert project(np.full((40, 5), 0.5, dtype=np.float32)).tolist() == [[0, 0]] * 40


def test_alike_texts_lie_near_each_other() -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(3, 8), 20, axis=0)
    points = project((centres + 0.02 * rng.normal(size=(60, 8))).astype(np.float32))
    assert points.shape == (60, 2)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    group = np.repeat(np.arange(3), 20)
    assert (group[apart.argmin(axis=1)] == group).all()


def test_neighbours_stay_neighbours_as_in_scikit_learns_slower_default() -> None:
    from sklearn.manifold import TSNE, trustworthiness

    draw = np.random.default_rng(1)
    centres = draw.normal(size=(8, 20))[draw.integers(0, 8, 400)]
    vectors = (centres + draw.normal(size=(400, 20))).astype(np.float32)
    default = trustworthiness(vectors, TSNE(random_state=0, n_jobs=1).fit_transform(vectors), n_neighbors=10)
    assert trustworthiness(vectors, project(vectors), n_neighbors=10) == pytest.approx(default, abs=0.01)


def test_many_texts_have_the_embeddings_of_few(
    make_tiny: Callable[..., TransformerClassifier], comments: tuple[list[str], Any]
) -> None:
    """From 32 texts on, linear layers compute on reordered weights."""
    classifier, texts = make_tiny(), (comments[0] * 40)[:40]
    few = np.concatenate([embed(classifier, texts[:20]), embed(classifier, texts[20:])])
    np.testing.assert_allclose(embed(classifier, texts), few, atol=1e-5)
    np.testing.assert_allclose(embed(classifier, texts[:20]), few[:20], atol=0)
