"""Classifiers that start at their label names: the fitted scale, names that say nothing, and labels that continue."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from goemo_cli.core.settings import ModelSettings
from goemo_cli.ml.models.tiny import build_tiny
from goemo_cli.ml.models.transformer import TransformerClassifier, logits_of_encoded
from goemo_cli.ml.training.label_names import start_at_label_names
from goemo_cli.ml.training.loop import seed_everything

LABELS = ("joy", "deep_anger", "fear")
WORDS = ("joy", "anger", "fear")


def texts_and_gold(seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Short texts with the words of one or two labels, and one time in five those of others."""
    rng = np.random.default_rng(seed)
    gold = rng.random((300, 3)) < 0.4
    shown = gold ^ (rng.random(gold.shape) < 0.2)
    texts = [" ".join(["so", "much", *np.array(WORDS)[row]]) for row in shown]
    return texts, gold


def classifier_of(
    labels: tuple[str, ...], gold: np.ndarray, *, single: bool = False
) -> TransformerClassifier:
    """A tiny model that reads the mean of its tokens, with the prior as its bias."""
    seed_everything(0)
    settings = ModelSettings(name="tiny", max_length=16, pooling="mean", dropout=0.5)
    classifier = build_tiny(texts_and_gold()[0], labels, settings, single_label=single)
    classifier.start_bias_at(gold.mean(axis=0))
    return classifier


def logits(classifier: TransformerClassifier, texts: list[str]) -> np.ndarray:
    """Before the activation, in fp64."""
    return logits_of_encoded(classifier.model, classifier.encode(texts)).astype(np.float64)


def test_no_other_scale_has_a_lower_loss_on_train():
    texts, gold = texts_and_gold()
    classifier = classifier_of(LABELS, gold)
    prior = gold.mean(axis=0)
    bias = np.log(prior / (1 - prior))
    start = start_at_label_names(classifier, "so {}", texts, gold)
    found = logits(classifier, texts)

    def loss(scale: float) -> float:
        y_prob = 1 / (1 + np.exp(-(bias + scale * (found - bias))))
        return float(log_loss(gold.ravel(), y_prob.ravel()))

    best = minimize_scalar(loss, bounds=(0, 4), method="bounded", options={"xatol": 1e-6})
    assert best.x == pytest.approx(1, abs=0.01)
    assert start is not None
    assert start.loss_with == pytest.approx(loss(1), abs=1e-4)
    assert start.loss_without == pytest.approx(loss(0), abs=1e-4)
    assert start.loss_with < start.loss_without - 0.02


def test_names_that_contradict_the_texts_change_nothing():
    texts, gold = texts_and_gold()
    classifier = classifier_of(LABELS, ~gold)
    before = classifier.model.classifier.bias.detach().clone()
    start = start_at_label_names(classifier, "so {}", texts, ~gold)
    assert start is not None
    assert start.loss_with == start.loss_without
    assert torch.allclose(classifier.model.classifier.weight, torch.zeros(3, 32), atol=1e-6)
    assert torch.allclose(classifier.model.classifier.bias, before, atol=1e-4)


def test_labels_that_continue_keep_their_weights():
    texts, gold = texts_and_gold()
    classifier = classifier_of(LABELS, gold)
    classifier.continued = ("deep_anger",)
    before = logits(classifier, texts)
    start_at_label_names(classifier, "so {}", texts, gold)
    after = logits(classifier, texts)
    np.testing.assert_allclose(after[:, 1], before[:, 1], atol=1e-6)
    assert (np.abs(after - before).max(axis=0) > 0.1).tolist() == [True, False, True]


def test_a_softmax_starts_at_its_names_too():
    texts, _ = texts_and_gold()
    gold = np.eye(3, dtype=bool)[np.arange(300) % 3]
    texts = [f"so much {word}" for word in np.array(WORDS)[gold.argmax(axis=1)]]
    classifier = classifier_of(LABELS, gold, single=True)
    start = start_at_label_names(classifier, "so {}", texts, gold)
    assert start is not None
    assert start.loss_without == pytest.approx(np.log(3), abs=1e-3)
    y_prob = classifier.predict_proba(texts)
    assert start.loss_with == pytest.approx(log_loss(gold.argmax(axis=1), y_prob), abs=1e-4)
    assert (y_prob.argmax(axis=1) == gold.argmax(axis=1)).all()


def test_a_single_name_has_nothing_to_be_compared_with():
    texts, gold = texts_and_gold()
    classifier = classifier_of(LABELS[:1], gold[:, :1])
    before = logits(classifier, texts)
    assert start_at_label_names(classifier, "so {}", texts, gold[:, :1]) is None
    np.testing.assert_array_equal(logits(classifier, texts), before)
