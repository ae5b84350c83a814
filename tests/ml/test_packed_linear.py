"""Packed linear layers: the same numbers, and a model that is afterwards as it was."""

import pytest
import torch
from torch import nn

from goemo_cli.ml.models.cpu import WORTH_PACKING, packed_linears


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(24, 48), nn.GELU(), nn.Linear(48, 5, bias=False))


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_the_numbers_are_the_same(rows: int) -> None:
    layers, inputs = model(), torch.randn(rows, 3, 24)
    with torch.no_grad():
        expected = layers(inputs)
        with packed_linears(layers, WORTH_PACKING):
            assert "forward" in vars(layers[0])
            found = layers(inputs)
    assert torch.allclose(found, expected, atol=1e-6)


def test_the_model_is_afterwards_as_it_was_also_after_an_error() -> None:
    layers = model()
    with pytest.raises(ZeroDivisionError), packed_linears(layers, WORTH_PACKING):
        raise ZeroDivisionError
    assert "forward" not in vars(layers[0])
    layers(torch.randn(2, 24)).sum().backward()
    assert layers[0].weight.grad is not None


@pytest.mark.parametrize(
    ("n_texts", "dtype"), [(WORTH_PACKING - 1, torch.float32), (WORTH_PACKING, torch.bfloat16)]
)
def test_few_texts_and_other_precisions_are_left_alone(n_texts: int, dtype: torch.dtype) -> None:
    layers = model().to(dtype)
    with packed_linears(layers, n_texts):
        assert "forward" not in vars(layers[0])
