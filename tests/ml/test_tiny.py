"""The random model for tests and dry runs."""

import pytest

from goemo_cli.core.settings import ModelSettings
from goemo_cli.ml.models.tiny import build_tiny


def test_it_is_small_and_speaks_of_the_labels(make_tiny):
    classifier = make_tiny()
    assert sum(parameter.numel() for parameter in classifier.model.parameters()) < 200_000
    assert classifier.model.config.id2label == {0: "joy", 1: "anger", 2: "sadness"}
    assert classifier.predict_proba(["happy"]).shape == (1, 3)


def test_its_vocabulary_is_the_same_for_the_same_texts_and_knows_their_words(make_tiny):
    tokenizer = make_tiny().tokenizer
    assert tokenizer.get_vocab() == make_tiny(seed=5).tokenizer.get_vocab()
    assert tokenizer.tokenize("Happy table zip") == ["happy", "table", *tokenizer.tokenize("zip")]
    assert tokenizer.unk_token not in tokenizer.tokenize("happytable")


@pytest.mark.parametrize("texts", [[], [""], ["😀😀"], ["word " * 5000]])
def test_it_can_be_built_from_any_texts(texts: list[str]):
    classifier = build_tiny(texts, ("a", "b"), ModelSettings(name="tiny", max_length=16))
    assert classifier.predict_proba(["something", "", "😀"]).shape == (3, 2)
