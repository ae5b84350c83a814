"""Forward passes that compute a part of the layers give the logits and gradients of the whole pass."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch.nn import functional

from goemo_cli.core.errors import SettingError
from goemo_cli.ml.models.cpu import use_cheap_dropout
from goemo_cli.ml.models.layers import (
    encoder_parts,
    entering_at,
    only_first_token,
    output_below,
    recomputed,
    require_mean_layer,
)

WIDE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
SIZES: dict[str, dict[str, Any]] = {
    "Bert": WIDE,
    "Roberta": WIDE,
    "XLMRoberta": WIDE,
    "Camembert": WIDE,
    "Electra": {**WIDE, "embedding_size": 16},
    "DistilBert": {"dim": 32, "hidden_dim": 64, "n_layers": 3, "n_heads": 4},
}


def model_of(kind: str, attention: str) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=50, num_labels=5, pad_token_id=1, attn_implementation="sdpa" if attention == "sdpa" else "eager", **SIZES[kind]
    )  # fmt: skip
    model = getattr(transformers, f"{kind}ForSequenceClassification")(config).eval()
    if attention == "goemo":
        use_cheap_dropout(model)
    return model


def inputs() -> dict[str, torch.Tensor]:
    """Three rows of other lengths."""
    mask = torch.tensor([[1] * 9, [1] * 5 + [0] * 4, [1] * 2 + [0] * 7])
    ids = torch.randint(5, 50, mask.shape, generator=torch.Generator().manual_seed(1))
    return {"input_ids": ids.where(mask > 0, 1), "attention_mask": mask}


def gradients(model: Any, logits: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    logits.square().sum().backward()  # type: ignore[no-untyped-call]  # torch has no types there
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    ("kind", "attention"),
    [*((kind, "goemo") for kind in SIZES), ("Bert", "eager"), ("Bert", "sdpa"), ("DistilBert", "sdpa")],
)
def test_the_first_token_alone_gives_the_same_logits_and_gradients(kind: str, attention: str):
    model, batch = model_of(kind, attention), inputs()
    whole = model(**batch).logits
    expected = gradients(model, whole)
    with only_first_token(model):
        assert model.base_model(**batch).last_hidden_state.shape[1] == 1
        first = model(**batch).logits
    assert torch.allclose(first, whole, atol=1e-6)
    found = gradients(model, first)
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[name], expected[name], atol=1e-5) for name in expected)
    assert model.base_model(**batch).last_hidden_state.shape[1] == 9


def test_models_whose_head_reads_more_than_one_token_compute_all():
    config = transformers.ModernBertConfig(
        vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        pad_token_id=1, classifier_pooling="mean", num_labels=5,
    )  # fmt: skip
    model = transformers.ModernBertForSequenceClassification(config).eval()
    with only_first_token(model):
        assert model.base_model(**inputs()).last_hidden_state.shape[1] == 9


def test_a_mean_layer_gives_the_mean_of_the_tokens_that_are_not_padding():
    model, batch = model_of("Bert", "eager"), inputs()
    with torch.no_grad():
        hidden = output_below(model, 2, batch)
        require_mean_layer(model)
        found = model.bert(**batch).pooler_output
    mask = batch["attention_mask"][:, :, None]
    mean = (hidden * mask).sum(1) / mask.sum(1)
    # The attention is uniform but for its small random weights.
    expected = torch.tanh(functional.layer_norm(hidden[:, 0] + 8 * mean, (32,)))
    assert torch.allclose(found, expected, atol=0.05)
    assert not torch.allclose(found, torch.tanh(functional.layer_norm(hidden[:, 0], (32,))), atol=0.2)


def test_a_model_with_a_mean_layer_is_an_ordinary_checkpoint_of_transformers(tmp_path: Path):
    model, batch = model_of("Bert", "eager"), inputs()
    require_mean_layer(model)
    model.save_pretrained(tmp_path)
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    with torch.no_grad(), only_first_token(model):
        assert torch.allclose(loaded(**batch).logits, model(**batch).logits, atol=1e-6)
    with torch.no_grad():
        trained = loaded.bert.encoder.layer[-1].output.dense.weight.fill_(1.0).clone()
    require_mean_layer(loaded)
    assert torch.equal(loaded.bert.encoder.layer[-1].output.dense.weight, trained)


def test_a_mean_layer_is_for_bert_alone():
    with pytest.raises(SettingError, match=r"model\.pooling: .*type bert; this one is distilbert"):
        require_mean_layer(model_of("DistilBert", "eager"))


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("layer", [1, 2])
def test_a_pass_in_two_parts_gives_the_same_logits(kind: str, layer: int):
    model, batch = model_of(kind, "eager"), inputs()
    with torch.no_grad():
        below = output_below(model, layer, batch)
        with entering_at(model, layer, below):
            found = model(**{**batch, "input_ids": batch["input_ids"] * 0 + 3}).logits
        assert torch.allclose(found, model(**batch).logits, atol=1e-6)
    parts = encoder_parts(model)
    assert parts
    assert not any("forward" in vars(module) for module in (*parts.embeddings, *parts.layers))


@pytest.mark.parametrize(
    ("kind", "attention"), [*((kind, "goemo") for kind in SIZES), ("Bert", "sdpa"), ("DistilBert", "sdpa")]
)
def test_recomputed_layers_keep_less_and_give_the_same_gradients_to_the_bit(kind: str, attention: str):
    model, batch = model_of(kind, attention).train(), inputs()

    def pass_of(*blocks: Any) -> tuple[dict[str, torch.Tensor], int]:
        torch.manual_seed(1)  # dropout
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.data_ptr()] = tensor.nbytes
            return tensor

        with ExitStack() as stack, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            for block in blocks:
                stack.enter_context(block(model))
            logits = model(**batch).logits
        return gradients(model, logits), sum(kept.values())

    expected, kept_all = pass_of(only_first_token)
    found, kept = pass_of(only_first_token, recomputed)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert kept < 0.7 * kept_all
    assert not any("forward" in vars(module) for module in model.modules())
