"""BERT classifiers without transformers: all bits are those of transformers, and other folders are left to it."""

import json
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from goemo_cli.core.files import read_json_object
from goemo_cli.core.settings import ModelSettings
from goemo_cli.ml.models.bert import load_scorer
from goemo_cli.ml.models.ensemble import Ensemble, SharedEnsemble, mean_probability, sharing
from goemo_cli.ml.models.transformer import TransformerClassifier, load_transformer, predict_encoded
from goemo_cli.ml.training.batches import encode

LABELS = ("joy", "anger", "sadness")
TEXTS = [
    "",
    "so very happy !",
    "[MASK] a [SEP] day",
    "Ángry ÄNGRY 日本語 😀😀 table\tok\nno one",
    "unknownwords " * 40,
    *(f"it was what it was {'sad ' * n}" for n in range(8)),
]


@pytest.fixture
def saved(make_tiny, tmp_path: Path) -> Path:
    classifier = make_tiny(seed=1)
    classifier.save_weights(tmp_path)
    classifier.save_tokenizer(tmp_path)
    return tmp_path


def test_tokens_hidden_states_and_probabilities_are_those_of_transformers(saved: Path):
    loaded = load_scorer(saved, LABELS)
    assert loaded
    scorer, tokenizer, longest = loaded
    theirs = AutoModelForSequenceClassification.from_pretrained(saved, attn_implementation="eager").eval()
    their_tokenizer = AutoTokenizer.from_pretrained(saved)
    assert longest == min(theirs.config.max_position_embeddings, their_tokenizer.model_max_length)
    texts = encode(tokenizer, TEXTS, 16)
    tokens = [texts.tokens[start:end].tolist() for start, end in pairwise(texts.offsets)]
    assert tokens == their_tokenizer(TEXTS, truncation=True, max_length=16)["input_ids"]
    batch = texts.padded(range(len(TEXTS)))
    with torch.no_grad():
        assert torch.equal(
            scorer.base_model(**batch).last_hidden_state, theirs.base_model(**batch).last_hidden_state
        )
    for kind in (torch.float32, torch.bfloat16):
        ours, expected = (predict_encoded(model.to(kind), texts) for model in (scorer, theirs))
        assert np.array_equal(ours, expected)


def change(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps({**read_json_object(path), **entries}))


def another_config(folder: Path) -> None:
    change(folder / "config.json", hidden_act="relu")


def another_tokenizer(folder: Path) -> None:
    change(folder / "tokenizer_config.json", truncation_side="left")


def damaged_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


def another_label_order(folder: Path) -> None:
    change(folder / "config.json", id2label={"0": "anger", "1": "joy", "2": "sadness"})


def more_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file({**load_file(path), "bert.more.weight": torch.zeros(1)}, path)


def weights_without_a_value(folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file({**load_file(path), "classifier.bias": torch.full((3,), torch.nan)}, path)


def damaged_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"no weights")


@pytest.mark.parametrize(
    "differ",
    [
        another_config,
        another_tokenizer,
        damaged_tokenizer,
        another_label_order,
        more_weights,
        weights_without_a_value,
        damaged_weights,
    ],
    ids=lambda function: function.__name__,
)
def test_folders_that_differ_are_left_to_transformers(saved: Path, differ):
    differ(saved)
    assert load_scorer(saved, LABELS) is None


@pytest.fixture
def members(make_tiny, tmp_path: Path) -> Callable[..., list[TransformerClassifier]]:
    """`members(same)`: three saved and loaded classifiers whose embeddings and lowest `same` layers are equal."""

    def make(same: int) -> list[TransformerClassifier]:
        found, first = [], make_tiny(seed=1)
        for seed in (1, 2, 3):
            classifier = make_tiny(seed=seed)
            equal = {"bert.embeddings": first.model.bert.embeddings} if same >= 0 else {}
            equal |= {f"bert.encoder.layer.{at}": first.model.bert.encoder.layer[at] for at in range(same)}
            for name, module in equal.items():
                classifier.model.get_submodule(name).load_state_dict(module.state_dict())
            folder = tmp_path / str(seed)
            folder.mkdir(exist_ok=True)
            classifier.save_weights(folder)
            classifier.save_tokenizer(folder)
            found.append(
                load_transformer(folder, LABELS, ModelSettings(max_length=16), device=torch.device("cpu"))
            )
        return found

    return make


def _given(member: TransformerClassifier) -> TransformerClassifier:
    return member


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_members_with_equal_lower_layers_compute_them_once_with_the_same_bits(members, kind: torch.dtype):
    alone = members(1)
    for member in alone:
        member.model.to(kind)
    expected = mean_probability([member.predict_proba(TEXTS) for member in alone])
    together = sharing(LABELS, [partial(_given, member) for member in alone])
    assert isinstance(together, SharedEnsemble)
    lowest = {id(member.model.bert.encoder["layer"][0]) for member in alone}
    assert len(lowest) == 1
    calls: list[int] = []
    alone[0].model.bert.encoder["layer"][0].register_forward_hook(lambda *_: calls.append(1))
    assert np.array_equal(together.predict_proba(TEXTS), expected)
    assert len(calls) == len(list(alone[0].encode(TEXTS).batches_by_length()))
    for loader, member in zip(together.members, alone, strict=True):
        assert np.array_equal(loader().predict_proba(TEXTS), member.predict_proba(TEXTS))


@pytest.mark.parametrize("same", [-1, 0])
def test_members_without_an_equal_layer_are_an_ordinary_ensemble(members, same: int):
    alone = members(same)
    expected = mean_probability([member.predict_proba(TEXTS) for member in alone])
    found = sharing(LABELS, [partial(_given, member) for member in alone])
    assert type(found) is Ensemble
    assert np.array_equal(found.predict_proba(TEXTS), expected)
