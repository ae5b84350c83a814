"""Transformers: what is saved is what plain transformers load, and damage is noticed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.settings import ModelSettings
from goemo_cli.ml.models.transformer import (
    build_transformer,
    label_settings,
    load_transformer,
    predict_encoded,
)

CPU = torch.device("cpu")
SETTINGS = ModelSettings(name="tiny", max_length=32)
LABELS = ("joy", "anger", "sadness")


@pytest.fixture
def saved(make_tiny, tmp_path: Path) -> Path:
    """A checkpoint's model files, both kinds of weights."""
    classifier = make_tiny(seed=1)
    classifier.save_weights(tmp_path)
    classifier.save_tokenizer(tmp_path)
    classifier.save_pickled_weights(tmp_path)
    return tmp_path


@pytest.fixture
def expected(make_tiny, comments):
    return make_tiny(seed=1).predict_proba(comments[0])


def load(folder: Path, labels: tuple[str, ...] = LABELS) -> Any:
    return load_transformer(folder, labels, SETTINGS, device=CPU)


def test_the_files_are_those_of_the_contract_and_nothing_else(saved: Path):
    assert {path.name for path in saved.iterdir()} == {
        "config.json",
        "model.safetensors",
        "pytorch_model.bin",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    }


def test_the_config_names_the_labels_and_the_problem(saved: Path):
    config = json.loads((saved / "config.json").read_text())
    assert config["id2label"] == {"0": "joy", "1": "anger", "2": "sadness"}
    assert config["label2id"] == {"joy": 0, "anger": 1, "sadness": 2}
    assert config["problem_type"] == "multi_label_classification"


def test_the_vocabulary_file_is_the_tokenizers(saved: Path, make_tiny):
    words = (saved / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    assert {word: at for at, word in enumerate(words)} == make_tiny().tokenizer.get_vocab()
    special = json.loads((saved / "special_tokens_map.json").read_text())
    assert (special["pad_token"], special["cls_token"]) == ("[PAD]", "[CLS]")


def test_a_saved_model_loads_to_the_same_probabilities(saved: Path, expected, comments):
    assert np.array_equal(load(saved).predict_proba(comments[0]), expected)


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_a_plain_pipeline_gives_the_same_probabilities_by_name(saved: Path, weights: str, expected, comments):
    from transformers import pipeline

    for other in {"model.safetensors", "pytorch_model.bin"} - {weights}:
        (saved / other).unlink()
    classify = pipeline("text-classification", model=str(saved), top_k=None, device="cpu")
    for row, scores in enumerate(classify(comments[0])):
        found = {entry["label"]: entry["score"] for entry in scores}
        assert [found[label] for label in LABELS] == pytest.approx(expected[row].tolist(), abs=1e-5)


def test_pickled_weights_load_without_running_code(saved: Path, expected, comments):
    (saved / "model.safetensors").unlink()
    assert np.array_equal(load(saved).predict_proba(comments[0]), expected)


def change_weights(folder: Path, change: Any) -> None:
    (folder / "pytorch_model.bin").unlink()
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda weights: weights.pop("classifier.weight"), "classifier.weight"),
        (lambda weights: weights.update(extra=torch.zeros(1)), "extra"),
        (lambda weights: weights.update({"classifier.bias": torch.zeros(7)}), "classifier.bias"),
    ],
    ids=["without a head", "something more", "another shape"],
)
def test_weights_that_do_not_fit_are_corrupt(saved: Path, change: Any, name: str):
    change_weights(saved, change)
    with pytest.raises(CorruptArtifactError, match=f"do not fit the model: {name}"):
        load(saved)


@pytest.mark.parametrize("labels", [("anger", "joy", "sadness"), ("joy", "anger"), ("joy", "anger", "grief")])
def test_other_labels_or_another_order_are_corrupt(saved: Path, labels: tuple[str, ...]):
    with pytest.raises(CorruptArtifactError, match=r"id2label differs from the manifest's labels"):
        load(saved, labels)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_corrupt(saved: Path, name: str):
    (saved / name).write_bytes(b"{")
    with pytest.raises(CorruptArtifactError):
        load(saved)


def test_a_number_that_is_not_a_probability_leaves_no_model(saved: Path):
    model = load(saved)
    with torch.no_grad():
        model.model.classifier.bias[2] = float("nan")
    with pytest.raises(CorruptArtifactError, match="nan as the probability of sadness for text 1"):
        model.predict_proba(["so happy"])


def test_probabilities_repeat_to_the_bit_and_the_dropout_is_off(make_tiny, comments):
    classifier = make_tiny(dropout=0.5)
    classifier.model.train()
    first = classifier.predict_proba(comments[0])
    assert classifier.model.training  # as it was found
    assert np.array_equal(first, classifier.predict_proba(comments[0]))


def test_progress_adds_up_to_the_texts(make_tiny, comments):
    on_progress: list[int] = []
    make_tiny().predict_proba(comments[0] * 5, on_progress.append)
    assert sum(on_progress) == 160
    assert len(on_progress) > 1


def test_no_texts_have_no_probabilities(make_tiny):
    classifier = make_tiny()
    assert classifier.predict_proba([]).shape == (0, 3)
    assert predict_encoded(classifier.model, classifier.encode([])).dtype == np.float32


def test_the_bias_starts_at_the_log_odds_of_each_label(make_tiny):
    classifier = make_tiny()
    classifier.start_bias_at(np.array([0.5, 0.0, 0.01]))
    bias = torch.sigmoid(classifier.model.classifier.bias)
    assert bias.tolist() == pytest.approx([0.5, 1e-4, 0.01], rel=1e-4)


def test_a_checkpoint_is_a_start_for_other_labels(saved: Path, make_tiny):
    labels = tuple("abcde")
    settings = ModelSettings(name=str(saved), max_length=16, dropout=0.3)
    built = build_transformer(saved, labels, settings, device=CPU)
    assert built.model.config.num_labels == 5
    assert built.model.classifier.weight.shape == (5, 32)
    assert built.model.config.id2label == dict(enumerate(labels))
    assert built.model.config.hidden_dropout_prob == built.model.config.attention_probs_dropout_prob == 0.3
    assert built.max_length == 16
    encoder = make_tiny(seed=1).model.bert.embeddings.word_embeddings.weight
    assert torch.equal(built.model.bert.embeddings.word_embeddings.weight, encoder)


def test_labels_that_the_weights_know_keep_their_rows_by_name_and_others_start_from_nothing(saved: Path):
    old = load(saved)
    labels = ("new", *reversed(LABELS))
    built = build_transformer(saved, labels, SETTINGS, device=CPU)
    assert built.continued == labels[1:]
    texts = ["so happy", "angry", "a table"]
    np.testing.assert_allclose(
        built.predict_proba(texts)[:, 1:], old.predict_proba(texts)[:, ::-1], atol=1e-6
    )
    built.start_bias_at(np.array([0.5, 0.25, 0.25, 0.25]))
    np.testing.assert_allclose(
        built.predict_proba(texts)[:, 1:], old.predict_proba(texts)[:, ::-1], atol=1e-6
    )
    assert built.model.classifier.bias[0] == 0


def test_as_many_labels_of_other_names_inherit_nothing_by_position(saved: Path):
    built = build_transformer(saved, ("a", "b", "c"), SETTINGS, device=CPU)
    known = load(saved).model.classifier.weight
    assert built.continued == ()
    assert not torch.isclose(built.model.classifier.weight, known).any(dim=1).all()
    assert not built.model.classifier.bias.any()


def test_a_new_head_can_be_asked_for(saved: Path):
    settings = ModelSettings(name=str(saved), max_length=32, new_head=True)
    built = build_transformer(saved, LABELS, settings, device=CPU)
    assert built.continued == ()
    assert not torch.equal(built.model.classifier.weight, load(saved).model.classifier.weight)


def test_deeper_heads_keep_what_lies_below_the_rows_unless_a_new_head_is_asked_for(tmp_path: Path, make_tiny):
    from transformers import RobertaConfig, RobertaForSequenceClassification

    config = RobertaConfig(
        vocab_size=99, hidden_size=3, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4,
        max_position_embeddings=20, pad_token_id=0, bos_token_id=0, eos_token_id=0, **label_settings(LABELS),
    )  # fmt: skip
    saved = RobertaForSequenceClassification(config)  # its dense layer is as wide as there are labels
    saved.save_pretrained(tmp_path)
    make_tiny().tokenizer.save_pretrained(tmp_path)
    for new_head in (False, True):
        settings = ModelSettings(name=str(tmp_path), new_head=new_head, max_length=16)
        built = build_transformer(tmp_path, LABELS, settings, device=CPU).model.classifier
        assert torch.equal(built.dense.weight, saved.classifier.dense.weight) is not new_head
        assert torch.equal(built.out_proj.weight, saved.classifier.out_proj.weight) is not new_head


def test_dropout_null_keeps_the_models_own(saved: Path):
    settings = ModelSettings(name=str(saved), dropout=None)
    assert build_transformer(saved, LABELS, settings, device=CPU).model.config.hidden_dropout_prob == 0.0


def test_texts_are_never_longer_than_the_model_has_positions(saved: Path):
    settings = ModelSettings(name=str(saved), max_length=512)
    assert build_transformer(saved, LABELS, settings, device=CPU).max_length == 32


def test_foreign_code_is_never_asked_for(tmp_path: Path):
    config = {"model_type": "foreign", "auto_map": {"AutoConfig": "evil.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    with pytest.raises(CorruptArtifactError, match=r"config\.json: cannot be loaded"):
        build_transformer(tmp_path, LABELS, SETTINGS, device=CPU)
    assert not (tmp_path / "executed").exists()


def test_saving_leaves_the_screen_alone(saved: Path, capfd: pytest.CaptureFixture[str]):
    load(saved)
    build_transformer(saved, tuple("ab"), SETTINGS, device=CPU)
    assert capfd.readouterr() == ("", "")
