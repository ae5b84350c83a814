"""Optimizer groups, the schedule, and the average of the weights."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from goemo_cli.core.config import TrainingSettings
from goemo_cli.ml.optim import AVERAGE_EVERY, WeightAverage, make_optimizer, make_schedule


def group_of(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> dict[str, Any]:
    (found,) = [group for group in optimizer.param_groups if any(one is parameter for one in group["params"])]
    return found


def test_every_parameter_is_in_one_group(make_tiny):
    classifier = make_tiny()
    optimizer = make_optimizer(classifier, TrainingSettings())
    for parameter in classifier.model.parameters():
        group_of(optimizer, parameter)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(
        list(classifier.model.parameters())
    )


def test_biases_and_norms_are_not_decayed_and_all_else_is(make_tiny):
    classifier = make_tiny()
    optimizer = make_optimizer(classifier, TrainingSettings(weight_decay=0.1))
    for name, parameter in classifier.model.named_parameters():
        spared = name.endswith("bias") or "LayerNorm" in name
        assert group_of(optimizer, parameter)["weight_decay"] == (0.0 if spared else 0.1), name


def test_the_head_learns_faster_and_the_first_group_is_the_encoders(make_tiny):
    classifier = make_tiny()
    optimizer = make_optimizer(classifier, TrainingSettings(learning_rate=1e-4, head_multiplier=10))
    for name, parameter in classifier.model.named_parameters():
        rate = group_of(optimizer, parameter)["lr"]
        assert rate == pytest.approx(1e-3 if name.startswith("classifier") else 1e-4), name
    assert optimizer.param_groups[0]["lr"] == 1e-4


def rates(settings: TrainingSettings, total: int) -> list[float]:
    """The learning rate of every step."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make_schedule(optimizer, settings, total)
    found = []
    for _ in range(total):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return [*found, optimizer.param_groups[0]["lr"]]


def test_after_warm_up_the_linear_schedule_is_transformers():
    transformers = pytest.importorskip("transformers")
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
    """It moves at every step below 8, at every eighth, and when asked; each time by all steps since."""
    model = Counter()
    average = WeightAverage(model, 0.9)
    expected, moved_at = 0.0, 0
    for step in range(1, 10 * AVERAGE_EVERY + 4):
        with torch.no_grad():
            model.weight.fill_(float(step))
        average.update(model, step)
        asked = step == 5 * AVERAGE_EVERY + 3
        if asked:
            average.catch_up(model, step)
        if step < AVERAGE_EVERY or step % AVERAGE_EVERY == 0 or asked:
            decay = min(0.9, (1 + step) / (10 + step)) ** (step - moved_at)
            expected, moved_at = decay * expected + (1 - decay) * step, step
        assert average.model.weight.tolist() == pytest.approx([expected] * 2, abs=1e-9)


def test_asking_twice_moves_the_average_once():
    model = Counter()
    average = WeightAverage(model, 0.5)
    with torch.no_grad():
        model.weight.fill_(1.0)
    average.update(model, AVERAGE_EVERY)
    once = average.model.weight.clone()
    average.catch_up(model, AVERAGE_EVERY)
    assert torch.equal(average.model.weight, once)


def test_the_average_of_weights_that_stand_still_is_those_weights():
    model = Counter()
    with torch.no_grad():
        model.weight.fill_(3.0)
    average = WeightAverage(model, 0.999)
    for step in range(1, 100):
        average.update(model, step)
    assert average.model.weight.tolist() == pytest.approx([3.0] * 2, abs=1e-12)


def test_the_average_never_touches_the_model_and_takes_its_buffers():
    model = Counter()
    average = WeightAverage(model, 0.5)
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
    average = WeightAverage(model, 0.999)
    for step in range(1, steps + 1):
        with torch.no_grad():
            model.weight.fill_(1.0)
        average.update(model, step)
    assert average.model.weight.min().item() > 0.5
