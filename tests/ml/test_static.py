"""The classifier of static token vectors."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from goemo_cli.core.settings import ModelSettings, TrainingSettings
from goemo_cli.ml.models.static import StaticConfig, StaticForSequenceClassification
from goemo_cli.ml.models.transformer import TransformerClassifier, build_static, load_transformer
from goemo_cli.ml.training.loop import Epoch, Examples, fit
from goemo_cli.ml.training.memory import memory_need
from goemo_cli.ml.training.ranks import ALONE

LABELS = ("joy", "anger", "sadness")


@pytest.fixture
def encoder(make_tiny: Callable[..., TransformerClassifier], tmp_path: Path) -> Path:
    """A folder with a small encoder, whose word embeddings are the start."""
    tiny, folder = make_tiny(), tmp_path / "encoder"
    folder.mkdir()
    tiny.save_weights(folder)
    tiny.save_tokenizer(folder)
    return folder


def built(encoder: Path, *, single_label: bool = False) -> TransformerClassifier:
    return build_static(
        encoder, LABELS, ModelSettings(dropout=0.2), device=torch.device("cpu"), single_label=single_label
    )


def test_logits_are_those_of_numpy_and_padding_changes_nothing():
    torch.manual_seed(0)
    model = StaticForSequenceClassification(
        StaticConfig(vocab_size=9, hidden_size=4, feature_size=6, initializer_range=1.0, num_labels=3)
    ).eval()
    vectors = model.static.word_embeddings.weight.detach().double().numpy()
    dense, head = (
        (layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy())
        for layer in (model.features, model.classifier)
    )
    rows = [[1, 5, 5, 8], [7], [3, 0]]
    expected = []
    for row in rows:
        of_tokens = vectors[row]
        features = np.maximum(of_tokens @ dense[0].T + dense[1], 0)
        text = np.concatenate([of_tokens.mean(axis=0), features.max(axis=0)])
        expected.append(text @ head[0].T + head[1])
    ids = torch.zeros(3, 6, dtype=torch.int64)
    mask = torch.zeros(3, 6, dtype=torch.int64)
    for at, row in enumerate(rows):
        ids[at, : len(row)], mask[at, : len(row)] = torch.tensor(row), 1
    logits = model(input_ids=ids, attention_mask=mask).logits.detach().numpy()
    assert logits == pytest.approx(np.array(expected), abs=1e-5)
    with torch.no_grad(), model.scoring(n_texts=10**6):
        from_tables = model(input_ids=ids, attention_mask=mask).logits.numpy()
    assert from_tables == pytest.approx(np.array(expected), abs=1e-5)
    assert model(input_ids=ids, attention_mask=mask).logits.requires_grad


def test_its_memory_is_predicted(encoder: Path, comments: tuple[list[str], np.ndarray]):
    static = built(encoder)
    examples = Examples(static.encode(comments[0]), comments[1])
    need = memory_need(
        static,
        examples,
        examples.texts,
        TrainingSettings(batch_size=16, epochs=1),
        device=torch.device("cpu"),
        precision="fp32",
        ranks=ALONE,
        cache=None,
    )
    weights = sum(parameter.nbytes for parameter in static.model.parameters())
    assert need.optimizer == 2 * weights
    assert need.activations > 0


def test_it_starts_from_the_word_embeddings_of_the_encoder_centred_and_scaled(encoder: Path):
    static = built(encoder)
    words = load_transformer(
        encoder, LABELS, ModelSettings(), device=torch.device("cpu")
    ).model.get_input_embeddings()
    start = static.model.get_input_embeddings().weight.detach()
    assert start.mean(dim=0).abs().max() < 1e-5
    assert float(start.norm(dim=1).mean()) == pytest.approx(8.0, rel=1e-5)
    raw = words.weight.detach()
    cosine = torch.nn.functional.cosine_similarity(start, raw - raw.mean(dim=0))
    assert cosine.min() > 0.999


@pytest.mark.parametrize("single_label", [False, True])
def test_it_learns_and_is_the_same_after_it_was_saved(
    encoder: Path, comments: tuple[list[str], np.ndarray], tmp_path: Path, single_label: bool
):
    texts, y_true = comments
    static = built(encoder, single_label=single_label)
    examples = Examples(static.encode(texts), y_true)
    settings = TrainingSettings(learning_rate=5e-3, head_multiplier=1, batch_size=16, epochs=5, warmup=0)
    facts = fit(static, examples, examples, settings, device=torch.device("cpu"), precision="fp32")
    losses = [fact.scores.val_loss for fact in facts if isinstance(fact, Epoch)]
    assert losses[-1] < losses[0]
    folder = tmp_path / "saved"
    folder.mkdir()
    static.save(folder, "safetensors")
    static.save_tokenizer(folder)
    assert not list(folder.glob("*.bin"))
    again = load_transformer(folder, LABELS, ModelSettings(), device=torch.device("cpu"))
    assert again.is_single_label == single_label
    assert np.array_equal(again.predict_proba([*texts, "", "😀"]), static.predict_proba([*texts, "", "😀"]))
