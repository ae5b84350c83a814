"""Which epoch is the best, and when to give up."""

import math

import pytest

from goemo_cli.core.settings import EarlyStopping
from goemo_cli.ml.training.best_epoch import BestEpoch


def watched(values: list[float], **settings) -> tuple[BestEpoch, list[bool], list[bool]]:
    best = BestEpoch(EarlyStopping(**settings))
    improved, stops = [], []
    for epoch, value in enumerate(values, start=1):
        improved.append(best.update(epoch, value))
        stops.append(best.should_stop)
    return best, improved, stops


def test_the_highest_score_is_the_best_epoch():
    best, improved, _ = watched([0.1, 0.3, 0.2, 0.4], patience=None)
    assert improved == [True, True, False, True]
    assert (best.epoch, best.value) == (4, 0.4)


def test_the_lowest_loss_is_the_best_epoch():
    best, improved, _ = watched([0.5, 0.3, 0.4], metric="val_loss")
    assert improved == [True, True, False]
    assert best.epoch == 2


def test_it_stops_after_patience_epochs_without_improvement():
    assert watched([0.3, 0.2, 0.2, 0.2], patience=2)[2] == [False, False, True, True]
    assert watched([0.3, 0.2, 0.4, 0.2, 0.2], patience=2)[2] == [False, False, False, False, True]


def test_without_patience_it_never_stops():
    assert not any(watched([0.3, *[0.1] * 20], patience=None)[2])


def test_an_equal_score_is_no_improvement():
    assert watched([0.3, 0.3])[1] == [True, False]


@pytest.mark.parametrize(("value", "improves"), [(0.35, False), (0.41, True)])
def test_an_improvement_must_exceed_min_delta(value: float, improves: bool):
    assert watched([0.3, value], min_delta=0.1)[1] == [True, improves]


@pytest.mark.parametrize("metric", ["val_f1_macro", "val_loss"])
def test_a_value_that_is_not_finite_is_never_the_best(metric: str):
    best, improved, stops = watched([math.nan, 0.3, math.inf, -math.inf], metric=metric, patience=2)
    assert improved == [False, True, False, False]
    assert stops == [False, False, False, True]
    assert (best.epoch, best.value) == (2, 0.3)


def test_a_negative_first_value_still_counts():
    assert watched([-1.0])[1] == [True]
