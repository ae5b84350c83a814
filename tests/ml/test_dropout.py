"""Cheap dropout beside torch's."""

import math

import pytest
import torch
from torch import nn

from goemo_cli.ml.models.cpu import ATTENTION, CheapDropout, cheap_dropout, use_cheap_dropout


@pytest.mark.parametrize(("p", "dtype"), [(0.05, torch.float32), (0.5, torch.float32), (0.1, torch.bfloat16)])
def test_kept_cells_are_scaled_as_torch_does_and_the_share_is_right(p: float, dtype: torch.dtype):
    torch.manual_seed(0)
    n = 400_003  # not a multiple of four: the last draw is used in part
    x = torch.ones(n, dtype=dtype)
    ours, theirs = cheap_dropout(x, p), nn.functional.dropout(x, p)
    assert set(ours.tolist()) == set(theirs.tolist())
    assert (ours == 0).float().mean().item() == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / n))


def test_cells_are_independent_of_their_neighbours_in_a_draw():
    torch.manual_seed(0)
    kept = cheap_dropout(torch.ones(400_000), 0.3).bool().double().reshape(-1, 4)
    correlations = torch.corrcoef(kept.T) - torch.eye(4)
    assert correlations.abs().max().item() < 0.015  # five standard errors


def test_the_gradient_flows_through_what_was_kept():
    x = torch.randn(5, 7, requires_grad=True)
    y = cheap_dropout(x, 0.4)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal((gradient == 0).int(), (y.detach() == 0).int())
    assert set(gradient.flatten().tolist()) <= {0.0, torch.tensor(1 / 0.6).item()}


def test_the_seed_decides_and_eval_does_nothing():
    x, layer = torch.ones(100), CheapDropout(0.5)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(first, layer(x))
    assert layer.eval()(x) is x
    assert cheap_dropout(x, 0.0) is x


def test_a_model_uses_it_everywhere_and_computes_the_same_in_eval_mode(make_tiny):
    from transformers import BertForSequenceClassification

    classifier = make_tiny()
    config = classifier.model.config
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.2
    plain = BertForSequenceClassification(config).eval()
    changed = BertForSequenceClassification(config).eval()
    changed.load_state_dict(plain.state_dict())
    use_cheap_dropout(changed)
    assert not any(type(module) is nn.Dropout for module in changed.modules())
    assert any(type(module) is CheapDropout for module in changed.modules())
    assert changed.config._attn_implementation == ATTENTION
    inputs = {"input_ids": torch.tensor([[2, 5, 7, 3]]), "attention_mask": torch.tensor([[1, 1, 1, 0]])}
    with torch.no_grad():
        assert torch.equal(plain(**inputs).logits, changed(**inputs).logits)
        assert not torch.equal(changed.train()(**inputs).logits, changed(**inputs).logits)


def test_its_name_is_not_saved(make_tiny, tmp_path):
    classifier = make_tiny()
    use_cheap_dropout(classifier.model)
    classifier.save_weights(tmp_path)
    assert "goemo" not in (tmp_path / "config.json").read_text()
