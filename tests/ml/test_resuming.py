"""A training that continues from a state ends exactly as one that was never interrupted."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from goemo_cli.core.settings import TrainingSettings
from goemo_cli.ml.training.loop import Examples, Step, Stopped, fit
from goemo_cli.ml.training.state import TrainingState

CPU = torch.device("cpu")


def settings_of(**given: Any) -> TrainingSettings:
    whole = {"lr": 3e-3, "batch_size": 12, "epochs": 2, "early_stopping": {"patience": None}, **given}
    return TrainingSettings(**whole)


@pytest.fixture
def make_facts(make_tiny, comments):
    """`make_facts(settings, start=...)`: the facts of a training, and its classifier; without `start` from seed 0."""
    texts, y_true = comments

    def make(settings: TrainingSettings, start: TrainingState | None = None):
        classifier = make_tiny(seed=7 if start else 0, dropout=0.2)  # a state replaces all weights
        torch.manual_seed(5 if start else 0)
        examples = Examples(classifier.encode(texts), y_true)
        facts = fit(classifier, examples, examples, settings, device=CPU, precision="fp32", start=start)
        return facts, classifier

    return make


def summary_of(fact: Any) -> Any:
    """All of a fact that does not measure time."""
    if isinstance(fact, Step):
        return (
            fact.step,
            fact.epoch,
            fact.is_first,
            fact.is_last,
            fact.loss,
            fact.grad_norm,
            fact.learning_rate,
        )
    if isinstance(fact, Stopped):
        return fact
    times = {"epoch_seconds": 0.0, "samples_per_second": 0.0}
    return fact.scores.model_copy(update=times), fact.is_best, fact.val_prob.tobytes()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"averaging": 0.2},
        {"accumulation": 2},
        {"frozen_layers": 1},
        {"epochs": 3, "early_stopping": {"patience": 1, "metric": "val_loss", "min_delta": 10.0}},
    ],
    ids=["plain", "averaged", "accumulated", "frozen", "stopped early"],
)
def test_it_continues_after_any_step(make_facts, given: dict[str, Any]):
    settings = settings_of(**given)
    facts, undisturbed = make_facts(settings)
    expected, states = [], []
    for fact in facts:
        expected.append(summary_of(fact))
        if isinstance(fact, Step):
            states.append((len(expected), copy.deepcopy(fact.state())))
    assert len(states) >= 2 * 3
    for seen, state in states:
        continued, classifier = make_facts(settings, state)
        assert [summary_of(fact) for fact in continued] == expected[seen:]
        for ours, theirs in zip(classifier.model.parameters(), undisturbed.model.parameters(), strict=True):
            assert torch.equal(ours, theirs)


def test_a_step_is_random_by_its_number_alone(make_facts):
    """What the caller draws between two steps does not change them."""
    losses: list[list[float]] = []
    for disturbed in (False, True):
        facts, _ = make_facts(settings_of(epochs=1))
        losses.append([])
        for fact in facts:
            if isinstance(fact, Step):
                losses[-1].append(fact.loss)
                if disturbed:
                    torch.rand(3), np.random.random(3)
    assert losses[0] == losses[1]


def test_the_state_of_another_model_is_refused(make_facts):
    facts, _ = make_facts(settings_of(averaging=0.2))
    state = next(fact for fact in facts if isinstance(fact, Step)).state()
    other = replace(state, weights={**state.weights, "more": torch.zeros(1)})
    with pytest.raises(KeyError, match="more"):
        next(make_facts(settings_of(averaging=0.2), other)[0])
