"""Words and what they add: completeness, the exact linear sum, and agreement of methods that share no code."""

from typing import Any

import numpy as np
import pytest
import torch

from goemo_cli.core.arrays import BoolArray, DoubleArray
from goemo_cli.core.settings import TrainingSettings
from goemo_cli.ml.metrics.attributions import (
    Attributions,
    integrated_gradients,
    linear_contributions,
    mean_attributions,
    occlusion,
    words_of,
)
from goemo_cli.ml.models.tfidf import TfidfClassifier, fit_tfidf
from goemo_cli.ml.models.transformer import TransformerClassifier
from goemo_cli.ml.training.loop import Examples, fit

LABELS = ("joy", "anger", "sadness")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def linear(comments: tuple[list[str], BoolArray]) -> TfidfClassifier:
    texts, y_true = comments
    return fit_tfidf(LABELS, texts, y_true, seed=0, on_progress=lambda labels: None)


@pytest.fixture(scope="module")
def trained(comments: tuple[list[str], BoolArray]) -> TransformerClassifier:
    """The tiny model after it has learnt that `happy` means joy, `angry` anger and `sad` sadness."""
    from goemo_cli.core.settings import ModelSettings
    from goemo_cli.ml.models.tiny import build_tiny
    from goemo_cli.ml.training.loop import seed_everything

    texts, y_true = comments
    seed_everything(0)
    classifier = build_tiny(texts, LABELS, ModelSettings(name="tiny", max_length=32, dropout=0.0))
    examples = Examples(classifier.encode(texts), y_true)
    settings = TrainingSettings.model_validate(
        {"lr": 3e-3, "epochs": 25, "batch_size": 8, "early_stopping": {"patience": None}}
    )
    for _ in fit(classifier, examples, examples, settings, device=CPU, precision="fp32"):
        pass
    classifier.model.eval()
    return classifier


def log_odds(classifier: Any, text: str) -> DoubleArray:
    y_prob = classifier.predict_proba([text])[0].astype(np.float64)
    odds: DoubleArray = np.log(y_prob / (1 - y_prob))
    return odds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I can't, really!! 😀", ["I", "can't", ",", "really", "!!", "😀"]),
        ("Ärger über l’été", ["Ärger", "über", "l’été"]),
        ("我很 happy", ["我", "很", "happy"]),
        ("a\n\n b", ["a", "b"]),
        (" \t", []),
    ],
)
def test_words_are_cut_where_people_cut_them(text: str, words: list[str]):
    assert [text[start:end] for start, end in words_of(text)] == words


def test_integrated_gradients_add_up_to_the_logit(trained: TransformerClassifier):
    text = "So very happy, so very ANGRY!"
    found = integrated_gradients(trained, text, [0, 1, 2])
    assert found.baselines is not None
    assert found.deltas is not None
    np.testing.assert_allclose(found.logits, log_odds(trained, text), atol=1e-4)
    difference = found.logits - found.baselines
    np.testing.assert_allclose(found.amounts.sum(axis=1), difference + found.deltas, atol=1e-9)
    assert (np.abs(found.deltas) <= 0.01 * np.maximum(1, np.abs(difference))).all()


def test_the_baseline_is_the_text_with_every_token_padding(trained: TransformerClassifier):
    found = integrated_gradients(trained, "happy", [0])
    tokenizer = trained.tokenizer
    ids = torch.tensor([[tokenizer.cls_token_id, tokenizer.pad_token_id, tokenizer.sep_token_id]])
    with torch.no_grad():
        logit = trained.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, 0].item()
    assert found.baselines is not None
    assert found.baselines[0] == pytest.approx(logit, abs=1e-5)


@pytest.mark.parametrize(("word", "label"), [("happy", 0), ("angry", 1), ("sad", 2)])
def test_gradients_and_occlusion_agree_on_the_word_that_gives_a_label_away(
    trained: TransformerClassifier, word: str, label: int
):
    text = f"no one knows {word} ok"
    at = [text[start:end] for start, end in words_of(text)].index(word)
    for found in (
        integrated_gradients(trained, text, [label]),
        occlusion(trained.predict_proba, text, [label]),
    ):
        assert found.amounts[0].argmax() == at
        assert found.amounts[0, at] > 0.2


def test_pieces_of_a_word_are_summed_and_words_beyond_the_length_get_nothing(trained: TransformerClassifier):
    text = "happyhappy " + "ok " * 40
    found = integrated_gradients(trained, text, [0])
    pieces = len(trained.tokenizer("happyhappy")["input_ids"]) - 2
    assert pieces > 1
    read = trained.max_length - 2 - pieces + 1
    assert found.amounts.shape == (1, 41)
    assert found.n_cut == 41 - read
    assert not found.amounts[0, read:].any()
    assert found.amounts[0, :read].all()


def test_linear_contributions_are_the_exact_sum_of_the_model(linear: TfidfClassifier):
    text = "a day HAPPY a day! happy unheard"
    found = linear_contributions(linear, text, [2, 0])
    assert found.baselines is not None
    np.testing.assert_allclose(found.logits, log_odds(linear, text)[[2, 0]], atol=1e-5)
    np.testing.assert_allclose(found.amounts.sum(axis=1), found.logits - found.baselines, atol=1e-12)
    np.testing.assert_array_equal(found.baselines, linear.intercepts[[2, 0]])


def test_a_pair_of_words_shares_its_amount(linear: TfidfClassifier):
    """By hand: coefficient times value of `a`, `day` and the pair, which goes half to each."""
    text = "a day"
    found = linear_contributions(linear, text, [0])
    values = linear.vectorizer.transform([text]).toarray()[0]
    term = {
        name: linear.coefficients[0, at] * values[at] for name, at in linear.vectorizer.vocabulary_.items()
    }
    pair = term["a day"] / 2
    np.testing.assert_allclose(found.amounts[0], [term["a"] + pair, term["day"] + pair], atol=1e-7)


def test_words_keep_their_place_where_lower_case_is_longer(linear: TfidfClassifier):
    text = "İİ happy"
    words = [text[start:end] for start, end in linear_contributions(linear, text, [0]).words]
    assert words[-1] == "happy"


def test_an_ensemble_is_explained_by_the_mean_of_its_members():
    one, other = (
        Attributions(((0, 1),), np.array([[amount]]), np.array([amount + 1]), np.array([1.0]))
        for amount in (1.0, 3.0)
    )
    mean = mean_attributions([one, other])
    assert (mean.amounts.item(), mean.logits.item(), mean.deltas) == (2.0, 3.0, np.zeros(1))


def test_occlusion_leaves_out_one_word_at_a_time():
    seen: list[str] = []

    def predict(texts: Any) -> Any:
        seen.extend(texts)
        return np.array([[0.9], [0.5], [0.9]], dtype=np.float32)

    found = occlusion(predict, "so good", [0])
    assert seen == ["so good", " good", "so "]
    np.testing.assert_allclose(found.amounts[0], [np.log(9), 0], atol=1e-6)
    assert found.deltas is None
