"""Frozen layers keep their weights, and what they give is computed once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from goemo_cli.core.arrays import BoolArray
from goemo_cli.core.settings import TrainingSettings
from goemo_cli.ml.models.transformer import TransformerClassifier
from goemo_cli.ml.training.frozen import FrozenStore, file_bytes
from goemo_cli.ml.training.loop import Epoch, Examples, Step, fit

CPU = torch.device("cpu")
MakeTiny = Callable[..., TransformerClassifier]
Comments = tuple[list[str], BoolArray]


def train(classifier: TransformerClassifier, comments: Comments, folder: Path, cache: str, **given: Any):
    """Losses and the last val probabilities of two epochs with one of the two layers frozen."""
    whole = {"lr": 3e-3, "batch_size": 12, "epochs": 2, "frozen_layers": 1, "frozen_cache": cache, **given}
    settings = TrainingSettings(**whole)
    val = train = Examples(classifier.encode(comments[0]), comments[1])
    if settings.frozen_cache != "off":
        frozen = FrozenStore().outputs(
            classifier.model, 1, val.texts, folder=folder, dtype=settings.frozen_cache, precision="fp32"
        )
        train = Examples(train.texts, train.y_true, frozen)
    facts = list(fit(classifier, train, val, settings, device=CPU, precision="fp32"))
    losses = [fact.loss for fact in facts if isinstance(fact, Step)]
    return np.array(losses), [fact.val_prob for fact in facts if isinstance(fact, Epoch)][-1]


def test_only_the_layers_above_learn(make_tiny: MakeTiny, comments: Comments, tmp_path: Path):
    classifier = make_tiny(dropout=0.1)
    before = {name: tensor.clone() for name, tensor in classifier.model.state_dict().items()}
    train(classifier, comments, tmp_path, "float16")
    changed = {
        name for name, tensor in classifier.model.state_dict().items() if not tensor.equal(before[name])
    }
    below = ("bert.embeddings.", "bert.encoder.layer.0.")
    assert changed == {name for name in before if not name.startswith(below)}


@pytest.mark.parametrize(("cache", "tolerance"), [("float32", 1e-6), ("float16", 1e-3)])
def test_the_cache_changes_nothing_but_rounding(
    make_tiny: MakeTiny, comments: Comments, tmp_path: Path, cache: str, tolerance: float
):
    losses, y_prob = train(make_tiny(dropout=0.1), comments, tmp_path, cache)
    expected_losses, expected_prob = train(make_tiny(dropout=0.1), comments, tmp_path, "off")
    assert losses == pytest.approx(expected_losses, abs=tolerance)
    assert y_prob == pytest.approx(expected_prob, abs=tolerance)
    assert list(tmp_path.iterdir()) == []


def test_pieces_of_a_batch_read_their_own_rows(make_tiny: MakeTiny, comments: Comments, tmp_path: Path):
    whole, _ = train(make_tiny(), comments, tmp_path, "float32")
    pieces, _ = train(make_tiny(), comments, tmp_path, "float32", accumulation=3)
    assert pieces == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize("is_shared", [False, True], ids=["one process", "several"])
def test_trainings_with_the_same_texts_and_weights_share_the_outputs(
    make_tiny: MakeTiny, comments: Comments, tmp_path: Path, is_shared: bool
):
    store = FrozenStore(tmp_path / "shared" if is_shared else None)

    def outputs(seed: int, texts: list[str]):
        classifier = make_tiny(seed=seed)
        encoded = classifier.encode(texts)
        found = store.outputs(
            classifier.model, 1, encoded, folder=tmp_path, dtype="float32", precision="fp32"
        )
        assert found.values.nbytes == file_bytes(classifier.model, encoded, "float32")
        return found

    first = outputs(0, comments[0])
    assert outputs(0, comments[0]) is first
    for other in (outputs(1, comments[0]), outputs(1, comments[0][:8])):
        assert other is not first
        assert not np.array_equal(other.values[:20], first.values[:20])
    assert len(list(tmp_path.rglob("*"))) == (4 if is_shared else 0)  # the folder, and a file of each
    again = FrozenStore(tmp_path / "shared" if is_shared else None)
    found = again.outputs(
        make_tiny().model,
        1,
        make_tiny().encode(comments[0]),
        folder=tmp_path,
        dtype="float32",
        precision="fp32",
    )
    assert np.array_equal(found.values, first.values)
