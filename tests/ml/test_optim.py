"""Optimizer groups, the schedule, and the average of the weights."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from goemo_cli.core.settings import TrainingSettings
from goemo_cli.ml.training.optim import AVERAGE_EVERY, Optimizers, WeightAverage, schedule_factor


def make_optimizers(classifier, *, sparse: bool = True, **settings: Any) -> Optimizers:
    return Optimizers(classifier, TrainingSettings(**settings), total_steps=10, sparse=sparse)


def group_of(optimizers: Optimizers, parameter: nn.Parameter) -> dict[str, Any]:
    (found,) = [
        group
        for part in optimizers.parts
        for group in part.param_groups
        if any(one is parameter for one in group["params"])
    ]
    return found


@pytest.mark.parametrize("sparse", [True, False])
def test_every_parameter_is_in_one_group(make_tiny, sparse: bool):
    classifier = make_tiny()
    optimizers = make_optimizers(classifier, sparse=sparse)
    for parameter in classifier.model.parameters():
        group_of(optimizers, parameter)
    n_grouped = sum(len(group["params"]) for part in optimizers.parts for group in part.param_groups)
    assert n_grouped == len(list(classifier.model.parameters()))
    assert len(optimizers.parts) == 1 + sparse


def test_biases_norms_and_words_are_not_decayed_and_all_else_is(make_tiny):
    classifier = make_tiny()
    optimizers = make_optimizers(classifier, weight_decay=0.1)
    for name, parameter in classifier.model.named_parameters():
        spared = name.endswith("bias") or "LayerNorm" in name or "word_embeddings" in name
        assert group_of(optimizers, parameter).get("weight_decay", 0.0) == (0.0 if spared else 0.1), name


def test_the_head_learns_faster_and_the_reported_rate_is_the_encoders(make_tiny):
    classifier = make_tiny()
    optimizers = make_optimizers(classifier, learning_rate=1e-4, head_multiplier=10, warmup=0)
    for name, parameter in classifier.model.named_parameters():
        rate = group_of(optimizers, parameter)["lr"]
        assert rate == pytest.approx(1e-3 if name.startswith("classifier") else 1e-4), name
    assert optimizers.learning_rate == 1e-4


def backward(classifier, words: list[int]) -> None:
    ids = torch.tensor([words])
    classifier.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.square().sum().mul(
        1e4
    ).backward()


def test_only_words_that_were_read_move(make_tiny):
    classifier = make_tiny()
    classifier.model.eval()
    table = classifier.model.get_input_embeddings().weight
    optimizers, before = make_optimizers(classifier, lr=1e-2, warmup=0), table.detach().clone()
    for words in ([2, 5, 7], [2, 9, 5]):
        backward(classifier, words)
        optimizers.clip()
        optimizers.step()
    moved = (table.detach() != before).any(dim=1).nonzero().flatten().tolist()
    assert moved == [2, 5, 7, 9]


def test_the_first_sparse_step_is_the_dense_one(make_tiny):
    """Lazy Adam differs from Adam only in rows that had a gradient before and have none now."""
    tables = []
    for sparse in (True, False):
        classifier = make_tiny()
        classifier.model.eval()
        optimizers = make_optimizers(classifier, sparse=sparse, lr=1e-2, warmup=0, clip_norm=None)
        backward(classifier, [2, 5, 5, 7])
        optimizers.clip()
        optimizers.step()
        tables.append(classifier.model.get_input_embeddings().weight.detach().clone())
    torch.testing.assert_close(*tables, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ceiling", [0.01, 1e6, None])
def test_gradients_are_clipped_as_torch_does(make_tiny, ceiling: float | None):
    norms, gradients = [], []
    for sparse in (True, False):
        classifier = make_tiny()
        classifier.model.eval()
        optimizers = make_optimizers(classifier, sparse=sparse, clip_norm=ceiling)
        backward(classifier, [2, 5, 5, 7])
        if sparse:
            norms.append(optimizers.clip())
        else:
            limit = math.inf if ceiling is None else ceiling
            norms.append(float(nn.utils.clip_grad_norm_(classifier.model.parameters(), limit)))
        gradients.append([p.grad.to_dense() for p in classifier.model.parameters() if p.grad is not None])
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)


def rates(settings: TrainingSettings, total: int) -> list[float]:
    """The learning rate of every step."""
    factor = schedule_factor(settings, total)
    return [factor(step) for step in range(total + 1)]


def test_after_warm_up_the_linear_schedule_is_transformers():
    import transformers

    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = transformers.get_linear_schedule_with_warmup(optimizer, 10, 100).lr_lambdas[0]
    ours = rates(TrainingSettings(warmup=0.1), 100)
    assert ours[10:] == pytest.approx([theirs(step) for step in range(10, 101)], abs=1e-12)


def test_warm_up_rises_evenly_and_its_first_step_already_learns():
    ours = rates(TrainingSettings(warmup=0.1), 100)
    assert ours[:11] == pytest.approx([(step + 1) / 11 for step in range(11)])
    assert max(ours) == ours[10] == 1.0


def test_known_steps_of_the_cosine_and_constant_schedules():
    cosine = rates(TrainingSettings(schedule="cosine", warmup=0), 100)
    assert [cosine[step] for step in (0, 25, 50, 75, 100)] == pytest.approx(
        [1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125), 0]
    )
    assert rates(TrainingSettings(schedule="constant", warmup=0), 5) == [1.0] * 6


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("total", [1, 2, 3, 7])
def test_short_runs_have_a_learning_rate_at_every_step(schedule, total: int):
    assert all(0 < rate <= 1 for rate in rates(TrainingSettings(schedule=schedule, warmup=0.5), total)[:-1])


class Counter(nn.Module):
    """One weight and one buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(1))


def test_the_average_is_the_one_worked_by_hand():
    """Between two moves the steps in between are jumped: (1 - 1/t) telescopes."""
    model = Counter()
    average = WeightAverage(model, 0.2)
    expected, moved_at = 0.0, 0
    for step in range(1, 10 * AVERAGE_EVERY + 4):
        with torch.no_grad():
            model.weight.fill_(float(step))
        average.update(model, step)
        asked = step == 5 * AVERAGE_EVERY + 3
        if asked:
            average.catch_up(model, step)
        if step < AVERAGE_EVERY or step % AVERAGE_EVERY == 0 or asked:
            kept = (moved_at / step) ** 4
            expected, moved_at = kept * expected + (1 - kept) * step, step
        assert average.model.weight.tolist() == pytest.approx([expected] * 2, abs=1e-9)


@pytest.mark.parametrize("span", [0.05, 0.2, 0.5])
def test_the_mean_age_of_the_average_is_its_span(span: float):
    """Weights that count the steps show it: what they lack is the mean age."""
    model = Counter()
    average = WeightAverage(model, span)
    steps = 400 * AVERAGE_EVERY
    for step in range(1, steps + 1):
        with torch.no_grad():
            model.weight.fill_(float(step))
        average.update(model, step)
    assert 1 - average.model.weight[0].item() / steps == pytest.approx(span, abs=0.005)


def test_asking_twice_moves_the_average_once():
    model = Counter()
    average = WeightAverage(model, 0.1)
    with torch.no_grad():
        model.weight.fill_(1.0)
    average.update(model, AVERAGE_EVERY)
    once = average.model.weight.clone()
    average.catch_up(model, AVERAGE_EVERY)
    assert torch.equal(average.model.weight, once)


def test_the_average_never_touches_the_model_and_takes_its_buffers():
    model = Counter()
    average = WeightAverage(model, 0.1)
    with torch.no_grad():
        model.weight.fill_(8.0)
        model.get_buffer("seen").fill_(3.0)
    before = copy.deepcopy(model.state_dict())
    average.update(model, AVERAGE_EVERY)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert average.model.seen.item() == 3.0
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert model.weight.requires_grad


@pytest.mark.parametrize("steps", [1, 3, AVERAGE_EVERY - 1])
def test_the_average_of_a_short_run_is_not_what_it_started_from(steps: int):
    """A run of fewer steps than lie between two updates must not score and save untrained weights."""
    model = Counter()
    average = WeightAverage(model, 0.1)
    for step in range(1, steps + 1):
        with torch.no_grad():
            model.weight.fill_(1.0)
        average.update(model, step)
    assert average.model.weight.min().item() > 0.5
