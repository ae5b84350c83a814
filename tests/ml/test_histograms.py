"""Histograms against numpy, dense and sparse, and that a watched training is the same training."""

import numpy as np
import pytest
import torch

from goemo_cli.ml.training.histograms import BINS, Watched, histogram, model_histograms, model_structure


def test_counts_and_edges_are_numpys() -> None:
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 40)).astype(np.float32))
    found = histogram(values)
    assert found is not None
    counts, edges = np.histogram(values.numpy(), BINS)
    assert np.abs(np.array(found.counts) - counts).max() <= 1  # float32 at an edge
    assert sum(found.counts) == values.numel()
    assert np.allclose(found.edges, edges, atol=1e-6)
    assert found.total == pytest.approx(values.double().sum().item())
    assert found.total_squares == pytest.approx(values.double().square().sum().item())


@pytest.mark.parametrize("values", [[1.0, 2.0, -3.0], [1.0, 2.0, 4.0], [-1.0, -2.0, -4.0], [5.0, 5.0, 5.0]])
def test_the_zeros_of_a_sparse_tensor_are_counted(values: list[float]) -> None:
    sparse = torch.sparse_coo_tensor(
        torch.tensor([[1, 1, 3]]), torch.tensor(values), (10,), check_invariants=True
    )
    found = histogram(sparse)
    assert found is not None
    counts, edges = np.histogram(sparse.to_dense().numpy(), BINS)
    assert found.counts == tuple(counts)
    assert found.edges == pytest.approx(edges)


def test_what_has_no_range_is_one_bin_and_what_is_not_finite_none() -> None:
    same = histogram(torch.full((2, 3), 0.5, dtype=torch.bfloat16))
    assert same is not None
    assert (same.counts, same.edges, same.total) == ((6,), [0.5, 0.5], 3.0)
    some = histogram(torch.tensor([float("nan"), 1.0, float("inf")]))
    assert some is not None
    assert some.counts == (1,)
    assert histogram(torch.tensor([float("nan")])) is None
    assert histogram(torch.empty(0)) is None


def test_a_model_is_shown_by_the_names_of_its_parameters() -> None:
    model = torch.nn.Linear(3, 2)
    model(torch.ones(1, 3)).sum().backward()
    model.bias.grad = None
    shown = model_histograms(model, Watched(gradients=True, parameters=True, every=10))
    assert list(shown) == ["gradients/weight", "parameters/weight", "parameters/bias"]
    assert shown["gradients/weight"].total == 6.0
    assert list(model_structure(model)) == [("weight", "2 x 3", 6), ("bias", "2", 2)]
    watched = Watched(gradients=True, parameters=False, every=10)
    assert [step for step in range(1, 31) if watched.is_due(step)] == [1, 10, 20, 30]
